# root.sh
#	  Read by test/matrix and test/package: root directories with a Debian of their
#	  own.
#
# A program runs in a root with mounts that end with it, so a root is an ordinary
# directory again afterwards, and "rm -rf" removes it.

usage()
{
	sed -n 's/^# \(usage: .*\)/\1/p' "$0" >&2
	exit 2
}

say()
{
	echo "${0##*/}: $*" >&2
}

# root_options ARGUMENT...: set work, the directory of the roots, from -d.
root_options()
{
	work=
	while getopts d: option; do
		case $option in
			d) work=$OPTARG ;;
			*) usage ;;
		esac
	done
}

# Make the directory of the roots, or a new one that is removed at the end.
root_begin()
{
	[ "$(id -u)" = 0 ] || { say "only root can make and enter a root"; exit 1; }
	command -v debootstrap >/dev/null || { say "it needs debootstrap: apt-get install debootstrap"; exit 1; }
	if [ -n "$work" ]; then
		mkdir -p "$work" && work=$(realpath "$work") || exit 1
	else
		work=$(mktemp -d /var/tmp/webhook-roots.XXXXXX) || exit 1
		trap 'rm -rf "$work"' EXIT
		trap 'exit 1' HUP INT TERM
	fi
}

# root_suite VERSION: the suite of Debian that has this version of the server.
root_suite()
{
	for suite in bookworm trixie forky sid; do
		if root_offers "$suite" "postgresql-server-dev-$1"; then
			echo "$suite"
			return 0
		fi
	done
	say "no suite of Debian has PostgreSQL $1"
	return 1
}

# The archive that this machine takes its own packages from.
root_mirror()
{
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1 | sed 's,/*$,,'
}

# root_offers SUITE PACKAGE: true if the archive's suite has that package.
root_offers()
{
	mkdir -p "$work/lists" || return 1
	if ! [ -e "$work/lists/$1" ]; then
		/usr/lib/apt/apt-helper -o APT::Sandbox::User=root download-file \
			"$(root_mirror)/dists/$1/main/binary-$(dpkg --print-architecture)/Packages.xz" \
			"$work/lists/$1.xz" >/dev/null && xz -d "$work/lists/$1.xz" || return 1
	fi
	grep -qx "Package: $2" "$work/lists/$1"
}

# root_make ROOT SUITE: make a root, or take one that is complete.  debootstrap
# has no script for a suite that is newer than itself; sid's serves all.
root_make()
{
	[ ! -e "$1/.complete" ] || return 0
	debootstrap --variant=minbase "$2" "$1" "$(root_mirror)" \
		/usr/share/debootstrap/scripts/sid >"$1.log" 2>&1 || {
		tail -n 20 "$1.log" >&2
		return 1
	}
	# A mirror may be a copy of some day's archive.
	echo 'Acquire::Check-Valid-Until "false";' >"$1/etc/apt/apt.conf.d/99mirror" &&
		touch "$1/.complete"
}

# root_run ROOT COMMAND: run a shell command in a root.  What it mounts and what
# it leaves running ends with it.  Of the environment it has the proxy only: the
# rest names files of this machine.
root_run()
{
	unshare --mount --pid --fork --kill-child sh -c '
		mount -t proc proc "$1/proc" &&
		mount --rbind /dev "$1/dev" &&
		mount -t tmpfs tmpfs "$1/dev/shm" &&
		exec chroot "$1" env -i ${http_proxy:+http_proxy="$http_proxy"} \
			${https_proxy:+https_proxy="$https_proxy"} HOME=/root LANG=C.UTF-8 \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			DEBIAN_FRONTEND=noninteractive sh -c "$2"' root_run "$1" "$2"
}

# root_copy ROOT: lay the tree into a root, at /webhook, as it is here.
root_copy()
{
	rm -rf "$1/webhook" && mkdir "$1/webhook" &&
		tar -cf - --exclude=./.git --exclude=./stage --exclude=./build --exclude=./tmp_check \
			--exclude='*.o' --exclude='*.so' . |
		tar -xf - -C "$1/webhook"
}

# root_source ROOT SUITE: let apt find a suite's source packages.
root_source()
{
	echo "deb-src $(root_mirror) $2 main" >"$1/etc/apt/sources.list.d/source.list"
}

# root_older ROOT SUITE: let apt find an older suite's packages, too.
root_older()
{
	echo "deb $(root_mirror) $2 main" >"$1/etc/apt/sources.list.d/older.list"
}
