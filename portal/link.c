/*
 * link.c
 *	  A connection to the database, and the statement that runs on it.
 *
 * A statement that writes, that may take long or that streams is three commands one
 * after the other: BEGIN, itself, COMMIT or ROLLBACK.  Another one is itself alone:
 * the session's default is a transaction that reads only.
 *
 * A statement that answers has one value, which comes in slices, a row each: libpq's buffer,
 * which never becomes smaller, then holds a slice, and not as much as the longest answer.
 */
#include "portal/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

/* How much of a stream may wait for its client before the server has to. */
#define STREAM_SHARE	65536

/* The OID of type text, which each value is. */
#define TEXT			25

/* Settings of a session, which no setting of its role or database overrides. */
static const char settings[] =
"-c default_transaction_read_only=on -c statement_timeout=15s -c lock_timeout=3s"
" -c idle_in_transaction_session_timeout=10s -c TimeZone=UTC -c search_path=pg_catalog"
" -c jit=off -c DateStyle=ISO -c IntervalStyle=postgres -c bytea_output=hex"
" -c extra_float_digits=1 -c standard_conforming_strings=on";

/* A client may read more slowly than the server sends, which then waits for our COMMIT. */
static const char longer[] = "; SET LOCAL statement_timeout = '5min'"
"; SET LOCAL idle_in_transaction_session_timeout = '5min'";

/* Around a statement that answers, whose value becomes rows of SLICE bytes.  No more of it than
 * what is too much leaves the server. */
#define SLICE			65536
#define DIGITS(number)	#number
#define TEXT_OF(number)	DIGITS(number)

static const char before_answer[] = "WITH answer (value) AS MATERIALIZED (\n";
static const char behind_answer[] =
"), whole (bytes) AS MATERIALIZED (\n"
"SELECT convert_to(value::text, 'UTF8') FROM answer)\n"
"SELECT substring(w.bytes, n * " TEXT_OF(SLICE) " + 1, " TEXT_OF(SLICE) ")\n"
"FROM whole w, generate_series(0, least(octet_length(w.bytes) - 1, " TEXT_OF(PORTAL_MAX_ANSWER) ") / "
TEXT_OF(SLICE) ") AS n";

typedef enum LinkStep
{
	STEP_NONE,
	STEP_BEGIN,
	STEP_STATEMENT,
	STEP_COMMIT,
	STEP_ROLLBACK
} LinkStep;

struct PortalLink
{
	PGconn	   *connection;
	PortalLinkState state;
	PostgresPollingStatusType polling;	/* while it connects: what to wait for */
	bool		was_heard;		/* the server took our first message */
	bool		wants_write;	/* libpq has bytes that it could not send */

	LinkStep	step;
	PortalStatement statement;
	PGresult   *result;			/* of the statement, or what went wrong */
	bool		has_failed;
	PortalError error;			/* points into "result" or "sqlstate" */
	char		sqlstate[6];	/* of a connection that was refused */
	PortalBuffer answer;
	PortalBuffer rows;
	bool		has_head;		/* the names of the columns are in "rows" */
};

/* What the database says besides is nobody's: libpq would print it, line ends and all. */
static void
ignore_notice(void *arg, const char *message)
{
	(void) arg;
	(void) message;
}

PortalLink *
portal_link_open(const char *conninfo, const char *user, const char *password)
{
	/* libpq expands the dbname; what comes later, and is not NULL, overrides what is in there. */
	static const char *const names[] = {
		"dbname", "options", "client_encoding", "application_name", "gssencmode", "user",
		"password", NULL
	};
	const char *const values[] = {
		conninfo, settings, "UTF8", "webhook_portal", "disable", user, password, NULL
	};
	PortalLink *link = portal_new(sizeof(PortalLink));

	link->connection = PQconnectStartParams(names, values, 1);
	PQsetNoticeProcessor(link->connection, ignore_notice, NULL);
	link->polling = PGRES_POLLING_WRITING;
	link->state = PORTAL_LINK_CONNECTING;
	if (link->connection == NULL || PQstatus(link->connection) == CONNECTION_BAD)
		link->state = PORTAL_LINK_UNREACHABLE;
	else
		PQsetErrorVerbosity(link->connection, PQERRORS_VERBOSE);
	return link;
}

