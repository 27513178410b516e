#include "roles/auth/keyset.h"

#include "base/check.h"
#include "base/wire.h"
#include "log/log.h"
#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>

struct keyset {
	size_t refs; /* counted by the loop's thread alone */
	size_t n;
	struct {
		unsigned char name[TLS_KEY_NAME];
		struct tls_key *key;
	} row[TLS_CERTS_MAX];
	struct buf certs;
	struct tls_certs *shown; /* the same, as who shows them has them */
};

struct keyset *
keyset_new(void)
{
	struct keyset *k = xalloc(sizeof(*k));
	k->refs = 1;
	k->certs = BUF_INIT((TLS_CHAIN_MAX + 4) * (size_t)TLS_CERTS_MAX);
	k->shown = tls_certs_new();
	return k;
}

struct keyset *
keyset_ref(struct keyset *k)
{
	k->refs++;
	return k;
}

struct keyset *
keyset_unref(struct keyset *k)
{
	if (!k || --k->refs > 0)
		return NULL;
	for (size_t i = 0; i < k->n; i++)
		tls_key_free(k->row[i].key);
	buf_done(&k->certs);
	tls_certs_unref(k->shown);
	free(k);
	return NULL;
}

size_t
keyset_count(const struct keyset *k)
{
	return k->n;
}

struct str
keyset_certs(const struct keyset *k)
{
	return buf_str(&k->certs);
}

const struct tls_key *
keyset_find(const struct keyset *k, struct str name)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(str_n(k->row[i].name, TLS_KEY_NAME), name))
			return k->row[i].key;
	return NULL;
}

bool
keyset_is_for(const struct keyset *k, const char *name, const unsigned char key[TLS_KEY_NAME])
{
	return tls_certs_is_for(k->shown, name, key);
}

static void
mistake(struct buf *err, struct str file, struct buf *why)
{
	buf_putf(err, STR_FMT ": " STR_FMT "\n", STR_ARG(file), STR_ARG(buf_str(why)));
}

static struct tls_key *
read_pair(struct str cert_name, struct str cert_pem, struct str key_name, struct str key_pem,
    unsigned char name[TLS_KEY_NAME], struct buf *err)
{
	struct tls_cert_info info;
	struct buf names = BUF_INIT(64u << 10), why = BUF_INIT(4096);
	struct tls_key *key = tls_key_read(key_pem, &why);
	if (!key) {
		mistake(err, key_name, &why);
	} else if (!tls_cert_read(cert_pem, &info, &names, &why)) {
		mistake(err, cert_name, &why);
		key = tls_key_free(key);
	} else {
		tls_key_name(key, name);
		if (info.not_after < sys_wall_ms() / 1000)
			LOG(LOG_WARN, 0, "certificate-expired", LOGF("file", cert_name),
			    LOGZ("remedy", "renew it, then `pennypost tls reload`"));
		if (memcmp(name, info.key, TLS_KEY_NAME) != 0) {
			buf_putf(err,
			    STR_FMT ": is not the key of the certificate in " STR_FMT "\n",
			    STR_ARG(key_name), STR_ARG(cert_name));
			key = tls_key_free(key);
		}
	}
	buf_done(&names);
	buf_done(&why);
	return key;
}

bool
keyset_add(struct keyset *k, struct str cert_name, struct str cert_pem, struct str key_name,
    struct str key_pem, struct buf *err)
{
	unsigned char name[TLS_KEY_NAME];
	if (k->n == TLS_CERTS_MAX || cert_pem.len > TLS_CHAIN_MAX) {
		buf_putf(err, STR_FMT ": %s\n", STR_ARG(cert_name),
		    k->n == TLS_CERTS_MAX ? "one certificate too many; a server has at most 1000"
					  : "longer than 64 KiB with its chain");
		return false;
	}
	struct tls_key *key = read_pair(cert_name, cert_pem, key_name, key_pem, name, err);
	if (!key)
		return false;
	struct buf unusable = BUF_INIT(1024); /* whoever shows it says so */
	tls_certs_add(k->shown, cert_pem, &unusable);
	buf_done(&unusable);
	put_str(&k->certs, cert_pem);
	check(!k->certs.failed);
	memcpy(k->row[k->n].name, name, sizeof(name));
	k->row[k->n++].key = key;
	return true;
}
