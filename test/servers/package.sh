# package.sh
#	  Run in a root by test/package: build Debian's packages from this tree, look at
#	  them, install them, and let an installed server deliver. The argument is the
#	  version of the server.
cd "$(dirname "$0")/../.." || exit 1
version=$1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

loud=/etc/postgresql-common/createcluster.d/webhook-test.conf
mkdir -p "${loud%/*}" && echo 'create_main_cluster = false' >$loud || exit 1
apt-get update >/dev/null &&
	apt-get install -y --no-install-recommends build-essential debhelper fakeroot lintian perl \
		postgresql-server-dev-all >/package/apt.log 2>&1 || { tail -n 20 /package/apt.log >&2; exit 1; }

# What was installed by the run before.
apt-get purge -y 'postgresql-*-webhook' webhook-portal >/dev/null 2>&1
rm -rf debian && cp -R packaging/debian debian && pg_buildext updatecontrol &&
	apt-get build-dep -y --no-install-recommends ./ >/package/apt.log 2>&1 ||
	{ tail -n 20 /package/apt.log >&2; exit 1; }
dpkg-buildpackage -b -us -uc >/package/build.log 2>&1 || { tail -n 40 /package/build.log >&2; exit 1; }
ls -l /package/*.deb

# The maintainer's address is a placeholder, and there is no bug to close.
lintian --fail-on error,warning --allow-root --suppress-tags \
	bogus-mail-host,mail-address-loops-or-bounces,initial-upload-closes-no-bugs,unreleased-changes,unreleased-changelog-distribution,newer-standards-version,ancient-standards-version \
	/package/*.changes || exit 1

apt-get install -y --no-install-recommends /package/*.deb >/package/apt.log 2>&1 ||
	{ tail -n 20 /package/apt.log >&2; exit 1; }
[ -e "/usr/lib/postgresql/$version/lib/webhook.so" ] || { echo "not for $version" >&2; exit 1; }
debian/tests/deliver || exit 1
grep -q '"name" : "libcurl' "/usr/share/doc/postgresql-$version-webhook/webhook.spdx.json" ||
	{ echo "the bill of materials lacks libcurl" >&2; exit 1; }
apt-get purge -y 'postgresql-*-webhook' webhook-portal >/dev/null &&
	[ ! -e "/usr/lib/postgresql/$version/lib/webhook.so" ] && echo "package: $version: ok"
