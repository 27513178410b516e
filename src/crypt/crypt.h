/*
 * crypt: digests, HMAC and PBKDF2 over libcrypto, for rooms that must not know OpenSSL. Pure: no
 * state but what libcrypto fetched in crypt_init().
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPT_DIGEST_MAX 64 /* octets of the longest digest */

enum crypt_hash { CRYPT_MD5, CRYPT_SHA1, CRYPT_SHA256, CRYPT_SHA384, CRYPT_SHA512, CRYPT_HASH_COUNT };

/* Fetches the algorithms: before the sandbox (libcrypto reads its configuration then), from one
 * thread. Again: nothing. Aborts when libcrypto lacks one. */
void crypt_init(void);
size_t crypt_hash_size(enum crypt_hash h);
void crypt_digest(enum crypt_hash h, struct str in, unsigned char out[CRYPT_DIGEST_MAX]);
/* The digest of octets that come in pieces. Ends in crypt_sum_end(); out NULL: nobody wants it. */
struct crypt_sum;
struct crypt_sum *crypt_sum_new(enum crypt_hash h);
void crypt_sum_add(struct crypt_sum *s, struct str octets);
struct crypt_sum *crypt_sum_end(struct crypt_sum *s, unsigned char out[CRYPT_DIGEST_MAX]);
void crypt_hmac(enum crypt_hash h, struct str key, struct str in, unsigned char out[CRYPT_DIGEST_MAX]);
/* RFC 8018 5.2 with HMAC; n <= CRYPT_DIGEST_MAX octets. Takes long: on a thread. */
void crypt_pbkdf2(enum crypt_hash h, struct str password, struct str salt, uint32_t rounds,
    unsigned char *out, size_t n);
/* In a time that depends on the lengths only. */
bool crypt_equal(struct str a, struct str b);
