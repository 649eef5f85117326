/*
 * address.c
 *	  Addresses: where the portal listens, and who is counted as one.
 */
#include "portal/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns false if a text is no address without a port. */
static bool
read_host(const char *host, unsigned port, struct sockaddr_storage *address, socklen_t *length)
{
	struct sockaddr_in *in = (struct sockaddr_in *) address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1)
	{
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		*length = sizeof(*in);
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1)
	{
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		*length = sizeof(*in6);
		return true;
	}
	return false;
}

bool
portal_listen_read(const char *text, PortalListen *listen)
{
	const char *colon = strrchr(text, ':');
	size_t		length = colon == NULL ? 0 : (size_t) (colon - text);
	size_t		digits = colon == NULL ? 0 : strlen(colon + 1);
	char		host[PORTAL_ADDRESS_LENGTH];
	bool		brackets = text[0] == '[';

	if (length < 2 || length >= sizeof(host) || digits < 1 || digits > 5 ||
		strspn(colon + 1, "0123456789") != digits)
		return false;
	listen->port = (unsigned) strtoul(colon + 1, NULL, 10);
	if (listen->port > 65535 || (brackets && text[length - 1] != ']'))
		return false;
	memcpy(listen->host, text, length);
	listen->host[length] = '\0';
	memcpy(host, text + brackets, length - 2 * brackets);
	host[length - 2 * brackets] = '\0';
	return read_host(host, listen->port, &listen->address, &listen->length) &&
		brackets == (listen->address.ss_family == AF_INET6);
}

/* The IPv4 address, in network order, that an address is or stands for. */
static bool
as_ipv4(const struct sockaddr *address, struct in_addr *ipv4)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) address;

	if (address->sa_family == AF_INET)
	{
		*ipv4 = ((const struct sockaddr_in *) address)->sin_addr;
		return true;
	}
	if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
	{
		memcpy(ipv4, in6->sin6_addr.s6_addr + 12, 4);
		return true;
	}
	return false;
}

bool
portal_address_is_loopback(const struct sockaddr *address)
{
	struct in_addr ipv4;

	if (as_ipv4(address, &ipv4))
		return ntohl(ipv4.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 &&
		IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) address)->sin6_addr);
}

void
portal_address_key(const struct sockaddr *address, char key[PORTAL_ADDRESS_LENGTH])
{
	struct in_addr ipv4;
	struct in6_addr ipv6;

	strcpy(key, "?");
	if (as_ipv4(address, &ipv4))
		inet_ntop(AF_INET, &ipv4, key, PORTAL_ADDRESS_LENGTH);
	else if (address->sa_family == AF_INET6)
	{
		ipv6 = ((const struct sockaddr_in6 *) address)->sin6_addr;
		if (!IN6_IS_ADDR_LOOPBACK(&ipv6))
			memset(ipv6.s6_addr + 8, 0, 8);
		inet_ntop(AF_INET6, &ipv6, key, PORTAL_ADDRESS_LENGTH);
	}
}

bool
portal_address_forwarded(const char *header, char key[PORTAL_ADDRESS_LENGTH])
{
	const char *last = strrchr(header, ',');
	struct sockaddr_storage address;
	socklen_t	length;
	char		host[PORTAL_ADDRESS_LENGTH];
	size_t		size;

	last = last == NULL ? header : last + 1;
	last += strspn(last, " \t");
	size = strcspn(last, " \t");
	if (size >= sizeof(host) || last[size + strspn(last + size, " \t")] != '\0')
		return false;
	memcpy(host, last, size);
	host[size] = '\0';
	if (!read_host(host, 0, &address, &length))
		return false;
	portal_address_key((const struct sockaddr *) &address, key);
	return true;
}
