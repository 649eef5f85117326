/*
 * catalog.h
 *	  Where the extension's objects are in this database, and how its tables
 *	  are laid out.
 */
#ifndef WEBHOOK_CATALOG_H
#define WEBHOOK_CATALOG_H

#define WEBHOOK_RING_TABLES 4	/* tables of the ring: event_0 … event_3 */

/* Columns, in the order of sql/webhook--1.0.sql. */
enum
{
	Anum_webhook_event_id = 1,
	Anum_webhook_event_txid,
	Anum_webhook_event_created_at,
	Anum_webhook_event_event_id,
	Anum_webhook_event_kind,
	Anum_webhook_event_event_type,
	Anum_webhook_event_subject,
	Anum_webhook_event_data,
	Natts_webhook_event = Anum_webhook_event_data
};

enum
{
	Anum_webhook_log_id = 1,
	Anum_webhook_log_event_id,
	Anum_webhook_log_position,
	Anum_webhook_log_cause,
	Anum_webhook_log_logged_at,
	Anum_webhook_log_subscription_id,
	Anum_webhook_log_event_type,
	Anum_webhook_log_subject,
	Anum_webhook_log_created_at,
	Anum_webhook_log_attempt,
	Anum_webhook_log_method,
	Anum_webhook_log_endpoint,
	Anum_webhook_log_source_ip,
	Anum_webhook_log_source_port,
	Anum_webhook_log_requested_at,
	Anum_webhook_log_duration,
	Anum_webhook_log_request_headers,
	Anum_webhook_log_request_body,
	Anum_webhook_log_response_status,
	Anum_webhook_log_response_headers,
	Anum_webhook_log_response_body,
	Anum_webhook_log_outcome,
	Anum_webhook_log_error_class,
	Anum_webhook_log_error,
	Anum_webhook_log_data,
	Natts_webhook_log = Anum_webhook_log_data
};

enum
{
	Anum_webhook_pending_subscription_id = 1,
	Anum_webhook_pending_subject,
	Anum_webhook_pending_position,
	Anum_webhook_pending_id,
	Anum_webhook_pending_event_id,
	Anum_webhook_pending_cause,
	Anum_webhook_pending_attempt,
	Anum_webhook_pending_step,
	Anum_webhook_pending_next_at,
	Anum_webhook_pending_queued_at,
	Anum_webhook_pending_age_start,
	Anum_webhook_pending_created_at,
	Anum_webhook_pending_event_type,
	Anum_webhook_pending_data,
	Natts_webhook_pending = Anum_webhook_pending_data
};

enum
{
	Anum_webhook_state_subscription_id = 1,
	Anum_webhook_state_level,
	Anum_webhook_state_consecutive_failures,
	Anum_webhook_state_failures,
	Anum_webhook_state_failing_since,
	Anum_webhook_state_last_success,
	Anum_webhook_state_last_failure,
	Anum_webhook_state_opened_at,
	Anum_webhook_state_probe_interval,
	Anum_webhook_state_not_before,
	Anum_webhook_state_reason,
	Anum_webhook_state_disabled_at,
	Anum_webhook_state_since,
	Anum_webhook_state_suspended_at,
	Anum_webhook_state_suspended,
	Anum_webhook_state_delivered,
	Anum_webhook_state_failed,
	Anum_webhook_state_retried,
	Anum_webhook_state_filter_errors,
	Anum_webhook_state_rate,
	Anum_webhook_state_p50,
	Anum_webhook_state_p95,
	Anum_webhook_state_saved_at,
	Natts_webhook_state = Anum_webhook_state_saved_at
};

enum
{
	Anum_webhook_checkpoint_home = 1,
	Anum_webhook_checkpoint_snapshot,
	Anum_webhook_checkpoint_partial_snapshot,
	Anum_webhook_checkpoint_upto_id,
	Anum_webhook_checkpoint_saved_at,
	Natts_webhook_checkpoint = Anum_webhook_checkpoint_saved_at
};

typedef struct WebhookCatalog
{
	Oid			schema;
	Oid			event[WEBHOOK_RING_TABLES];
	Oid			event_index[WEBHOOK_RING_TABLES];	/* (txid, id) */
	Oid			event_sequence;
	Oid			subscription;
	Oid			state;
	Oid			state_pkey;		/* (subscription_id) */
	Oid			log;
	Oid			pending;
	Oid			pending_pkey;	/* (subscription_id, subject, position, id) */
	Oid			pending_due;	/* (subscription_id, next_at), where not null */
	Oid			checkpoint;
	char		version[64];	/* of the extension's SQL */
} WebhookCatalog;

/*
 * The objects in this database, looked up once and again after each change of
 * them; needs a transaction. NULL if the extension is not there; an error if
 * part of it is not there, or not as it was created_at. Call it after locking a
 * table, not before: then columns and indexes stay as checked for as long as
 * the lock is held. The contents change with the next call, not before.
 */
extern const WebhookCatalog *webhook_catalog(void);

/* The same; an error with SQLSTATE and HINT instead of NULL. */
extern const WebhookCatalog *webhook_catalog_required(void);

/*
 * The same for whoever appends to the ring, and must not fail for anything
 * that he does not need: what is not there, or altered, is InvalidOid.
 */
extern const WebhookCatalog *webhook_catalog_for_append(void);

/* Where we are: "<system identifier>/<database oid>", a constant string. */
extern const char *webhook_home(void);

/* Parts of a home. False if the text is none. */
extern bool webhook_home_parse(const char *home, uint64 *system, Oid *database);

#endif							/* WEBHOOK_CATALOG_H */
