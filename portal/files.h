/*
 * files.h
 *	  The pages, which are compiled in: portal/files.sh makes the list of them.
 */
#ifndef PORTAL_FILES_H
#define PORTAL_FILES_H

#include <stddef.h>

typedef struct PortalFile
{
	const char *path;			/* below www/ */
	const char *type;			/* its Content-Type */
	const char *etag;			/* with its quotes */
	const unsigned char *begin;
	const unsigned char *end;
} PortalFile;

/* The last one's path is NULL. */
extern const PortalFile portal_files[];

#endif							/* PORTAL_FILES_H */
