/*
 * log.h
 *	  What the portal says of itself: lines on the standard error stream, which a
 *	  service manager gives their time.
 *
 * No line has anything of a request but the name of a role and an address, and of
 * these only printable characters.
 */
#ifndef PORTAL_LOG_H
#define PORTAL_LOG_H

/* "role" and "from" may be NULL. */
extern void portal_log(const char *what, const char *role, const char *from);

#endif							/* PORTAL_LOG_H */
