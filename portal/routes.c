/*
 * routes.c
 *	  What the portal asks the database: nothing but statements.
 *
 * A GET makes the whole answer of a page, so that a page is one request.  Each POST
 * is a public function of the extension, under the function's name, with the names of
 * its SQL arguments as keys; an argument that is left out, or null, has its default.
 * The database decides who may do what, and says what is wrong with an argument.
 *
 * Parameters are constants to the planner, because each statement is planned with its
 * values: "$1 IS NULL OR ..." costs nothing and uses the index that it would use alone.
 */
#include "portal/routes.h"

#include <stddef.h>

#define NAMES(...)	((const char *const[]) {__VA_ARGS__, NULL})

/* All rows of a query as a JSON array. */
#define ROWS(query)	"coalesce((SELECT json_agg(r) FROM (" query ") r), '[]'::json)"

#define MS(interval)	"round((extract(epoch FROM " interval ") * 1000)::numeric, 1)"

/* ---- Who is there, and how all of it fares ---- */

static const char me[] =
"SELECT json_build_object("
"	'role', current_user,"
"	'database', current_database(),"
"	'server', current_setting('server_version'),"
"	'standby', pg_is_in_recovery(),"
"	'version', (SELECT extversion FROM pg_extension WHERE extname = 'webhook'),"
"	'may', (SELECT json_object_agg(p.proname, p.may)"
"		FROM (SELECT proname, bool_or(has_function_privilege(oid, 'EXECUTE')) AS may"
"			FROM pg_proc"
"			WHERE pronamespace = to_regnamespace('webhook')"
"			GROUP BY proname) p),"
"	'reads', (SELECT json_object_agg(c.relname, has_table_privilege(c.oid, 'SELECT'))"
"		FROM pg_class c"
"		WHERE c.relnamespace = to_regnamespace('webhook') AND c.relkind IN ('v', 'p')))::text";

static const char health[] =
"SELECT " ROWS("SELECT check_name, ok, detail, hint FROM webhook.health()") "::text";

/*
 * One look at stat_subscription serves the tiles and the table.  Those that fail come
 * first, then the busiest.
 */
static const char live[] =
"WITH s AS MATERIALIZED ("
"	SELECT subscription_id, endpoint, state, reason, rate, pending, oldest_pending,"
"		delivered, failed, retried, next_attempt, last_success, p50, p95,"
"		state IN ('open', 'disabled', 'waiting', 'fenced', 'no worker', 'off') AS fails"
"	FROM webhook.stat_subscription)"
" SELECT json_build_object("
"	'at', extract(epoch FROM clock_timestamp()),"
"	'worker', (SELECT row_to_json(w) FROM webhook.stat_worker w LIMIT 1),"
"	'states', (SELECT json_object_agg(state, n)"
"		FROM (SELECT state, count(*) AS n FROM s GROUP BY state) x),"
"	'subscriptions', (SELECT count(*) FROM s),"
"	'pending', (SELECT coalesce(sum(pending), 0) FROM s),"
"	'oldest', (SELECT min(oldest_pending) FROM s),"
"	'busiest', " ROWS(
					  "SELECT subscription_id, endpoint, state, reason, rate, pending, delivered, failed,"
					  "	retried, next_attempt, last_success, " MS("p50") " AS p50, " MS("p95") " AS p95"
					  " FROM s"
					  " ORDER BY fails DESC, pending > 0 DESC, rate DESC, delivered DESC, subscription_id"
					  " LIMIT 12") ")::text";

static const char series[] =
"SELECT " ROWS(
			   "SELECT at, delivered, failed, retried, pending, p50, p95"
			   " FROM webhook.series(now() - $1::interval, now(), $2::interval, $3::bigint)"
			   " ORDER BY at") "::text";

/* ---- Subscriptions ---- */

