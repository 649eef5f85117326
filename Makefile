# Makefile for the webhook extension
#
# To build and install:
#   make                the two libraries
#   make install        into the server that pg_config belongs to, or with prefix=/x
#                       elsewhere, which PostgreSQL 18 can use
#   make uninstall
#   make portal         the portal, a program of its own: see docs/portal.md
#   make install-portal
#   make sql            put the install script together from sql/parts
#   make clean
#
# To test, without installing anything:
#   make test           all tests and checks
#   make installcheck   only the server's tests, against what is installed
#   make fuzz           look for inputs that break a promise; needs clang
#                       (FUZZ_SECONDS=30 a target, FUZZ=url: only test/fuzz/url.c)
#   make stage          a private copy of the server with the extension in it
#
# To look at it:
#   make demo           watch a contract being signed (KEEP=1: and look around;
#                       PORTAL=1 KEEP=1: in a browser)
#   make bench          measure, and renew the table of bench/README.md
#                       (BENCH=isolation: only bench/isolation; QUICK=1: no table)
#   make coverage       run the tests, and say which lines of src they ran
#   make receivers      run the samples of docs/receivers.md in all languages that are here
#   make chaos          disturb a server without end, and judge what arrives
#                       (SECONDS=60 SEED=n)
#   make valgrind       some suites under valgrind's memcheck
#
# To package it:
#   make dist           build/webhook-1.0.0.zip and .tar.gz of what is committed
#   make sbom           build/webhook.spdx.json: what was built, and what that is linked to
#                       (build/webhook-portal.spdx.json for the portal, once that is built)
#
# To change it:
#   make indent         indent all C files (FILES="...": only these)
#   make format-check   say which files "make indent" would change, which lines
#                       are too wide
#   make analyze        let gcc, cppcheck and shellcheck look for mistakes
#   make typedefs       renew the indenter's list of types
#
# PG_CONFIG=/path/to/pg_config chooses among several servers.  Only a part of
# the tests: make test CHECKS= UNITS= REGRESS= ISOLATION= PORTAL_TESTS= PROVE_TESTS=test/t/02*

EXTENSION      = webhook
MODULE_big     = webhook
DATA           = $(wildcard sql/webhook--*.sql)

# What src/base/version.h says of a version.
version_of     = $(shell sed -n 's/^.define WEBHOOK_$(1) "\(.*\)".*/\1/p' src/base/version.h)
SCRIPT         = sql/webhook--$(call version_of,VERSION).sql

SOURCES        = $(wildcard src/*.c src/*/*.c)
# PGXS would install what HEADERS names.
OUR_HEADERS    = $(wildcard src/*.h src/*/*.h)

