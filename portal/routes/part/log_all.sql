\ir log_indexed.sql
		AND
\ir log_rest.sql
