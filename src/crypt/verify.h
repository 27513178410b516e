/*
 * verify: public keys that check signatures: RSA PKCS #1 v1.5 (RFC 8017 8.2) with SHA-256, and
 * ECDSA on P-256 with SHA-256. For tokens; what TLS signs and checks is tls's. Pure: octets in,
 * a verdict out. Keys of other kinds and sizes are no keys here.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

#define CRYPT_RSA_BITS_MIN 2048
#define CRYPT_RSA_BITS_MAX 8192
#define CRYPT_P256_LEN 32 /* octets of a coordinate, and of each half of a signature */

enum crypt_pubkey_kind { CRYPT_PUBKEY_RSA, CRYPT_PUBKEY_P256 };

struct crypt_pubkey;
/* The next "PUBLIC KEY" (RFC 7468 13) of a PEM text, which moves behind it; NULL with *pem at its
 * end when there is none left, or with *pem behind what is none. */
struct crypt_pubkey *crypt_pubkey_pem(struct str *pem);
struct crypt_pubkey *crypt_pubkey_rsa(struct str n, struct str e); /* big-endian octets; or NULL */
struct crypt_pubkey *crypt_pubkey_p256(struct str x, struct str y); /* on the curve, or NULL */
struct crypt_pubkey *crypt_pubkey_free(struct crypt_pubkey *k);
enum crypt_pubkey_kind crypt_pubkey_kind(const struct crypt_pubkey *k);

/* Is sig the signature of `in`? P-256: both halves as they are, 64 octets (RFC 7518 3.4). Another
 * thread may use the same key. */
bool crypt_verify(const struct crypt_pubkey *k, struct str in, struct str sig);
