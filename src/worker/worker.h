/*
 * worker.h
 *	  The door of worker/: the process of one database.
 */
#ifndef WEBHOOK_WORKER_H
#define WEBHOOK_WORKER_H

/* The main function of a background worker; "arg" is the number of its slot (launcher.c). */
extern PGDLLEXPORT void webhook_worker_main(Datum arg);

#endif							/* WEBHOOK_WORKER_H */