void
portal_link_close(PortalLink *link)
{
	PQclear(link->result);
	PQfinish(link->connection);
	portal_buffer_free(&link->answer);
	portal_buffer_free(&link->rows);
	free(link);
}

PortalLinkState
portal_link_state(const PortalLink *link)
{
	return link->state;
}

void
portal_link_poll(const PortalLink *link, struct pollfd *fd)
{
	fd->fd = PQsocket(link->connection);
	fd->events = 0;
	switch (link->state)
	{
		case PORTAL_LINK_CONNECTING:
			fd->events = link->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
			break;
		case PORTAL_LINK_BUSY:
			if (link->rows.length < STREAM_SHARE)
				fd->events = POLLIN;
			break;
		case PORTAL_LINK_IDLE:
		case PORTAL_LINK_DONE:
			fd->events = POLLIN;
			break;
		default:
			fd->fd = -1;
			break;
	}
	if (link->wants_write)
		fd->events |= POLLOUT;
	if (fd->events == 0)
		fd->fd = -1;
}

/*
 * The SQLSTATE of a connection that the server has refused.  libpq has it, but says it
 * in its message only: "FATAL:  28P01: ...", where the first word is translated.
 */
static void
read_refusal(PortalLink *link)
{
	const char *message = PQerrorMessage(link->connection);
	const char *at = message;

	while ((at = strstr(at, ":  ")) != NULL)
	{
		at += 3;
		if (strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[5] == ':')
			memcpy(link->sqlstate, at, 5);
	}
	link->error.sqlstate = link->sqlstate[0] == '\0' ? NULL : link->sqlstate;
	link->error.message = message;
}

static void
work_connecting(PortalLink *link)
{
	link->polling = PQconnectPoll(link->connection);
	if (PQstatus(link->connection) == CONNECTION_AWAITING_RESPONSE ||
		PQstatus(link->connection) == CONNECTION_AUTH_OK)
		link->was_heard = true;
	if (link->polling == PGRES_POLLING_OK)
	{
		PQsetnonblocking(link->connection, 1);
		PQsetErrorVerbosity(link->connection, PQERRORS_DEFAULT);
		PQsetErrorContextVisibility(link->connection, PQSHOW_CONTEXT_NEVER);
		link->state = PORTAL_LINK_IDLE;
	}
	else if (link->polling == PGRES_POLLING_FAILED)
	{
		read_refusal(link);
		link->state = link->was_heard ? PORTAL_LINK_REFUSED : PORTAL_LINK_UNREACHABLE;
	}
}

static void
lose(PortalLink *link)
{
	link->state = PORTAL_LINK_LOST;
	link->wants_write = false;
}

static void
flush(PortalLink *link)
{
	int			left = PQflush(link->connection);

	if (left < 0)
		lose(link);
	link->wants_write = left > 0;
}

static void
send_step(PortalLink *link, LinkStep step)
{
	PortalStatement *statement = &link->statement;
	Oid			types[PORTAL_MAX_VALUES];
	char		begin[200];
	PortalBuffer text = {0};
	int			sent;

	for (int i = 0; i < PORTAL_MAX_VALUES; i++)
		types[i] = TEXT;
	link->step = step;
	switch (step)
	{
		case STEP_BEGIN:
			snprintf(begin, sizeof(begin), "BEGIN READ %s%s",
					 statement->writes ? "WRITE" : "ONLY",
					 statement->is_long || statement->streams ? longer : "");
			sent = PQsendQuery(link->connection, begin);
			break;
		case STEP_STATEMENT:
			if (statement->answers)
			{
				portal_buffer_text(&text, before_answer);
				portal_buffer_text(&text, statement->text);
				portal_buffer_text(&text, behind_answer);
			}
			sent = PQsendQueryParams(link->connection, statement->answers ? text.data :
									 statement->text, statement->nvalues, types,
									 statement->values, NULL, NULL, statement->answers);
			if (sent && (statement->streams || statement->answers))
				sent = PQsetSingleRowMode(link->connection);
			portal_buffer_free(&text);
			break;
		default:
			sent = PQsendQuery(link->connection, step == STEP_COMMIT ? "COMMIT" : "ROLLBACK");
			break;
	}
	if (!sent)
		lose(link);
	else
		flush(link);
}

