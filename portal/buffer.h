/*
 * buffer.h
 *	  Bytes that grow at the end and are taken from the front.
 *
 * A buffer is ready for use when all of its fields are zero.  Who has no memory left
 * ends the program: it has no state that would be lost but its sessions.
 */
#ifndef PORTAL_BUFFER_H
#define PORTAL_BUFFER_H

#include <stddef.h>

typedef struct PortalBuffer
{
	char	   *data;			/* with a NUL behind it; NULL: nothing was added yet */
	size_t		length;			/* without the NUL */
	size_t		room;			/* of what is allocated */
} PortalBuffer;

/* malloc() of zeroes that does not return without memory. */
extern void *portal_new(size_t size);

/* A copy of a string, NULL for NULL. */
extern char *portal_copy(const char *text);

extern void portal_buffer_add(PortalBuffer *buffer, const char *bytes, size_t length);
extern void portal_buffer_text(PortalBuffer *buffer, const char *text);

/* Give back what is allocated for more. */
extern void portal_buffer_fit(PortalBuffer *buffer);

/* Take bytes, at most all of them, from the front. */
extern void portal_buffer_drop(PortalBuffer *buffer, size_t length);
extern void portal_buffer_free(PortalBuffer *buffer);

#endif							/* PORTAL_BUFFER_H */
