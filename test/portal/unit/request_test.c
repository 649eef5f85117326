/*
 * request_test.c
 *	  Which requests the portal answers.
 */
#include "portal/request.h"

#include "unit.h"

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define JSON {"Content-Type", "application/json"}
#define ORIGIN {"Origin", "https://hooks.example.com"}
#define HOST {"Host", "hooks.example.com"}

typedef struct RequestCase
{
	const char *method;
	const char *target;
	struct
	{
		const char *name;
		const char *value;
	}			headers[6];
	unsigned	status;			/* 0: answered */
	const char *path;
	const char *parameters;		/* as "name=value," */
	const char *token;
} RequestCase;

static const char *const hosts[] = {"hooks.example.com", "hooks.example.com:443", NULL};
static const char *const origins[] = {"https://hooks.example.com", NULL};
static const PortalRules rules = {hosts, origins, "__Host-webhook"};

static const RequestCase cases[] = {
	{"GET", "/", {HOST}, 0, ""},
	{"HEAD", "/app.js?v=1", {HOST}, 0, "app.js"},
	{"GET", "/", {{"host", "HOOKS.example.com:443"}}, 0, ""},
	{"GET", "/api/me", {HOST}, 0, "me"},
	{"GET", "/api/log?a=1&b=%C3%BC+%2B&c=", {HOST}, 0, "log", "a=1,b=\xC3\xBC +,c=,"},
	{"GET", "/api/log?", {HOST}, 0, "log"},
	{"GET", "/api/me", {HOST, {"Sec-Fetch-Site", "same-origin"}}, 0, "me"},
	{"GET", "/api/log.csv", {HOST, {"Sec-Fetch-Site", "none"}}, 0, "log.csv"},
	{"GET", "/", {HOST, {"Sec-Fetch-Site", "cross-site"}}, 0, ""},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", "65536"}}, 0, "ping"},
	{"POST", "/api/ping", {HOST, ORIGIN, {"content-type", "Application/JSON; charset=utf-8"}}, 0, "ping"},
	{"GET", "/healthz", {{"Host", "10.0.0.1"}}, 0, "healthz"},

	{"GET", "/", {HOST, {"Cookie", "__Host-webhook=" TOKEN}}, 0, "", NULL, TOKEN},
	{"GET", "/", {HOST, {"Cookie", "a=b;  __Host-webhook=" TOKEN ";c=d"}}, 0, "", NULL, TOKEN},
	{"GET", "/", {HOST, {"Cookie", "webhook=" TOKEN}}, 0, "", NULL, ""},
	{"GET", "/", {HOST, {"Cookie", "__Host-webhook=" TOKEN "0"}}, 0, "", NULL, ""},
	{"GET", "/", {HOST, {"Cookie", "__Host-webhook=" TOKEN "; __Host-webhook=" TOKEN}}, 0, "", NULL, ""},
	{"GET", "/", {HOST, {"Cookie", "__Host-webhook=" TOKEN "; __Host-webhook=x"}}, 0, "", NULL, ""},
	{"GET", "/", {HOST, {"Cookie", "__Host-webhook"}}, 0, "", NULL, ""},
	{"GET", "/", {HOST, {"Cookie", ";;=;"}}, 0, "", NULL, ""},

	{"PUT", "/", {HOST}, 405},
	{"get", "/", {HOST}, 405},
	{"OPTIONS", "/api/ping", {HOST, {"Origin", "https://evil.example"}}, 405},
	{"POST", "/", {HOST, ORIGIN, JSON}, 405},
	{"POST", "/healthz", {HOST, ORIGIN, JSON}, 405},
	{"GET", "/", {{NULL}}, 400},
	{"GET", "/", {HOST, HOST}, 400},
	{"GET", "/", {{"Host", "evil.example"}}, 421},
	{"GET", "/", {{"Host", "hooks.example.com.evil.example"}}, 421},
	{"GET", "/", {{"Host", "hooks.example.com:80"}}, 421},
	{"GET", "/", {{"Host", ""}}, 421},
	{"GET", "http://hooks.example.com/", {HOST}, 400},
	{"GET", "*", {HOST}, 400},
	{"GET", "/api/me%00", {HOST}, 400},
	{"GET", "/api/log?a=%00", {HOST}, 400},
	{"GET", "/api/log?a=%0", {HOST}, 400},
	{"GET", "/api/log?a=%", {HOST}, 400},
	{"GET", "/api/log?a=%zz", {HOST}, 400},
	{"GET", "/api/log?a=%FF", {HOST}, 400},
	{"GET", "/api/log?a=%ED%A0%80", {HOST}, 400},
	{"GET", "/api/log?a=%C0%AF", {HOST}, 400},
	{"GET", "/api/log?a=%0A", {HOST}, 400},
	{"GET", "/api/log?a=1&a=2", {HOST}, 400},
	{"GET", "/api/log?a", {HOST}, 400},
	{"GET", "/api/log?a=\xC3\xBC", {HOST}, 400},
	{"GET", "/a b", {HOST}, 400},
	{"GET", "/%ff", {HOST}, 400},

	{"POST", "/api/ping", {HOST, JSON}, 403},
	{"POST", "/api/ping", {HOST, JSON, {"Origin", "null"}}, 403},
	{"POST", "/api/ping", {HOST, JSON, {"Origin", "http://hooks.example.com"}}, 403},
	{"POST", "/api/ping", {HOST, JSON, {"Origin", "https://hooks.example.com.evil.example"}}, 403},
	{"POST", "/api/ping", {HOST, JSON, ORIGIN, {"Sec-Fetch-Site", "cross-site"}}, 403},
	{"POST", "/api/ping", {HOST, JSON, ORIGIN, {"Sec-Fetch-Site", "same-site"}}, 403},
	{"POST", "/api/ping", {HOST, JSON, ORIGIN, {"Sec-Fetch-Site", "none"}}, 403},
	{"POST", "/api/ping", {HOST, JSON, ORIGIN, ORIGIN}, 400},
	{"GET", "/api/me", {HOST, {"Sec-Fetch-Site", "cross-site"}}, 403},
	{"GET", "/api/me", {HOST, {"Origin", "https://evil.example"}}, 403},
	{"POST", "/api/ping", {HOST, ORIGIN}, 415},
	{"POST", "/api/ping", {HOST, ORIGIN, {"Content-Type", "text/plain"}}, 415},
	{"POST", "/api/ping", {HOST, ORIGIN, {"Content-Type", "application/jsonp"}}, 415},
	{"POST", "/api/ping", {HOST, ORIGIN, {"Content-Type", "application/x-www-form-urlencoded"}}, 415},

	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", "65537"}}, 413},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", "99999999999999999999999"}}, 413},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", "-1"}}, 400},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", "1, 1"}}, 400},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", ""}}, 400},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", "1"}, {"Content-Length", "1"}}, 400},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}}, 400},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Transfer-Encoding", "chunked"}}, 400},
	{"GET", "/api/me", {HOST, {"Content-Length", "1"}}, 400},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Transfer-Encoding ", "chunked"}}, 400},
	{"POST", "/api/ping", {HOST, ORIGIN, JSON, {"Content-Length", "1"}, {"Content-Length\t", "5"}}, 400},
	{"GET", "/", {HOST, {"Host ", "evil.example"}}, 400},
	{"GET", "/", {HOST, {"", "empty"}}, 400},
	{"GET", "/", {HOST, {"X\x01", "control"}}, 400},
	{"GET", "/", {HOST, {"X\xC3\xBC", "no ASCII"}}, 400},
	{"GET", "/", {HOST, {"X(y)", "delimiters"}}, 400},
	{"GET", "/", {HOST, {"!#$%&'*+-.^_`|~09azAZ", "all that a token may have"}}, 0, ""},
	{"GET", "/api/me?session=x", {HOST}, 0, "me"},
	{"GET", "/api/me?session=x", {HOST, {"Webhook-Session", "x"}}, 400},
	{"GET", "/api/me", {HOST, {"Webhook-Session", "x"}, {"Webhook-Session", "x"}}, 400},
	{"GET", "/", {HOST, {"Cookie", "a\x01"}}, 400},
	{"GET", "/", {HOST, {"Cookie", "a=1"}, {"Cookie", "b=1"}}, 400}
};

