/*
 * guc.c
 *	  The settings of the extension.
 *
 * The worker and backends read settings at each use, so all settings can be
 * changed by a reload and none needs a restart. None can be set in a session: a
 * setting says how the server sends, not what a user wants.
 *
 * Values are checked when they are set, so code that reads them need not check
 * them. The retry schedule is parsed by its check hook; the parsed form is the
 * setting's "extra" and lives as long as the value.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/version.h"

/* The most waits that webhook.retry_schedule may have. */
#define MAX_WAITS		100

#define DEFAULT_SCHEDULE "5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h"

/*
 * The least timeout, in milliseconds. The unit of these settings is the
 * millisecond, and of webhook.log_retention the second: a bare "30", by which
 * people mean 30 seconds or days, is refused.
 */
#define MIN_TIMEOUT	1000

/* Longest User-Agent, in bytes. */
#define MAX_USER_AGENT	256

bool		webhook_enabled = true;
bool		webhook_confirm_endpoints = false;
int			webhook_max_in_flight = 256;
int			webhook_max_in_flight_per_subscription = 16;
int			webhook_timeout = 30 * 1000;
int			webhook_connect_timeout = 10 * 1000;
int			webhook_event_retention = SECS_PER_DAY;
int			webhook_log_retention = 30 * SECS_PER_DAY;
int			webhook_shutdown_grace = 2 * 1000;
int			webhook_max_memory = 32 * 1024;
int			webhook_max_data_size = 1024 * 1024;
int			webhook_log_bodies = WEBHOOK_BODIES_ALL;
char	   *webhook_user_agent = NULL;
char	   *webhook_ca_file = NULL;
bool		webhook_fence_copies = true;

static const struct config_enum_entry log_bodies_values[] = {
	{"all", WEBHOOK_BODIES_ALL, false},
	{"failed", WEBHOOK_BODIES_FAILED, false},
	{"none", WEBHOOK_BODIES_NONE, false},
	{NULL, 0, false}
};

static char *retry_schedule_text = NULL;
static const WebhookSchedule *retry_schedule = NULL;

static bool check_retry_schedule(char **newval, void **extra, GucSource source);
static void assign_retry_schedule(const char *newval, void *extra);
static bool check_user_agent(char **newval, void **extra, GucSource source);
static const char *parse_wait(const char *text, int *seconds);

