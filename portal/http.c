/*
 * http.c
 *	  The HTTP server.
 *
 * A request has come whole before anything is done with it.  While a session has it,
 * its connection is suspended; wake() resumes it.  A stream's connection is suspended
 * while there is nothing to send; while there is, its client has to go on reading, because
 * a statement of the database may wait for it.
 */
#include "portal/http.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "portal/crowd.h"
#include "portal/files.h"
#include "portal/log.h"
#include "portal/times.h"

/* Connections, those that sessions have in hand included. */
#define MAX_CONNECTIONS	2048

/* More than the longest head: one that is too long gets an answer of ours. */
#define MEMORY			(4 * PORTAL_MAX_HEAD)

/* Bytes of what a client has not read that the system keeps, which doubles them.  It would
 * take whole answers, and their memory counts as ours. */
#define SEND_BUFFER		131072

#define PRIORITIES		"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* A request from its first line until its answer is sent. */
typedef struct Visit
{
	struct MHD_Connection *connection;
	PortalGuest *guest;
	char	   *target;			/* as it came */
	PortalExchange *exchange;	/* once its headers are here */
	bool		is_suspended;
	int64_t		read_until;		/* when a file has to have been read as a whole */
} Visit;

static struct
{
	const PortalOptions *options;
	PortalHandler handler;
	struct MHD_Daemon *daemon;
	int			listener;
	int			epoll;
	bool		again;			/* a connection was resumed and has to be served */
	int64_t		next_look;		/* for guests that have to go */
	PortalCrowd crowd;
	char	   *certificate;
	char	   *key;
	char	   *policy;			/* the Content-Security-Policy */
}			server = {.listener = -1};

static void
wake(PortalExchange *exchange)
{
	Visit	   *visit = exchange->server;

	if (!visit->is_suspended)
		return;
	visit->is_suspended = false;
	server.again = true;
	MHD_resume_connection(visit->connection);
}

static void
suspend(Visit *visit)
{
	visit->is_suspended = true;
	MHD_suspend_connection(visit->connection);
}

/* A stream wants to send: its client has taken what was sent before. */
static ssize_t
read_stream(void *closure, uint64_t position, char *bytes, size_t room)
{
	Visit	   *visit = closure;
	PortalBuffer *out = &visit->exchange->out;

	visit->guest->deadline = portal_now() + PORTAL_TO_READ;
	if (visit->guest->deadline > visit->read_until)
		visit->guest->deadline = visit->read_until;
	if (out->length > 0)
	{
		size_t		length = out->length < room ? out->length : room;

		memcpy(bytes, out->data, length);
		portal_buffer_drop(out, length);
		return (ssize_t) length;
	}
	if (visit->exchange->is_complete)
		return visit->exchange->is_broken ? MHD_CONTENT_READER_END_WITH_ERROR :
			MHD_CONTENT_READER_END_OF_STREAM;
	visit->guest->deadline = PORTAL_NEVER;
	suspend(visit);
	return 0;
}

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
	MHD_add_response_header(response, name, value);
}

/* What each answer says. */
static void
add_common_headers(struct MHD_Response *response)
{
	add_header(response, "Content-Security-Policy", server.policy);
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "Referrer-Policy", "no-referrer");
	add_header(response, "Cross-Origin-Opener-Policy", "same-origin");
	add_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	add_header(response, "Permissions-Policy", "camera=(), microphone=(), geolocation=()");
	if (server.options->frame_ancestors == NULL)
		add_header(response, "X-Frame-Options", "DENY");
	if (server.options->is_secure)
		add_header(response, "Strict-Transport-Security", "max-age=31536000");
}

