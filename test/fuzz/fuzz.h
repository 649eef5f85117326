/*
 * fuzz.h
 *	  What a fuzz target says: FUZZ_CHECK() what must hold for any input.
 *
 * A target is the function below, libFuzzer's entry point. "make fuzz" links
 * it to libFuzzer, "make test" to replay.c, which gives it the kept corpus.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define FUZZ_CHECK(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: this does not hold: %s\n", \
					__FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif							/* FUZZ_H */
