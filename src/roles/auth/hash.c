#include "roles/auth/hash.h"

#include "base/check.h"
#include "base/str.h"
#include "sys/random.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "$y$" /* yescrypt */
#define SALT_BYTES 16
#define DES_LEN 13 /* salt and hash of the oldest kind */

_Static_assert(HASH_MAX >= CRYPT_OUTPUT_SIZE, "a hash fits");
_Static_assert(HASH_PASSWORD_MAX <= CRYPT_MAX_PASSPHRASE_SIZE, "a password fits");

/* crypt_checksalt() looks at the setting alone: "password" would be DES with the salt "pa". */
static bool
is_whole(struct str hash)
{
	static const char alphabet[] =
	    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t dollars = 0;
	for (size_t i = 0; i < hash.len; i++)
		dollars += hash.p[i] == '$';
	if (hash.len && hash.p[0] == '$') /* "$id$...$hash" */
		return dollars >= 3 && hash.p[hash.len - 1] != '$';
	if (hash.len == 20 && hash.p[0] == '_') /* DES of BSDi */
		hash = str_first(str_skip(hash, 1), DES_LEN);
	return hash.len == DES_LEN && strspn(hash.p, alphabet) >= DES_LEN;
}

bool
hash_valid(const char *hash)
{
	for (const char *p = hash; *p; p++)
		if (*p <= ' ' || *p >= 0x7f || *p == ':')
			return false;
	if (hash[0] == '!' || hash[0] == '*')
		return true;
	int rc = crypt_checksalt(hash);
	if (!is_whole(str_of(hash)))
		return false;
	return rc == CRYPT_SALT_OK || rc == CRYPT_SALT_METHOD_LEGACY || rc == CRYPT_SALT_TOO_CHEAP;
}

bool
hash_complete(const char *text)
{
	/* Octets behind the last dollar. */
	static const struct {
		const char *id;
		size_t len;
	} rows[] = {
		{ "$1$", 22 },
		{ "$2", 53 },
		{ "$5$", 43 },
		{ "$6$", 86 },
		{ "$7$", 43 },
		{ "$gy$", 43 },
		{ "$y$", 43 },
	};
	struct str hash = str_of(text);
	if (!hash_valid(text))
		return false;
	size_t last = hash.len - str_rfind(hash, '$') - 1;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_starts(hash, str_of(rows[i].id)))
			return last == rows[i].len;
	return true;
}

static bool
run(const char *password, const char *setting, char out[HASH_MAX])
{
	struct crypt_data *data = xalloc(sizeof(*data));
	const char *hash = crypt_rn(password, setting, data, sizeof(*data));
	bool ok = hash && hash[0] != '*' && strlen(hash) < HASH_MAX;
	if (ok)
		memcpy(out, hash, strlen(hash) + 1);
	explicit_bzero(data, sizeof(*data));
	free(data);
	return ok;
}

bool
hash_make(const char *password, char out[HASH_MAX])
{
	char salt[SALT_BYTES], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	random_bytes(salt, sizeof(salt));
	return crypt_gensalt_rn(SCHEME, 0, salt, sizeof(salt), setting, sizeof(setting)) &&
	       run(password, setting, out);
}

static bool
equal(const char a[HASH_MAX], const char b[HASH_MAX])
{
	unsigned char diff = 0;
	for (size_t i = 0; i < HASH_MAX; i++)
		diff |= (unsigned char)(a[i] ^ b[i]);
	return diff == 0;
}

bool
hash_check(const char *password, const char *hash)
{
	char want[HASH_MAX] = { 0 }, got[HASH_MAX] = { 0 };
	check(strlen(hash) < HASH_MAX);
	memcpy(want, hash, strlen(hash));
	bool fits = run(password, hash, got) && equal(want, got);
	explicit_bzero(want, sizeof(want));
	explicit_bzero(got, sizeof(got));
	return fits;
}
