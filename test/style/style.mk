# style.mk
#	  How files look.  The indenter is PostgreSQL's pg_bsd_indent; where it is not
#	  installed, the check says so and looks at the rest.

.PHONY: indent format-check typedefs

# None: all C files of src, test and bench.
FILES          =

indent:
	@perl test/style/indent.pl $(FILES)

format-check:
	@prove test/style/text.pl test/style/indent.pl :: --check

TYPEDEF_FLAGS  = -D_GNU_SOURCE -DTARGET="" -iquote src -Itest/unit $(CURL_CPPFLAGS) \
                 -I$(includedir_server) -I$(includedir)

typedefs:
	@COMPILE='$(CC) $(TYPEDEF_FLAGS)' perl test/style/typedefs.pl