/* States are counted over what the search finds, whatever state was chosen. */
static const char subscriptions[] =
"WITH s AS MATERIALIZED ("
"	SELECT t.subscription_id, t.endpoint, b.description, b.events, t.state, t.reason,"
"		t.delivered, t.failed, t.retried, t.pending, t.rate, t.last_success, t.last_failure,"
"		t.next_attempt, " MS("t.p95") " AS p95"
"	FROM webhook.stat_subscription t"
"		JOIN webhook.subscription b ON b.id = t.subscription_id"
"	WHERE $1 IS NULL OR position(lower($1) IN lower(concat_ws(' ', t.subscription_id,"
"		t.endpoint, b.description, array_to_string(b.events, ' ')))) > 0)"
" SELECT json_build_object("
"	'states', (SELECT json_object_agg(state, n)"
"		FROM (SELECT state, count(*) AS n FROM s GROUP BY state ORDER BY state) x),"
"	'total', (SELECT count(*) FROM s WHERE $2 IS NULL OR state = $2),"
"	'rows', " ROWS(
				   "SELECT * FROM s WHERE $2 IS NULL OR state = $2"
				   " ORDER BY CASE WHEN $3 = 'waiting' THEN pending"
				   "		WHEN $3 = 'failed' THEN failed"
				   "		WHEN $3 = 'busy' THEN (rate * 1000)::bigint"
				   "		WHEN $3 = 'newest' THEN subscription_id END DESC NULLS LAST,"
				   "	CASE WHEN $3 = 'endpoint' THEN endpoint END, subscription_id"
				   " LIMIT 50 OFFSET coalesce($4::int, 0)") ")::text";

static const char subscription[] =
"SELECT json_build_object("
"	'subscription', row_to_json(b),"
"	'stat', (SELECT row_to_json(t) FROM ("
"		SELECT x.*, " MS("x.p50") " AS p50_ms, " MS("x.p95") " AS p95_ms"
"			FROM webhook.stat_subscription x WHERE x.subscription_id = b.id) t))::text"
" FROM webhook.subscription b WHERE b.id = $1::bigint";

static const char options[] =
"SELECT webhook.subscription_options($1::bigint)::text";

/* ---- Webhook Logs ---- */

/*
 * The filter of the log.  What an index serves is a condition of its own.  For the
 * rest the log is read from its newer end for at most two seconds; then each row that
 * comes is taken, and "found" tells that it is none.
 */
#define LOG_PARAMETERS	"subscription", "outcome", "event_type", "subject", "event", "status", \
	"since", "until"

#define LOG_INDEXED \
	"($1::bigint IS NULL OR l.subscription_id = $1::bigint)" \
	" AND ($2 IS NULL OR $2 = 'delivered' OR l.outcome <> 'delivered')" \
	" AND ($4 IS NULL OR l.subject = $4)" \
	" AND ($5::uuid IS NULL OR l.event_id = $5::uuid)" \
	" AND ($7::timestamptz IS NULL OR l.logged_at >= $7::timestamptz)" \
	" AND ($8::timestamptz IS NULL OR l.logged_at < $8::timestamptz)"

#define LOG_REST \
	"(($2 IS NULL OR $2 = 'undelivered' OR l.outcome = $2)" \
	" AND ($3 IS NULL OR l.event_type = $3)" \
	" AND ($6::int IS NULL OR l.response_status = $6::int))"

#define LOG_LATE	"clock_timestamp() > statement_timestamp() + interval '2 s'"

#define LOG_ORDER	" ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC"

#define LOG_COLUMNS \
	"l.logged_at, l.position, l.subscription_id, l.requested_at, l.event_id, l.event_type," \
	" l.subject, l.cause, l.attempt, l.method, host(l.source_ip) AS source_ip," \
	" l.outcome, l.error_class, l.error, l.response_status, " MS("l.duration") " AS ms"

/* A comparison of rows does not exclude partitions, so the time stands alone, too. */
static const char log_page[] =
"WITH p AS MATERIALIZED ("
"	SELECT " LOG_COLUMNS ", " LOG_REST " AS found"
"	FROM webhook.log l"
"	WHERE " LOG_INDEXED
"		AND ($9::timestamptz IS NULL OR l.logged_at <= $9::timestamptz"
"			AND (l.logged_at, l.position, l.subscription_id)"
"				< ($9::timestamptz, $10::bigint, $11::bigint))"
"		AND (" LOG_REST " OR " LOG_LATE ")"
LOG_ORDER " LIMIT 51),"
" n AS (SELECT p.*, row_number() OVER (ORDER BY logged_at DESC, position DESC,"
"		subscription_id DESC) AS n FROM p)"
" SELECT json_build_object("
"	'rows', " ROWS("SELECT * FROM n WHERE n <= 50 AND found ORDER BY n") ","
"	'stopped', (SELECT min(logged_at) FROM n WHERE NOT found),"
"	'before', (SELECT json_build_object('before_at', n.logged_at, 'before_position',"
"			n.position, 'before_subscription', n.subscription_id)"
"		FROM n WHERE n.n = 50 AND EXISTS (SELECT FROM n m WHERE m.n = 51)))::text";

