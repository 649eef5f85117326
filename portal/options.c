/*
 * options.c
 *	  What the portal is told on its command line.
 */
#include "portal/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/buffer.h"
#include "portal/secret.h"
#include "portal/times.h"
#include "src/base/version.h"

static const char usage[] =
"webhook_portal serves pages for webhook subscriptions and their logs.\n"
"\n"
"Usage:\n"
"  webhook_portal --database=CONNINFO [OPTION]...\n"
"\n"
"Options:\n"
"  --database=CONNINFO       how to reach the database, without user and password\n"
"  --service=CONNINFO        how to reach it as the role of webhook.grant_portal(), for\n"
"                            people who come with a token of webhook.portal_token()\n"
"  --service-password-file=FILE\n"
"                            that role's password\n"
"  --listen=ADDRESS:PORT     where to listen (default: 127.0.0.1:8088)\n"
"  --origin=URL              the pages' origin as a browser sees it, such as\n"
"                            https://hooks.example.com; may be repeated\n"
"  --certificate=FILE        serve https with this certificate and its chain (PEM)\n"
"  --key=FILE                the certificate's key (PEM)\n"
"  --frame-ancestors=ORIGIN  the one origin whose pages may frame the portal's\n"
"  --forwarded               a proxy in front writes X-Forwarded-For\n"
"  --idle=DURATION           end a session that is not used for so long (30min)\n"
"  --longest=DURATION        end any session after so long (12h)\n"
"  --sessions=NUMBER         how many there may be at once (64)\n"
"  --allow-superuser         let superusers sign in, too\n"
"  --version, --help\n";

static void
__attribute__((format(printf, 1, 2), noreturn))
fail(const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	fputs("webhook_portal: ", stderr);
	vfprintf(stderr, format, arguments);
	fputs("\nTry \"webhook_portal --help\" for more information.\n", stderr);
	va_end(arguments);
	exit(2);
}

/* Returns true for "http://host" or "https://host", with or without a port. */
static bool
is_origin(const char *text)
{
	size_t		scheme = strncmp(text, "https://", 8) == 0 ? 8 : 7;
	const char *host = text + scheme;
	size_t		length;

	if (scheme == 7 && strncmp(text, "http://", 7) != 0)
		return false;
	length = strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]");
	return length > 0 && length < 256 && host[length] == '\0' && host[0] != ':';
}

static char *
lower(const char *text)
{
	char	   *copy = portal_copy(text);

	for (char *at = copy; *at != '\0'; at++)
		*at = (char) tolower((unsigned char) *at);
	return copy;
}

static const char *
formatted(const char *format, const char *text, unsigned port)
{
	char		line[400];

	snprintf(line, sizeof(line), format, text, port);
	return portal_copy(line);
}

/* The first line of a file.  Whoever may read it: a credential that systemd hands over has the
 * mode 0440, which libpq's passfile must not have. */
static const char *
password_of(const char *file)
{
	char	   *text = portal_secret_read(file);

	if (text != NULL)
		text[strcspn(text, "\r\n")] = '\0';
	if (text == NULL || text[0] == '\0')
		fail("--service-password-file cannot be read or is empty: %s", file);
	return text;
}

static void
check(const PortalOptions *options)
{
	bool		tls = options->certificate != NULL;
	int			nsecure = 0;

	if (options->database == NULL)
		fail("--database is missing");
	if (options->service_password != NULL && options->service == NULL)
		fail("--service-password-file needs --service");
	if (tls != (options->key != NULL))
		fail("--certificate and --key go together");
	if (!tls && !portal_address_is_loopback((const struct sockaddr *) &options->listen.address))
		fail("without --certificate and --key only loopback addresses can be listened on, "
			 "not %s", options->listen.host);
	if (tls && options->ngiven_origins == 0)
		fail("--certificate needs --origin: the name that browsers know the portal by");
	for (int i = 0; i < options->ngiven_origins; i++)
		nsecure += strncmp(options->given_origins[i], "https://", 8) == 0;
	if (nsecure != 0 && nsecure != options->ngiven_origins)
		fail("origins are either all https or all http");
	if (tls && nsecure == 0)
		fail("with --certificate an --origin begins with https://");
	if (options->longest < options->idle)
		fail("--longest is shorter than --idle");
}

