/*
 * keyset: private keys and their certificates, counted: the loop's thread holds one, and each
 * signature that is being made another. Put together from what parent handed in, and never
 * changed afterwards.
 */
#pragma once

#include "base/buf.h"
#include "tls/tls.h"

#include <stddef.h>

struct keyset;
/* Pairs of texts are added; what is wrong with one is appended to err as one line that names the
 * file. */
struct keyset *keyset_new(void);
bool keyset_add(struct keyset *k, struct str cert_name, struct str cert_pem, struct str key_name,
    struct str key_pem, struct buf *err);
struct keyset *keyset_ref(struct keyset *k);
struct keyset *keyset_unref(struct keyset *k); /* the last one frees and wipes the keys */
size_t keyset_count(const struct keyset *k);
/* NULL: there is no such key. */
const struct tls_key *keyset_find(const struct keyset *k, struct str name);
/* Is that the key of a certificate for this name? */
bool keyset_is_for(const struct keyset *k, const char *name, const unsigned char key[TLS_KEY_NAME]);
/* The certificates as IPC_CERTS has them. */
struct str keyset_certs(const struct keyset *k);
