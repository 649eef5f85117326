/*
 * launcher.h
 *	  The process that starts the workers.
 */
#ifndef WEBHOOK_LAUNCHER_H
#define WEBHOOK_LAUNCHER_H

/* Have the launcher started with the server; preload only. */
extern void webhook_launcher_init(void);

/* The launcher's main function; the server calls it. */
extern PGDLLEXPORT void webhook_launcher_main(Datum arg);

#endif							/* WEBHOOK_LAUNCHER_H */