# The second library, webhook_http, is net/ and http/.  It alone is linked to
# libcurl, and only the worker loads it.  But for module.c, which is there for
# the server to load it, it knows nothing of PostgreSQL.
HTTP_SOURCES   = $(wildcard src/net/*.c src/http/*.c)
FREE_SOURCES   = $(filter-out src/http/module.c,$(HTTP_SOURCES))
HTTP_OBJS      = $(HTTP_SOURCES:.c=.o)
HTTP_LIB       = webhook_http$(DLSUFFIX)

# The first one is all the rest, and net/ once more.
OBJS           = $(patsubst %.c,%.o,$(filter-out src/http/%,$(SOURCES)))

# The last three come from the server's own headers.
WARNINGS       = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CFLAGS      = $(WARNINGS) -iquote src
CURL_CPPFLAGS  = $(shell curl-config --cflags)
CURL_LIBS      = $(shell curl-config --libs)

# With these flags each C file compiles, those of test and bench too.
ANY_C_FLAGS    = -D_GNU_SOURCE= -DTARGET= -iquote src -iquote . -Itest/unit -Itest/fuzz $(CURL_CPPFLAGS) \
                 -I$(includedir_server) -I$(includedir)

# No bitcode: nothing here is worth inlining into a query, and no clang needed.
override with_llvm = no

# Every suite starts a cluster of its own that preloads the library; say
# "make installcheck TEMP=" to use a running server instead.
TEMP           = --temp-instance=tmp_check --temp-config=test/webhook.conf
REGRESS        = $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql))
REGRESS_OPTS   = --inputdir=test --load-extension=webhook $(TEMP)
ISOLATION      = $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=webhook $(TEMP)
TAP_TESTS      = 1
# Most of these tests wait most of the time, so three run at once. The longest
# do not come last, so that none of them runs alone.
PROVE_TESTS    = test/t/[19]*.pl test/t/[!19]*.pl
TAP_JOBS       = -j3 --timer
CHECKS         = format-check analyze
EXTRA_CLEAN    = stage build log $(HTTP_LIB) $(HTTP_OBJS)

# A database in SQL_ASCII, initdb's choice without a locale, is refused.
export LANG    = C.UTF-8
unexport LC_ALL LC_CTYPE LC_COLLATE

# A server refuses to run as root, so root's way is another one; see below.
ROOT          := $(filter 0,$(shell id -u))
ifneq ($(ROOT),)
NO_INSTALLCHECK = 1
endif

PG_CONFIG     ?= pg_config
PGXS          := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))

# Not the first target of the files that are included.
.DEFAULT_GOAL := all

include test/style/style.mk
include packaging/packaging.mk

ifeq ($(PGXS),)
NEEDS_SERVER   = all install uninstall installcheck stage test demo bench fuzz analyze coverage chaos \
                 valgrind receivers clean portal install-portal uninstall-portal portal-check
.PHONY: $(NEEDS_SERVER)
$(NEEDS_SERVER):
	@echo 'make: no server to build for: $(PG_CONFIG) --pgxs names nothing' >&2
	@echo 'Install the packages that "sh test/demo" would, or say PG_CONFIG=/path/to/pg_config.' >&2
	@exit 1
else

include $(PGXS)

# "make install prefix=/x", for extension_control_path.  A packaged server is built
# with directories that a prefix does not move, and before 18 none does.
ifeq ($(origin prefix),command line)
ifeq ($(filter $(prefix)/%,$(datadir)),)
override datadir   := $(prefix)/share/postgresql
override pkglibdir := $(prefix)/lib/postgresql
endif
endif

include test/unit/unit.mk
include test/clock/clock.mk
include test/analyze/analyze.mk
include portal/portal.mk

# Packaged servers are built without dependency tracking.
$(sort $(OBJS) $(HTTP_OBJS)): $(OUR_HEADERS) Makefile

# No server header is even in reach.
$(FREE_SOURCES:.c=.o): override CPPFLAGS = -iquote src $(CURL_CPPFLAGS)

all: $(HTTP_LIB)
$(HTTP_LIB): $(HTTP_OBJS)
	$(LINK.shared) -o $@ $(HTTP_OBJS) $(LDFLAGS) $(LDFLAGS_SL) $(CURL_LIBS)

# The install script is kept as it is installed, so that it can be read and
# packaged as it is; test/t/000_source.pl says when it is not up to date.
.PHONY: sql
sql: $(SCRIPT)
$(SCRIPT): $(sort $(wildcard sql/parts/*.sql))
	cat $^ > $@

.PHONY: install-http uninstall-http
install: install-http
install-http: $(HTTP_LIB) installdirs
	$(INSTALL_SHLIB) $(HTTP_LIB) '$(DESTDIR)$(pkglibdir)/$(HTTP_LIB)'
uninstall: uninstall-http
uninstall-http:
	rm -f '$(DESTDIR)$(pkglibdir)/$(HTTP_LIB)'

# Server programs find their libraries and extensions relative to where they
# are themselves, so a copy of three directories is a server of its own.
STAGE          = $(CURDIR)/stage

.PHONY: stage
stage: all
	@rm -rf '$(STAGE)'
	@for dir in '$(bindir)' '$(pkglibdir)' '$(datadir)'; do \
	    mkdir -p "$(STAGE)$$dir" && cp -R "$$dir/." "$(STAGE)$$dir" || exit; \
	done
	@$(MAKE) -s --no-print-directory install DESTDIR='$(STAGE)'

# What a copy of the tree does without.
COPY_WITHOUT   = $(addprefix --exclude=./,.git stage build tmp_check)

.PHONY: test demo bench coverage chaos valgrind receivers
ifeq ($(ROOT),)

CHECK          = $(MAKE) -s --no-print-directory installcheck bindir='$(STAGE)$(bindir)'

installcheck: $(CLOCK)

test: stage $(UNITS) $(UNITS:=-sanitized) $(CLOCK)
	@perl test/suites.pl \
	    $(foreach check,$(CHECKS),"$(check)" "$(MAKE) -s --no-print-directory $(check)") \
	    $(if $(strip $(UNITS)),"C units" "$(PROVE) -j2 --exec '' $(UNITS) $(UNITS:=-sanitized)") \
	    $(if $(strip $(REGRESS)),"pg_regress" "$(CHECK) ISOLATION= TAP_TESTS=") \
	    $(if $(strip $(ISOLATION)),"isolation" "$(CHECK) REGRESS= TAP_TESTS=") \
	    $(if $(strip $(PROVE_TESTS)),"TAP" "$(CHECK) REGRESS= ISOLATION= PROVE_FLAGS='$(TAP_JOBS)'") \
	    $(if $(strip $(PORTAL_TESTS)),"portal" "$(MAKE) -s --no-print-directory portal-check")

include test/coverage/coverage.mk
include test/valgrind/valgrind.mk

SECONDS       ?= 60
SEED          ?=

chaos: stage
	@SECONDS='$(SECONDS)' SEED='$(SEED)' $(CHECK) REGRESS= ISOLATION= PROVE_FLAGS=-v PROVE_TESTS=test/t/900_chaos.pl

receivers: stage
	@RECEIVERS=all $(CHECK) REGRESS= ISOLATION= PROVE_TESTS=test/t/310_receivers.pl

demo: stage $(if $(filter-out 0,$(PORTAL)),portal)
	@perl test/demo.pl '$(STAGE)$(bindir)' $(if $(filter-out 0,$(PORTAL)),--portal '$(CURDIR)/$(PORTAL_PROGRAM)') $(if $(filter-out 0,$(KEEP)),--keep '$(COPY)')

BENCH          = run isolation tenants tls slow portal
FIGURES        = $(CURDIR)/build/bench.figures

# In a copy the table of bench/README.md is left to who made the copy.
bench: stage $(if $(filter portal,$(BENCH)),portal)
	@mkdir -p build && : >'$(FIGURES)'
	@for name in $(BENCH); do \
	    PATH='$(STAGE)$(bindir)':"$$PATH" PG_CONFIG='$(bindir)/pg_config' FIGURES='$(FIGURES)' "bench/$$name" || exit; \
	done
	@$(if $(COPY),:,bench/table '$(FIGURES)')

else

# As root: the same as somebody else, in a copy of the tree that is kept when
# something fails.
TESTUSER       = $(shell id -un postgres 2>/dev/null || echo nobody)

.PHONY: installcheck
installcheck test demo bench coverage chaos valgrind receivers:
	@dir=$$(mktemp -d /tmp/webhook-$@.XXXXXX) && \
	tar -cf - $(COPY_WITHOUT) . | \
	    tar -xf - -C "$$dir" && chown -R $(TESTUSER) "$$dir" && \
	if su -s /bin/sh $(TESTUSER) -c "cd '$$dir' && $(MAKE) COPY='$$dir' --no-print-directory $@" \
	    $(if $(filter bench,$@),&& bench/table "$$dir/build/bench.figures"); then \
	    $(if $(filter-out 0,$(KEEP)),:,rm -rf "$$dir"); \
	else \
	    echo "kept for a look: $$dir" >&2; exit 1; \
	fi

endif
endif
