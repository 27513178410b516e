#include "roles/auth/accounts.h"

#include "base/check.h"
#include "crypt/crypt.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC 32

/* A password that was right a moment ago, with the hash that it fitted. */
struct remembered {
	unsigned char mac[MAC];
	int64_t until;
};

/* --- a secret that outlives the process --- */

static bool
read_secret(struct accounts *a, const char *path)
{
	struct buf text = BUF_INIT(ACCOUNTS_SECRET);
	bool good = file_read_all(path, ACCOUNTS_SECRET, &text) == 0 && text.len == ACCOUNTS_SECRET;
	if (good)
		memcpy(a->secret, text.p, sizeof(a->secret));
	buf_wipe(&text);
	buf_done(&text);
	return good;
}

static bool
take_secret(struct accounts *a, const char *dir, const char *shown, struct buf *err)
{
	char path[PASSWD_NAME_MAX * 16];
	snprintf(path, sizeof(path), "%s/secret", strcmp(dir, "/") == 0 ? "" : dir);
	if (read_secret(a, path))
		return true;
	random_bytes(a->secret, sizeof(a->secret));
	int rc = file_replace(path, str_n(a->secret, sizeof(a->secret)), PASSWD_MODE);
	if (rc < 0)
		buf_putf(err, "%s/secret cannot be written: %s", shown, strerror(-rc));
	return rc == 0;
}

bool
accounts_init(struct accounts *a, const char *dir, const char *shown, struct buf *err)
{
	char path[PASSWD_NAME_MAX * 16], name[PASSWD_NAME_MAX * 16];
	mutex_init(&a->lock);
	a->remembered = xalloc(REMEMBER_SLOTS * sizeof(*a->remembered));
	random_bytes(a->remember_key, sizeof(a->remember_key));
	snprintf(path, sizeof(path), "%s/passwd", strcmp(dir, "/") == 0 ? "" : dir);
	snprintf(name, sizeof(name), "%s/passwd", shown);
	if (!passwd_load(&a->passwd, path, name, err) || !take_secret(a, dir, shown, err))
		return false;
	if (hash_make("the password of nobody", a->dummy))
		return true;
	buf_putf(err,
	    "crypt(3) cannot make yescrypt hashes; install libxcrypt (Debian: libcrypt1)");
	return false;
}

void
accounts_done(struct accounts *a)
{
	if (!a->remembered)
		return;
	passwd_done(&a->passwd);
	free(a->remembered);
	mutex_done(&a->lock);
	explicit_bzero(a, sizeof(*a));
}

void
accounts_hostname(struct accounts *a, const char *hostname)
{
	mutex_lock(&a->lock);
	if (!str_copy(a->hostname, sizeof(a->hostname), str_of(hostname)))
		a->hostname[0] = '\0';
	mutex_unlock(&a->lock);
}

void
accounts_set(struct accounts *a, const char *name, const char *keys)
{
	mutex_lock(&a->lock);
	passwd_set(&a->passwd, name, keys);
	mutex_unlock(&a->lock);
}

/* --- looking --- */

void
accounts_find(struct accounts *a, struct str login, struct account *ret)
{
	*ret = (struct account){ 0 };
	mutex_lock(&a->lock);
	if (passwd_resolve(&a->passwd, login, a->hostname, ret->name)) {
		struct str text = str_of(passwd_find(&a->passwd, ret->name));
		check(passwd_keys_get(text, &ret->keys) == NULL);
		ret->locked = passwd_locked(&ret->keys);
		ret->known = !ret->locked;
	}
	mutex_unlock(&a->lock);
}

