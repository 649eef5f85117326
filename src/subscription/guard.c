/*
 * guard.c
 *	  The settings that say where this server may send to.
 *
 * The rules are applied by net/. The worker's HTTP engine checks each address
 * that it dials. An endpoint that is saved is checked here as far as its text
 * tells, so that a mistyped one is refused at once.
 *
 * Each list of a setting is parsed by its check hook, to refuse a wrong value.
 * All lists are parsed into one set of rules when the rules are first needed
 * after one of them changed.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "base/compat.h"
#include "base/redact.h"
#include "base/refusal.h"
#include "net/address_rules.h"
#include "net/no_proxy.h"
#include "net/target.h"
#include "net/url.h"
#include "subscription/subscription.h"

bool		webhook_require_https = true;
char	   *webhook_allowed_networks = NULL;
char	   *webhook_denied_networks = NULL;
char	   *webhook_allowed_ports = NULL;
char	   *webhook_proxy = NULL;
char	   *webhook_no_proxy = NULL;
char	   *webhook_certificate_directory = NULL;

static struct
{
	WebhookAddressRules *rules; /* parsed from the lists; NULL: a list changed since */
}			guard;

static const char *hint_for(const char *setting);
static bool check_networks(char **newval, void **extra, GucSource source);
static bool check_ports(char **newval, void **extra, GucSource source);
static bool check_lists(const char *networks, const char *ports);
static void assign_list(const char *newval, void *extra);
static bool check_proxy(char **newval, void **extra, GucSource source);
static bool check_no_proxy(char **newval, void **extra, GucSource source);
static bool is_proxy(const char *proxy);
static bool check_directory(char **newval, void **extra, GucSource source);
static const WebhookAddressRules *current_rules(void);

void
webhook_guard_init(void)
{
	DefineCustomBoolVariable("webhook.require_https",
							 "Refuses endpoints that do not use https.",
							 NULL,
							 &webhook_require_https,
							 true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("webhook.allowed_networks",
							   "Sets the networks that may be sent to although they are not public.",
							   "A list such as \"10.1.0.0/16, fd12:3456::/32\".",
							   &webhook_allowed_networks,
							   "",
							   PGC_SIGHUP, 0,
							   check_networks, assign_list, NULL);

	DefineCustomStringVariable("webhook.denied_networks",
							   "Sets the networks that must not be sent to, allowed or not.",
							   "A list such as \"192.0.2.0/24, 2001:db8::/32\".",
							   &webhook_denied_networks,
							   "",
							   PGC_SIGHUP, 0,
							   check_networks, assign_list, NULL);

	DefineCustomStringVariable("webhook.allowed_ports",
							   "Sets the ports that may be sent to.",
							   "A list of ports and ranges such as \"443, 8000-8999\".",
							   &webhook_allowed_ports,
							   WEBHOOK_DEFAULT_PORTS,
							   PGC_SIGHUP, 0,
							   check_ports, assign_list, NULL);

	DefineCustomStringVariable("webhook.proxy",
							   "Sets the proxy that requests go through.",
							   "An empty value means none, whatever the environment says.",
							   &webhook_proxy,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   check_proxy, NULL, NULL);

	DefineCustomStringVariable("webhook.no_proxy",
							   "Sets the hosts and networks that are called without the proxy.",
							   "A list such as \"example.internal, 10.1.0.0/16\".",
							   &webhook_no_proxy,
							   "",
							   PGC_SIGHUP, 0,
							   check_no_proxy, NULL, NULL);

	DefineCustomStringVariable("webhook.certificate_directory",
							   "Sets the directory of the certificates that subscriptions name.",
							   "An empty value means that they can name none.",
							   &webhook_certificate_directory,
							   "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   check_directory, NULL, NULL);
}

void
webhook_guard_check_endpoint(const char *canonical)
{
	WebhookTarget target;
	WebhookTargetRefusal refusal;

	if (webhook_target_refused(current_rules(), webhook_require_https, canonical, &target,
							   &refusal))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("endpoint"),
				 errmsg("endpoint \"%s\" is not allowed",
						webhook_clip(webhook_redact_url(canonical))),
				 errdetail("%s", refusal.problem),
				 errhint("%s", hint_for(refusal.setting))));
}

/* A hint for a refusal because of a setting; NULL: no setting has anything to do with it. */
static const char *
hint_for(const char *setting)
{
	if (setting == NULL)
		return "Use a URL that starts with https:// and the name of a host.";
	if (strcmp(setting, "webhook.require_https") == 0)
		return "Use https://; or an administrator of the server can turn webhook.require_https off.";
	if (strcmp(setting, "webhook.allowed_ports") == 0)
		return psprintf("Use one of the ports %s; or an administrator of the server can add another one to webhook.allowed_ports.",
						webhook_allowed_ports);
	if (strcmp(setting, "webhook.denied_networks") == 0)
		return "Use another address; or an administrator of the server can change webhook.denied_networks.";
	return "Use a public address; or an administrator of the server can add its network to webhook.allowed_networks.";
}

