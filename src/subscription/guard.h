/*
 * guard.h
 *	  The settings that say where this server may send to, and what they say
 *	  of an endpoint that is about to be saved.
 */
#ifndef WEBHOOK_GUARD_H
#define WEBHOOK_GUARD_H

extern bool webhook_require_https;
extern char *webhook_allowed_networks;
extern char *webhook_denied_networks;
extern char *webhook_allowed_ports;
extern char *webhook_proxy;
extern char *webhook_certificate_directory;

/* Define them; called once by _PG_init. */
extern void webhook_guard_init(void);

/*
 * An error, if the settings do not allow an endpoint, as far as its text can
 * tell: scheme, port, an address in place of a name.
 */
extern void webhook_guard_check_endpoint(const char *canonical);

#endif							/* WEBHOOK_GUARD_H */
