/*
 * bare.c
 *	  How fast the HTTP engine is alone: the same small POST, again and again.
 *
 * The yardstick for deliveries a second: what is left to gain if queue, log
 * and signatures were free.
 *
 *	  bare --url URL [--count N] [--seconds N] [--concurrency N]
 *
 * Ends after that many answers or seconds, whichever comes first (100,000
 * answers if neither is given), and prints answers, errors and the rate.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/http.h"

static const char body[] =
"{\"Id\":\"0193512a-3b5c-7def-8123-456789abcdef\","
"\"WebhookEvent\":\"App.BusinessRequestStatusChange\",\"Subject\":\"business_request/42\",\"Attempt\":1,"
"\"Data\":{\"BusinessRequestId\":42,\"Operation\":\"UPDATE\",\"OldStatus\":\"Draft\","
"\"NewStatus\":\"Approved\",\"Record\":{\"title\":\"Framework agreement\","
"\"amount\":125000.00,\"currency\":\"EUR\"}},"
"\"CreationTimeUtc\":\"2026-11-24T09:30:00.123456Z\"}";

static const WebhookHttpHeader headers[] = {
	{"Content-Type", "application/json; charset=utf-8"},
	{"User-Agent", "webhook/1.0"},
	{"webhook-id", "0193512a-3b5c-7def-8123-456789abcdef"},
	{"webhook-timestamp", "1795512600"},
	{"webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
	{"webhook-event", "App.BusinessRequestStatusChange"},
	{"webhook-attempt", "1"},
	{"abp-webhook-signature", "sha256=2B-9A-19-7F-37-7D-E5-9F-54-56-ED-44"},
	{"Authorization", "Bearer 7c2f0f1a9be44c1f"},
	{"X-Tenant", "contracts"},
};

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	const WebhookHttpApi *api = webhook_http_api();
	WebhookHttpOptions options = {0};
	WebhookHttpRequest request = {0};
	WebhookHttpTransfer *transfer;
	WebhookHttp *http;
	char		reason[256];
	char		problem[256] = "";
	long		count = 0;
	long		concurrency = 256;
	double		seconds = 0;
	double		start;
	double		elapsed;
	long		submitted = 0;
	long		answers = 0;
	long		errors = 0;
	int			i;

	for (i = 1; i + 1 < argc; i += 2)
	{
		if (strcmp(argv[i], "--url") == 0)
			request.url = argv[i + 1];
		else if (strcmp(argv[i], "--count") == 0)
			count = atol(argv[i + 1]);
		else if (strcmp(argv[i], "--concurrency") == 0)
			concurrency = atol(argv[i + 1]);
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds = atof(argv[i + 1]);
		else
			break;
	}
	if (i < argc || request.url == NULL || concurrency < 1)
	{
		fprintf(stderr, "usage: bare --url URL [--count N] [--seconds N] "
				"[--concurrency N]\n");
		return 2;
	}
	if (count <= 0 && seconds <= 0)
		count = 100000;

	options.max_connections = (int) concurrency * 2;
	options.allowed_networks = "127.0.0.0/8, ::1/128";
	options.allowed_ports = "1-65535";
	http = api->create(&options, reason, sizeof(reason));
	if (http == NULL)
	{
		fprintf(stderr, "bare: %s\n", reason);
		return 1;
	}
	request.headers = headers;
	request.nheaders = sizeof(headers) / sizeof(headers[0]);
	request.body = body;
	request.body_length = sizeof(body) - 1;
	request.timeout_ms = 30000;
	request.connect_timeout_ms = 10000;

	start = now();
	for (;;)
	{
		bool		more = (count <= 0 || submitted < count) &&
			(seconds <= 0 || now() - start < seconds);
		long		wait;

		while (more && api->in_flight(http) < concurrency &&
			   (count <= 0 || submitted < count))
		{
			if (api->submit(http, &request, NULL) == NULL)
			{
				fprintf(stderr, "bare: out of memory\n");
				return 1;
			}
			submitted++;
		}
		if (!more && api->in_flight(http) == 0)
			break;
		api->run(http);
		while ((transfer = api->harvest(http)) != NULL)
		{
			if (transfer->error == WEBHOOK_HTTP_OK && transfer->status == 200)
				answers++;
			else
			{
				errors++;
				snprintf(problem, sizeof(problem), "%s", transfer->message);
			}
			api->release(http, transfer);
		}
		if (api->in_flight(http) == 0 ||
			(more && api->in_flight(http) < concurrency))
			continue;
		wait = api->wait_ms(http);
		if (wait != 0)
		{
			struct pollfd descriptor = {api->descriptor(http), POLLIN, 0};

			poll(&descriptor, 1, wait < 0 ? -1 : (int) wait);
		}
	}
	elapsed = now() - start;

	printf("answers %ld errors %ld seconds %.3f rate %.0f\n",
		   answers, errors, elapsed, answers / elapsed);
	if (errors > 0)
		printf("last error: %s\n", problem);
	return errors > 0;
}
