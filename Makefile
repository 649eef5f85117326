# Makefile for the webhook extension
#
#   make                build
#   make install        install into the server that pg_config belongs to
#   make installcheck   run the server's tests against that installation
#   make test           run all tests, without installing anything
#   make demo           watch a contract being signed (KEEP=1: and look around)
#   make bench          measure (BENCH=isolation: only bench/isolation)
#   make fuzz           look for inputs that break a promise (FUZZ_SECONDS=30 a
#                       target, FUZZ=url: only test/fuzz/url.c); needs clang
#   make stage          a private copy of the server with the extension in it
#   make sql            put the install script together from sql/parts
#   make clean
#
# PG_CONFIG=/path/to/pg_config chooses among several servers.  Only a part of
# the tests: make test REGRESS= ISOLATION= UNITS= PROVE_TESTS=test/t/002*

EXTENSION      = webhook
MODULE_big     = webhook
DATA           = $(wildcard sql/webhook--*.sql)
SCRIPT         = sql/webhook--1.0.sql

# What knows nothing of PostgreSQL: the endpoint's rules and the HTTP engine.
# It is all of the second library, webhook_http, which alone is linked to
# libcurl and loaded by the worker only.  The rules are in both.
RULES          = $(patsubst %.c,%.o,$(wildcard src/net/*.c))
ENGINE         = $(patsubst %.c,%.o,$(filter-out src/http/module.c,$(wildcard src/http/*.c)))
FREE           = $(RULES) $(ENGINE)
HTTP_OBJS      = $(FREE) src/http/module.o
HTTP_LIB       = webhook_http$(DLSUFFIX)
OBJS           = $(filter-out $(ENGINE) src/http/module.o,$(patsubst %.c,%.o,$(wildcard src/*.c src/*/*.c)))

# The last three come from the server's own headers.
WARNINGS       = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
PG_CFLAGS      = $(WARNINGS) -iquote src
CURL_CPPFLAGS  = $(shell curl-config --cflags)
CURL_LIBS      = $(shell curl-config --libs)

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
PROVE_TESTS    = test/t/*.pl
FUZZ           = $(patsubst test/fuzz/%.c,%,$(filter-out %/replay.c,$(wildcard test/fuzz/*.c)))
UNITS          = $(patsubst test/unit/%.c,build/%,$(wildcard test/unit/*.c)) $(FUZZ:%=build/replay-%)
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

ifeq ($(PGXS),)
.PHONY: all install uninstall installcheck stage test demo bench fuzz clean
all install uninstall installcheck stage test demo bench fuzz clean:
	@echo 'make: no server to build for: $(PG_CONFIG) --pgxs names nothing' >&2
	@echo 'Install the packages that "sh test/demo" would, or say PG_CONFIG=/path/to/pg_config.' >&2
	@exit 1
else

include $(PGXS)

# Packaged servers are built without dependency tracking.
$(sort $(OBJS) $(HTTP_OBJS)): $(wildcard src/*.h src/*/*.h) Makefile

# No server header is even in reach.
$(FREE): override CPPFLAGS = -iquote src $(CURL_CPPFLAGS)

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

# What has no PostgreSQL in it is tested as plain C, once as it is built and
# once under the sanitizers.
UNIT_CC        = $(CC) -g $(WARNINGS) -iquote src $(CURL_CPPFLAGS)
UNIT_SOURCES   = $(FREE:.o=.c)
UNIT_LIBS      = $(CURL_LIBS) -lpthread
SANITIZE       = -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all