void
webhook_guc_init(void)
{
	DefineCustomBoolVariable("webhook.enabled",
							 "Sends events to their subscribers.",
							 "While it is off, events are enqueued and wait.",
							 &webhook_enabled,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("webhook.confirm_endpoints",
							 "Asks each new endpoint to answer a challenge before it gets events.",
							 "The endpoints of tenants are asked in any case.",
							 &webhook_confirm_endpoints,
							 false,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("webhook.fence_copies",
							 "Sends nothing from a copy of the data directory.",
							 "The subscriptions in a copy wait for webhook.resume_database().",
							 &webhook_fence_copies,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("webhook.max_in_flight",
							"Sets how many requests a database may have in flight.",
							"The limit applies to the fast and to the slow pool of requests separately.",
							&webhook_max_in_flight,
							256, 1, 10000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("webhook.max_in_flight_per_subscription",
							"Sets how many requests a subscription may have in flight.",
							NULL,
							&webhook_max_in_flight_per_subscription,
							16, 1, 1000,
							PGC_SIGHUP, 0,
							NULL, NULL, NULL);

	DefineCustomIntVariable("webhook.timeout",
							"Sets the maximum duration of a request.",
							NULL,
							&webhook_timeout,
							30 * 1000, MIN_TIMEOUT, WEBHOOK_MAX_TIMEOUT,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("webhook.connect_timeout",
							"Sets the maximum time to connect to an endpoint.",
							"It covers the resolution of the name and the TLS handshake.",
							&webhook_connect_timeout,
							10 * 1000, MIN_TIMEOUT, WEBHOOK_MAX_TIMEOUT,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomStringVariable("webhook.retry_schedule",
							   "Sets the waits between the attempts of a delivery.",
							   "A list such as \"5s, 5m, 2h, 1d\"; with an empty list no attempt is repeated.",
							   &retry_schedule_text,
							   DEFAULT_SCHEDULE,
							   PGC_SIGHUP, 0,
							   check_retry_schedule, assign_retry_schedule,
							   NULL);

	DefineCustomIntVariable("webhook.event_retention",
							"Sets how long events are kept after they occurred.",
							"Events that are not delivered yet are kept longer.",
							&webhook_event_retention,
							SECS_PER_DAY, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomIntVariable("webhook.log_retention",
							"Sets how long the log of attempts is kept.",
							"The log is dropped by whole days.",
							&webhook_log_retention,
							30 * SECS_PER_DAY, SECS_PER_HOUR, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("webhook.log_bodies",
							 "Sets which calls the log keeps the bodies of.",
							 "Failed calls are those that did not succeed, also if they are repeated.",
							 &webhook_log_bodies,
							 WEBHOOK_BODIES_ALL, log_bodies_values,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("webhook.shutdown_grace",
							"Sets how long a shutdown waits for requests in flight.",
							"Requests that are cut off are repeated after the start.",
							&webhook_shutdown_grace,
							2 * 1000, 0, 60 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("webhook.max_memory",
							"Sets the maximum memory for events and attempts of a database.",
							NULL,
							&webhook_max_memory,
							32 * 1024, 1024, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("webhook.max_data_size",
							"Sets the maximum size of the data of an event.",
							NULL,
							&webhook_max_data_size,
							1024 * 1024, 1024, 64 * 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_BYTE,
							NULL, NULL, NULL);

	DefineCustomStringVariable("webhook.user_agent",
							   "Sets the User-Agent header of requests.",
							   NULL,
							   &webhook_user_agent,
							   "webhook/" WEBHOOK_VERSION,
							   PGC_SIGHUP, 0,
							   check_user_agent, NULL, NULL);

	DefineCustomStringVariable("webhook.ca_file",
							   "Sets the file with the certificate authorities that endpoints are verified by.",
							   "With an empty value, those of the operating system are used.",
							   &webhook_ca_file,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
}

const WebhookSchedule *
webhook_retry_schedule(void)
{
	return retry_schedule;
}

bool
webhook_log_bodies_find(const char *text, WebhookLogBodies *bodies)
{
	for (const struct config_enum_entry *value = log_bodies_values; value->name != NULL; value++)
	{
		if (strcmp(value->name, text) == 0)
		{
			*bodies = value->val;
			return true;
		}
	}
	return false;
}

static bool
check_retry_schedule(char **newval, void **extra, GucSource source)
{
	const char *next = *newval;
	WebhookSchedule *schedule;

	schedule = compat_guc_malloc(offsetof(WebhookSchedule, seconds) +
								 MAX_WAITS * sizeof(int));
	if (schedule == NULL)
		return false;
	schedule->count = 0;

	next += strspn(next, " \t\r\n");
	while (*next != '\0' || schedule->count > 0)
	{
		int			seconds;

		if (schedule->count == MAX_WAITS)
		{
			GUC_check_errdetail("A schedule has at most %d waits.", MAX_WAITS);
			goto refused;
		}

		next = parse_wait(next, &seconds);
		if (next == NULL)
		{
			GUC_check_errdetail("Wait number %d is not a whole number with a unit, or not between 1 second and 30 days.",
								schedule->count + 1);
			GUC_check_errhint("Write a list such as \"5s, 5m, 2h, 1d\", with the units \"s\", \"m\" or \"min\", \"h\" and \"d\".");
			goto refused;
		}
		schedule->seconds[schedule->count++] = seconds;

		if (*next == '\0')
			break;
		next++;					/* the comma */
	}

	*extra = schedule;
	return true;

refused:
	compat_guc_free(schedule);
	return false;
}

static void
assign_retry_schedule(const char *newval, void *extra)
{
	retry_schedule = extra;
}

/*
 * Parse one wait. Returns the address of the comma or the end of the text behind
 * it; NULL: the text is no valid wait.
 */
static const char *
parse_wait(const char *text, int *seconds)
{
	static const struct
	{
		const char *name;
		int			seconds;
	}			units[] =
	{
		{"s", 1},
		{"m", SECS_PER_MINUTE},
		{"min", SECS_PER_MINUTE},
		{"h", SECS_PER_HOUR},
		{"d", SECS_PER_DAY},
	};
	int64		number = 0;
	size_t		length;
	int			i;

	text += strspn(text, " \t\r\n");

	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++)
	{
		number = number * 10 + (*text - '0');
		if (number > WEBHOOK_MAX_WAIT)
			return NULL;
	}

	text += strspn(text, " \t\r\n");

	length = strspn(text, "smindh");
	for (i = 0; i < lengthof(units); i++)
	{
		if (strlen(units[i].name) == length &&
			strncmp(units[i].name, text, length) == 0)
			break;
	}
	if (i == lengthof(units))
		return NULL;

	number *= units[i].seconds;
	if (number < 1 || number > WEBHOOK_MAX_WAIT)
		return NULL;
	*seconds = (int) number;

	text += length;
	text += strspn(text, " \t\r\n");
	return (*text == ',' || *text == '\0') ? text : NULL;
}

/* Allows what RFC 9110, section 5.5, allows in a header's value, except obsolete characters. */
static bool
check_user_agent(char **newval, void **extra, GucSource source)
{
	const char *value = *newval;
	size_t		length = strlen(value);
	size_t		printable = 0;

	while (value[printable] >= ' ' && value[printable] <= '~')
		printable++;
	if (length == 0 || length > MAX_USER_AGENT)
		GUC_check_errdetail("It must have between 1 and %d characters.", MAX_USER_AGENT);
	else if (value[0] == ' ' || value[length - 1] == ' ')
		GUC_check_errdetail("It must not begin or end with a space.");
	else if (printable < length)
		GUC_check_errdetail("It must consist of printable ASCII characters.");
	else
		return true;
	GUC_check_errhint("Name what sends, for example \"contracts/1.0\".");
	return false;
}
