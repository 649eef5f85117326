/*
 * routes.c
 *	  Routes for the tests of the portal's server: what it has to cope with, on a
 *	  server of PostgreSQL without the extension.
 */
#include "portal/routes.h"

#include <stddef.h>

static const char *const echoed[] = {"one", "two", NULL};
static const char *const note[] = {"text", NULL};
static const char *const seconds[] = {"seconds", NULL};
static const char *const repeated[] = {"text", "times", NULL};
static const char *const rows[] = {"rows", "fails", NULL};
static const char *const colours[] = {"colour", NULL};
static const char *const words[] = {"red", "deep blue", NULL};
static const PortalChoice choices[] = {{"colour", words}, {NULL, NULL}};

const PortalRoute portal_routes[] = {
	{"GET", "me",
	"SELECT json_build_object('role', current_user, 'pid', pg_backend_pid())"},
	{"GET", "echo", "SELECT json_build_array($1, $2)", echoed},
	{"GET", "nothing", "SELECT 1 WHERE false"},
	{"GET", "null", "SELECT NULL"},
	{"GET", "write", "INSERT INTO public.note VALUES ('read') RETURNING 1"},
	{"GET", "notes", "SELECT json_agg(text ORDER BY text) FROM public.note"},
	{"GET", "sleep", "SELECT json_build_object('slept', pg_sleep($1::float8)::text)", seconds},
	{"GET", "tenants", "SELECT json_agg(name) FROM webhook.tenant"},
	{"GET", "old", "SELECT webhook.not_yet(1)"},
	{"GET", "large", "SELECT json_build_object('text', repeat('x', 3000000))"},
	{"GET", "long", "SELECT repeat($1, $2::int)", repeated},
	{"POST", "long", "INSERT INTO public.note VALUES ('long') RETURNING repeat('x', 5000000)"},
	{"GET", "settings", "SELECT json_object_agg(name, setting) FROM pg_settings "
	"WHERE name IN ('statement_timeout', 'search_path', 'TimeZone', 'client_encoding', 'jit')"},
	{"POST", "note", "INSERT INTO public.note SELECT $1::json->>'text' "
	"RETURNING json_build_object('noted', text)", note},
	{"POST", "deferred", "INSERT INTO public.once VALUES (($1::json->>'n')::int) RETURNING to_json(n)"},
	{"POST", "refuse", "SELECT public.refuse($1)"},
	{"POST", "notify", "SELECT to_json(pg_notify('webhook', $1)::text)"},
	{"POST", "patient", "SELECT to_json(current_setting('statement_timeout'))", NULL, PORTAL_LONG},
	{"GET", "rows.csv", "SELECT n AS number, '=' || n || E'\n\"q\"' AS \"for,mula\", NULL AS none, "
		"1 / (n - coalesce($2, '0')::int) AS fails FROM generate_series(1, $1::int) n", rows,
	PORTAL_CSV},
	{"GET", "choice", "SELECT to_json(coalesce($1, 'none'))", colours, 0, choices},
	{"GET", "live", "SELECT json_build_object('at', clock_timestamp(), 'lines', E'a\\nb', "
		"'slept', pg_sleep(coalesce(nullif(current_setting('test.slow', true), ''), '0')::float8), "
		"'once', set_config('test.slow', '0', false), "
	"'is', (SELECT json_agg(n) FROM generate_series(1, 3) n))"},
	{"GET", "live_own", "SELECT json_build_object('own', true, 'at', clock_timestamp())"},
	{NULL}
};
