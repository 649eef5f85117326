/*
 * no_proxy.h
 *	  Which targets are called directly although there is a proxy.
 */
#ifndef WEBHOOK_NO_PROXY_H
#define WEBHOOK_NO_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "net/target.h"

/* The setting webhook.no_proxy. */
typedef struct WebhookNoProxy WebhookNoProxy;

/*
 * Read a list of names, addresses and networks, separated by commas, such as "example.internal,
 * 10.1.0.0/16"; NULL is an empty list. The result is malloc'ed; free it with webhook_no_proxy_free.
 * Returns NULL if the list is malformed or memory is out: "problem" receives a sentence, of at most
 * "size" bytes, that names the entry.
 */
extern WebhookNoProxy *webhook_no_proxy_new(const char *list, char *problem, size_t size);
extern void webhook_no_proxy_free(WebhookNoProxy *no_proxy);

/*
 * Returns true if the target is called directly. A name of the list stands for itself and for all
 * names below it, in any case; an address or network stands for targets that are given as
 * addresses. A target's name is not looked up.
 */
extern bool webhook_no_proxy_has(const WebhookNoProxy *no_proxy, const WebhookTarget *target);

#endif							/* WEBHOOK_NO_PROXY_H */
