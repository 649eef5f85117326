# unit.mk
#	  What has no PostgreSQL in it is tested as plain C: by the programs here, and
#	  by the fuzzers' targets in ../fuzz.
#
# Each is built twice, as the library is and under the sanitizers.

FUZZ           = $(patsubst test/fuzz/%.c,%,$(filter-out %/replay.c,$(wildcard test/fuzz/*.c)))
UNITS          = $(patsubst test/unit/%.c,build/%,$(wildcard test/unit/*.c)) $(FUZZ:%=build/replay-%)

UNIT_CC        = $(CC) -g $(WARNINGS) $(COPT) -iquote src $(CURL_CPPFLAGS)
UNIT_LIBS      = $(CURL_LIBS) -lpthread
SANITIZE       = -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all
SANITIZERS     = -fsanitize=address,undefined
UNIT_HEADERS   = $(OUR_HEADERS) $(wildcard test/unit/*.h) Makefile test/unit/unit.mk
PLAIN_OBJS     = $(FREE_SOURCES:src/%.c=build/plain/%.o)
SANITIZED_OBJS = $(FREE_SOURCES:src/%.c=build/sanitized/%.o)

.SECONDARY: $(PLAIN_OBJS) $(SANITIZED_OBJS)

build/plain/%.o: src/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) -O2 -c -o $@ $<
build/sanitized/%.o: src/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(SANITIZE) $(SANITIZERS) -c -o $@ $<

build/%: test/unit/%.c $(PLAIN_OBJS) $(UNIT_HEADERS)
	$(UNIT_CC) -O2 -o $@ $< $(PLAIN_OBJS) $(UNIT_LIBS)
build/%-sanitized: test/unit/%.c $(SANITIZED_OBJS) $(UNIT_HEADERS)
	$(UNIT_CC) $(SANITIZE) $(SANITIZERS) -o $@ $< $(SANITIZED_OBJS) $(UNIT_LIBS)

# A fuzzer invents hostile input from the kept corpus; replay.c goes through that
# corpus alone, as a test.  What breaks a promise is left in build/fuzz, and
# belongs into the corpus with the change that keeps the promise.
FUZZ_CC        = clang
FUZZ_SECONDS   = 30
FUZZ_HEADERS   = $(UNIT_HEADERS) $(wildcard test/fuzz/*.h)
FUZZ_CPPFLAGS  = -iquote src -Itest/unit $(CURL_CPPFLAGS) -DTARGET='"$(patsubst %-sanitized,%,$*)"'

build/replay-%: test/fuzz/%.c test/fuzz/replay.c $(PLAIN_OBJS) $(FUZZ_HEADERS)
	$(UNIT_CC) $(FUZZ_CPPFLAGS) -O2 -o $@ $< test/fuzz/replay.c $(PLAIN_OBJS) $(UNIT_LIBS)
build/replay-%-sanitized: test/fuzz/%.c test/fuzz/replay.c $(SANITIZED_OBJS) $(FUZZ_HEADERS)
	$(UNIT_CC) $(FUZZ_CPPFLAGS) $(SANITIZE) $(SANITIZERS) -o $@ $< test/fuzz/replay.c \
	    $(SANITIZED_OBJS) $(UNIT_LIBS)
build/fuzz/%: test/fuzz/%.c $(FREE_SOURCES) $(FUZZ_HEADERS)
	@mkdir -p build/fuzz
	$(FUZZ_CC) -g $(WARNINGS) $(FUZZ_CPPFLAGS) $(SANITIZE) -fsanitize=fuzzer,address,undefined \
	    -o $@ $< $(FREE_SOURCES) $(UNIT_LIBS)

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