static bool
check_networks(char **newval, void **extra, GucSource source)
{
	return check_lists(*newval, NULL);
}

static bool
check_ports(char **newval, void **extra, GucSource source)
{
	return check_lists("", *newval);
}

static bool
check_lists(const char *networks, const char *ports)
{
	char		problem[WEBHOOK_REFUSAL_BYTES];
	WebhookAddressRules *read;

	read = webhook_address_rules_new(networks, NULL, ports,
									 problem, sizeof(problem));
	if (read == NULL)
	{
		GUC_check_errdetail("%s", problem);
		if (ports != NULL)
			GUC_check_errhint("Write a list of ports and ranges such as \"%s\".",
							  WEBHOOK_DEFAULT_PORTS);
		else
			GUC_check_errhint("Write a list such as \"10.1.0.0/16, 192.0.2.1, fd12:3456::/32\".");
		return false;
	}
	webhook_address_rules_free(read);
	return true;
}

static void
assign_list(const char *newval, void *extra)
{
	webhook_address_rules_free(guard.rules);
	guard.rules = NULL;
}

/* The message does not show the value, which may hold a password. */
static bool
check_proxy(char **newval, void **extra, GucSource source)
{
	if (**newval == '\0' || is_proxy(*newval))
		return true;
	GUC_check_errmsg("invalid value for parameter \"%s\"", "webhook.proxy");
	GUC_check_errdetail("The value is not the URL of a proxy.");
	GUC_check_errhint("Write the URL as in \"http://proxy.example.com:3128\" or \"https://user:password@proxy.example.com:3128\", with %%HH for special characters of the password.");
	return false;
}

static bool
check_no_proxy(char **newval, void **extra, GucSource source)
{
	char		problem[WEBHOOK_REFUSAL_BYTES];
	WebhookNoProxy *read = webhook_no_proxy_new(*newval, problem, sizeof(problem));

	if (read == NULL)
	{
		GUC_check_errdetail("%s", problem);
		GUC_check_errhint("Write a list such as \"example.internal, 10.1.0.0/16\".");
		return false;
	}
	webhook_no_proxy_free(read);
	return true;
}

/*
 * Returns true for scheme, host and port, with or without user and password,
 * and for nothing that could be read in two ways.
 */
static bool
is_proxy(const char *proxy)
{
	const char *host;
	const char *user;
	int			length;
	long		port = 0;

	if (strncmp(proxy, "http://", 7) == 0)
		host = proxy + 7;
	else if (strncmp(proxy, "https://", 8) == 0)
		host = proxy + 8;
	else
		return false;
	if (strlen(proxy) > WEBHOOK_MAX_ENDPOINT)
		return false;

	user = strchr(host, '@');
	if (user != NULL)
	{
		if (user == host || *host == ':')
			return false;
		for (const char *c = host; c < user; c++)
		{
			if (*c <= ' ' || *c > '~' || strchr("/?#[]\\\"<>^`{|}", *c) != NULL)
				return false;
			if (*c == '%' && !(isxdigit((unsigned char) c[1]) &&
							   isxdigit((unsigned char) c[2])))
				return false;
		}
		host = user + 1;
	}

	if (*host == '[')
	{
		const char *bracket = strchr(host, ']');
		struct sockaddr_storage address;

		if (bracket == NULL)
			return false;
		length = bracket + 1 - host;
		if (!webhook_address_parse(pnstrdup(host, length), &address) ||
			address.ss_family != AF_INET6)
			return false;
	}
	else
		length = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");
	if (length == 0 || *host == '.' || *host == '-' || host[length] != ':')
		return false;

	host += length + 1;
	length = strspn(host, "0123456789");
	if (length < 1 || length > 5 || *host == '0' || host[length] != '\0')
		return false;
	port = atol(host);
	return port <= 65535;
}

static bool
check_directory(char **newval, void **extra, GucSource source)
{
	if (**newval == '\0' || is_absolute_path(*newval))
		return true;
	GUC_check_errdetail("The value is not an absolute path.");
	GUC_check_errhint("Write the path from the root, such as \"/etc/webhook\".");
	return false;
}

static const WebhookAddressRules *
current_rules(void)
{
	char		problem[WEBHOOK_REFUSAL_BYTES];

	if (guard.rules == NULL)
		guard.rules = webhook_address_rules_new(webhook_allowed_networks,
												webhook_denied_networks,
												webhook_allowed_ports,
												problem, sizeof(problem));
	if (guard.rules == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not read the address rules: %s", problem)));
	return guard.rules;
}