/* For a login that is no account: nobody can guess it, and it stays the same. */
static void
made_up_secret(struct accounts *a, struct str name, char dst[SASL_PASSWORD_MAX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char mac[CRYPT_DIGEST_MAX];
	crypt_hmac(CRYPT_SHA256, str_n(a->secret, sizeof(a->secret)), name, mac);
	for (size_t i = 0; i < MAC; i++) {
		dst[2 * i] = digits[mac[i] >> 4];
		dst[2 * i + 1] = digits[mac[i] & 15];
	}
	dst[2 * MAC] = '\0';
}

static void
scram_of(struct accounts *a, enum crypt_hash h, bool has, const struct sasl_scram *own,
    const char *name, struct sasl_scram *ret)
{
	if (has)
		*ret = *own;
	else
		sasl_scram_made_up(h, str_n(a->secret, sizeof(a->secret)), str_of(name), ret);
}

void
accounts_facts(struct accounts *a, struct str login, const struct account *who,
    struct sasl_account *ret)
{
	const struct passwd_keys *k = &who->keys;
	bool known = who->known;
	*ret = (struct sasl_account){ .known = known, .has_scram1 = true, .has_scram256 = true };
	/* An account without a verifier looks like no account, not like an odd one. */
	scram_of(a, CRYPT_SHA1, known && k->has_scram1, &k->scram1, who->name, &ret->scram1);
	scram_of(a, CRYPT_SHA256, known && k->has_scram256, &k->scram256, who->name,
	    &ret->scram256);
	if (!str_copy(ret->name, sizeof(ret->name), str_of(who->name)))
		ret->known = false;
	if (known)
		memcpy(ret->secret, k->secret, sizeof(k->secret));
	else
		made_up_secret(a, login, ret->secret);
}

/* --- right passwords, for a minute --- */

_Static_assert(sizeof(((struct sasl_account *)0)->secret) >= HASH_PASSWORD_MAX, "a secret fits");

static void
mac_of(const struct accounts *a, const struct account *who, struct str password,
    unsigned char out[CRYPT_DIGEST_MAX])
{
	struct buf b = BUF_INIT(PASSWD_NAME_MAX + HASH_MAX + HASH_PASSWORD_MAX);
	check(buf_reserve(&b, PASSWD_NAME_MAX + HASH_MAX + HASH_PASSWORD_MAX - 1));
	buf_put(&b, who->name, strlen(who->name) + 1);
	buf_put(&b, who->keys.hash, strlen(who->keys.hash) + 1);
	buf_puts(&b, password);
	check(!b.failed);
	crypt_hmac(CRYPT_SHA256, str_n(a->remember_key, sizeof(a->remember_key)), buf_str(&b), out);
	buf_wipe(&b);
	buf_done(&b);
}

static struct remembered *
slot_of(struct accounts *a, const unsigned char mac[MAC])
{
	return &a->remembered[((size_t)mac[0] << 8 | mac[1]) & (REMEMBER_SLOTS - 1)];
}

static bool
remembers(struct accounts *a, const unsigned char mac[MAC])
{
	mutex_lock(&a->lock);
	const struct remembered *r = slot_of(a, mac);
	bool fits = r->until > sys_mono_ms() && crypt_equal(str_n(r->mac, MAC), str_n(mac, MAC));
	mutex_unlock(&a->lock);
	return fits;
}

static void
remember(struct accounts *a, const unsigned char mac[MAC])
{
	mutex_lock(&a->lock);
	struct remembered *r = slot_of(a, mac);
	memcpy(r->mac, mac, MAC);
	r->until = sys_mono_ms() + REMEMBER_MS;
	mutex_unlock(&a->lock);
}

bool
accounts_check(struct accounts *a, const struct account *who, struct str password)
{
	char text[HASH_PASSWORD_MAX];
	unsigned char mac[CRYPT_DIGEST_MAX];
	bool taken = password.len > 0 && !memchr(password.p, 0, password.len) &&
	             str_copy(text, sizeof(text), password);
	bool real = taken && who->known && who->keys.hash[0] != '*';
	bool good = false;
	if (!taken)
		memcpy(text, "x", 2);
	if (real) {
		mac_of(a, who, password, mac);
		good = remembers(a, mac);
	}
	if (!good) {
		good = hash_check(text, real ? who->keys.hash : a->dummy) && real;
		if (good)
			remember(a, mac);
	}
	explicit_bzero(text, sizeof(text));
	explicit_bzero(mac, sizeof(mac));
	return good;
}
