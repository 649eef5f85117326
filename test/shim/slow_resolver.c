/*
 * slow_resolver.c
 *	  A resolver that takes a minute to fail for names below slow.invalid.
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

int
getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	int			(*usual) (const char *, const char *, const struct addrinfo *,
						  struct addrinfo **);

	if (name != NULL && strstr(name, "slow.invalid") != NULL)
	{
		sleep(60);
		return EAI_AGAIN;
	}
	*(void **) &usual = dlsym(RTLD_NEXT, "getaddrinfo");
	return usual(name, service, hints, result);
}
