# coverage.mk
#	  Which lines the tests run: they run in a copy of the tree that is built with
#	  gcc's counters.
#
# A process adds its counts when it exits; of those that a test kills, what they
# had run is not counted.

COVERAGE       = build/coverage

# A library's counters are its own.
COUNTED        = --coverage -Og -Wl,--exclude-libs,ALL

coverage:
	@rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)
	@tar -cf - $(COPY_WITHOUT) --exclude='*.o' --exclude='*$(DLSUFFIX)' . | tar -xf - -C $(COVERAGE)
	@$(MAKE) -s --no-print-directory -C $(COVERAGE) CHECKS= COPT='$(COUNTED)' test; \
	    status=$$?; perl test/coverage/coverage.pl $(COVERAGE) && exit $$status
