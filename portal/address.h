/*
 * address.h
 *	  Addresses: where the portal listens, and who is counted as one.
 */
#ifndef PORTAL_ADDRESS_H
#define PORTAL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/socket.h>

/* An IPv4 address, or the /64 of an IPv6 one: what one customer of a provider has. */
#define PORTAL_ADDRESS_LENGTH	48

typedef struct PortalListen
{
	struct sockaddr_storage address;
	socklen_t	length;
	char		host[PORTAL_ADDRESS_LENGTH];	/* in brackets if it is an IPv6 address */
	unsigned	port;
} PortalListen;

/* Read "127.0.0.1:8088" or "[::1]:8088"; port 0: the system chooses one. */
extern bool portal_listen_read(const char *text, PortalListen *listen);
extern bool portal_address_is_loopback(const struct sockaddr *address);

/* The text of who is counted as one; "?" for what is no IP address. */
extern void portal_address_key(const struct sockaddr *address, char key[PORTAL_ADDRESS_LENGTH]);

/* The same for the last address of an X-Forwarded-For; false if there is none. */
extern bool portal_address_forwarded(const char *header, char key[PORTAL_ADDRESS_LENGTH]);

#endif							/* PORTAL_ADDRESS_H */
