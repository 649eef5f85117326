-- What people did, newest first; with all acts of the time of the last one, so that the next
-- page can begin before that time.
--
-- parameters: role, action, subscription, since, until

SELECT json_build_object('rows', coalesce(json_agg(r), '[]'))::text
FROM (SELECT a.*
	FROM webhook.audit a
	WHERE (:role IS NULL OR a.role::text = :role OR a.session_role::text = :role)
		AND (:action IS NULL OR a.action = :action)
		AND (:subscription::bigint IS NULL OR a.subscription_id = :subscription::bigint)
		AND (:since IS NULL OR a.at >= :since::timestamptz)
		AND (:until IS NULL OR a.at < :until::timestamptz)
	ORDER BY a.at DESC
	FETCH FIRST 51 ROWS WITH TIES) r
