# needed.sh
#	  Read by test/all and test/demo: installs what is missing of what building
#	  and testing needs, and sets PG_CONFIG.
#
# Packages in $optional are installed where apt offers them.  What needs one that
# is not there is skipped, and says so.
#
# The newest server from 15 on that is here with its headers is taken;
# otherwise the newest that apt offers.  Debian's server package would create
# and start a cluster, and others a service: they are told not to while we install
# them, so nothing runs afterwards that did not run before.

needed_root()
{
	if [ "$(id -u)" = 0 ]; then
		env DEBIAN_FRONTEND=noninteractive "$@"
	elif command -v sudo >/dev/null; then
		sudo env DEBIAN_FRONTEND=noninteractive "$@"
	else
		echo "not root, and there is no sudo: $*" >&2
		return 1
	fi
}

# Or say at once what somebody else has to install.
needed_can_install()
{
	[ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null || return 0
	[ -n "$version" ] || version=$(apt-cache pkgnames postgresql-server-dev- | needed_newest)
	version=${version:-15}
	needed_missing
	echo "Install sudo, or run this as root:" >&2
	echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
	return 1
}

needed_has()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The newest major version that has packages, by the command that lists names.
needed_newest()
{
	sed -n 's/^postgresql-server-dev-\([0-9]*\)$/\1/p' | sort -n |
		awk '$1 >= 15 { newest = $1 } END { print newest }'
}

needed_missing()
{
	missing=
	for package in make gcc libc6-dev perl openssl libcurl4-openssl-dev libnss-wrapper \
		libipc-run-perl libtap-parser-sourcehandler-pgtap-perl \
		${version:+postgresql-$version postgresql-server-dev-$version postgresql-$version-pgtap}
	do
		needed_has "$package" || missing="$missing $package"
	done
}

# Of the optional packages, those that are missing and that apt offers.
needed_offered()
{
	offered=
	for package in $optional; do
		needed_has "$package" || ! apt-cache show "$package" >/dev/null 2>&1 ||
			offered="$offered $package"
	done
}

needed_loud()
{
	[ ! -e "$quiet" ] || needed_root rm "$quiet"
	[ ! -d "${quiet%/*}" ] || needed_root rmdir --ignore-fail-on-non-empty "${quiet%/*}"
}

# Install optional packages. A service among them neither starts nor is enabled; where
# the machine has a policy of its own, that holds.
needed_install_optional()
{
	policy=/usr/sbin/policy-rc.d
	if [ -e "$policy" ]; then
		policy=
	else
		trap needed_allow EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' | needed_root tee "$policy" >/dev/null &&
			needed_root chmod 755 "$policy"
	fi
	# shellcheck disable=SC2086	# names, not one name
	needed_root apt-get install -y --no-install-recommends $offered
	status=$?
	for package in $offered; do
		[ ! -e "/etc/init.d/$package" ] || needed_root update-rc.d "$package" disable
	done
	needed_allow
	trap - EXIT HUP INT TERM
	return $status
}

needed_allow()
{
	[ -z "$policy" ] || needed_root rm -f "$policy"
	policy=
}

needed_install()
{
	quiet=/etc/postgresql-common/createcluster.d/webhook-test.conf
	if ! needed_has "postgresql-$version"; then
		needed_root mkdir -p "${quiet%/*}" &&
			echo "create_main_cluster = false" | needed_root tee "$quiet" >/dev/null ||
			return 1
		trap needed_loud EXIT
		trap 'exit 1' HUP INT TERM
	fi
	# shellcheck disable=SC2086	# names, not one name
	needed_root apt-get install -y --no-install-recommends $missing
	status=$?
	needed_loud
	trap - EXIT HUP INT TERM
	return $status
}

needed()
{
	version=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 'postgresql-server-dev-*' 2>/dev/null |
		sed -n 's/^installed //p' | needed_newest)
	needed_missing
	if [ -z "$version" ] || [ -n "$missing" ]; then
		needed_can_install || return 1
		needed_root apt-get update || return 1
		if [ -z "$version" ]; then
			version=$(apt-cache pkgnames postgresql-server-dev- | needed_newest)
			if [ -z "$version" ]; then
				echo "apt offers no PostgreSQL from 15 on" >&2
				return 1
			fi
		fi
		needed_missing
		needed_install || return 1
	fi
	needed_offered
	if [ -n "$offered" ]; then
		needed_install_optional ||
			echo "not installed:$offered" >&2
	fi
	PG_CONFIG=/usr/lib/postgresql/$version/bin/pg_config
}

needed || exit 1