/* Rows that are newer than what a page shows. */
static const char log_newer[] =
"SELECT json_build_object('rows', " ROWS(
										 "SELECT " LOG_COLUMNS
										 " FROM webhook.log l"
										 " WHERE " LOG_INDEXED " AND " LOG_REST
										 "	AND l.logged_at >= $9::timestamptz"
										 "	AND (l.logged_at, l.position, l.subscription_id)"
										 "		> ($9::timestamptz, $10::bigint, $11::bigint)"
										 LOG_ORDER " LIMIT 50") ")::text";

static const char log_csv[] =
"SELECT l.logged_at, l.requested_at, l.subscription_id, l.event_id, l.event_type, l.subject,"
"	l.cause, l.attempt, l.method, l.endpoint, host(l.source_ip) AS source_ip, l.source_port,"
"	host(l.peer_ip) AS peer_ip, l.outcome, l.error_class, l.error, l.response_status,"
"	" MS("l.duration") " AS ms, l.request_headers, l.request_body"
" FROM webhook.log l"
" WHERE " LOG_INDEXED " AND " LOG_REST
LOG_ORDER " LIMIT 100000";

/* One call, as it is unfolded in the list. */
static const char call[] =
"SELECT row_to_json(c)::text"
" FROM (SELECT l.method, l.endpoint, host(l.source_ip) AS source_ip, l.source_port,"
"			l.requested_at, l.request_headers, l.request_body, l.response_status,"
"			l.response_headers, l.response_body, " MS("l.duration") " AS ms"
"		FROM webhook.log l"
"		WHERE l.event_id = $1::uuid AND l.subscription_id = $2::bigint"
"			AND l.position = $3::bigint AND l.logged_at = $4::timestamptz"
"			AND l.attempt = $5::int"
"		LIMIT 1) c";

static const char delivery[] =
"SELECT json_build_object("
"	'explain', webhook.explain($1::uuid, $2::bigint),"
"	'waiting', (SELECT row_to_json(w) FROM ("
"		SELECT p.subject, p.event_type, p.attempt, p.next_at, p.queued_at, p.waits_for"
"			FROM webhook.pending_delivery p"
"			WHERE p.subscription_id = $2::bigint AND p.event_id = $1::uuid"
"			ORDER BY p.position LIMIT 1) w),"
"	'subscription', (SELECT json_build_object('id', b.id, 'endpoint', b.endpoint,"
"			'description', b.description)"
"		FROM webhook.subscription b WHERE b.id = $2::bigint),"
"	'attempts', " ROWS(
					   "SELECT " LOG_COLUMNS ", l.endpoint, l.source_port, host(l.peer_ip) AS peer_ip,"
					   "	l.created_at, l.request_headers, l.request_body, l.response_headers, l.response_body"
					   " FROM webhook.log l"
					   " WHERE l.event_id = $1::uuid AND l.subscription_id = $2::bigint"
					   LOG_ORDER " LIMIT 100") ")::text";

/* ---- What waits, and what has failed ---- */

/*
 * Of a subscription, what is due next, which the index on next_at has in order; of a
 * subject, all that waits for it, in the order in which it will be sent.
 */
static const char waiting[] =
"SELECT json_build_object("
"	'rows', CASE WHEN $1 IS NULL THEN " ROWS(
											 "SELECT t.subscription_id, t.endpoint, t.state, t.reason, t.pending, t.oldest_pending,"
											 "	t.next_attempt"
											 " FROM webhook.stat_subscription t WHERE t.pending > 0"
											 " ORDER BY t.pending DESC, t.subscription_id LIMIT 200")
