		-- The text :text, or, where it has more than a megabyte, the first megabyte of it and
		-- a line that says so: an answer has to stay within PORTAL_MAX_ANSWER.  No character
		-- is cut in two.
		(SELECT CASE WHEN octet_length(b) <= 1048576 THEN :text
				ELSE convert_from(substr(b, 1, (SELECT max(n)
						FROM generate_series(1048573, 1048576) n
						WHERE get_byte(b, n) & 192 <> 128)), 'UTF8')
					|| chr(10) || '[cut: the first megabyte of ' || octet_length(b) || ' bytes]' END
			FROM convert_to(:text, 'UTF8') b)
