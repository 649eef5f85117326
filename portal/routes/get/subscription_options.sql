-- The options of a subscription, as a form needs them.
--
-- parameters: id

SELECT webhook.subscription_options(:id::bigint)::text
