/*
 * ddl_hooks.h
 *	  Statements that concern workers.
 */
#ifndef WEBHOOK_DDL_HOOKS_H
#define WEBHOOK_DDL_HOOKS_H

/* Install the hooks; preload only. */
extern void webhook_ddl_hooks_init(void);

#endif							/* WEBHOOK_DDL_HOOKS_H */
