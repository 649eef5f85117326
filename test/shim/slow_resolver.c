/*
 * slow_resolver.c
 *	  A resolver that does not answer for names below slow.invalid.
 *
 * All other names go to the C library's. To be preloaded into the server
 * (LD_PRELOAD): the C library has no setting by which one process could ask
 * another name server than the rest of the machine does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#define SILENT_SECONDS	120		/* longer than any request may take here */

int
getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	static const char suffix[] = ".slow.invalid";
	size_t		length = name ? strlen(name) : 0;
	int			(*usual) (const char *, const char *, const struct addrinfo *,
						  struct addrinfo **);

	if (length >= sizeof(suffix) - 1 &&
		strcmp(name + length - (sizeof(suffix) - 1), suffix) == 0)
	{
		sleep(SILENT_SECONDS);
		return EAI_AGAIN;
	}
	*(void **) &usual = dlsym(RTLD_NEXT, "getaddrinfo");
	return usual(name, service, hints, result);
}
