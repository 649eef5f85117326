/*
 * log_values.c
 *	  Requests and responses as values of the log.
 *
 * A response may hold any bytes, and a row of the log that cannot be written
 * would hold up all others. So no bytes are given to a function that could
 * raise an error about them: texts are verified or converted piece by piece,
 * and values of type jsonb and inet are built directly.
 *
 * The bytes of requests and responses are taken as UTF-8.
 */
#include "postgres.h"

#include <arpa/inet.h>

#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "base/redact.h"
#include "store/log_values_internal.h"

/*
 * Numbers of bytes that are verified or converted in one call once a text has
 * an invalid byte. The verifier walks over all of them again after an error.
 */
#define VERIFIED_AT_ONCE	64
#define CONVERTED_AT_ONCE	8192

/* A header on its way into jsonb. */
typedef struct Header
{
	char	   *name;			/* in lower case */
	int			name_length;
	JsonbValue	value;
} Header;

static const char *clean(const char *bytes, int length, int encoding,
						 int *clean_length);
static int	take_valid(const char *bytes, int length, int encoding,
					   Oid conversion, StringInfo result);
static void fill_header(Header *header, const WebhookHttpHeader *given);
static const char *header_value(const char *name, const char *value, int *length);
static void insert_header(Header **sorted, int count, Header *header);
static int	compare_names(const Header *x, const Header *y);
static void set_string(JsonbValue *to, const char *text, int length);

Datum
webhook_log_value_text(const char *bytes, size_t length, int encoding)
{
	int			clean_length;
	const char *valid = clean(bytes, (int) length, encoding, &clean_length);
	text	   *result = cstring_to_text_with_len(valid, clean_length);

	if (valid != bytes)
		pfree(unconstify(char *, valid));
	return PointerGetDatum(result);
}

Datum
webhook_log_value_headers(const WebhookHttpHeader *headers, int count)
{
	Header	   *filled = palloc_array(Header, Max(count, 1));
	Header	  **sorted = palloc_array(Header *, Max(count, 1));
	JsonbValue *values = palloc_array(JsonbValue, Max(count, 1));
	JsonbPair  *pairs = palloc_array(JsonbPair, Max(count, 1));
	JsonbValue	object;
	Jsonb	   *result;
	int			npairs = 0;

	/* In the order of jsonb, in which repeated names are neighbours. */
	for (int i = 0; i < count; i++)
	{
		fill_header(&filled[i], &headers[i]);
		insert_header(sorted, i, &filled[i]);
	}

	for (int i = 0; i < count;)
	{
		JsonbPair  *pair = &pairs[npairs++];
		int			first = i;

		set_string(&pair->key, sorted[first]->name, sorted[first]->name_length);
		pair->order = 0;
		while (i < count && compare_names(sorted[first], sorted[i]) == 0)
		{
			values[i] = sorted[i]->value;
			i++;
		}
		if (i - first == 1)
			pair->value = values[first];
		else
		{
			pair->value.type = jbvArray;
			pair->value.val.array.nElems = i - first;
			pair->value.val.array.elems = &values[first];
			pair->value.val.array.rawScalar = false;
		}
	}

	object.type = jbvObject;
	object.val.object.nPairs = npairs;
	object.val.object.pairs = pairs;
	result = JsonbValueToJsonb(&object);

	/* Freed here, the memory serves the next row: that halves the cost of this function. */
	for (int i = 0; i < count; i++)
		pfree(filled[i].name);
	pfree(pairs);
	pfree(values);
	pfree(sorted);
	pfree(filled);
	return JsonbPGetDatum(result);
}

bool
webhook_log_value_address(const char *text, Datum *value)
{
	inet	   *address = palloc0_object(inet);
	char		plain[INET6_ADDRSTRLEN + 1];
	char	   *zone;

	/* The zone of a link-local address is left out: type inet has none. */
	strlcpy(plain, text, sizeof(plain));
	zone = strchr(plain, '%');
	if (zone)
		*zone = '\0';

	if (inet_pton(AF_INET, plain, ip_addr(address)) == 1)
	{
		ip_family(address) = PGSQL_AF_INET;
		ip_bits(address) = 32;
	}
	else if (inet_pton(AF_INET6, plain, ip_addr(address)) == 1)
	{
		ip_family(address) = PGSQL_AF_INET6;
		ip_bits(address) = 128;
	}
	else
		return false;
	SET_INET_VARSIZE(address);
	*value = InetPGetDatum(address);
	return true;
}

