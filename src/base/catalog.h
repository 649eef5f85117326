/*
 * catalog.h
 *	  Where the extension's objects are in this database, and how its tables
 *	  are laid out.
 */
#ifndef WEBHOOK_CATALOG_H
#define WEBHOOK_CATALOG_H

#define WEBHOOK_SCHEMA "webhook"	/* functions, views and the log, which people use */
#define WEBHOOK_INTERNAL_SCHEMA "webhook_internal"	/* all other objects, and the log's leaves */

#define WEBHOOK_RING_TABLES 4	/* tables of the ring: event_0 … event_3 */

/* Columns, in the order of sql/parts/10_tables.sql. */
enum
{
	Anum_webhook_event_id = 1,
	Anum_webhook_event_txid,
	Anum_webhook_event_created_at,
	Anum_webhook_event_event_id,
	Anum_webhook_event_kind,
	Anum_webhook_event_event_type,
	Anum_webhook_event_subject,
	Anum_webhook_event_tenant,
	Anum_webhook_event_context,
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
	Anum_webhook_log_tenant,
	Anum_webhook_log_created_at,
	Anum_webhook_log_attempt,
	Anum_webhook_log_method,
	Anum_webhook_log_endpoint,
	Anum_webhook_log_peer_ip,
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
	Anum_webhook_log_traceparent,
	Anum_webhook_log_context,
	Anum_webhook_log_data,
	Natts_webhook_log = Anum_webhook_log_data
};

enum
{
	Anum_webhook_pending_subscription_id = 1,
	Anum_webhook_pending_subject,
	Anum_webhook_pending_position,
	Anum_webhook_pending_id,
	Anum_webhook_pending_txid,
	Anum_webhook_pending_event_id,
	Anum_webhook_pending_cause,
	Anum_webhook_pending_attempt,
	Anum_webhook_pending_step,
	Anum_webhook_pending_next_at,
	Anum_webhook_pending_queued_at,
	Anum_webhook_pending_age_start,
	Anum_webhook_pending_created_at,
	Anum_webhook_pending_event_type,
	Anum_webhook_pending_tenant,
	Anum_webhook_pending_context,
	Anum_webhook_pending_data,
	Natts_webhook_pending = Anum_webhook_pending_data
};

enum
{
	Anum_webhook_pending_count_subscription_id = 1,
	Anum_webhook_pending_count_pending,
	Natts_webhook_pending_count = Anum_webhook_pending_count_pending
};

enum
{
	Anum_webhook_state_subscription_id = 1,
	Anum_webhook_state_state,
	Anum_webhook_state_breaker,
	Anum_webhook_state_concurrency,
	Anum_webhook_state_consecutive_failures,
	Anum_webhook_state_failures_since_success,
	Anum_webhook_state_failing_since,
	Anum_webhook_state_last_success,
	Anum_webhook_state_last_failure,
	Anum_webhook_state_opened_at,
	Anum_webhook_state_probe_interval,
	Anum_webhook_state_not_before,
	Anum_webhook_state_reason,
	Anum_webhook_state_disabled_at,
	Anum_webhook_state_disabled_start_snapshot,
	Anum_webhook_state_confirmation,
	Anum_webhook_state_confirmed_at,
	Anum_webhook_state_confirm_attempts,
	Anum_webhook_state_confirm_next_at,
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
	Anum_webhook_checkpoint_worker = 1,
	Anum_webhook_checkpoint_home,
	Anum_webhook_checkpoint_directory,
	Anum_webhook_checkpoint_server_version,
	Anum_webhook_checkpoint_snapshot,
	Anum_webhook_checkpoint_partial_snapshot,
	Anum_webhook_checkpoint_upto_id,
	Anum_webhook_checkpoint_last_id,
	Anum_webhook_checkpoint_saved_at,
	Natts_webhook_checkpoint = Anum_webhook_checkpoint_saved_at
};

enum
{
	Anum_webhook_audit_at = 1,
	Anum_webhook_audit_role,
	Anum_webhook_audit_outer_role,
	Anum_webhook_audit_session_role,
	Anum_webhook_audit_action,
	Anum_webhook_audit_tenant,
	Anum_webhook_audit_subscription_id,
	Anum_webhook_audit_event_id,
	Anum_webhook_audit_detail,
	Natts_webhook_audit = Anum_webhook_audit_detail
};