build/%: test/unit/%.c $(UNIT_SOURCES) $(wildcard src/*.h src/*/*.h test/unit/*.h) Makefile
	@mkdir -p build
	$(UNIT_CC) -O2 -o $@ $< $(UNIT_SOURCES) $(UNIT_LIBS)
build/%-sanitized: test/unit/%.c $(UNIT_SOURCES) $(wildcard src/*.h src/*/*.h test/unit/*.h) Makefile
	@mkdir -p build
	$(UNIT_CC) $(SANITIZE) -fsanitize=address,undefined -o $@ $< $(UNIT_SOURCES) $(UNIT_LIBS)

# What is hostile, invented by a fuzzer from the kept corpus; and that corpus
# alone, as a test. What breaks a promise is left in build/fuzz, and belongs
# into the corpus with the change that keeps the promise.
FUZZ_CC        = clang
FUZZ_SECONDS   = 30
FUZZ_NEEDS     = $(UNIT_SOURCES) $(wildcard src/*.h src/*/*.h test/unit/*.h test/fuzz/*.h) Makefile
FUZZ_CPPFLAGS  = -iquote src -Itest/unit $(CURL_CPPFLAGS) -DTARGET='"$(patsubst %-sanitized,%,$*)"'

build/replay-%: test/fuzz/%.c test/fuzz/replay.c $(FUZZ_NEEDS)
	@mkdir -p build
	$(UNIT_CC) $(FUZZ_CPPFLAGS) -O2 -o $@ $< test/fuzz/replay.c $(UNIT_SOURCES) $(UNIT_LIBS)
build/replay-%-sanitized: test/fuzz/%.c test/fuzz/replay.c $(FUZZ_NEEDS)
	@mkdir -p build
	$(UNIT_CC) $(FUZZ_CPPFLAGS) $(SANITIZE) -fsanitize=address,undefined \
	    -o $@ $< test/fuzz/replay.c $(UNIT_SOURCES) $(UNIT_LIBS)
build/fuzz/%: test/fuzz/%.c $(FUZZ_NEEDS)
	@mkdir -p build/fuzz
	$(FUZZ_CC) -g $(WARNINGS) $(FUZZ_CPPFLAGS) $(SANITIZE) -fsanitize=fuzzer,address,undefined \
	    -o $@ $< $(UNIT_SOURCES) $(UNIT_LIBS)

.PHONY: fuzz fuzz-clang
fuzz-clang:
	@command -v $(FUZZ_CC) >/dev/null || { \
	    echo 'make: fuzzing needs clang with its run-time library; Debian: apt-get install clang' >&2; \
	    exit 1; }
fuzz: | fuzz-clang
	@$(MAKE) -s --no-print-directory $(FUZZ:%=build/fuzz/%)
	@for target in $(FUZZ); do \
	    mkdir -p "build/fuzz/corpus/$$target" && echo "== $$target" && \
	    build/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=1024 \
	        -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/$$target-" \
	        $$(test ! -e test/fuzz/$$target.dict || echo "-dict=test/fuzz/$$target.dict") \
	        "build/fuzz/corpus/$$target" "test/fuzz/corpus/$$target" || exit; \
	done

# A worker on a fake clock: its rooms, loaded into a session. Assertions are on
# in them, whatever the server was built with.
CLOCK          = build/clock$(DLSUFFIX)
CLOCK_ROOMS    = net/address net/address_list worker/attempt worker/commands ring/command delivery/dispatch net/url ring/event subscription/guard base/guc delivery/health worker/reader delivery/queue delivery/evict worker/loader delivery/subject delivery/transitions ring/progress base/redact delivery/scheduler delivery/saving worker/sender base/snapshot delivery/retry_policy worker/writer
CLOCK_SOURCES  = $(wildcard test/clock/*.c) $(CLOCK_ROOMS:%=src/%.c)
CLOCK_CPPFLAGS = -iquote src -DUSE_ASSERT_CHECKING=1 -DGetCurrentTimestamp=webhook_clock_now \
                 -Dload_external_function=webhook_clock_load

$(CLOCK): $(CLOCK_SOURCES) $(wildcard src/*.h src/*/*.h test/clock/*.h) Makefile
	@mkdir -p build
	$(LINK.shared) $(CFLAGS_SL) $(CLOCK_CPPFLAGS) $(CPPFLAGS) -o $@ $(CLOCK_SOURCES) \
	    $(LDFLAGS) $(LDFLAGS_SL) $(BE_DLLLIBS)

.PHONY: test demo bench
ifeq ($(ROOT),)

CHECK          = $(MAKE) -s --no-print-directory installcheck bindir='$(STAGE)$(bindir)'

installcheck: $(CLOCK)

test: stage $(UNITS) $(UNITS:=-sanitized) $(CLOCK)
	@perl test/suites.pl \
	    $(if $(strip $(UNITS)),"C units" "$(PROVE) --exec '' $(UNITS) $(UNITS:=-sanitized)") \
	    $(if $(strip $(REGRESS)),"pg_regress" "$(CHECK) ISOLATION= TAP_TESTS=") \
	    $(if $(strip $(ISOLATION)),"isolation" "$(CHECK) REGRESS= TAP_TESTS=") \
	    $(if $(strip $(PROVE_TESTS)),"TAP" "$(CHECK) REGRESS= ISOLATION=")

demo: stage
	@perl test/demo.pl '$(STAGE)$(bindir)' $(if $(filter-out 0,$(KEEP)),--keep '$(COPY)')

BENCH          = run isolation

bench: stage
	@for name in $(BENCH); do \
	    PATH='$(STAGE)$(bindir)':"$$PATH" PG_CONFIG='$(bindir)/pg_config' "bench/$$name" || exit; \
	done

else

# As root: the same as somebody else, in a copy of the tree that is kept when
# something fails.
TESTUSER       = $(shell id -un postgres 2>/dev/null || echo nobody)

.PHONY: installcheck
installcheck test demo bench:
	@dir=$$(mktemp -d /tmp/webhook-$@.XXXXXX) && \
	tar -cf - --exclude=./.git --exclude=./stage --exclude=./build --exclude=./tmp_check . | \
	    tar -xf - -C "$$dir" && chown -R $(TESTUSER) "$$dir" && \
	if su -s /bin/sh $(TESTUSER) -c "cd '$$dir' && $(MAKE) COPY='$$dir' --no-print-directory $@"; then \
	    $(if $(filter-out 0,$(KEEP)),:,rm -rf "$$dir"); \
	else \
	    echo "kept for a look: $$dir" >&2; exit 1; \
	fi

endif
endif
