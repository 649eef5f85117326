/*
 * notify.h
 *	  What people are told of when it happens: a line in the server's log and a
 *	  NOTIFY on channel "webhook".
 */
#ifndef WEBHOOK_NOTICE_H
#define WEBHOOK_NOTICE_H

#include "delivery/health.h"

/*
 * In a transaction: tell of a change in a subscription's health; the reason is
 * the present one, or NULL. The payload is a JSON object of subscription, state,
 * reason and until; listeners get it when the transaction commits.
 */
extern void webhook_notify_state_change(const WebhookStateChange *changes, const char *reason,
										const WebhookSubscription *subscription);

#endif							/* WEBHOOK_NOTICE_H */
