/* tls_files: certificates and keys as files, as `tls` and `lab` see them. */
#pragma once

#include "ctl/ctl_priv.h"
#include "tls/tls.h"

#define TLS_MADE_DAYS 3650 /* how long a certificate that we make is good */

struct tls_pair {
	struct tls_cert_info info; /* when has_cert */
	struct buf names;          /* one a line */
	struct buf wrong;          /* what is wrong, one a line */
	bool has_cert;
	bool usable;               /* the server can use it */
};
/* Reads both files. hostname: what the server calls itself, or "". Free with tls_pair_done(). */
void tls_pair_look(const struct conf_cert *files, const char *hostname, int64_t now_s,
    struct tls_pair *ret);
void tls_pair_done(struct tls_pair *p);
/* What is wrong with all that c has, one a line; the number of those that can be used. */
size_t tls_pairs_look(const struct conf *c, const struct conf_certs *certs, struct buf *wrong);

/* May we not even see what is in DIR/tls? Says so. */
bool tls_files_hidden(const char *dir);

/* DIR/tls/NAME.crt and .key, anew: a key and a certificate for the names that signs itself. False
 * with a line in err. */
bool tls_files_make(const char *dir, const char *file, const struct str *names, size_t n,
    struct buf *err);
/* DIR/tls/NAME + end, for the caller to free(). */
char *tls_files_path(const char *dir, const char *file, const char *end);
