/*
 * log.c
 *	  What the portal says of itself.
 */
#include "portal/log.h"

#include <stdio.h>

#include "portal/buffer.h"

static void
add(PortalBuffer *line, const char *text)
{
	for (; *text != '\0'; text++)
	{
		unsigned char byte = *text;

		portal_buffer_add(line, byte < ' ' || byte == 0x7F ? "?" : text, 1);
	}
}

void
portal_log(const char *what, const char *role, const char *from)
{
	PortalBuffer line = {0};

	add(&line, "webhook_portal: ");
	if (role != NULL)
	{
		add(&line, "role \"");
		add(&line, role);
		add(&line, "\"");
		if (from != NULL)
		{
			add(&line, " from ");
			add(&line, from);
		}
		add(&line, ": ");
	}
	add(&line, what);
	portal_buffer_text(&line, "\n");
	fputs(line.data, stderr);
	portal_buffer_free(&line);
}
