-- Its options as a form needs them, with credentials: the audit says who has seen them.

SELECT json_build_object('result', webhook.subscription_options(a.subscription))::text
FROM json_to_record(:body::json) AS a(subscription bigint)
