/*
 * sequence_internal.h
 *	  Numbers for rows of the ring.
 */
#ifndef WEBHOOK_SEQUENCE_INTERNAL_H
#define WEBHOOK_SEQUENCE_INTERNAL_H

/*
 * The next number of the sequence, greater than any that was returned in this
 * database before this call began. Does not change the session's lastval(), and
 * needs no privilege. A restart skips numbers; none is returned twice. Without
 * shared memory this is nextval(), which does change lastval().
 */
extern int64 webhook_sequence_next(Oid sequence);

/*
 * The value of the sequence, or the last number that was returned since the
 * start of the server if the sequence has been set back; 0: it was never used.
 */
extern int64 webhook_sequence_last(Oid sequence);

/* Make every further number greater than this one. Needs shared memory. */
extern void webhook_sequence_raise(Oid sequence, int64 number);

/*
 * Give up the reserved numbers, because the sequence may have been set. The next
 * number is above its value and above all that were returned.
 */
extern void webhook_sequence_resync(void);

#endif							/* WEBHOOK_SEQUENCE_INTERNAL_H */
