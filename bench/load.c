/*
 * load.c
 *	  Runs one statement again and again, at a fixed rate or as fast as it goes.
 *
 * Each connection is a thread of its own that commits by itself. A run at a
 * rate goes by the clock, not by the answers: a slow commit delays no other
 * connection's.
 *
 *	  load --database CONNINFO --sql STATEMENT [--count N] [--first N]
 *		   [--rate N] [--connections N] [--pin CPU] [--record FILE]
 *
 * $1 in the statement counts from --first on, over all connections. --pin binds
 * the server's side of the connections to a processor. --record writes a line a
 * statement: $1 and the microsecond of the monotonic clock at which its commit
 * had returned. Prints statements, seconds and microseconds per statement.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#define MAX_CONNECTIONS	64

static const char *database = "";
static const char *sql = NULL;
static long first = 1;
static long count = 1000;
static long rate = 0;
static long connections = 1;
static int64_t start;
static int64_t *committed;		/* of each statement */

static int64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
die(PGconn *conn)
{
	fprintf(stderr, "load: %s", PQerrorMessage(conn));
	exit(1);
}

static void
wait_until(int64_t us)
{
	struct timespec until = {us / 1000000, us % 1000000 * 1000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
		;
}

/* With the statement prepared. */
static PGconn *
open_connection(int cpu)
{
	PGconn	   *conn = PQconnectdb(database);
	PGresult   *result;
	cpu_set_t	set;

	if (PQstatus(conn) != CONNECTION_OK)
		die(conn);
	result = PQprepare(conn, "s", sql, 1, NULL);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		die(conn);
	PQclear(result);
	if (cpu >= 0)
	{
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(PQbackendPID(conn), sizeof(set), &set) != 0)
		{
			perror("load: --pin");
			exit(1);
		}
	}
	return conn;
}

static void
run_statement(PGconn *conn, long number)
{
	char		text[24];
	const char *values[1] = {text};
	PGresult   *result;

	snprintf(text, sizeof(text), "%ld", number);
	result = PQexecPrepared(conn, "s", 1, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_COMMAND_OK &&
		PQresultStatus(result) != PGRES_TUPLES_OK)
		die(conn);
	PQclear(result);
}

typedef struct Thread
{
	pthread_t	id;
	PGconn	   *conn;
	long		number;
} Thread;

static void *
run_thread(void *arg)
{
	Thread	   *thread = arg;
	long		i;

	for (i = thread->number; i < count; i += connections)
	{
		if (rate > 0)
			wait_until(start + i * 1000000 / rate);
		run_statement(thread->conn, first + i);
		committed[i] = now_us();
	}
	return NULL;
}

static void
write_record(const char *path)
{
	FILE	   *file = fopen(path, "w");
	long		i;

	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	for (i = 0; i < count; i++)
		fprintf(file, "%ld %lld\n", first + i, (long long) committed[i]);
	if (fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	Thread		threads[MAX_CONNECTIONS];
	const char *record = NULL;
	int			cpu = -1;
	int64_t		elapsed;
	int			i;

	for (i = 1; i + 1 < argc; i += 2)
	{
		if (strcmp(argv[i], "--database") == 0)
			database = argv[i + 1];
		else if (strcmp(argv[i], "--sql") == 0)
			sql = argv[i + 1];
		else if (strcmp(argv[i], "--count") == 0)
			count = atol(argv[i + 1]);
		else if (strcmp(argv[i], "--first") == 0)
			first = atol(argv[i + 1]);
		else if (strcmp(argv[i], "--rate") == 0)
			rate = atol(argv[i + 1]);
		else if (strcmp(argv[i], "--connections") == 0)
			connections = atol(argv[i + 1]);
		else if (strcmp(argv[i], "--pin") == 0)
			cpu = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--record") == 0)
			record = argv[i + 1];
		else
			break;
	}
	if (i < argc || sql == NULL || count < 1 || connections < 1 ||
		connections > MAX_CONNECTIONS)
	{
		fprintf(stderr, "usage: load --database CONNINFO --sql STATEMENT "
				"[--count N] [--first N] [--rate N] [--connections N] "
				"[--pin CPU] [--record FILE]\n");
		return 2;
	}
	committed = calloc(count, sizeof(int64_t));
	if (committed == NULL)
	{
		fprintf(stderr, "load: out of memory\n");
		return 1;
	}

	for (i = 0; i < connections; i++)
	{
		threads[i].number = i;
		threads[i].conn = open_connection(cpu);
	}
	start = now_us() + (rate > 0 ? 10000 : 0);
	for (i = 0; i < connections; i++)
	{
		if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) != 0)
		{
			fprintf(stderr, "load: could not start a thread\n");
			return 1;
		}
	}
	for (i = 0; i < connections; i++)
		pthread_join(threads[i].id, NULL);
	elapsed = now_us() - start;
	for (i = 0; i < connections; i++)
		PQfinish(threads[i].conn);

	if (record)
		write_record(record);
	printf("statements %ld seconds %.3f us %.3f\n", count, elapsed / 1e6,
		   (double) elapsed / count);
	return 0;
}
