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

typedefs:
	@COMPILE='$(CC) $(ANY_C_FLAGS)' perl test/style/typedefs.pl
