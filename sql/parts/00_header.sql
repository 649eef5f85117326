/*
 * webhook--1.0.sql
 *	  What CREATE EXTENSION runs: the files of sql/parts in the order of their
 *	  names, concatenated by "make sql".
 *
 * Schema webhook holds what people use: functions, views and the log. Schema
 * webhook_internal holds everything else: the tables behind the views, the
 * ring, the leaves of the log, and the functions that nobody calls by hand.
 *
 * The control file says "schema = pg_catalog", so this script runs with the
 * search_path "pg_catalog, pg_temp". Therefore it names the schema of each
 * object of the extension and no other, and it says CREATE, never CREATE OR
 * REPLACE or IF NOT EXISTS: it takes over no object that exists already.
 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION webhook" to load this file. \quit

CREATE SCHEMA webhook;
COMMENT ON SCHEMA webhook IS 'committed events, sent to HTTP endpoints: functions, views and the log';

CREATE SCHEMA webhook_internal;
COMMENT ON SCHEMA webhook_internal IS 'tables and functions behind schema webhook';

-- First of all: can these objects work in this server and database, with the library
-- that the server has loaded? An update begins with this, too.
CREATE FUNCTION webhook_internal.require_server(version text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_require_server';
SELECT webhook_internal.require_server('1.0');
DROP FUNCTION webhook_internal.require_server(text);
