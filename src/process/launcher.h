/*
 * launcher.h
 *	  Who starts the workers.
 */
#ifndef WEBHOOK_LAUNCHER_H
#define WEBHOOK_LAUNCHER_H

/* Have the launcher started with the server (preload only). */
extern void webhook_launcher_init(void);

extern PGDLLEXPORT void webhook_launcher_main(Datum arg);

#endif							/* WEBHOOK_LAUNCHER_H */
