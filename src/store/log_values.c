/*
 * log_values.c
 *	  What was sent and what was answered, as values of the log.
 *
 * An endpoint may answer with any bytes at all, and a log row that cannot be
 * written would hold up all others. So nothing here hands bytes to a function
 * that could refuse them: texts are verified or converted piece by piece, and
 * the values are put together directly.
 *
 * Messages are UTF-8 on the wire; what they carry is taken as that.
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
 * Bytes that are looked at together once something is wrong with a text. An
 * error in the middle makes the verifier look at all of them.
 */
#define VERIFIED_AT_ONCE	64
#define CONVERTED_AT_ONCE	8192

/* A name among the headers of a message. */
typedef struct Entry
{
	char	   *name;			/* in lower case */
	int			name_length;
	int			place;			/* among the headers */
	bool		secret;			/* its value is */
	bool		url;			/* its value is one */
} Entry;

/*
 * What the last message's headers were called: those of the next mostly are
 * called the same, and names take more time than values.
 */
typedef struct Names
{
	MemoryContext context;
	int			count;
	char	  **as_given;
	Entry	   *entries;		/* in the order of jsonb */
} Names;

static const char *clean(const char *bytes, int length, int encoding,
						 int *clean_length);
static int	take_valid(const char *bytes, int length, int encoding,
					   Oid conversion, StringInfo result);
static Datum headers_datum(Names *names, const WebhookHttpHeader *headers,
						   int count);
static bool are_called(const Names *names, const WebhookHttpHeader *headers,
					   int count);
static void learn(Names *names, const WebhookHttpHeader *headers, int count);
static void set_string(JsonbValue *to, const char *text, int length);

static Names request_names;
static Names response_names;

static int
compare_entries(const Entry *x, const Entry *y)
{
	int			result;

	if (x->name_length != y->name_length)
		return x->name_length < y->name_length ? -1 : 1;
	result = memcmp(x->name, y->name, x->name_length);
	return result != 0 ? result : x->place - y->place;
}

#define ST_SORT sort_entries
#define ST_ELEMENT_TYPE Entry
#define ST_COMPARE(a, b) compare_entries(a, b)
#define ST_SCOPE static
#define ST_DECLARE
#define ST_DEFINE
#include "lib/sort_template.h"

static inline char
to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

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
webhook_log_value_request_headers(const WebhookHttpHeader *headers,
								  int count)
{
	return headers_datum(&request_names, headers, count);
}

Datum
webhook_log_value_response_headers(const WebhookHttpHeader *headers,
								   int count)
{
	return headers_datum(&response_names, headers, count);
}

bool
webhook_log_value_address(const char *text, Datum *value)
{
	inet	   *address = palloc0_object(inet);
	char		plain[INET6_ADDRSTRLEN + 1];
	char	   *zone;

	/* A link-local address may have a zone; the type has no room for it. */
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
 * The text in the database's encoding, not terminated. It is the argument
 * itself where nothing needs to be changed.
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
 * Append what can be taken over from the start of the bytes, and return how
 * many of them that was; 0: not even the first.
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

/*
 * jsonb keeps the names of an object in order of length, then of bytes, each
 * once. The headers are brought into that form here, for a header that is
 * repeated has to be found anyway.
 */
static Datum
headers_datum(Names *names, const WebhookHttpHeader *headers, int count)
{
	JsonbPair  *pairs = palloc_array(JsonbPair, Max(count, 1));
	JsonbValue *values = palloc_array(JsonbValue, Max(count, 1));
	JsonbValue	object;
	int			npairs = 0;

	if (!are_called(names, headers, count))
		learn(names, headers, count);

	for (int i = 0; i < count;)
	{
		Entry	   *entry = &names->entries[i];
		JsonbPair  *pair = &pairs[npairs++];
		int			n = 0;

		while (i + n < count && entry[n].name_length == entry->name_length &&
			   memcmp(entry[n].name, entry->name, entry->name_length) == 0)
		{
			const char *value = headers[entry[n].place].value;
			int			length = strlen(WEBHOOK_REDACTED);

			if (entry->url)
				value = webhook_redact_url(value);
			if (entry->secret)
				value = WEBHOOK_REDACTED;
			else
				value = clean(value, strlen(value), PG_UTF8, &length);
			set_string(&values[i + n], value, length);
			n++;
		}
		set_string(&pair->key, entry->name, entry->name_length);
		pair->order = 0;
		if (n == 1)
			pair->value = values[i];
		else
		{
			pair->value.type = jbvArray;
			pair->value.val.array.nElems = n;
			pair->value.val.array.elems = &values[i];
			pair->value.val.array.rawScalar = false;
		}
		i += n;
	}

	object.type = jbvObject;
	object.val.object.nPairs = npairs;
	object.val.object.pairs = pairs;
	return JsonbPGetDatum(JsonbValueToJsonb(&object));
}

static bool
are_called(const Names *names, const WebhookHttpHeader *headers, int count)
{
	if (names->context == NULL || names->count != count)
		return false;
	for (int i = 0; i < count; i++)
	{
		if (strcmp(names->as_given[i], headers[i].name) != 0)
			return false;
	}
	return true;
}

static void
learn(Names *names, const WebhookHttpHeader *headers, int count)
{
	MemoryContext old;

	if (names->context == NULL)
		names->context = AllocSetContextCreate(TopMemoryContext,
											   "webhook header names",
											   ALLOCSET_SMALL_SIZES);
	MemoryContextReset(names->context);
	names->count = -1;
	old = MemoryContextSwitchTo(names->context);
	names->as_given = palloc_array(char *, Max(count, 1));
	names->entries = palloc_array(Entry, Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		Entry	   *entry = &names->entries[i];
		const char *name;

		names->as_given[i] = pstrdup(headers[i].name);
		name = clean(headers[i].name, strlen(headers[i].name), PG_UTF8,
					 &entry->name_length);
		entry->name = palloc(entry->name_length + 1);
		for (int k = 0; k < entry->name_length; k++)
			entry->name[k] = to_lower(name[k]);
		entry->name[entry->name_length] = '\0';
		entry->place = i;
		entry->secret = webhook_redact_is_credential(entry->name);
		entry->url = strcmp(entry->name, "location") == 0 ||
			strcmp(entry->name, "content-location") == 0;
	}
	sort_entries(names->entries, count);
	names->count = count;
	MemoryContextSwitchTo(old);
}

static void
set_string(JsonbValue *to, const char *text, int length)
{
	to->type = jbvString;
	to->val.string.val = unconstify(char *, text);
	to->val.string.len = length;
}
