# assert.sh
#	  Run in a root by test/matrix: the tests on a server that is built with
#	  assertions from Debian's source package.  Arguments are for make.
cd "$(dirname "$0")/../.." && . test/servers/build.sh &&
	exec make -s test PG_CONFIG="$server/bin/pg_config" "$@"
