/*
 * request.h
 *	  The rules of requests: which are refused before anybody looks at what they ask
 *	  for, and what the others ask for.
 *
 * Nothing here knows the HTTP library or the database.
 */
#ifndef PORTAL_REQUEST_H
#define PORTAL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "portal/secret.h"

#define PORTAL_MAX_HEAD			32768	/* bytes of the request line and all headers */
#define PORTAL_MAX_TARGET		8192	/* bytes of the address in the request line */
#define PORTAL_MAX_BODY			65536	/* bytes */
#define PORTAL_MAX_HEADERS		100
#define PORTAL_MAX_PARAMETERS	32

/* Names and values are not ended by a NUL, but by their lengths. */
typedef struct PortalHeader
{
	const char *name;
	size_t		name_length;
	const char *value;
	size_t		value_length;
} PortalHeader;

/* A request as it came, without its body. */
typedef struct PortalHead
{
	const char *method;
	const char *target;			/* as in the request line, not decoded */
	size_t		bytes;			/* of request line and headers */
	const PortalHeader *headers;
	size_t		nheaders;
} PortalHead;

/* What the portal is told about itself; both lists end with NULL. */
typedef struct PortalRules
{
	const char *const *hosts;	/* values of Host, in lower case */
	const char *const *origins; /* values of Origin, in lower case */
	const char *cookie;			/* the name of the session's cookie */
} PortalRules;

typedef enum PortalKind
{
	PORTAL_FILE,				/* a file that is compiled in */
	PORTAL_HEALTH,				/* does the portal run? */
	PORTAL_API
} PortalKind;

typedef struct PortalParameter
{
	const char *name;
	const char *value;
} PortalParameter;

typedef struct PortalRequest
{
	PortalKind	kind;
	bool		writes;			/* a POST */
	bool		is_head;		/* a HEAD: the answer's body is not sent */
	const char *path;			/* of an API below api/, of a file below / */
	PortalParameter parameters[PORTAL_MAX_PARAMETERS];
	size_t		nparameters;
	char		token[PORTAL_TOKEN_LENGTH + 1]; /* of the cookie; empty: none */
	char		session[PORTAL_NAME_LENGTH + 2];	/* the name of the session that the client
													 * believes to have, cut behind what shows
													 * that it is none; empty: not said */
	size_t		body_length;	/* as Content-Length says */
	bool		is_automatic;	/* a page asks by itself: this is no use of the session */
	char	   *text;			/* holds path and parameters */
} PortalRequest;

typedef struct PortalRefusal
{
	unsigned	status;
	const char *message;
} PortalRefusal;

/*
 * Judge a request.  Returns NULL and fills in the request, or returns why it is
 * refused.  In both cases portal_request_free() is called.
 */
extern const PortalRefusal *portal_request_judge(const PortalRules *rules, const PortalHead *head,
												 PortalRequest *request);

/* Judge the body of a request: an object of JSON, as far as can be seen without parsing it. */
extern const PortalRefusal *portal_body_judge(const char *body, size_t length);

/*
 * Judge the keys of the object that the body is: each is one of the names, 64 at most, and
 * is there once.  A key with an escape is none of them.  What is no JSON is the database's
 * to refuse.
 */
extern const PortalRefusal *portal_keys_judge(const char *body, size_t length,
											  const char *const *names);

/* The header of that name that a request has, or NULL; of several the first or the last. */
extern const PortalHeader *portal_header_find(const PortalHead *head, const char *name);
extern const PortalHeader *portal_header_find_last(const PortalHead *head, const char *name);

extern void portal_request_free(PortalRequest *request);

#endif							/* PORTAL_REQUEST_H */