void
portal_link_send(PortalLink *link, const PortalStatement *statement)
{
	link->statement = *statement;
	link->state = PORTAL_LINK_BUSY;
	link->has_failed = false;
	link->has_head = false;
	send_step(link, statement->writes || statement->is_long || statement->streams ?
			  STEP_BEGIN : STEP_STATEMENT);
}

void
portal_link_ask(PortalLink *link, const char *text)
{
	PortalStatement statement = {.text = text};

	portal_link_send(link, &statement);
}

static void
add_line(PortalLink *link, const PGresult *result, int row)
{
	for (int column = 0; column < PQnfields(result); column++)
	{
		if (column > 0)
			portal_buffer_text(&link->rows, ",");
		if (row < 0)
			portal_csv_field(&link->rows, PQfname(result, column));
		else
			portal_csv_field(&link->rows, PQgetisnull(result, row, column) ? NULL :
							 PQgetvalue(result, row, column));
	}
	portal_buffer_text(&link->rows, "\r\n");
}

/* A slice of an answer.  What writes is rolled back if its answer is too long. */
static void
add_slice(PortalLink *link, const PGresult *result, int row)
{
	if (link->has_failed || PQgetisnull(result, row, 0))
		return;
	portal_buffer_add(&link->answer, PQgetvalue(result, row, 0), PQgetlength(result, row, 0));
	if (link->answer.length <= PORTAL_MAX_ANSWER)
		return;
	portal_buffer_free(&link->answer);
	link->has_failed = true;
	link->error.sqlstate = "54000";
	link->error.message = "the answer is longer than the portal takes";
	link->error.hint = "Ask for less, or ask in psql.";
}

/* One result of the present step; keeps what portal_link_value() and _error() need. */
static void
take_result(PortalLink *link, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	bool		good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
		status == PGRES_SINGLE_TUPLE;

	if (good && link->step == STEP_STATEMENT && link->statement.streams)
	{
		if (!link->has_head)
			add_line(link, result, -1);
		link->has_head = true;
		for (int row = 0; row < PQntuples(result); row++)
			add_line(link, result, row);
	}
	if (good && link->step == STEP_STATEMENT && link->statement.answers)
	{
		for (int row = 0; row < PQntuples(result); row++)
			add_slice(link, result, row);
	}
	if (link->has_failed || (good && (link->step != STEP_STATEMENT || link->statement.streams ||
									  link->statement.answers)))
	{
		PQclear(result);
		return;
	}
	PQclear(link->result);
	link->result = result;
	link->has_failed = !good;
	if (!good)
	{
		link->error.sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		link->error.message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
		link->error.detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
		link->error.hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
		link->error.column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
	}
}

/* The present step has ended. */
static void
next_step(PortalLink *link)
{
	PGTransactionStatusType status = PQtransactionStatus(link->connection);

	if (PQstatus(link->connection) == CONNECTION_BAD)
		lose(link);
	else if (link->step == STEP_BEGIN && !link->has_failed)
		send_step(link, STEP_STATEMENT);
	else if (status == PQTRANS_INTRANS && link->step == STEP_STATEMENT && !link->has_failed)
		send_step(link, STEP_COMMIT);
	else if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR)
	{
		if (link->step == STEP_ROLLBACK)
			lose(link);
		else
			send_step(link, STEP_ROLLBACK);
	}
	else
	{
		link->step = STEP_NONE;
		link->state = PORTAL_LINK_DONE;
	}
}

