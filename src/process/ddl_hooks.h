/*
 * ddl_hooks.h
 *	  Statements that workers have to hear of.
 */
#ifndef WEBHOOK_UTILITY_H
#define WEBHOOK_UTILITY_H

/* Install the hooks (preload only). */
extern void webhook_ddl_hooks_init(void);

#endif							/* WEBHOOK_UTILITY_H */
