/*
 * main.c
 *	  webhook_portal: pages for the people of the extension webhook.
 *
 * One thread with one place to wait: for the HTTP server's descriptor, for the
 * connection of each session, and for the next time at which something is due.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "portal/buffer.h"
#include "portal/http.h"
#include "portal/log.h"
#include "portal/options.h"
#include "portal/session.h"
#include "portal/times.h"

/* How long those who have asked for something are waited for at the end. */
#define FAREWELL	3000		/* milliseconds */

static volatile sig_atomic_t stop_requested;

static void
request_stop(int signal_number)
{
	stop_requested = 1;
}

/* Signals come only while we wait, from before anybody can know that we listen. */
static void
take_signals(sigset_t *while_waiting)
{
	struct sigaction action = {.sa_handler = request_stop};
	sigset_t	blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, while_waiting);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

/* Passwords and tokens are in our memory: no core file, no debugger of the same user. */
static void
confine(void)
{
	struct rlimit files;
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
	{
		files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
		setrlimit(RLIMIT_NOFILE, &files);
	}

	/* libpq would take from these what a person has not typed. */
	unsetenv("PGUSER");
	unsetenv("PGPASSWORD");
	unsetenv("PGPASSFILE");
	unsetenv("PGOPTIONS");
}

static void
run(const PortalOptions *options, const sigset_t *while_waiting)
{
	size_t		room = portal_sessions_room(options) + 1;
	struct pollfd *fds = portal_new(room * sizeof(struct pollfd));
	int64_t		farewell = PORTAL_NEVER;

	for (;;)
	{
		size_t		nfds = 1;
		int64_t		due;
		int64_t		left;
		struct timespec timeout;

		portal_http_work();
		portal_sessions_work(options);
		if (stop_requested && farewell == PORTAL_NEVER)
		{
			portal_http_quiesce();
			farewell = portal_now() + FAREWELL;
		}
		if (farewell != PORTAL_NEVER &&
			(!portal_sessions_are_busy() || portal_now() >= farewell))
			break;

		portal_http_poll(&fds[0]);
		nfds += portal_sessions_poll(fds + 1, room - 1);
		due = portal_sessions_due(options);
		if (portal_http_due() < due)
			due = portal_http_due();
		if (farewell < due)
			due = farewell;
		left = due == PORTAL_NEVER ? 60000 : due - portal_now();
		left = left < 0 ? 0 : left > 60000 ? 60000 : left;
		timeout = (struct timespec)
		{
			.tv_sec = left / 1000,.tv_nsec = left % 1000 * 1000000
		};
		if (ppoll(fds, nfds, &timeout, while_waiting) < 0 && errno != EINTR)
		{
			portal_log(strerror(errno), NULL, NULL);
			break;
		}
	}
	free(fds);
}

int
main(int argc, char **argv)
{
	static PortalOptions options;
	const char *problem;
	char		line[500];
	sigset_t	while_waiting;

	portal_options_read(argc, argv, &options);
	if (geteuid() == 0)
	{
		portal_log("does not run as root", NULL, NULL);
		return 1;
	}
	confine();
	take_signals(&while_waiting);
	problem = portal_http_start(&options, portal_sessions_serve);
	if (problem != NULL)
	{
		snprintf(line, sizeof(line), "could not listen on %s:%u: %s", options.listen.host,
				 options.listen.port, problem);
		portal_log(line, NULL, NULL);
		return 1;
	}
	snprintf(line, sizeof(line), "listens on %s:%u, as %s", options.listen.host,
			 options.listen.port, options.origins[0]);
	portal_log(line, NULL, NULL);
	run(&options, &while_waiting);
	portal_sessions_stop();
	portal_http_work();
	portal_http_stop();
	portal_log("stopped", NULL, NULL);
	return 0;
}