static void
test_case(const RequestCase *test)
{
	PortalHeader headers[6];
	PortalHead	head = {test->method, test->target, 500, headers, 0};
	PortalRequest request;
	const PortalRefusal *refusal;
	char		parameters[500] = "";

	for (int i = 0; i < 6 && test->headers[i].name != NULL; i++)
	{
		headers[i].name = test->headers[i].name;
		headers[i].name_length = strlen(headers[i].name);
		headers[i].value = test->headers[i].value;
		headers[i].value_length = strlen(headers[i].value);
		head.nheaders++;
	}
	refusal = portal_request_judge(&rules, &head, &request);
	is_int(refusal == NULL ? 0 : refusal->status, test->status, "%s %s with %s: %s", test->method,
		   unit_show(test->target), head.nheaders > 0 ? headers[head.nheaders - 1].name : "nothing",
		   refusal == NULL ? "answered" : refusal->message);
	if (refusal == NULL && test->status == 0)
	{
		is_text(request.path, test->path, "its path");
		for (size_t i = 0; i < request.nparameters; i++)
			snprintf(parameters + strlen(parameters), sizeof(parameters) - strlen(parameters),
					 "%s=%s,", request.parameters[i].name, request.parameters[i].value);
		is_text(parameters, test->parameters == NULL ? "" : test->parameters, "its parameters");
		is_text(request.token, test->token == NULL ? "" : test->token, "its token");
	}
	portal_request_free(&request);
}

