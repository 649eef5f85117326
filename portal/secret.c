/*
 * secret.c
 *	  Tokens of sessions, and what people sign in with.
 */
#include "portal/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "portal/buffer.h"
#include "portal/text.h"

static const char hex_digits[] = "0123456789abcdef";

/* RFC 4648, section 4. */
static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The longest "user:password". */
#define MAX_PAIR	(PORTAL_MAX_USER + 1 + PORTAL_MAX_PASSWORD)

/* Fill with hexadecimal digits of random bytes: "length" of them, which is even, and a NUL. */
static bool
make_digits(char *digits, size_t length)
{
	unsigned char bytes[PORTAL_TOKEN_LENGTH / 2];
	ssize_t		got;

	do
		got = getrandom(bytes, length / 2, 0);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t) length / 2)
		return false;
	for (size_t i = 0; i < length / 2; i++)
	{
		digits[2 * i] = hex_digits[bytes[i] >> 4];
		digits[2 * i + 1] = hex_digits[bytes[i] & 15];
	}
	digits[length] = '\0';
	portal_forget(bytes, sizeof(bytes));
	return true;
}

bool
portal_token_make(char token[PORTAL_TOKEN_LENGTH + 1])
{
	return make_digits(token, PORTAL_TOKEN_LENGTH);
}

bool
portal_name_make(char name[PORTAL_NAME_LENGTH + 1])
{
	return make_digits(name, PORTAL_NAME_LENGTH);
}

bool
portal_token_is_one(const char *text, size_t length)
{
	return length == PORTAL_TOKEN_LENGTH && strspn(text, hex_digits) >= length;
}

bool
portal_token_equal(const char *one, const char *other)
{
	volatile unsigned char difference = 0;

	for (size_t i = 0; i < PORTAL_TOKEN_LENGTH; i++)
		difference |= (unsigned char) one[i] ^ (unsigned char) other[i];
	return difference == 0;
}

/* Returns how many bytes there are, or -1 if the text is not base64 or has too many. */
static int
decode(const char *text, char *bytes, size_t room)
{
	size_t		length = strlen(text);
	size_t		padding = 0;
	size_t		got = 0;
	unsigned	bits = 0;
	int			nbits = 0;

	if (length == 0 || length % 4 != 0)
		return -1;
	while (padding < 2 && text[length - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < length - padding; i++)
	{
		const char *digit = strchr(base64, text[i]);

		if (digit == NULL)
			return -1;
		bits = (bits << 6 | (unsigned) (digit - base64)) & 0xFFFFFF;
		nbits += 6;
		if (nbits >= 8)
		{
			nbits -= 8;
			if (got >= room)
				return -1;
			bytes[got++] = (char) (bits >> nbits & 0xFF);
		}
	}

	/* Bits that are left over are zero, or two texts would mean the same. */
	return (bits & ((1u << nbits) - 1)) == 0 ? (int) got : -1;
}

static bool
read_token(const char *text, PortalCredentials *credentials)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	if (strlen(text) != PORTAL_GIVEN_TOKEN || strspn(text, digits) != PORTAL_GIVEN_TOKEN)
		return false;
	credentials->user[0] = '\0';
	memcpy(credentials->password, text, PORTAL_GIVEN_TOKEN + 1);
	return true;
}

bool
portal_credentials_read(const char *header, PortalCredentials *credentials)
{
	char		pair[MAX_PAIR + 1];
	int			length;
	bool		good = false;

	if (strncasecmp(header, "Bearer ", 7) == 0)
		return read_token(header + 7 + strspn(header + 7, " "), credentials);
	if (strncasecmp(header, "Basic ", 6) != 0)
		return false;
	header += strspn(header + 6, " ") + 6;
	length = decode(header, pair, MAX_PAIR);
	if (length > 0 && portal_is_utf8(pair, length))
	{
		char	   *colon;
		size_t		user;
		size_t		password;

		pair[length] = '\0';
		colon = strchr(pair, ':');
		user = colon == NULL ? 0 : (size_t) (colon - pair);
		password = colon == NULL ? 0 : length - user - 1;
		if (user > 0 && user <= PORTAL_MAX_USER && password > 0 && password <= PORTAL_MAX_PASSWORD)
		{
			*colon = '\0';
			memcpy(credentials->user, pair, user + 1);
			memcpy(credentials->password, colon + 1, password + 1);
			good = true;
		}
	}
	portal_forget(pair, sizeof(pair));
	return good;
}

char *
portal_secret_read(const char *name)
{
	PortalBuffer buffer = {0};
	char		bytes[4096];
	size_t		length;
	FILE	   *file = fopen(name, "r");

	if (file == NULL)
		return NULL;
	while ((length = fread(bytes, 1, sizeof(bytes), file)) > 0)
		portal_buffer_add(&buffer, bytes, length);
	fclose(file);
	portal_forget(bytes, sizeof(bytes));
	return buffer.data;
}

void
portal_forget(void *bytes, size_t length)
{
	explicit_bzero(bytes, length);
}