/*
 * Convert bytes to the database's encoding. Invalid bytes become \xHH. The
 * result is not terminated; it is the argument itself if nothing had to be
 * changed, and allocated otherwise.
 */
static const char *
clean(const char *bytes, int length, int encoding, int *clean_length)
{
	int			server_encoding = GetDatabaseEncoding();
	Oid			conversion = InvalidOid;
	StringInfoData result;

	if (encoding == server_encoding)
	{
		*clean_length = length;
		if (pg_encoding_verifymbstr(encoding, bytes, length) == length)
			return bytes;
	}
	else
		conversion = FindDefaultConversionProc(encoding, server_encoding);

	initStringInfo(&result);
	while (length > 0)
	{
		int			taken = take_valid(bytes, length, encoding, conversion,
									   &result);

		if (taken == 0)
		{
			appendStringInfo(&result, "\\x%02X", (unsigned char) *bytes);
			taken = 1;
		}
		bytes += taken;
		length -= taken;
	}
	*clean_length = result.len;
	return result.data;
}

/*
 * Append the longest valid start of the bytes, up to a limit. Returns how many
 * bytes that was; 0: the first character is invalid.
 */
static int
take_valid(const char *bytes, int length, int encoding, Oid conversion,
		   StringInfo result)
{
	int			taken;

	if (encoding == GetDatabaseEncoding() || !OidIsValid(conversion))
	{
		taken = pg_encoding_verifymbstr(GetDatabaseEncoding(), bytes,
										Min(length, VERIFIED_AT_ONCE));
		appendBinaryStringInfo(result, bytes, taken);
	}
	else
	{
		unsigned char *source = (unsigned char *) unconstify(char *, bytes);
		int			room;

		length = Min(length, CONVERTED_AT_ONCE);
		room = length * MAX_CONVERSION_GROWTH + 1;
		enlargeStringInfo(result, room);
		taken = pg_do_encoding_conversion_buf(conversion, encoding,
											  GetDatabaseEncoding(),
											  source, length,
											  (unsigned char *) result->data +
											  result->len, room, true);
		result->len += strlen(result->data + result->len);
	}
	return taken;
}

static void
fill_header(Header *header, const WebhookHttpHeader *given)
{
	const char *name = clean(given->name, strlen(given->name), PG_UTF8, &header->name_length);
	const char *value;
	int			length;

	header->name = palloc(header->name_length + 1);
	for (int i = 0; i < header->name_length; i++)
		header->name[i] = name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i];
	header->name[header->name_length] = '\0';
	value = header_value(header->name, given->value, &length);
	set_string(&header->value, value, length);
}

/* A header's value as the log shows it: credentials are redacted. */
static const char *
header_value(const char *name, const char *value, int *length)
{
	if (webhook_redact_is_credential(name))
	{
		*length = strlen(WEBHOOK_REDACTED);
		return WEBHOOK_REDACTED;
	}
	if (strcmp(name, "location") == 0 || strcmp(name, "content-location") == 0)
		value = webhook_redact_url(value);
	return clean(value, strlen(value), PG_UTF8, length);
}

/*
 * Insert a header into so many that are sorted, behind those of the same name. A message has a
 * dozen of them, and for that a general sort takes several times as long.
 */
static void
insert_header(Header **sorted, int count, Header *header)
{
	for (; count > 0 && compare_names(sorted[count - 1], header) > 0; count--)
		sorted[count] = sorted[count - 1];
	sorted[count] = header;
}

/* In jsonb, names of an object are sorted by length, then by bytes. */
static int
compare_names(const Header *x, const Header *y)
{
	if (x->name_length != y->name_length)
		return x->name_length < y->name_length ? -1 : 1;
	return memcmp(x->name, y->name, x->name_length);
}

static void
set_string(JsonbValue *to, const char *text, int length)
{
	to->type = jbvString;
	to->val.string.val = unconstify(char *, text);
	to->val.string.len = length;
}
