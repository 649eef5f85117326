-- A table of contracts that we watch; its events carry columns.
-- Variable: rows.

CREATE TYPE business_request_status AS ENUM
	('Draft', 'Approved', 'Signed', 'CounterSigned', 'Archived');

CREATE TABLE business_request (
	id			bigint PRIMARY KEY,
	title		text NOT NULL,
	status		business_request_status NOT NULL DEFAULT 'Draft',
	customer	text NOT NULL,
	amount		numeric(12,2),
	currency	text NOT NULL DEFAULT 'EUR',
	created_at	timestamptz NOT NULL DEFAULT now()
);

INSERT INTO business_request (id, title, customer, amount)
	SELECT i, 'Framework agreement', 'Nordwind AG, Kiel', 125000
		FROM generate_series(1, :rows) AS i;
VACUUM (ANALYZE, FREEZE) business_request;
