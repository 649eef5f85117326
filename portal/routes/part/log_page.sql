		-- For what no index serves the log is read for two seconds, then each row is taken.
\ir log_indexed.sql
		AND
\ir before.sql
		AND (
\ir log_rest.sql
			OR clock_timestamp() > statement_timestamp() + interval '2 s')
