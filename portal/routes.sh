#!/bin/sh
# routes.sh
#	  Writes the C file with all statements of portal/routes, for the binary.
#
# get/NAME.sql is the statement of "GET api/NAME", post/NAME.sql that of "POST api/NAME".
# A file begins with comments.  Among them, "parameters:" lists the names that :name in the
# statement stands for; those of a POST have one alone, :body, and the columns of AS a(...)
# are the keys that the body may have.  "one of:" has the name of a parameter, a colon, and the
# words that it may be, separated by commas; what is compared with words has such a line.
# :own needs no mention, see routes.h, which has the flags of "flags:", too.  As in psql, a
# line "\ir FILE" is the text of that file, whose own such lines are relative to it, and after
# "\set NAME WORD" the word stands for :NAME, also as the name of a file.
set -eu

cat <<'END'
#include "portal/routes.h"

#include <stddef.h>

const PortalRoute portal_routes[] = {
END
for file in $(cd portal/routes && LC_ALL=C find get post -name '*.sql' | LC_ALL=C sort); do
	awk -v file="portal/routes/$file" '
	function fail(problem)
	{
		print file ": " problem > "/dev/stderr"
		failed = 1
		exit 1
	}
	function names(text,    list, n, i)
	{
		n = split(text, list, /[, \t]+/)
		for (i = 1; i <= n; i++)
			if (list[i] != "")
			{
				parameters[++nparameters] = list[i]
				number[list[i]] = nparameters
			}
	}
	# A line of the statement, with $n for :name; :: is a cast.
	function add(line,    out, name)
	{
		out = ""
		if (match(line, /CASE :[a-z_]+/) || match(line, /:[a-z_]+ (=|IN|NOT IN) \(?\047/))
		{
			name = substr(line, RSTART, RLENGTH)
			sub(/^[^:]*:/, "", name)
			sub(/[^a-z_].*/, "", name)
			compared[name] = 1
		}
		text = text line " "
		while (match(line, /::|:[a-z_]+/))
		{
			name = substr(line, RSTART + 1, RLENGTH - 1)
			out = out substr(line, 1, RSTART - 1)
			if (name == ":")
				out = out "::"
			else if (name in set)
				out = out set[name]
			else if (name in number || name == "own")
			{
				if (!(name in number))
					names(name)
				out = out "$" number[name]
				used[name] = 1
			}
			else
				fail(":" name " is not among its parameters")
			line = substr(line, RSTART + RLENGTH)
		}
		out = out line
		gsub(/\\/, "\\\\", out)
		gsub(/"/, "\\\"", out)
		statement = statement "\n\t\"" out "\\n\""
	}
	# The text of a file that another one names.
	function read_part(from, name,    line, status)
	{
		if (name ~ /^:/)
			name = set[substr(name, 2)]
		sub(/[^\/]*$/, name, from)
		while ((status = (getline line < from)) > 0)
			if (line ~ /^\\ir /)
				read_part(from, substr(line, 5))
			else if (line !~ /^[ \t]*--/)
				add(line)
		if (status < 0)
			fail(from " cannot be read")
		close(from)
	}
	BEGIN {
		split(file, parts, "/")
		method = toupper(parts[3])
		if (method == "POST")
			names("body")
	}
	/^--/ && statement == "" {
		if (/^-- parameters: / || (in_names && /^-- \t/))
		{
			in_names = 1
			sub(/^-- (parameters: )?/, "")
			names($0)
		}
		else
			in_names = 0
		if (/^-- flags: /)
			flags = toupper(substr($0, 11))
		if (/^-- one of: /)
		{
			split(substr($0, 12), choice, ": ")
			if (!(choice[1] in number))
				fail(choice[1] " is not among its parameters")
			chosen[choice[1]] = 1
			gsub(/, /, "\", \"", choice[2])
			choices = choices "{\"" choice[1] "\", (const char *const[]) {\"" choice[2] "\", NULL}}, "
		}
		next
	}
	/^\\set / {
		set[$2] = $3
		next
	}
	/^\\ir / {
		read_part(file, $2)
		next
	}
	/^[ \t]*--/ || /^$/ { next }
	{ add($0) }
	END {
		if (failed)
			exit 1
		for (i = 1; i <= nparameters; i++)
			if (!(parameters[i] in used))
				fail(parameters[i] " is not used")
		for (name in compared)
			if (!(name in chosen))
				fail("\"one of:\" does not say what " name " may be")
		if (method == "POST")
		{
			if (!match(text, /AS a\([^)]*\)/))
				fail("the keys of the body are not known")
			text = substr(text, RSTART + 5, RLENGTH - 6)
			nparameters = split(text, columns, ",")
			for (i = 1; i <= nparameters; i++)
			{
				split(columns[i], words, " ")
				parameters[i] = words[1]
				if (statement !~ ("a\\." words[1] "[^a-z_]") && statement !~ ("\047" words[1] "\047"))
					fail("the key " words[1] " is not used")
			}
		}
		path = parts[4]
		sub(/\.sql$/, "", path)
		printf "\t{\"%s\", \"%s\",%s,\n\t", method, path, statement
		if (nparameters == 0)
			printf "NULL"
		else
		{
			printf "(const char *const[]) {"
			for (i = 1; i <= nparameters; i++)
				printf "\"%s\", ", parameters[i]
			printf "NULL}"
		}
		printf ", %s, ", flags == "" ? "0" : "PORTAL_" flags
		if (choices == "")
			print "NULL},"
		else
			print "(const PortalChoice[]) {" choices "{NULL, NULL}}},"
	}' "portal/routes/$file"
done
echo '	{NULL, NULL, NULL, NULL, 0, NULL}'
echo '};'
