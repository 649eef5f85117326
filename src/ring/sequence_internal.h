/*
 * sequence_internal.h
 *	  The numbers of the ring's rows.
 */
#ifndef WEBHOOK_SEQUENCE_INTERNAL_H
#define WEBHOOK_SEQUENCE_INTERNAL_H

/*
 * The next number of a sequence of ours: greater than any that was handed out
 * in this database before this call began. Leaves the session's lastval()
 * alone, and asks for no privilege. Numbers are lost at a restart, never given
 * twice. Without shared memory it is nextval(), which does move lastval().
 */
extern int64 webhook_sequence_next(Oid sequence);

/*
 * What the sequence stands at, 0 if it was never used: no number that was
 * handed out is greater.
 */
extern int64 webhook_sequence_last(Oid sequence);

/* The sequence has been set by somebody: go on from there, if it is further. */
extern void webhook_sequence_resync(void);

#endif							/* WEBHOOK_SEQUENCE_INTERNAL_H */
