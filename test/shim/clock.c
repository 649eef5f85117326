/*
 * clock.c
 *	  A clock that a test can set, for one server alone.
 *
 * gettimeofday(), which is what PostgreSQL asks, returns the true time plus as
 * many seconds as the file named by TEST_CLOCK holds, a long in the machine's
 * order of bytes. Each process maps the file, so all see a change at once. To
 * be preloaded into the server (LD_PRELOAD).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	static volatile long *offset;

	if (offset == NULL)
	{
		int			fd = open(getenv("TEST_CLOCK"), O_RDONLY);

		offset = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	syscall(SYS_gettimeofday, tv, tz);
	tv->tv_sec += *offset;
	return 0;
}
