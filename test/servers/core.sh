# core.sh
#	  Run in a root by test/matrix: PostgreSQL's own regression and isolation tests
#	  on the server with assertions, three times: as it is, with the library
#	  preloaded, and with the extension in the database under test.  What differs
#	  in the second or third run and not in the first is shown.
#
# core.txt has what may differ with the extension.
cd "$(dirname "$0")/../.." && . test/servers/build.sh || exit 1

make -s PG_CONFIG="$server/bin/pg_config" all install || exit 1
tests=$source/tree/src/test
results=$(mktemp -d /tmp/webhook-core.XXXXXX) || exit 1

# suite NAME DIRECTORY PROGRAM OPTION...: one suite on a server of its own.
suite()
{
	out=$results/$1
	cp -R "$tests/$2" "$out" && chown -R postgres "$results" || return 1
	program=$3
	shift 3
	su -s /bin/sh postgres -c "cd '$out' && PATH='$out':\$PATH ./$program --bindir='$server/bin' \
		--inputdir=. --outputdir=. --dlpath=. --max-concurrent-tests=20 \
		--temp-instance='$out/instance' --temp-config='$results/conf' $*" >"$out.out" 2>&1
	sed -n 's/^\(test\)\{0,1\} *\([^ ]*\) *\.\.\. \(FAILED\|failed\).*/\2/p
		s/^not ok [0-9]* *[-+] \([^ ]*\).*/\1/p' "$out.out" | sort >"$out.failed"
	tests_run=$(grep -cE '\.\.\. (ok|FAILED|failed)|^(not )?ok [0-9]' "$out.out")
	echo "core: $(basename "$out"): $tests_run tests, failed: $(tr '\n' ' ' <"$out.failed")"
	[ "$tests_run" -gt 50 ] || { tail -n 20 "$out.out"; return 1; }
}

# run NAME LINE OPTION...: both suites with this setting.
run()
{
	name=$1
	printf '%s\n' "$2" >"$results/conf"
	shift 2
	suite "$name-regress" regress pg_regress --schedule=parallel_schedule "$@" &&
		suite "$name-isolation" isolation pg_isolation_regress --schedule=isolation_schedule "$@"
}

run plain '' &&
	run preloaded "shared_preload_libraries = 'webhook'" &&
	run extension "shared_preload_libraries = 'webhook'" --load-extension=webhook || exit 1

# differences NAME: which tests failed, and each line that differs, without the
# OIDs in it, and without heads and numbers of rows.  Functions of one name and
# the same arguments are those of our two schemas: what people call, and what it does.
differences()
{
	cat "$results/$1.failed"
	[ ! -e "$results/$1/regression.diffs" ] || awk '
		/^diff / { test = $NF; sub(/.*\//, "", test); sub(/\.out$/, "", test); next }
		/^[-+] *oid +\|/ || /^[-+]\([0-9]+ rows?\)$/ { next }
		/^[-+]($|[^-+])/ {
			line = substr($0, 2)
			sub(/^ *[0-9]+ +\| */, "", line)
			sub(/ +$/, "", line)
			if (split(line, column, / *\| */) == 3 && column[1] == column[3])
				next
			print test ": " substr($0, 1, 1) " " line
		}' "$results/$1/regression.diffs"
}

status=0
for suite in regress isolation; do
	for name in preloaded extension; do
		{
			differences "plain-$suite"
			[ $name != extension ] || sed '/^#/d' test/servers/core.txt
		} | sort -u >"$results/allowed"
		new=$(differences "$name-$suite" | sort -u | comm -13 "$results/allowed" -)
		[ -n "$new" ] || continue
		echo "core: $name: $suite: these differ only with webhook:"
		echo "$new"
		status=1
	done
done
if [ $status = 0 ]; then
	rm -rf "$results"
else
	echo "core: kept for a look, in the root: $results"
fi
exit $status
