# package.sh
#	  Run in a root by test/package: build Debian's packages from this tree, look at
#	  them, install them, and let an installed server deliver. The argument is the
#	  version of the server.
cd "$(dirname "$0")/../.." || exit 1
version=$1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

# quietly COMMAND...: what it prints is shown if it fails, the end of it.
quietly()
{
	"$@" >/package/log 2>&1 && return
	tail -n 40 /package/log >&2
	exit 1
}

install()
{
	quietly apt-get install -y --no-install-recommends "$@"
}

quiet=/etc/postgresql-common/createcluster.d/webhook-test.conf
mkdir -p "${quiet%/*}" && echo 'create_main_cluster = false' >$quiet || exit 1
quietly apt-get update
install autopkgtest build-essential debhelper fakeroot lintian perl postgresql-server-dev-all

# What was installed by a run before.
apt-get purge -y 'postgresql-*-webhook' webhook-portal >/dev/null 2>&1
rm -rf debian
quietly cp -R packaging/debian debian
quietly pg_buildext updatecontrol
quietly apt-get build-dep -y --no-install-recommends ./
quietly dpkg-buildpackage -b -us -uc
ls -l /package/*.deb

# There is no bug to close, and the maintainer's address is a placeholder.
expected='initial-upload-closes-no-bugs|bogus-mail-host'
lintian --allow-root /package/*.changes >/package/lintian.log 2>&1
if grep '^[EW]:' /package/lintian.log | grep -Ev "$expected"; then
	exit 1
fi

# It installs the packages, and what debian/tests/control wants, and runs that.
set --
for package in /package/*.deb; do
	case $package in
		*-dbgsym_*) ;;
		*) set -- "$@" "$package" ;;
	esac
done
rm -rf /package/tests
quietly autopkgtest -B -o /package/tests "$@" ./ -- null
cat /package/tests/summary /package/tests/deliver-stdout
[ -e "/usr/lib/postgresql/$version/lib/webhook.so" ] || { echo "not for $version" >&2; exit 1; }
documents=/usr/share/doc/postgresql-$version-webhook
bill=$documents/webhook.spdx.json
grep -q '"name" : "libcurl' "$bill" || { echo "$bill lacks libcurl" >&2; exit 1; }
for file in queries.yaml alerts.yaml dashboard.json; do
	[ -e "$documents/monitoring/$file" ] || { echo "no $documents/monitoring/$file" >&2; exit 1; }
done
quietly apt-get purge -y 'postgresql-*-webhook' webhook-portal
[ ! -e "/usr/lib/postgresql/$version/lib/webhook.so" ] && echo "package: $version: ok"
