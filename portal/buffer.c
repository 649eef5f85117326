/*
 * buffer.c
 *	  Bytes that grow at the end and are taken from the front.
 */
#include "portal/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
out_of_memory(void)
{
	fputs("webhook_portal: out of memory\n", stderr);
	exit(1);
}

void *
portal_new(size_t size)
{
	void	   *memory = calloc(1, size);

	if (memory == NULL)
		out_of_memory();
	return memory;
}

char *
portal_copy(const char *text)
{
	char	   *copy;

	if (text == NULL)
		return NULL;
	copy = strdup(text);
	if (copy == NULL)
		out_of_memory();
	return copy;
}

void
portal_buffer_add(PortalBuffer *buffer, const char *bytes, size_t length)
{
	if (buffer->room - buffer->length <= length)
	{
		size_t		room = (buffer->length + length) * 2 + 64;
		char	   *data = realloc(buffer->data, room);

		if (data == NULL)
			out_of_memory();
		buffer->data = data;
		buffer->room = room;
	}
	if (length > 0)
		memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
	buffer->data[buffer->length] = '\0';
}

void
portal_buffer_text(PortalBuffer *buffer, const char *text)
{
	portal_buffer_add(buffer, text, strlen(text));
}

void
portal_buffer_fit(PortalBuffer *buffer)
{
	char	   *data = buffer->data == NULL ? NULL : realloc(buffer->data, buffer->length + 1);

	if (data == NULL)
		return;
	buffer->data = data;
	buffer->room = buffer->length + 1;
}

void
portal_buffer_drop(PortalBuffer *buffer, size_t length)
{
	if (length >= buffer->length)
	{
		portal_buffer_free(buffer);
		return;
	}
	memmove(buffer->data, buffer->data + length, buffer->length - length + 1);
	buffer->length -= length;
}

void
portal_buffer_free(PortalBuffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}
