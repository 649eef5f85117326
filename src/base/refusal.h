/*
 * refusal.h
 *	  How an error names the argument that it refuses, and repeats its value.
 *
 * The name is in the error's field COLUMN, where a program finds it without
 * reading the message.
 */
#ifndef WEBHOOK_REFUSAL_H
#define WEBHOOK_REFUSAL_H

/* To be used within ereport(), as errhint() is. */
#define webhook_errargument(name) err_generic_string(PG_DIAG_COLUMN_NAME, name)

/* The value as a message repeats it, in CurrentMemoryContext: only its start if it is long. */
extern char *webhook_clip(const char *value);

#endif							/* WEBHOOK_REFUSAL_H */
