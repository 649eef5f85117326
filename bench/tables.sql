-- Tables of contracts: one that nobody watches, one that an outbox trigger
-- watches, and two that we watch, of which the second's events carry columns.
-- Variable: rows, in the last one.

CREATE TYPE business_request_status AS ENUM
	('Draft', 'Approved', 'Signed', 'CounterSigned', 'Archived');

CREATE TABLE plain_request (
	id			bigint PRIMARY KEY,
	title		text NOT NULL,
	status		business_request_status NOT NULL DEFAULT 'Draft',
	customer	text NOT NULL,
	amount		numeric(12,2),
	currency	text NOT NULL DEFAULT 'EUR',
	created_at	timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE outbox_request (LIKE plain_request INCLUDING ALL);
CREATE TABLE watched_request (LIKE plain_request INCLUDING ALL);
CREATE TABLE business_request (LIKE plain_request INCLUDING ALL);

CREATE TRIGGER outbox AFTER UPDATE ON outbox_request
	FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
	EXECUTE FUNCTION outbox_enqueue();

INSERT INTO business_request (id, title, customer, amount)
	SELECT i, 'Framework agreement', 'Nordwind AG, Kiel', 125000
		FROM generate_series(1, :rows) AS i;
VACUUM (ANALYZE, FREEZE) business_request;
