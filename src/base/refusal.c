/*
 * refusal.c
 *	  How much of a value an error repeats.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/refusal.h"

/* The most bytes of a value that a message repeats. */
#define SHOWN_BYTES		200

char *
webhook_clip(const char *value)
{
	int			length = strlen(value);
	int			shown = pg_mbcliplen(value, length, SHOWN_BYTES);

	return psprintf("%.*s%s", shown, value, shown < length ? "..." : "");
}
