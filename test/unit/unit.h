/*
 * unit.h
 *	  TAP from plain C: ok(), is_int(), is_text(), then return unit_done(); and
 *	  time, in seconds by a steady clock: now(), pause_ms(); unit_show() makes any
 *	  text printable.
 */
#ifndef UNIT_H
#define UNIT_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int	unit_tests = 0;
static int	unit_failures = 0;

static void unit_result(bool passed, const char *format, va_list args)
			__attribute__((format(printf, 2, 0)));
static bool ok(bool passed, const char *format,...)
			__attribute__((format(printf, 2, 3), unused));
static bool is_int(long long got, long long expected, const char *format,...)
			__attribute__((format(printf, 3, 4), unused));
static bool is_text(const char *got, const char *expected,
					const char *format,...)
			__attribute__((format(printf, 3, 4), unused));
static int	unit_done(void) __attribute__((unused));
static const char *unit_show(const char *bytes) __attribute__((unused));
static double now(void) __attribute__((unused));
static void pause_ms(long ms) __attribute__((unused));

static void
unit_result(bool passed, const char *format, va_list args)
{
	unit_tests++;
	if (!passed)
		unit_failures++;
	printf("%sok %d - ", passed ? "" : "not ", unit_tests);
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
}

static bool
ok(bool passed, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	unit_result(passed, format, args);
	va_end(args);
	return passed;
}

static bool
is_int(long long got, long long expected, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	unit_result(got == expected, format, args);
	va_end(args);
	if (got != expected)
		printf("#   got %lld, expected %lld\n", got, expected);
	return got == expected;
}

static bool
is_text(const char *got, const char *expected, const char *format,...)
{
	bool		same = got && expected ? strcmp(got, expected) == 0 :
		got == expected;
	va_list		args;

	va_start(args, format);
	unit_result(same, format, args);
	va_end(args);
	if (!same)
		printf("#   got \"%s\"\n#   expected \"%s\"\n",
			   got ? got : "(null)", expected ? expected : "(null)");
	return same;
}

/* The plan, and what main() returns. */
static int
unit_done(void)
{
	printf("1..%d\n", unit_tests);
	return unit_failures > 0;
}

/* A text as a name of a test: "#" would begin a directive. Valid until the next call. */
static const char *
unit_show(const char *bytes)
{
	static char shown[400];
	size_t		used = 0;

	for (; *bytes && used < 100; bytes++)
	{
		if (*bytes < ' ' || *bytes > '~' || *bytes == '#')
			used += snprintf(shown + used, 5, "\\x%02x", *bytes & 0xff);
		else
			shown[used++] = *bytes;
	}
	shown[used] = '\0';
	return shown;
}

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void
pause_ms(long ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

#endif							/* UNIT_H */