"	WHEN $2 IS NULL THEN " ROWS(
								"SELECT p.subject, p.event_id, p.event_type, p.cause, p.attempt, p.step, p.next_at,"
								"	p.queued_at, p.created_at, p.position, p.id"
								" FROM webhook.pending_delivery p"
								" WHERE p.subscription_id = $1::bigint AND p.next_at IS NOT NULL"
								"	AND ($3::timestamptz IS NULL"
								"		OR p.next_at >= $3::timestamptz AND (p.next_at, p.id) > ($3::timestamptz, $4::bigint))"
								" ORDER BY p.next_at, p.id LIMIT 51")
"	ELSE " ROWS(
				"SELECT p.subject, p.event_id, p.event_type, p.cause, p.attempt, p.step, p.next_at,"
				"	p.queued_at, p.created_at, p.position, p.id, p.waits_for"
				" FROM webhook.pending_delivery p"
				" WHERE p.subscription_id = $1::bigint AND p.subject = $2"
				" ORDER BY p.position, p.id LIMIT 200")
"	END)::text";

/* How much of a subscription waits, also once it is gone and is being cancelled. */
static const char pending_count[] =
"SELECT json_build_object('pending', count(*))::text"
" FROM webhook.pending_delivery p WHERE p.subscription_id = $1::bigint";

static const char failed[] =
"SELECT json_build_object("
"	'rows', " ROWS(
				   "SELECT d.subscription_id, d.event_id, d.event_type, d.subject, d.created_at, d.attempt,"
				   "	d.outcome, d.error_class, d.error, d.response_status, d.logged_at, d.position"
				   " FROM webhook.dead_letter d"
				   " WHERE ($1::bigint IS NULL OR d.subscription_id = $1::bigint)"
				   "	AND ($2::timestamptz IS NULL OR d.logged_at >= $2::timestamptz)"
				   "	AND ($3::timestamptz IS NULL OR d.logged_at < $3::timestamptz)"
				   "	AND ($4::timestamptz IS NULL OR d.logged_at <= $4::timestamptz"
				   "		AND (d.logged_at, d.position, d.subscription_id)"
				   "			< ($4::timestamptz, $5::bigint, $6::bigint))"
				   " ORDER BY d.logged_at DESC, d.position DESC, d.subscription_id DESC"
				   " LIMIT 51") ")::text";

/* ---- Event types, watches, audit, settings ---- */

static const char event_types[] =
"SELECT json_build_object("
"	'types', " ROWS(
					"SELECT t.*, (SELECT count(*) FROM webhook.subscription s"
					"		WHERE EXISTS (SELECT FROM unnest(s.events) AS w (name)"
					"			WHERE w.name IN (t.name, '*')"
					"				OR right(w.name, 2) = '.*'"
					"					AND starts_with(t.name, left(w.name, -1)))) AS subscriptions"
					" FROM webhook.event_type t ORDER BY t.name") ","
"	'watched', " ROWS(
					  "SELECT w.relation::text AS relation, w.event_type, w.name, w.status_column, w.id_columns,"
					  "	w.data_columns, w.enabled, w.problem"
					  " FROM webhook.watched_table w ORDER BY 1, 2") ")::text";

/*
 * The last event of a type: as it was sent, or, if it was not sent yet, from the ring.
 * The log is searched for two seconds.
 */
static const char example[] =
"WITH c AS MATERIALIZED ("
"	SELECT l.event_id, l.subject, l.created_at, l.request_body, l.request_headers,"
"		l.event_type = $1 AS found"
"	FROM webhook.log l"
"	WHERE l.request_body IS NOT NULL"
"		AND (l.event_type = $1 OR " LOG_LATE ")"
LOG_ORDER " LIMIT 1)"
" SELECT json_build_object("
"	'call', (SELECT row_to_json(c) FROM c WHERE c.found),"
"	'event', (SELECT row_to_json(e) FROM ("
"		SELECT v.event_id, v.subject, v.created_at, v.data"
"			FROM webhook.event v"
"			WHERE v.event_type = $1 AND NOT EXISTS (SELECT FROM c WHERE c.found)"
"			LIMIT 1) e))::text";

