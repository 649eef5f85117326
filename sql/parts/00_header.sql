/* webhook--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION webhook" to load this file. \quit

-- First of all: can the extension work in this server and database?
CREATE SCHEMA webhook;
CREATE SCHEMA webhook_internal;

CREATE FUNCTION webhook_internal.require_server() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_require_server';
SELECT webhook_internal.require_server();
DROP FUNCTION webhook_internal.require_server();

