/*
 * guc.h
 *	  The settings of the extension, all named webhook.*.
 */
#ifndef WEBHOOK_GUC_H
#define WEBHOOK_GUC_H

/* The largest timeout, in milliseconds, and the longest wait before a retry, in seconds. */
#define WEBHOOK_MAX_TIMEOUT (5 * 60 * 1000)
#define WEBHOOK_MAX_WAIT (30 * 24 * 60 * 60)

/* Which calls the log keeps the bodies of, and the data of what has failed. */
typedef enum WebhookLogBodies
{
	WEBHOOK_BODIES_ALL,
	WEBHOOK_BODIES_FAILED,		/* of those that have not succeeded */
	WEBHOOK_BODIES_NONE,
} WebhookLogBodies;

/* The waits between the attempts of a delivery, in seconds. */
typedef struct WebhookSchedule
{
	int			count;
	int			seconds[];
} WebhookSchedule;

extern bool webhook_enabled;
extern bool webhook_confirm_endpoints;
extern bool webhook_fence_copies;
extern int	webhook_max_in_flight;
extern int	webhook_max_in_flight_per_subscription;
extern int	webhook_timeout;	/* milliseconds */
extern int	webhook_connect_timeout;	/* milliseconds */
extern int	webhook_event_retention;	/* seconds */
extern int	webhook_log_retention;	/* seconds */
extern int	webhook_shutdown_grace; /* milliseconds */
extern int	webhook_max_memory; /* kilobytes */
extern int	webhook_max_data_size;	/* bytes */
extern int	webhook_log_bodies; /* WebhookLogBodies */
extern char *webhook_user_agent;
extern char *webhook_ca_file;

/* The value of webhook.retry_schedule, parsed; never NULL. Valid until the setting changes. */
extern const WebhookSchedule *webhook_retry_schedule(void);

/* The value of webhook.log_bodies, or of the option of that name, for a text. */
extern bool webhook_log_bodies_find(const char *text, WebhookLogBodies *bodies);

/* Define all settings; called once, by _PG_init(). */
extern void webhook_guc_init(void);

#endif							/* WEBHOOK_GUC_H */