static const char audit[] =
"SELECT json_build_object("
"	'rows', " ROWS(
				   "SELECT a.* FROM webhook.audit a"
				   " WHERE ($1 IS NULL OR a.role::text = $1 OR a.session_role::text = $1)"
				   "	AND ($2 IS NULL OR a.action = $2)"
				   "	AND ($3::bigint IS NULL OR a.subscription_id = $3::bigint)"
				   "	AND ($4::timestamptz IS NULL OR a.at >= $4::timestamptz)"
				   "	AND ($5::timestamptz IS NULL OR a.at < $5::timestamptz)"
				   " ORDER BY a.at DESC LIMIT 51") ")::text";

static const char system_[] =
"SELECT json_build_object("
"	'version', (SELECT extversion FROM pg_extension WHERE extname = 'webhook'),"
"	'server', version(),"
"	'database', current_database(),"
"	'size', pg_database_size(current_database()),"
"	'worker', (SELECT row_to_json(w) FROM webhook.stat_worker w LIMIT 1),"
"	'settings', " ROWS(
					   "SELECT name, current_setting(name) AS value, short_desc,"
					   "	setting IS DISTINCT FROM boot_val AS changed"
					   " FROM pg_settings WHERE name LIKE 'webhook.%' ORDER BY name") ","
"	'leaves', " ROWS(
					 "SELECT c.relname AS name, pg_total_relation_size(c.oid) AS size,"
					 "	greatest(c.reltuples, 0)::bigint AS rows"
					 " FROM pg_partition_tree('webhook.log') t JOIN pg_class c ON c.oid = t.relid"
					 " WHERE t.isleaf ORDER BY c.relname DESC") ")::text";

/* ---- What people do: a function each ---- */

/*
 * A call with the keys of the body as arguments.  The arguments are a row named a.
 */
#define CALL(call, arguments) \
	"SELECT json_build_object('result', " call ")::text" \
	" FROM json_to_record($1::json) AS a(" arguments ")"

#define OPTIONS \
	"endpoint text, events text[], description text, secret text, headers jsonb," \
	" signature_schemes text[], filter jsonpath, payload_format text, ordered boolean," \
	" max_in_flight integer, rate_limit real, timeout interval, retry_schedule interval[]," \
	" max_age interval, final_statuses integer[], ca text, client_certificate text"

#define PASSED_OPTIONS \
	", filter => a.filter, max_in_flight => a.max_in_flight, rate_limit => a.rate_limit," \
	" timeout => a.timeout, retry_schedule => a.retry_schedule, max_age => a.max_age," \
	" ca => a.ca, client_certificate => a.client_certificate"

#define SUBSCRIPTION	"subscription bigint"

