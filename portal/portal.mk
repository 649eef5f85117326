# portal.mk
#	  The portal: a program of its own, which only who wants it builds and installs.
#
#   make portal             webhook_portal, in build/portal
#   make install-portal     the program, its man page and its systemd unit; it is no part of
#                           one server, so portal_prefix is /usr/local
#   make portal-check       its tests alone, against the server of "make stage"

PORTAL_PROGRAM  = build/portal/webhook_portal
PORTAL_SOURCES  = $(wildcard portal/*.c)
PORTAL_HEADERS  = $(wildcard portal/*.h) Makefile portal/portal.mk
PORTAL_WWW      = $(shell find portal/www -type f 2>/dev/null)
PORTAL_CPPFLAGS = -D_GNU_SOURCE -iquote . -I$(includedir)
PORTAL_HARDEN   = -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2
PORTAL_LDFLAGS  = -pie -Wl,-z,relro,-z,now
PORTAL_LIBS     = -lmicrohttpd -L$(libdir) -lpq
PORTAL_CC       = $(CC) -g $(WARNINGS) $(COPT) $(PORTAL_CPPFLAGS)
PORTAL_ROUTES   = $(shell find portal/routes -name '*.sql' 2>/dev/null)
PORTAL_MADE     = files routes
PORTAL_OBJS     = $(PORTAL_SOURCES:portal/%.c=build/portal/%.o) $(PORTAL_MADE:%=build/portal/%.o)

portal_prefix  ?= /usr/local
portal_bindir   = $(portal_prefix)/bin
portal_man8dir  = $(portal_prefix)/share/man/man8
systemddir      = $(shell pkg-config --variable=systemdsystemunitdir systemd 2>/dev/null)

# An empty systemddir= asks for no unit.
ifeq ($(origin systemddir),file)
NO_UNIT         = @echo 'pkg-config does not say where units of systemd are, so none is installed: give systemddir=DIRECTORY' >&2
endif

HAS_MICROHTTPD  = $(shell $(CC) -E -include microhttpd.h -x c /dev/null >/dev/null 2>&1 && echo yes)

.PHONY: portal install-portal uninstall-portal
portal: $(PORTAL_PROGRAM)
ifeq ($(HAS_MICROHTTPD),yes)
$(PORTAL_PROGRAM): $(PORTAL_OBJS)
	$(PORTAL_CC) -O2 -o $@ $(PORTAL_OBJS) $(PORTAL_LDFLAGS) $(PORTAL_LIBS)
else
$(PORTAL_PROGRAM):
	@echo 'the portal needs libmicrohttpd (Debian: libmicrohttpd-dev)' >&2; false
endif

build/portal/files.c: $(PORTAL_WWW) docs/receivers.md
build/portal/routes.c: $(PORTAL_ROUTES)
$(PORTAL_MADE:%=build/portal/%.c): build/portal/%.c: portal/%.sh
	@mkdir -p $(@D)
	sh portal/$*.sh > $@.new && mv $@.new $@
$(PORTAL_MADE:%=build/portal/%.o): build/portal/%.o: build/portal/%.c $(PORTAL_HEADERS)
	$(PORTAL_CC) $(PORTAL_HARDEN) -O2 -c -o $@ $<
build/portal/%.o: portal/%.c $(PORTAL_HEADERS)
	@mkdir -p $(@D)
	$(PORTAL_CC) $(PORTAL_HARDEN) -O2 -c -o $@ $<

install-portal: $(PORTAL_PROGRAM)
	$(MKDIR_P) '$(DESTDIR)$(portal_bindir)' '$(DESTDIR)$(portal_man8dir)'
	$(INSTALL_PROGRAM) $(PORTAL_PROGRAM) '$(DESTDIR)$(portal_bindir)/webhook_portal'
	$(INSTALL_DATA) portal/webhook-portal.8 '$(DESTDIR)$(portal_man8dir)/webhook-portal.8'
	$(if $(systemddir),$(MKDIR_P) '$(DESTDIR)$(systemddir)' && \
	    sed 's|@bindir@|$(portal_bindir)|' portal/webhook-portal.service \
	        > '$(DESTDIR)$(systemddir)/webhook-portal.service',$(NO_UNIT))
uninstall-portal:
	rm -f '$(DESTDIR)$(portal_bindir)/webhook_portal' \
	    '$(DESTDIR)$(portal_man8dir)/webhook-portal.8' \
	    $(if $(systemddir),'$(DESTDIR)$(systemddir)/webhook-portal.service')

# The tests: the server with routes of their own, under the sanitizers.
PORTAL_TESTED   = build/portal/test/webhook_portal
PORTAL_TEST_OBJS = $(PORTAL_SOURCES:portal/%.c=build/portal/test/%.o) \
                  build/portal/test/files.o build/portal/test/routes.o
PORTAL_TESTS    = test/portal/t/*.pl

# The same with the pages' own statements, for the tests in a browser.
PORTAL_PAGES    = build/portal/test/webhook_portal_pages
# Two run at once: the longest ones come first, so that both of the last two are short.
PORTAL_LONGEST  = 060_tenants 010_pages 030_looks 020_sessions
PORTAL_BROWSER_TESTS = $(PORTAL_LONGEST:%=test/portal/browser/%.pl) $(sort $(filter-out \
                       $(PORTAL_LONGEST:%=test/portal/browser/%.pl),$(wildcard test/portal/browser/*.pl)))

$(PORTAL_PAGES): $(filter-out %/routes.o,$(PORTAL_TEST_OBJS)) build/portal/test/routes-of-pages.o
	$(PORTAL_CC) $(SANITIZE) $(SANITIZERS) -o $@ $^ $(PORTAL_LIBS)
build/portal/test/routes-of-pages.o: build/portal/routes.c $(PORTAL_HEADERS)
	@mkdir -p $(@D)
	$(PORTAL_CC) $(SANITIZE) $(SANITIZERS) -c -o $@ $<

# Plain C again, as in unit.mk: what knows neither of the two libraries.
PORTAL_FREE     = buffer text secret address times request crowd
PORTAL_UNITS    = $(patsubst test/portal/unit/%.c,build/portal/unit/%,$(wildcard test/portal/unit/*.c)) \
                  $(patsubst test/portal/fuzz/%.c,build/portal/unit/replay-%,$(wildcard test/portal/fuzz/*.c))

build/portal/unit/%: test/portal/unit/%.c $(PORTAL_FREE:%=build/portal/test/%.o) $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(PORTAL_CC) -Itest/unit $(SANITIZE) $(SANITIZERS) -o $@ $< $(PORTAL_FREE:%=build/portal/test/%.o)
build/portal/unit/replay-%: test/portal/fuzz/%.c test/fuzz/replay.c \
    $(PORTAL_FREE:%=build/portal/test/%.o) $(FUZZ_HEADERS)
	@mkdir -p $(@D)
	$(PORTAL_CC) -Itest/unit -Itest/fuzz -DTARGET='"$*"' \
	    -DCORPUS='"test/portal/fuzz/corpus/$*"' $(SANITIZE) $(SANITIZERS) -o $@ \
	    $< test/fuzz/replay.c $(PORTAL_FREE:%=build/portal/test/%.o)
build/fuzz/portal-%: test/portal/fuzz/%.c $(PORTAL_FREE:%=portal/%.c) $(FUZZ_HEADERS)
	@mkdir -p $(@D)
	$(FUZZ_CC) -g $(WARNINGS) $(PORTAL_CPPFLAGS) -Itest/unit -Itest/fuzz \
	    $(SANITIZE) -fsanitize=fuzzer,address,undefined -o $@ $< $(PORTAL_FREE:%=portal/%.c)

.PHONY: portal-check
# Without the library's development files there is nothing to test.
ifeq ($(HAS_MICROHTTPD),yes)
# Those of portal/t wait most of the time, those in a browser do not.
portal-check: $(PORTAL_PROGRAM) $(PORTAL_TESTED) $(PORTAL_PAGES) $(PORTAL_UNITS)
	@status=0; $(PROVE) -j2 --exec '' $(PORTAL_UNITS) || status=$$?; \
	PGBIN='$(STAGE)$(bindir)' PORTAL='$(CURDIR)/$(PORTAL_TESTED)' \
	    $(PROVE) -j4 --timer $(PORTAL_TESTS) || status=$$?; \
	PGBIN='$(STAGE)$(bindir)' PORTAL='$(CURDIR)/$(PORTAL_PAGES)' \
	    $(PROVE) -j2 --timer $(PORTAL_BROWSER_TESTS) || status=$$?; exit $$status
else
portal-check:
	@echo 'portal .. skipped: libmicrohttpd is not installed (Debian: libmicrohttpd-dev)'
endif

build/portal/test/routes.o: test/portal/routes.c $(PORTAL_HEADERS)
	@mkdir -p $(@D)
	$(PORTAL_CC) $(SANITIZE) $(SANITIZERS) -c -o $@ $<
build/portal/test/files.o: build/portal/files.c $(PORTAL_HEADERS)
	@mkdir -p $(@D)
	$(PORTAL_CC) $(SANITIZE) $(SANITIZERS) -c -o $@ $<
# A client that does not read is waited for ten seconds, not a minute, and a file for 20.
build/portal/test/%.o: portal/%.c $(PORTAL_HEADERS)
	@mkdir -p $(@D)
	$(PORTAL_CC) -DPORTAL_TO_READ=10000 -DPORTAL_TO_SAVE=20000 $(SANITIZE) $(SANITIZERS) -c -o $@ $<
$(PORTAL_TESTED): $(PORTAL_TEST_OBJS)
	$(PORTAL_CC) $(SANITIZE) $(SANITIZERS) -o $@ $(PORTAL_TEST_OBJS) $(PORTAL_LIBS)
