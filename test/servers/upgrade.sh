# upgrade.sh
#	  Run in a root by test/matrix: pg_upgrade of a cluster of an older server.
#	  Arguments: the older version; the rest is for make.
cd "$(dirname "$0")/../.." && . test/needed.sh || exit 1
older=$1
shift

# Of the older version's headers the files only: their package wants the compiler
# of its own suite.  Nothing else is to come from that suite.
version=$older
missing=postgresql-$older
headers=postgresql-server-dev-$older
apt-get update >/dev/null && needed_install >/dev/null &&
	(cd /tmp && apt-get download "$headers" >/dev/null && dpkg -x "$headers"_*.deb / && rm "$headers"_*.deb) &&
	rm /etc/apt/sources.list.d/older.list &&
	make -s stage STAGE="/opt/webhook-$older" PG_CONFIG="/usr/lib/postgresql/$older/bin/pg_config" &&
	make -s clean || exit 1

export UPGRADE_FROM="/opt/webhook-$older/usr/lib/postgresql/$older"
exec make -s test PG_CONFIG="$PG_CONFIG" CHECKS= UNITS= REGRESS= ISOLATION= PORTAL_TESTS= \
	PROVE_TESTS=test/t/147_pg_upgrade.pl "$@"
