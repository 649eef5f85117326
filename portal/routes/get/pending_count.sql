-- How much of a subscription waits, also once it is gone and is being cancelled.
--
-- parameters: subscription

SELECT json_build_object('pending', count(*))::text
FROM webhook.pending_delivery p
WHERE p.subscription_id = :subscription::bigint
