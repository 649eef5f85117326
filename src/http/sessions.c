/*
 * sessions.c
 *	  TLS sessions that handles of the engine resume.
 *
 * A receiver that closes each connection asks for a handshake each time. One that resumes a
 * session (RFC 8446, section 2.2; RFC 5077) does without a certificate and its proof, which
 * are most of the handshake's cost. libcurl before 8.12 keeps sessions for each handle alone,
 * so handles use a share of ours. A session serves the same host, port, authorities and client
 * certificate only: libcurl compares them.
 *
 * Whoever resumes a session trusts the certificate that was verified for its first handshake.
 * So sessions are given up after a few minutes, like kept connections, and with the engine's
 * options.
 */
#include <stdlib.h>

#include <curl/curl.h>

#include "http/sessions_internal.h"

#define SESSIONS_SECONDS	300

WebhookHttpSessions *
webhook_http_sessions_renew(WebhookHttpSessions *sessions, int64_t now)
{
	WebhookHttpSessions *fresh;

	if (sessions != NULL && now < sessions->until)
		return sessions;
	webhook_http_sessions_release(sessions);
	fresh = calloc(1, sizeof(WebhookHttpSessions));
	if (fresh == NULL)
		return NULL;
	fresh->share = curl_share_init();
	if (fresh->share == NULL ||
		curl_share_setopt(fresh->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK)
	{
		curl_share_cleanup(fresh->share);
		free(fresh);
		return NULL;
	}
	fresh->users = 1;
	fresh->until = now + SESSIONS_SECONDS;
	return fresh;
}

WebhookHttpSessions *
webhook_http_sessions_use(WebhookHttpSessions *sessions)
{
	if (sessions != NULL)
		sessions->users++;
	return sessions;
}

void
webhook_http_sessions_release(WebhookHttpSessions *sessions)
{
	if (sessions == NULL || --sessions->users > 0)
		return;
	curl_share_cleanup(sessions->share);
	free(sessions);
}
