/*
 * no_proxy.c
 *	  Which targets are called directly although there is a proxy.
 *
 * The list is kept in two forms: its networks as blocks, its names as one text
 * in lower case, each between two commas.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/address_list.h"
#include "net/check.h"
#include "net/no_proxy.h"

struct WebhookNoProxy
{
	WebhookAddressBlocks networks;
	char		names[];		/* such as ",example.com,crm," */
};

static const char blanks[] = " \t\r\n";

static bool take_entry(WebhookNoProxy *no_proxy, const char *entry, size_t length, int number,
					   char *problem, size_t size);
static bool take_network(WebhookNoProxy *no_proxy, const char *entry, size_t length, int number,
						 char *problem, size_t size);
static bool is_name(const char *entry, size_t length);
static bool has_name(const WebhookNoProxy *no_proxy, const char *name, size_t length);

WebhookNoProxy *
webhook_no_proxy_new(const char *list, char *problem, size_t size)
{
	WebhookNoProxy *no_proxy;
	int			number = 1;

	list = list ? list : "";
	no_proxy = calloc(1, sizeof(WebhookNoProxy) + strlen(list) + 3);
	if (no_proxy == NULL)
	{
		snprintf(problem, size, "There is not enough memory.");
		return NULL;
	}
	strcpy(no_proxy->names, ",");
	if (list[strspn(list, blanks)] == '\0')
		return no_proxy;
	for (;;)
	{
		const char *entry = list + strspn(list, blanks);
		size_t		whole = strcspn(entry, ",");
		size_t		length = whole;

		while (length > 0 && strchr(blanks, entry[length - 1]) != NULL)
			length--;
		if (!take_entry(no_proxy, entry, length, number++, problem, size))
		{
			free(no_proxy);
			return NULL;
		}
		if (entry[whole] == '\0')
			return no_proxy;
		list = entry + whole + 1;
	}
}

void
webhook_no_proxy_free(WebhookNoProxy *no_proxy)
{
	free(no_proxy);
}

bool
webhook_no_proxy_has(const WebhookNoProxy *no_proxy, const WebhookTarget *target)
{
	struct sockaddr_storage parsed;
	WebhookAddress address;
	char		host[WEBHOOK_ADDRESS_BYTES];

	if (!target->is_literal)
	{
		/* The name itself, and each that it is below. */
		for (size_t i = 0; i < target->host_length; i++)
		{
			if ((i == 0 || target->host[i - 1] == '.') &&
				has_name(no_proxy, target->host + i, target->host_length - i))
				return true;
		}
		return false;
	}

	/* A literal host is shorter than the buffer: read_target() in target.c. */
	memcpy(host, target->host, target->host_length);
	host[target->host_length] = '\0';
	if (!webhook_address_parse(host, &parsed) ||
		!webhook_address_from_sockaddr((struct sockaddr *) &parsed, &address))
		return false;
	webhook_address_unmap(&address);
	for (int i = 0; i < no_proxy->networks.count; i++)
	{
		if (webhook_address_within(&address, &no_proxy->networks.block[i]))
			return true;
	}
	return false;
}

/* Take an entry of the list. Returns false if it is malformed. */
static bool
take_entry(WebhookNoProxy *no_proxy, const char *entry, size_t length, int number,
		   char *problem, size_t size)
{
	char	   *end = no_proxy->names + strlen(no_proxy->names);

	/* No name has a colon, and none ends with a number: net/url.c. */
	if (length > 0 && (memchr(entry, ':', length) != NULL ||
					   strspn(entry, "0123456789./") >= length))
		return take_network(no_proxy, entry, length, number, problem, size);
	if (!is_name(entry, length))
	{
		snprintf(problem, size, "Entry %d is neither the name of a host nor a network.", number);
		return false;
	}
	for (size_t i = 0; i < length; i++)
		*end++ = webhook_ascii_lower(entry[i]);
	strcpy(end, ",");
	return true;
}

static bool
take_network(WebhookNoProxy *no_proxy, const char *entry, size_t length, int number,
			 char *problem, size_t size)
{
	char		text[WEBHOOK_ADDRESS_BYTES];
	WebhookAddressBlocks *read;
	bool		taken;

	if (length >= sizeof(text) || no_proxy->networks.count == WEBHOOK_MAX_NETWORKS)
	{
		snprintf(problem, size, length >= sizeof(text) ? "Entry %d is too long to be one." :
				 "There are too many networks, from entry %d on.", number);
		return false;
	}
	memcpy(text, entry, length);
	text[length] = '\0';
	read = calloc(1, sizeof(WebhookAddressBlocks));
	taken = read != NULL && webhook_address_blocks_read(text, read, problem, size);
	if (taken)
		no_proxy->networks.block[no_proxy->networks.count++] = read->block[0];
	else if (read != NULL)
		snprintf(problem, size, "Entry %d, \"%s\", is not a network.", number, text);
	else
		snprintf(problem, size, "There is not enough memory.");
	free(read);
	return taken;
}

/* Letters, digits, hyphens and underscores, in parts that are not empty. */
static bool
is_name(const char *entry, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		if (entry[i] == '.' ? i == 0 || i == length - 1 || entry[i - 1] == '.' :
			!webhook_ascii_is_letter(entry[i]) && !webhook_ascii_is_digit(entry[i]) &&
			entry[i] != '-' && entry[i] != '_')
			return false;
	}
	return length > 0;
}

/* Returns true if the list has exactly this name; it is in lower case. */
static bool
has_name(const WebhookNoProxy *no_proxy, const char *name, size_t length)
{
	for (const char *c = no_proxy->names; c[1] != '\0'; c = strchr(c + 1, ','))
	{
		if (strncmp(c + 1, name, length) == 0 && c[1 + length] == ',')
			return true;
	}
	return false;
}
