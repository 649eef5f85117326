# valgrind.mk
#	  Suites whose servers run under valgrind's memcheck, and one without it that
#	  looks whether a worker's memory grows.
#
# Everything takes some twenty times as long, so an assertion about time may
# fail: what counts is what memcheck says of our own code.  The bounds of how long
# a test waits are raised.

VALGRIND_LOGS  = $(CURDIR)/build/valgrind
VALGRIND_TESTS = test/t/020_deliver.pl test/t/070_subscription_options.pl \
                 test/t/080_circuit_breaker.pl test/t/140_copied_database.pl test/t/230_privileges.pl

GROWTH_TESTS   = test/valgrind/growth.pl

valgrind: stage
	@command -v valgrind >/dev/null || { \
	    echo 'make: it needs valgrind; Debian: apt-get install valgrind' >&2; exit 1; }
	@test -z '$(GROWTH_TESTS)' || $(CHECK) REGRESS= ISOLATION= PROVE_TESTS='$(GROWTH_TESTS)'
	@rm -rf '$(VALGRIND_LOGS)' && mkdir -p '$(VALGRIND_LOGS)'
	@cd '$(STAGE)$(bindir)' && mv postgres postgres.bin && \
	    cp '$(CURDIR)/test/valgrind/postgres' postgres && chmod +x postgres
	@VALGRIND_LOGS='$(VALGRIND_LOGS)' VALGRIND_SUPPRESSIONS='$(CURDIR)/test/valgrind/suppressed.txt' \
	    PG_TEST_TIMEOUT_DEFAULT=900 PGCTLTIMEOUT=600 \
	    $(CHECK) REGRESS= ISOLATION= PROVE_TESTS='$(VALGRIND_TESTS)'; \
	    perl test/valgrind/report.pl '$(VALGRIND_LOGS)'
