# clock.mk
#	  A worker on a fake clock, loaded into a session: the worker's own files, but
#	  for what the files of this folder play.
#
# Assertions are on in them, whatever the server was built with.

CLOCK          = build/clock$(DLSUFFIX)

# Whole folders, from which is left out what has its double here or does nothing
# without a process and its tables; and single files of folders that are played.
CLOCK_PLAYED   = src/base/acting.c src/base/acting_hooks.c src/base/caller.c src/base/catalog.c \
                 src/base/steady.c src/base/table.c src/base/tenant.c \
                 src/worker/worker.c src/worker/maintenance.c src/worker/notify.c \
                 src/worker/own_events.c \
                 src/worker/origin.c src/worker/transaction.c
CLOCK_ROOMS    = $(filter-out $(CLOCK_PLAYED),$(wildcard \
                     src/base/*.c src/net/*.c src/delivery/*.c src/worker/*.c)) \
                 src/process/changes.c src/process/metrics.c src/ring/command.c src/ring/event.c src/ring/progress.c src/ring/tail.c \
                 src/subscription/guard.c
CLOCK_SOURCES  = $(wildcard test/clock/*.c) $(CLOCK_ROOMS)
CLOCK_CPPFLAGS = -iquote src -DUSE_ASSERT_CHECKING=1 -DGetCurrentTimestamp=webhook_clock_now \
                 -Dload_external_function=webhook_clock_load

$(CLOCK): $(CLOCK_SOURCES) $(OUR_HEADERS) $(wildcard test/clock/*.h) Makefile test/clock/clock.mk
	@mkdir -p build
	$(LINK.shared) $(CFLAGS_SL) $(CLOCK_CPPFLAGS) $(CPPFLAGS) -o $@ $(CLOCK_SOURCES) \
	    $(LDFLAGS) $(LDFLAGS_SL) $(BE_DLLLIBS)
