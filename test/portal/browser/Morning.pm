# Morning.pm
#	  What a platform's people find in the morning: a dozen subscriptions of which some
#	  fare badly, contracts that moved on, a month of history, and texts that are as long
#	  or as hostile as people and receivers make them.

package Morning;

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";

use Portal;

# Returns the SQL to be run on a new server; "receiver" is where it sends to.
sub sql
{
	my ($receiver, $markup) = @_;
	my %url = map { my ($name, $path) = @$_; ($name => $receiver->url($path)) } (
		[ crm => '/ok/crm/contracts' ], [ archive => '/ok/archive' ], [ slow => '/slow/300/erp/inbox' ],
		[ partner => '/status/503/partner/v2/callbacks' ], [ gone => '/status/410/old-portal' ],
		[ denied => '/status/403/ledger' ], [ wild => '/bytes/' . unpack 'H*', $markup ],
		[ long => '/ok/' . 'a-very-long-name-of-a-tenant-that-somebody-has-chosen/' x 4 . 'hooks?token=abcdef&region=north-europe-2' ]);
	my $nobody = 'http://127.0.0.1:' . Portal::free_port() . '/nobody-listens';
	my $long = 'Rahmenvertrag über die Lieferung von ' . 'Donaudampfschifffahrtsgesellschaftskapitänsmützen' x 3;

	return <<"END";
CREATE EXTENSION webhook;
CREATE ROLE integration LOGIN PASSWORD 'a'; SELECT webhook.grant_admin('integration');
CREATE ROLE operator LOGIN PASSWORD 'o'; SELECT webhook.grant_operator('operator');
CREATE ROLE auditor LOGIN PASSWORD 'r'; SELECT webhook.grant_reader('auditor');
CREATE TABLE business_request (
	id bigint PRIMARY KEY, title text, customer text, amount numeric(12,2),
	status text NOT NULL DEFAULT 'Draft');
CREATE TABLE tender (id bigint PRIMARY KEY, title text, status text NOT NULL DEFAULT 'Open');
SELECT webhook.define_event_type('App.TenderStatusChange', 'A tender was opened, awarded or closed.');
SELECT webhook.define_event_type('App.InvoicePaid', 'An invoice was paid in full.');
SELECT webhook.define_event_type('App.SupplierOnboarded', \$m\$$markup\$m\$);
SELECT webhook.watch('business_request', data_columns => '{title,customer,amount}');
SELECT webhook.watch('tender', event_type => 'App.TenderStatusChange');
SET ROLE integration;
SELECT webhook.subscribe('$url{crm}', '{App.BusinessRequestStatusChange}', 'CRM of Sales', headers => '{"authorization":"Bearer abc"}');
SELECT webhook.subscribe('$url{partner}', '{App.BusinessRequestStatusChange,App.InvoicePaid}', 'Partner portal');
SELECT webhook.subscribe('$url{archive}', '{*}', 'The archive');
SELECT webhook.subscribe('$url{slow}', '{App.InvoicePaid,App.TenderStatusChange}', 'ERP', rate_limit => 20, max_in_flight => 4,
	timeout => '20 s', retry_schedule => '{5 s,5 min,2 h}', max_age => '3 days', filter => '\$.NewStatus != "Draft"', final_statuses => '{400,404}');
SELECT webhook.subscribe('$url{gone}', '{App.BusinessRequestStatusChange}', 'The old portal');
SELECT webhook.subscribe('$url{denied}', '{App.InvoicePaid}', 'Ledger', final_statuses => '{403}');
SELECT webhook.subscribe('$nobody', '{App.TenderStatusChange}', 'Reporting');
SELECT webhook.subscribe('$url{wild}', '{App.InvoicePaid}', \$m\$$markup\$m\$);
SELECT webhook.subscribe('$url{long}', '{App.*}', '$long');
SELECT webhook.subscribe('$url{crm}/paused', '{App.BusinessRequestStatusChange}', 'Data warehouse');
SELECT webhook.subscribe('$url{crm}/new', '{App.SupplierOnboarded}', 'Supplier portal');
SELECT webhook.pause(10);
RESET ROLE;
CREATE ROLE hooks_service LOGIN PASSWORD 's'; SELECT webhook.grant_portal('hooks_service');
SELECT webhook.define_tenant('Nordwind AG', '{App.*}', max_subscriptions => 5, max_in_flight => 8, rate_limit => 50);
SELECT webhook.subscribe('@{[ $receiver->url('/ok/nordwind') ]}', '{App.*}', 'Nordwind: orders', tenant => 'Nordwind AG');
SELECT webhook.subscribe('@{[ $receiver->url('/challenge/9/nordwind') ]}', '{App.*}', 'Nordwind: archive', tenant => 'Nordwind AG');
SELECT webhook.publish('App.InvoicePaid', json_build_object('Invoice', 'N-' || g)::text::json, 'invoice/' || g, 'Nordwind AG')
	FROM generate_series(1, 8) g;
INSERT INTO business_request SELECT g, 'Contract ' || g, CASE g % 3 WHEN 0 THEN 'Nordwind AG' WHEN 1 THEN 'Åkesson & Söner' ELSE 'Γη ΑΕ' END,
	g * 1234.56 FROM generate_series(1, 40) g;
UPDATE business_request SET status = 'Review' WHERE id % 2 = 0;
UPDATE business_request SET status = 'Signed' WHERE id % 4 = 0;
INSERT INTO tender SELECT g, 'Tender ' || g FROM generate_series(1, 12) g;
UPDATE tender SET status = 'Awarded' WHERE id <= 6;
SELECT webhook.publish('App.InvoicePaid', json_build_object('Invoice', 'R-' || g, 'Amount', g * 99.5)::text::json, 'invoice/' || g)
	FROM generate_series(1, 8) g;
SELECT webhook.publish('App.InvoicePaid', '{"Amount": 12345678901234567890123.10, "Text": "$long"}', \$m\$$markup\$m\$);
SELECT webhook.publish('App.InvoicePaid', '{"Amount": 1}', '$long');

-- A month of history.
INSERT INTO webhook_internal.stat_minute
	(at, span, subscription_id, delivered, failed, retried, cancelled, pending, duration)
SELECT h, '1 hour', s, (3600 * load)::int, (random() * 20 * load)::int,
	(random() * 90 * load + wrong * 1500 * load)::int, 0, (wrong * 900 + random() * 40)::int,
	'{0,0,20,200,900,600,200,90,40,20,9,4,1,0,0,0,0,0,0,0}'::int[]
FROM generate_series(date_trunc('hour', now()) - interval '30 days',
		date_trunc('hour', now()) - interval '27 hours', '1 hour') h,
	unnest('{NULL,2}'::bigint[]) s,
	LATERAL (SELECT
		greatest(sin((extract(hour FROM h) - 6) / 24 * 2 * pi()), 0.02) * (0.9 + random() * 0.2)
			AS load,
		(h BETWEEN now() - interval '9 days' AND now() - interval '8.5 days')::int AS wrong) x;
INSERT INTO webhook_internal.stat_minute
	(at, span, subscription_id, delivered, failed, retried, cancelled, pending, duration)
SELECT m, '1 minute', s, (60 * (1 + sin(extract(epoch FROM m) / 9000) * 0.4) + random() * 12)::int,
	(random() * 1.2)::int, (random() * 6)::int, 0, (random() * 40)::int,
	'{0,0,2,10,30,14,6,2,1,1,0,0,0,0,0,0,0,0,0,0}'::int[]
FROM generate_series(date_trunc('minute', now()) - interval '26 hours',
		date_trunc('minute', now()) - interval '2 minutes', '1 minute') m,
	unnest('{NULL,2}'::bigint[]) s;
END
}

1;
