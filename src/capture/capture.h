/*
 * capture.h
 *	  Capture: a change of a watched table becomes an event.
 */
#ifndef WEBHOOK_CAPTURE_H
#define WEBHOOK_CAPTURE_H

/*
 * Install the hook by which watches follow a rename of their columns, and DDL
 * warns that a column of a watch is dropped.
 */
extern void webhook_follow_ddl_init(void);

/* Define settings webhook.context and webhook.traceparent. */
extern void webhook_session_context_init(void);

/*
 * What the session says of who causes its changes, as column "context" of the
 * ring has it; NULL: nothing. Valid until one of the settings changes. Warns of a
 * value that is invalid, once.
 */
extern const char *webhook_session_context(void);

/* Install the hooks that know the statements that change rows. */
extern void webhook_held_init(void);

#endif							/* WEBHOOK_CAPTURE_H */