const PortalRoute portal_routes[] =
{
	{"GET", "me", me, NULL, 0},
	{"GET", "health", health, NULL, 0},
	{"GET", "live", live, NULL, 0},
	{"GET", "series", series, NAMES("span", "step", "subscription"), 0},
	{"GET", "subscriptions", subscriptions, NAMES("q", "state", "sort", "offset"), 0},
	{"GET", "subscription", subscription, NAMES("id"), 0},
	{"GET", "subscription_options", options, NAMES("id"), 0},
	{"GET", "log", log_page, NAMES(LOG_PARAMETERS, "before_at", "before_position", "before_subscription"), 0},
	{"GET", "log_newer", log_newer, NAMES(LOG_PARAMETERS, "after_at", "after_position", "after_subscription"), 0},
	{"GET", "log.csv", log_csv, NAMES(LOG_PARAMETERS), PORTAL_CSV},
	{"GET", "call", call, NAMES("event", "subscription", "position", "at", "attempt"), 0},
	{"GET", "delivery", delivery, NAMES("event", "subscription"), 0},
	{"GET", "waiting", waiting, NAMES("subscription", "subject", "after_at", "after_id"), 0},
	{"GET", "pending_count", pending_count, NAMES("subscription"), 0},
	{"GET", "failed", failed, NAMES("subscription", "since", "until", "before_at", "before_position", "before_subscription"), 0},
	{"GET", "event_types", event_types, NULL, 0},
	{"GET", "example", example, NAMES("event_type"), 0},
	{"GET", "audit", audit, NAMES("role", "action", "subscription", "since", "until"), 0},
	{"GET", "system", system_, NULL, 0},

	{"POST", "subscribe",
		CALL("webhook.subscribe(a.endpoint, a.events, description => a.description,"
			 " secret => a.secret, headers => coalesce(a.headers, '{}'),"
			 " signature_schemes => coalesce(a.signature_schemes, '{standard}'),"
			 " payload_format => coalesce(a.payload_format, 'envelope'),"
			 " ordered => coalesce(a.ordered, true),"
			 " final_statuses => coalesce(a.final_statuses, '{}')" PASSED_OPTIONS ")",
			 OPTIONS),
	NULL, 0},
	{"POST", "alter_subscription",
		CALL("webhook.alter_subscription(a.subscription, a.endpoint, a.events,"
			 " description => a.description, headers => a.headers,"
			 " signature_schemes => a.signature_schemes, payload_format => a.payload_format,"
			 " ordered => a.ordered, final_statuses => a.final_statuses,"
			 " enabled => a.enabled" PASSED_OPTIONS ")",
			 SUBSCRIPTION ", enabled boolean, " OPTIONS),
	NULL, 0},
	{"POST", "unsubscribe", CALL("webhook.unsubscribe(a.subscription)", SUBSCRIPTION), NULL, 0},
	{"POST", "pause", CALL("webhook.pause(a.subscription)", SUBSCRIPTION), NULL, 0},
	{"POST", "resume", CALL("webhook.resume(a.subscription)", SUBSCRIPTION), NULL, 0},
	{"POST", "check_endpoint", CALL("webhook.check_endpoint(a.endpoint)", "endpoint text"), NULL, 0},
	{"POST", "ping", CALL("webhook.ping(a.subscription)", SUBSCRIPTION), NULL, 0},
	{"POST", "secret", CALL("webhook.secret(a.subscription)", SUBSCRIPTION), NULL, 0},
	{"POST", "rotate_secret",
		CALL("webhook.rotate_secret(a.subscription, coalesce(a.overlap, '24 hours'))",
			 SUBSCRIPTION ", overlap interval"),
	NULL, 0},
	{"POST", "resend", CALL("webhook.resend(a.event, a.subscription)", SUBSCRIPTION ", event uuid"), NULL, 0},
	{"POST", "cancel", CALL("webhook.cancel(a.event, a.subscription)", SUBSCRIPTION ", event uuid"), NULL, 0},
	{"POST", "skip", CALL("webhook.skip(a.subscription, a.subject)", SUBSCRIPTION ", subject text"), NULL, 0},
	{"POST", "retry", CALL("webhook.retry(a.subscription, a.subject)", SUBSCRIPTION ", subject text"), NULL, 0},
	{"POST", "recover",
		CALL("webhook.recover(a.subscription, a.since, coalesce(a.until, now()),"
			 " coalesce(a.what, 'failed'), coalesce(a.dry_run, false))",
			 SUBSCRIPTION ", since timestamptz, until timestamptz, what text, dry_run boolean"),
	NULL, PORTAL_LONG},
	{"POST", "define_event_type",
		CALL("webhook.define_event_type(a.name, a.description)", "name text, description text"),
	NULL, 0},
	{"POST", "resume_database",
		CALL("webhook.resume_database(coalesce(a.discard, false))", "discard boolean"),
	NULL, 0},

	/* Whether the log has what was signed: a secret that nobody sees verifies it. */
	{"POST", "verify",
		"SELECT json_build_object('result', webhook.verify(webhook.secret(a.subscription),"
		"	l.request_headers, l.request_body, NULL))::text"
		" FROM json_to_record($1::json)"
		"		AS a(subscription bigint, event uuid, position bigint, attempt integer)"
		"	JOIN webhook.log l ON l.event_id = a.event AND l.subscription_id = a.subscription"
		"		AND l.position = a.position AND l.attempt = a.attempt"
		" WHERE l.request_body IS NOT NULL"
		" LIMIT 1",
	NULL, 0},

	{NULL, NULL, NULL, NULL, 0}
};