static enum MHD_Result
queue(Visit *visit, unsigned status, struct MHD_Response *response)
{
	enum MHD_Result result;

	add_common_headers(response);
	visit->guest->deadline = portal_now() + PORTAL_TO_READ;
	result = MHD_queue_response(visit->connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* The exchange has an answer, or the beginning of a stream. */
static enum MHD_Result
answer(Visit *visit)
{
	PortalExchange *exchange = visit->exchange;
	struct MHD_Response *response;

	visit->read_until = exchange->filename == NULL ? PORTAL_NEVER : portal_now() + PORTAL_TO_SAVE;
	if (exchange->is_stream)
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, visit,
													 NULL);
	else
	{
		response = MHD_create_response_from_buffer(exchange->out.length, exchange->out.data,
												   MHD_RESPMEM_MUST_FREE);
		memset(&exchange->out, 0, sizeof(exchange->out));
	}
	add_header(response, "Content-Type", exchange->type);
	add_header(response, "Cache-Control", "no-store");
	if (exchange->cookie != NULL)
		add_header(response, "Set-Cookie", exchange->cookie);
	if (exchange->status == 405)
		add_header(response, "Allow", "GET, HEAD, POST");
	if (exchange->retry_after > 0)
	{
		char		seconds[20];

		snprintf(seconds, sizeof(seconds), "%u", exchange->retry_after);
		add_header(response, "Retry-After", seconds);
	}
	if (exchange->filename != NULL)
	{
		char		disposition[200];

		snprintf(disposition, sizeof(disposition), "attachment; filename=\"webhook-%s\"",
				 exchange->filename);
		add_header(response, "Content-Disposition", disposition);
	}
	return queue(visit, exchange->status, response);
}

static const PortalFile *
find_file(const char *path)
{
	for (const PortalFile *file = portal_files; file->path != NULL; file++)
	{
		if (strcmp(file->path, path[0] == '\0' ? "index.html" : path) == 0)
			return file;
	}
	return NULL;
}

static enum MHD_Result
answer_file(Visit *visit)
{
	const PortalFile *file = find_file(visit->exchange->request.path);
	const char *known = MHD_lookup_connection_value(visit->connection, MHD_HEADER_KIND,
													"If-None-Match");
	struct MHD_Response *response;
	bool		is_known;

	if (file == NULL)
	{
		portal_exchange_refuse(visit->exchange, 404, "there is nothing of this name");
		return answer(visit);
	}
	is_known = known != NULL && strstr(known, file->etag) != NULL;
	response = MHD_create_response_from_buffer(is_known ? 0 : file->end - file->begin,
											   (void *) file->begin, MHD_RESPMEM_PERSISTENT);
	add_header(response, "Content-Type", file->type);
	add_header(response, "Cache-Control", "no-cache");
	add_header(response, "ETag", file->etag);
	return queue(visit, is_known ? 304 : 200, response);
}

static enum MHD_Result
answer_health(Visit *visit)
{
	visit->exchange->status = 200;
	visit->exchange->type = "text/plain; charset=utf-8";
	portal_buffer_text(&visit->exchange->out, "ok\n");
	return answer(visit);
}

static enum MHD_Result
collect_header(void *closure, enum MHD_ValueKind kind, const char *name, size_t name_length,
			   const char *value, size_t value_length)
{
	PortalHead *head = closure;
	PortalHeader *headers = (PortalHeader *) head->headers;

	if (head->nheaders < PORTAL_MAX_HEADERS)
		headers[head->nheaders] = (PortalHeader)
	{
		name, name_length, value == NULL ? "" : value, value_length
	};
	head->nheaders++;
	return MHD_YES;
}

/* The headers of a request are here: is it one that is answered? */
static enum MHD_Result
begin(Visit *visit, const char *method)
{
	static PortalHeader headers[PORTAL_MAX_HEADERS];
	PortalHead	head = {.method = method,.target = visit->target,.headers = headers};
	PortalExchange *exchange = portal_exchange_new(wake, visit);
	const PortalRefusal *refusal;
	const PortalHeader *forwarded;
	const PortalHeader *authorization;
	const union MHD_ConnectionInfo *size =
		MHD_get_connection_info(visit->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	visit->exchange = exchange;
	head.bytes = size == NULL ? 0 : size->header_size;
	MHD_get_connection_values_n(visit->connection, MHD_HEADER_KIND, collect_header, &head);
	refusal = portal_request_judge(&server.options->rules, &head, &exchange->request);
	if (refusal != NULL)
	{
		portal_exchange_refuse(exchange, refusal->status, refusal->message);
		return answer(visit);
	}

	/* Whom the limits of signing in count for it; what the proxy has added is the last. */
	strcpy(exchange->from, visit->guest->from[0] == '\0' ? "loopback" : visit->guest->from);
	forwarded = portal_header_find_last(&head, "X-Forwarded-For");
	if (forwarded != NULL && server.options->forwarded)
		portal_address_forwarded(forwarded->value, exchange->from);

	authorization = portal_header_find(&head, "Authorization");
	if (authorization != NULL && exchange->request.kind == PORTAL_API &&
		exchange->request.writes && strcmp(exchange->request.path, "session") == 0)
	{
		exchange->credentials = portal_new(sizeof(PortalCredentials));
		if (!portal_credentials_read(authorization->value, exchange->credentials))
		{
			free(exchange->credentials);
			exchange->credentials = NULL;
		}
	}
	return MHD_YES;
}

/* The whole request is here. */
static enum MHD_Result
serve(Visit *visit)
{
	PortalExchange *exchange = visit->exchange;

	switch (exchange->request.kind)
	{
		case PORTAL_FILE:
			return answer_file(visit);
		case PORTAL_HEALTH:
			return answer_health(visit);
		default:
			break;
	}
	server.handler(server.options, exchange);
	if (exchange->status != 0)
		return answer(visit);
	visit->guest->deadline = PORTAL_NEVER;
	suspend(visit);
	return MHD_YES;
}

/* libmicrohttpd calls it: with the headers, with parts of the body, and without any. */
static enum MHD_Result
handle(void *closure, struct MHD_Connection *connection, const char *url, const char *method,
	   const char *version, const char *upload, size_t *upload_length, void **state)
{
	Visit	   *visit = *state;

	if (visit == NULL)
		return MHD_NO;
	if (visit->exchange == NULL)
		return begin(visit, method);
	if (*upload_length > 0)
	{
		/* No more comes than Content-Length has said. */
		if (visit->exchange->body.length + *upload_length > PORTAL_MAX_BODY)
			return MHD_NO;
		portal_buffer_add(&visit->exchange->body, upload, *upload_length);
		*upload_length = 0;
		return MHD_YES;
	}
	return visit->exchange->status != 0 ? answer(visit) : serve(visit);
}

/* A request line is here; what it returns is "state" above. */
static void *
note_target(void *closure, const char *target, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	Visit	   *visit;

	if (info == NULL || info->socket_context == NULL)
		return NULL;
	visit = portal_new(sizeof(Visit));
	visit->connection = connection;
	visit->guest = info->socket_context;
	visit->target = portal_copy(target);
	return visit;
}

/* A request is over, whether its answer was sent or not. */
static void
complete(void *closure, struct MHD_Connection *connection, void **state,
		 enum MHD_RequestTerminationCode why)
{
	Visit	   *visit = *state;

	if (visit == NULL)
		return;
	*state = NULL;
	visit->guest->deadline = portal_now() + PORTAL_NEXT_REQUEST;
	if (visit->exchange != NULL)
		portal_exchange_client_leaves(visit->exchange);
	free(visit->target);
	free(visit);
}

static void
come_or_go(void *closure, struct MHD_Connection *connection, void **context,
		   enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info;
	const struct sockaddr *address;
	char		from[PORTAL_ADDRESS_LENGTH] = "";
	int			fd;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED)
	{
		if (*context != NULL)
			portal_crowd_remove(&server.crowd, *context);
		*context = NULL;
		return;
	}
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	address = info == NULL ? NULL : info->client_addr;

	/* What comes from this machine may be a proxy, behind which there are many. */
	if (address != NULL && !portal_address_is_loopback(address) && !server.options->forwarded)
		portal_address_key(address, from);
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	fd = info == NULL ? -1 : info->connect_fd;
	*context = portal_crowd_add(&server.crowd, fd, from, portal_now());
	server.next_look = 0;
}

/* The request's own text is what we decode. */
static size_t
leave_escaped(void *closure, struct MHD_Connection *connection, char *text)
{
	return strlen(text);
}

/* Returns NULL, or what went wrong. */
static const char *
start_listening(PortalOptions *options)
{
	struct sockaddr *address = (struct sockaddr *) &options->listen.address;
	socklen_t	length = sizeof(options->listen.address);
	int			one = 1;
	int			buffer = SEND_BUFFER;
	int			fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return strerror(errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	if (bind(fd, address, options->listen.length) != 0 || listen(fd, 512) != 0 ||
		getsockname(fd, address, &length) != 0)
	{
		const char *reason = strerror(errno);

		close(fd);
		return reason;
	}
	server.listener = fd;
	options->listen.port = ntohs(address->sa_family == AF_INET ?
								 ((struct sockaddr_in *) address)->sin_port :
								 ((struct sockaddr_in6 *) address)->sin6_port);
	return NULL;
}

static void
make_policy(const PortalOptions *options)
{
	PortalBuffer policy = {0};

	portal_buffer_text(&policy, "default-src 'none'; script-src 'self'; style-src 'self'; "
					   "img-src 'self'; connect-src 'self'; form-action 'none'; "
					   "base-uri 'none'; require-trusted-types-for 'script'; "
					   "trusted-types 'none'; frame-ancestors ");
	portal_buffer_text(&policy, options->frame_ancestors != NULL ? options->frame_ancestors :
					   "'none'");
	server.policy = policy.data;
}

const char *
portal_http_start(PortalOptions *options, PortalHandler handler)
{
	unsigned	flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	struct MHD_OptionItem items[16];
	int			n = 0;
	const union MHD_DaemonInfo *info;
	const char *problem = start_listening(options);

	if (problem != NULL)
		return problem;
	portal_options_rules(options);
	make_policy(options);
	server.options = options;
	server.handler = handler;
	if (options->listen.address.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	items[n++] = (struct MHD_OptionItem)
	{
		MHD_OPTION_LISTEN_SOCKET, server.listener, NULL
	};
	items[n++] = (struct MHD_OptionItem)
	{
		MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS, NULL
	};
	items[n++] = (struct MHD_OptionItem)
	{
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY, NULL
	};
	items[n++] = (struct MHD_OptionItem)
	{
		MHD_OPTION_NOTIFY_CONNECTION, (intptr_t) come_or_go, NULL
	};
	items[n++] = (struct MHD_OptionItem)
	{
		MHD_OPTION_NOTIFY_COMPLETED, (intptr_t) complete, NULL
	};
	items[n++] = (struct MHD_OptionItem)
	{
		MHD_OPTION_URI_LOG_CALLBACK, (intptr_t) note_target, NULL
	};
	items[n++] = (struct MHD_OptionItem)
	{
		MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t) leave_escaped, NULL
	};
	items[n++] = (struct MHD_OptionItem)
	{
		MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL
	};
	if (options->certificate != NULL)
	{
		flags |= MHD_USE_TLS;
		server.certificate = portal_secret_read(options->certificate);
		server.key = portal_secret_read(options->key);
		if (server.certificate == NULL || server.key == NULL)
			return "the certificate or its key cannot be read";
		items[n++] = (struct MHD_OptionItem)
		{
			MHD_OPTION_HTTPS_MEM_CERT, 0, server.certificate
		};
		items[n++] = (struct MHD_OptionItem)
		{
			MHD_OPTION_HTTPS_MEM_KEY, 0, server.key
		};
		items[n++] = (struct MHD_OptionItem)
		{
			MHD_OPTION_HTTPS_PRIORITIES, 0, PRIORITIES
		};
	}
	items[n] = (struct MHD_OptionItem)
	{
		MHD_OPTION_END, 0, NULL
	};
	server.daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, NULL,
									 MHD_OPTION_ARRAY, items, MHD_OPTION_END);
	if (server.daemon == NULL)
		return options->certificate != NULL ? "the certificate or its key is not usable" :
			"libmicrohttpd does not start";
	info = MHD_get_daemon_info(server.daemon, MHD_DAEMON_INFO_EPOLL_FD);
	server.epoll = info->epoll_fd;
	return NULL;
}

void
portal_http_poll(struct pollfd *fd)
{
	fd->fd = server.epoll;
	fd->events = POLLIN;
}

int64_t
portal_http_due(void)
{
	MHD_UNSIGNED_LONG_LONG timeout;
	int64_t		due = server.crowd.first == NULL ? PORTAL_NEVER : server.next_look;

	if (server.again)
		return 0;
	if (MHD_get_timeout(server.daemon, &timeout) == MHD_YES &&
		portal_now() + (int64_t) timeout < due)
		due = portal_now() + (int64_t) timeout;
	return due;
}

/* Whose time is over, or whose place somebody else needs, hears the end of it. */
static void
look_at_guests(void)
{
	PortalGuest *guest;
	int64_t		now = portal_now();

	if (now < server.next_look)
		return;
	server.next_look = now + 1000;
	while ((guest = portal_crowd_next_to_go(&server.crowd, now)) != NULL)
	{
		shutdown(guest->fd, SHUT_RDWR);
		server.again = true;
	}
}

void
portal_http_work(void)
{
	do
	{
		server.again = false;
		MHD_run(server.daemon);
		look_at_guests();
	} while (server.again);
}

void
portal_http_quiesce(void)
{
	int			listener = MHD_quiesce_daemon(server.daemon);

	if (listener >= 0)
		close(listener);
}

void
portal_http_stop(void)
{
	MHD_stop_daemon(server.daemon);
	if (server.key != NULL)
		portal_forget(server.key, strlen(server.key));
	free(server.key);
	free(server.certificate);
	free(server.policy);
}
