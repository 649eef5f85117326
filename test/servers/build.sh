# build.sh
#	  Read by assert.sh and core.sh in a root: builds the server with assertions
#	  from Debian's source package, once.  Sets server, where it is installed, and
#	  source, where it was built.
#
# The packaged server of the same version is installed, too: pgTAP comes with it.

server=/opt/postgresql-assert
source=/usr/src/postgresql-assert

build_server()
{
	apt-get install -y --no-install-recommends dpkg-dev bison flex libicu-dev libssl-dev \
		libreadline-dev zlib1g-dev libxml2-dev pkg-config >/dev/null || return 1
	rm -rf "$source" && mkdir -p "$source" && cd "$source" || return 1
	apt-get source --download-only "postgresql-$version" >/dev/null &&
		dpkg-source --no-check -x ./*.dsc tree >/dev/null && cd tree || return 1
	./configure --prefix="$server" --enable-cassert --enable-debug --enable-tap-tests \
		--with-openssl --with-icu --with-libxml CFLAGS='-Og -g' >../configure.log 2>&1 &&
		make -s -j"$(nproc)" all >../make.log 2>&1 && make -s install >../install.log 2>&1 &&
		make -s -C contrib/auto_explain install >>../install.log 2>&1 || {
		tail -n 20 ../*.log >&2
		return 1
	}
	cp "/usr/share/postgresql/$version"/extension/pgtap* "$server/share/extension/" &&
		touch "$server/.complete"
}

. test/needed.sh
if ! [ -e "$server/.complete" ]; then
	(build_server) || exit 1
fi
