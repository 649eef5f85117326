/*
 * acting.h
 *	  The tenant that this session acts for by a token of the portal.
 *
 * A role that webhook.grant_portal() was called for has no tenant of its own. It acts for
 * one from webhook.act_as(token) on, in this session, until the token is revoked, its time
 * is over, or the session is reset.
 */
#ifndef WEBHOOK_ACTING_H
#define WEBHOOK_ACTING_H

#define WEBHOOK_TOKEN_HASH_BYTES 32 /* SHA-256 */

/* Returns true if the role, or one that it is a member of, may execute act_as(). */
extern bool webhook_may_act(Oid role);

/*
 * The tenant that the role acts for by the token of this session; NULL: this session has
 * none, or another role called act_as(). An error if the token has ended. The result is in
 * CurrentMemoryContext.
 */
extern char *webhook_acting_tenant(Oid role);

/* Returns true if the role acts by a token that only reads; an error as above. */
extern bool webhook_acting_only_reads(Oid role);

/* Returns true if this session has a token, whatever became of it. */
extern bool webhook_acting(void);

/* Returns true if the present transaction has called webhook_act(), whatever became of that. */
extern bool webhook_acting_is_uncommitted(void);

/*
 * Raise an error if the token of this session has ended, and the current user or the role
 * that has logged in is the one that called act_as().
 */
extern void webhook_acting_check(void);

/*
 * From now on the role acts by the token of this hash, of WEBHOOK_TOKEN_HASH_BYTES. If the
 * transaction is rolled back, so is that.
 */
extern void webhook_act(Oid role, const uint8 *hash);

/* Define the setting that holds it; called once, by _PG_init(). */
extern void webhook_acting_init(void);

#endif							/* WEBHOOK_ACTING_H */
