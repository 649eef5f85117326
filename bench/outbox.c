/*
 * outbox.c
 *	  What the extension is compared with: the worker of an outbox table.
 *
 * The usual design, done well: batches are taken with FOR UPDATE SKIP LOCKED,
 * sent by the same HTTP engine at the same concurrency, and finished by one
 * statement that deletes them and writes a log row each; see outbox.sql. It
 * does less than the extension: no signature, no order, no matching, no retry.
 *
 *	  outbox --database CONNINFO --url URL [--batch N] [--concurrency N]
 *
 * Ends when the table is empty; prints answers, errors and the rate.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "http/http.h"

/* Columns of outbox_take(). */
enum
{
	COLUMN_ID,
	COLUMN_EVENT_ID,
	COLUMN_BODY
};

/* An array in the text form of PostgreSQL. */
typedef struct Array
{
	char	   *text;
	size_t		used;
	size_t		room;
} Array;

static const WebhookHttpApi *api;
static WebhookHttp *http;
static WebhookHttpRequest request;
static PGconn *conn;
static long concurrency = 16;
static long answers = 0;
static long errors = 0;

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "outbox: %s\n", what);
	exit(1);
}

static PGresult *
run(const char *sql, int nparams, const char *const *params)
{
	PGresult   *result = PQexecParams(conn, sql, nparams, NULL, params, NULL,
									  NULL, 0);

	if (PQresultStatus(result) != PGRES_COMMAND_OK &&
		PQresultStatus(result) != PGRES_TUPLES_OK)
		die(PQerrorMessage(conn));
	return result;
}

/* Append an element; one that needs quotes comes with them. */
static void
append(Array *array, const char *element)
{
	size_t		length = strlen(element);

	while (array->used + length + 3 > array->room)
	{
		size_t		room = array->room ? array->room * 2 : 4096;
		char	   *text = realloc(array->text, room);

		if (text == NULL)
			die("out of memory");
		array->text = text;
		array->room = room;
	}
	array->text[array->used] = array->used == 0 ? '{' : ',';
	memcpy(array->text + array->used + 1, element, length);
	array->used += length + 1;
	memcpy(array->text + array->used, "}", 2);
}

static void
append_number(Array *array, long long number)
{
	char		text[24];

	snprintf(text, sizeof(text), "%lld", number);
	append(array, text);
}

static void
submit(PGresult *batch, int row)
{
	WebhookHttpHeader headers[] = {
		{"Content-Type", "application/json; charset=utf-8"},
		{"User-Agent", "outbox/1.0"},
		{"webhook-id", PQgetvalue(batch, row, COLUMN_EVENT_ID)},
		{"webhook-timestamp", "1795512600"},
		{"webhook-signature",
		"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
		{"webhook-event", "App.BusinessRequestStatusChange"},
		{"webhook-attempt", "1"},
	};

	request.nheaders = sizeof(headers) / sizeof(headers[0]);
	request.headers = headers;
	request.body = PQgetvalue(batch, row, COLUMN_BODY);
	request.body_length = PQgetlength(batch, row, COLUMN_BODY);
	if (api->submit(http, &request, PQgetvalue(batch, row, COLUMN_ID)) == NULL)
		die("out of memory");
}

/* Send a batch, and note its answers. */
static void
deliver(PGresult *batch, Array columns[4])
{
	int			row = 0;

	while (row < PQntuples(batch) || api->in_flight(http) > 0)
	{
		WebhookHttpTransfer *transfer;
		long		wait;

		while (row < PQntuples(batch) && api->in_flight(http) < concurrency)
			submit(batch, row++);
		api->run(http);
		while ((transfer = api->harvest(http)) != NULL)
		{
			if (transfer->error == WEBHOOK_HTTP_OK && transfer->status == 200)
				answers++;
			else
				errors++;
			append(&columns[0], transfer->tag);
			append_number(&columns[1], transfer->started);
			append_number(&columns[2], transfer->duration);
			append_number(&columns[3], transfer->status);
			api->release(http, transfer);
		}
		if (api->in_flight(http) == 0 ||
			(row < PQntuples(batch) && api->in_flight(http) < concurrency))
			continue;
		wait = api->wait_ms(http);
		if (wait != 0)
		{
			struct pollfd descriptor = {api->descriptor(http), POLLIN, 0};

			poll(&descriptor, 1, wait < 0 ? -1 : (int) wait);
		}
	}
}

int
main(int argc, char **argv)
{
	WebhookHttpOptions options = {0};
	Array		columns[4] = {{0}};
	const char *database = "";
	const char *size = "500";
	char		reason[256];
	double		start;
	double		elapsed;
	int			i;

	for (i = 1; i + 1 < argc; i += 2)
	{
		if (strcmp(argv[i], "--database") == 0)
			database = argv[i + 1];
		else if (strcmp(argv[i], "--url") == 0)
			request.url = argv[i + 1];
		else if (strcmp(argv[i], "--batch") == 0)
			size = argv[i + 1];
		else if (strcmp(argv[i], "--concurrency") == 0)
			concurrency = atol(argv[i + 1]);
		else
			break;
	}
	if (i < argc || request.url == NULL || concurrency < 1)
	{
		fprintf(stderr, "usage: outbox --database CONNINFO --url URL "
				"[--batch N] [--concurrency N]\n");
		return 2;
	}
	api = webhook_http_api();
	conn = PQconnectdb(database);
	if (PQstatus(conn) != CONNECTION_OK)
		die(PQerrorMessage(conn));
	PQclear(run("SET synchronous_commit = off", 0, NULL));
	options.max_connections = (int) concurrency * 2;
	options.allowed_networks = "127.0.0.0/8, ::1/128";
	options.allowed_ports = "1-65535";
	http = api->create(&options, reason, sizeof(reason));
	if (http == NULL)
		die(reason);
	request.timeout_ms = 30000;
	request.connect_timeout_ms = 10000;

	start = now();
	for (;;)
	{
		const char *params[4];
		PGresult   *batch;
		int			ntuples;

		PQclear(run("BEGIN", 0, NULL));
		batch = run("SELECT id, event_id, body FROM outbox_take($1)", 1, &size);
		ntuples = PQntuples(batch);
		for (i = 0; i < 4; i++)
			columns[i].used = 0;
		deliver(batch, columns);
		for (i = 0; i < 4; i++)
			params[i] = columns[i].text;
		if (ntuples > 0)
			PQclear(run("SELECT outbox_done($1, $2, $3, $4)", 4, params));
		PQclear(run("COMMIT", 0, NULL));
		PQclear(batch);
		if (ntuples == 0)
			break;
	}
	elapsed = now() - start;
	PQfinish(conn);

	printf("answers %ld errors %ld seconds %.3f rate %.0f\n",
		   answers, errors, elapsed, answers / elapsed);
	return errors > 0;
}