PortalLinkState
portal_link_work(PortalLink *link)
{
	if (link->state == PORTAL_LINK_CONNECTING)
		work_connecting(link);
	if (link->state < PORTAL_LINK_IDLE || link->state == PORTAL_LINK_LOST)
		return link->state;
	if (link->rows.length < STREAM_SHARE && !PQconsumeInput(link->connection))
	{
		/* What it said last may be in a result that has come. */
		if (link->state != PORTAL_LINK_BUSY)
			lose(link);
	}
	if (link->state != PORTAL_LINK_LOST && link->wants_write)
		flush(link);
	while (link->state == PORTAL_LINK_BUSY && link->rows.length < STREAM_SHARE &&
		   !PQisBusy(link->connection))
	{
		PGresult   *result = PQgetResult(link->connection);

		if (result != NULL)
			take_result(link, result);
		else
			next_step(link);
	}
	if (link->state == PORTAL_LINK_BUSY && PQstatus(link->connection) == CONNECTION_BAD)
		lose(link);
	return link->state;
}

const PortalError *
portal_link_error(const PortalLink *link)
{
	return link->has_failed || link->state == PORTAL_LINK_REFUSED ||
		link->state == PORTAL_LINK_UNREACHABLE ? &link->error : NULL;
}

const char *
portal_link_value(const PortalLink *link)
{
	if (link->has_failed || link->result == NULL || PQntuples(link->result) < 1 ||
		PQnfields(link->result) < 1 || PQgetisnull(link->result, 0, 0))
		return NULL;
	return PQgetvalue(link->result, 0, 0);
}

PortalBuffer *
portal_link_answer(PortalLink *link)
{
	return link->has_failed || link->answer.data == NULL ? NULL : &link->answer;
}

void
portal_link_take(PortalLink *link)
{
	PQclear(link->result);
	link->result = NULL;
	link->has_failed = false;
	memset(&link->error, 0, sizeof(link->error));
	portal_buffer_free(&link->answer);
	portal_buffer_free(&link->rows);
	if (link->state == PORTAL_LINK_DONE)
		link->state = PORTAL_LINK_IDLE;
}

PortalBuffer *
portal_link_rows(PortalLink *link)
{
	return &link->rows;
}

char *
portal_link_notice(PortalLink *link)
{
	PGnotify   *notice = PQnotifies(link->connection);
	char	   *payload;

	if (notice == NULL)
		return NULL;
	payload = portal_copy(notice->extra);
	PQfreemem(notice);
	return payload;
}

bool
portal_link_is_superuser(const PortalLink *link)
{
	const char *value = PQparameterStatus(link->connection, "is_superuser");

	return value == NULL || strcmp(value, "off") != 0;
}

bool
portal_link_asked_password(const PortalLink *link)
{
	return PQconnectionUsedPassword(link->connection);
}

unsigned
portal_status_of(const char *sqlstate)
{
	static const struct
	{
		const char *sqlstate;	/* or its first two, its class */
		unsigned	status;
	}			statuses[] = {
		{"42501", 403},			/* insufficient_privilege */
		{"42704", 404},			/* undefined_object */
		{"28000", 401},			/* invalid_authorization_specification: a token has ended */
		{"22", 422},			/* data */
		{"54", 422},			/* limits */
		{"23505", 422},			/* unique_violation */
		{"42710", 422},			/* duplicate_object */
		{"42601", 422},			/* syntax_error, of a filter for example */
		{"57014", 504},			/* query_canceled */
		{"08", 401},			/* the connection */
		{"57P01", 401},			/* admin_shutdown */
		{"53", 503},			/* resources */
		{"42883", 501},			/* undefined_function: the extension is older */
		{"42P01", 501},			/* undefined_table */
		{"42703", 501},			/* undefined_column */
		{"3F000", 501}			/* invalid_schema_name */
	};

	for (size_t i = 0; sqlstate != NULL && i < sizeof(statuses) / sizeof(statuses[0]); i++)
	{
		if (strncmp(sqlstate, statuses[i].sqlstate, strlen(statuses[i].sqlstate)) == 0)
			return statuses[i].status;
	}
	return 409;
}