enum
{
	Anum_webhook_stat_minute_at = 1,
	Anum_webhook_stat_minute_span,
	Anum_webhook_stat_minute_subscription_id,
	Anum_webhook_stat_minute_delivered,
	Anum_webhook_stat_minute_failed,
	Anum_webhook_stat_minute_retried,
	Anum_webhook_stat_minute_cancelled,
	Anum_webhook_stat_minute_pending,
	Anum_webhook_stat_minute_duration,
	Natts_webhook_stat_minute = Anum_webhook_stat_minute_duration
};

enum
{
	Anum_webhook_tenant_role_role = 1,
	Anum_webhook_tenant_role_tenant,
	Natts_webhook_tenant_role = Anum_webhook_tenant_role_tenant
};

enum
{
	Anum_webhook_portal_token_hash = 1,
	Anum_webhook_portal_token_tenant,
	Anum_webhook_portal_token_may_write,
	Anum_webhook_portal_token_created_at,
	Anum_webhook_portal_token_created_by,
	Anum_webhook_portal_token_expires_at,
	Anum_webhook_portal_token_exchanged_at,
	Anum_webhook_portal_token_role,
	Anum_webhook_portal_token_session_until,
	Anum_webhook_portal_token_revoked_at,
	Natts_webhook_portal_token = Anum_webhook_portal_token_revoked_at
};

typedef struct WebhookCatalog
{
	Oid			schema;			/* WEBHOOK_SCHEMA */
	Oid			internal_schema;	/* WEBHOOK_INTERNAL_SCHEMA */
	Oid			owner;			/* of the extension */
	Oid			event[WEBHOOK_RING_TABLES];
	Oid			event_index[WEBHOOK_RING_TABLES];	/* (txid, id) */
	Oid			event_sequence;
	Oid			subscription;
	Oid			tenant_role;
	Oid			portal_token;
	Oid			portal_token_pkey;	/* (hash) */
	Oid			state;
	Oid			state_pkey;		/* (subscription_id) */
	Oid			log;
	Oid			pending;
	Oid			pending_pkey;	/* (subscription_id, subject, position, id) */
	Oid			pending_due;	/* (subscription_id, next_at), where not null */
	Oid			pending_queued; /* (subscription_id, queued_at) */
	Oid			pending_count;
	Oid			pending_count_pkey; /* (subscription_id) */
	Oid			checkpoint;
	Oid			audit;
	Oid			audit_at;		/* (at) */
	Oid			stat_minute;
	Oid			stat_minute_key;	/* (subscription_id, span, at) */
	Oid			stat_minute_age;	/* (span, at) */
} WebhookCatalog;

/*
 * The objects in this database. They are looked up once, and once more after
 * each change of them; that needs a transaction. Returns NULL if the extension
 * does not exist; raises an error if one of its objects is missing or has an
 * unexpected definition. Call this after locking a table, not before: then
 * columns and indexes stay as checked while the lock is held. The struct changes
 * at the next call of one of these functions, never before.
 */
extern const WebhookCatalog *webhook_catalog(void);

/* The same, but raises an error if the extension does not exist. */
extern const WebhookCatalog *webhook_catalog_required(void);

/*
 * The same for appending to the ring, which must not fail because of an object
 * that it does not need: an object that is missing or has an unexpected
 * definition is InvalidOid.
 */
extern const WebhookCatalog *webhook_catalog_for_append(void);

/*
 * Returns true if webhook_catalog_required() raises no error: for those that have
 * something to say without the extension's tables.
 */
extern bool webhook_catalog_is_usable(void);

/* Returns true if C code finds the relation by its name; needs a transaction. */
extern bool webhook_catalog_has(Oid relid);

/*
 * The home of what is made here: "<system identifier>/<database oid>/<oid of
 * webhook_internal.checkpoint>". pg_upgrade changes the first number, CREATE
 * DATABASE ... TEMPLATE the second, and DROP and CREATE EXTENSION, as a restore
 * runs them, the third. Needs a transaction. Valid until the next call.
 */
extern const char *webhook_home(void);

/*
 * Returns true if a home has this cluster's system identifier: transaction ids
 * that were stored with such a home mean the same here.
 */
extern bool webhook_home_is_in_cluster(const char *home);

/* Returns true if a home differs from webhook_home() by its system identifier alone. */
extern bool webhook_home_is_counterpart(const char *home);

#endif							/* WEBHOOK_CATALOG_H */
