# analyze.mk
#	  Programs that read ours and find mistakes: gcc's analyzer, cppcheck and
#	  shellcheck; and Perl's compiler.  One that is not installed is left out, and
#	  named.
#
# clang's analyzer takes five times as long and found nothing more in src.

.PHONY: analyze
analyze:
	@COMPILE='$(CC) $(WARNINGS) $(ANY_C_FLAGS)' SERVER_PERL='$(dir $(PGXS))../test/perl' \
	    $(PROVE) -j2 $(wildcard test/analyze/*.pl)