static void
test_sizes(void)
{
	static char target[PORTAL_MAX_TARGET + 2];
	PortalHeader host = {"Host", 4, "hooks.example.com", 17};
	PortalHead	head = {"GET", target, 500, &host, 1};
	PortalRequest request;
	const PortalRefusal *refusal;

	memset(target, 'a', PORTAL_MAX_TARGET + 1);
	target[0] = '/';
	refusal = portal_request_judge(&rules, &head, &request);
	is_int(refusal == NULL ? 0 : refusal->status, 414, "an address that is too long");
	portal_request_free(&request);

	target[1] = '\0';
	head.bytes = PORTAL_MAX_HEAD + 1;
	refusal = portal_request_judge(&rules, &head, &request);
	is_int(refusal == NULL ? 0 : refusal->status, 431, "headers that are too large");
	portal_request_free(&request);

	strcpy(target, "/api/log?");
	for (int i = 0; i <= PORTAL_MAX_PARAMETERS; i++)
		snprintf(target + strlen(target), sizeof(target) - strlen(target), "p%d=1&", i);
	head.bytes = 500;
	refusal = portal_request_judge(&rules, &head, &request);
	is_int(refusal == NULL ? 0 : refusal->status, 400, "too many parameters");
	portal_request_free(&request);
}

static void
test_bodies(void)
{
	ok(portal_body_judge("{}", 2) == NULL, "a body is an object");
	ok(portal_body_judge(" \n{\"a\":1}", 9) == NULL, "blanks may stand before it");
	ok(portal_body_judge("", 0) != NULL, "an empty body is refused");
	ok(portal_body_judge(NULL, 0) != NULL, "no body is refused");
	ok(portal_body_judge("[]", 2) != NULL, "an array is refused");
	ok(portal_body_judge("{\0}", 3) != NULL, "a NUL is refused");
	ok(portal_body_judge("{\xff}", 3) != NULL, "what is no UTF-8 is refused");
}

static void
test_keys(void)
{
	static const char *const names[] = {"subscription", "event", NULL};
	static const struct
	{
		const char *body;
		bool		is_taken;
		const char *what;
	}			bodies[] = {
		{"{}", true, "no key need be there"},
		{"{\"event\":null , \"subscription\" :7}", true, "keys stand in any order"},
		{"{\"event\":\"no\\\\\",\"subscription\":\"\\\"x\\\",\"}", true, "a value is no key"},
		{"{\"event\":{\"other\":[{\"other\":1},\"other\"]}}", true, "nor is what is inside a value"},
		{"{\"events\":1}", false, "a longer key is refused"},
		{"{\"even\":1}", false, "a shorter key is refused"},
		{"{\"\":1}", false, "an empty key is refused"},
		{"{\"event\":[1,2],\"other\":1}", false, "a key behind others is refused"},
		{"{\"event\":1,\"event\":2}", false, "a key that is there twice is refused"},
		{"{\"\\u0065vent\":1}", false, "a key in disguise is refused"},
		{"{\"event", true, "what is no JSON is the database's to refuse"},
		{"{\"", false, "also where it ends in a quote"},
		{"{\"event\\", false, "or in an escape"}
	};

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
	{
		const char *body = bodies[i].body;

		ok((portal_keys_judge(body, strlen(body), names) == NULL) == bodies[i].is_taken,
		   bodies[i].what);
	}
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		test_case(&cases[i]);
	test_sizes();
	test_bodies();
	test_keys();
	return unit_done();
}