void
portal_options_read(int argc, char **argv, PortalOptions *options)
{
	enum
	{
		DATABASE = 1, SERVICE, SERVICE_PASSWORD_FILE, LISTEN, ORIGIN, CERTIFICATE, KEY,
		FRAME_ANCESTORS, FORWARDED, IDLE, LONGEST, SESSIONS, ALLOW_SUPERUSER, VERSION, HELP
	};
	static const struct option known[] = {
		{"database", required_argument, NULL, DATABASE},
		{"service", required_argument, NULL, SERVICE},
		{"service-password-file", required_argument, NULL, SERVICE_PASSWORD_FILE},
		{"listen", required_argument, NULL, LISTEN},
		{"origin", required_argument, NULL, ORIGIN},
		{"certificate", required_argument, NULL, CERTIFICATE},
		{"key", required_argument, NULL, KEY},
		{"frame-ancestors", required_argument, NULL, FRAME_ANCESTORS},
		{"forwarded", no_argument, NULL, FORWARDED},
		{"idle", required_argument, NULL, IDLE},
		{"longest", required_argument, NULL, LONGEST},
		{"sessions", required_argument, NULL, SESSIONS},
		{"allow-superuser", no_argument, NULL, ALLOW_SUPERUSER},
		{"version", no_argument, NULL, VERSION},
		{"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0}
	};
	int			option;
	char	   *end;

	memset(options, 0, sizeof(*options));
	portal_listen_read("127.0.0.1:8088", &options->listen);
	options->idle = 30 * 60 * 1000;
	options->longest = 12 * 60 * 60 * 1000;
	options->sessions = 64;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
	{
		switch (option)
		{
			case DATABASE:
				options->database = optarg;
				break;
			case SERVICE:
				options->service = optarg;
				break;
			case SERVICE_PASSWORD_FILE:
				options->service_password = password_of(optarg);
				break;
			case LISTEN:
				if (!portal_listen_read(optarg, &options->listen))
					fail("--listen is no address with a port: %s", optarg);
				break;
			case ORIGIN:
				if (!is_origin(optarg))
					fail("--origin is not a scheme and a host alone: %s", optarg);
				if (options->ngiven_origins == PORTAL_MAX_ORIGINS)
					fail("more than %d origins", PORTAL_MAX_ORIGINS);
				options->given_origins[options->ngiven_origins++] = lower(optarg);
				break;
			case CERTIFICATE:
				options->certificate = optarg;
				break;
			case KEY:
				options->key = optarg;
				break;
			case FRAME_ANCESTORS:
				if (!is_origin(optarg))
					fail("--frame-ancestors is not a scheme and a host alone: %s", optarg);
				options->frame_ancestors = optarg;
				break;
			case FORWARDED:
				options->forwarded = true;
				break;
			case IDLE:
				if (!portal_duration_read(optarg, &options->idle))
					fail("--idle is no duration such as 90s, 30min or 2h: %s", optarg);
				break;
			case LONGEST:
				if (!portal_duration_read(optarg, &options->longest))
					fail("--longest is no duration such as 30min, 12h or 2d: %s", optarg);
				break;
			case SESSIONS:
				options->sessions = (int) strtol(optarg, &end, 10);
				if (*end != '\0' || options->sessions < 1 || options->sessions > 1000)
					fail("--sessions is no number from 1 to 1000: %s", optarg);
				break;
			case ALLOW_SUPERUSER:
				options->allow_superuser = true;
				break;
			case VERSION:
				puts("webhook_portal " WEBHOOK_RELEASE);
				exit(0);
			case HELP:
				fputs(usage, stdout);
				exit(0);
			default:
				fputs("Try \"webhook_portal --help\" for more information.\n", stderr);
				exit(2);
		}
	}
	if (optind < argc)
		fail("what is \"%s\" for?", argv[optind]);
	check(options);
}

/* A browser leaves out the port that is the scheme's own, others may not. */
static int
add_hosts(PortalOptions *options, int nhosts, const char *origin)
{
	bool		secure = strncmp(origin, "https://", 8) == 0;
	const char *host = origin + (secure ? 8 : 7);
	const char *bracket = strrchr(host, ']');

	options->hosts[nhosts++] = host;
	if (strchr(bracket == NULL ? host : bracket, ':') == NULL)
		options->hosts[nhosts++] = formatted("%s:%u", host, secure ? 443 : 80);
	return nhosts;
}

void
portal_options_rules(PortalOptions *options)
{
	int			norigins = 0;
	int			nhosts = 0;

	for (int i = 0; i < options->ngiven_origins; i++)
		options->origins[norigins++] = options->given_origins[i];
	if (norigins == 0)
	{
		options->origins[norigins++] = formatted("http://%s:%u", options->listen.host,
												 options->listen.port);
		options->origins[norigins++] = formatted("http://%s:%u", "localhost",
												 options->listen.port);
	}
	for (int i = 0; i < norigins; i++)
		nhosts = add_hosts(options, nhosts, options->origins[i]);
	options->is_secure = strncmp(options->origins[0], "https://", 8) == 0;
	options->rules.hosts = options->hosts;
	options->rules.origins = options->origins;
	options->rules.cookie = options->is_secure ? "__Host-webhook" : "webhook";
}
