/* What the files of sasl share: an exchange, and how one kind of mechanism runs in it. */
#pragma once

#include "sasl/sasl.h"

/* Either function may set authcid, authzid, password and out; a status that ends the exchange is
 * the last that is asked of it. */
struct sasl_kind {
	enum sasl_status (*step)(struct sasl *s, const struct str *in);
	enum sasl_status (*answer)(struct sasl *s, bool good); /* NULL: never asks */
	void (*done)(struct sasl *s);                          /* may be NULL */
};

struct sasl_library; /* an exchange of the library */
struct sasl {
	const struct sasl_mech *mech;
	const struct sasl_kind *kind;
	struct sasl_conf conf; /* strings are ours */
	enum sasl_status status;
	bool begun, ended;
	unsigned steps;
	unsigned state; /* of the kind: 0 at first */
	char authcid[SASL_NAME_MAX], authzid[SASL_NAME_MAX];
	struct buf password, out;
	struct sasl_library *library;
};

extern const struct sasl_kind sasl_kind_plain, sasl_kind_login, sasl_kind_external;
extern const struct sasl_kind sasl_kind_oauthbearer, sasl_kind_xoauth2, sasl_kind_library;
extern const struct sasl_kind sasl_kind_apop;

/* A name without NUL, of 1 to SASL_NAME_MAX - 1 octets; a password likewise. */
bool sasl_name_set(char dst[SASL_NAME_MAX], struct str name);
bool sasl_password_set(struct sasl *s, struct str password);

/* gs2-header of RFC 5801 4, which SCRAM and OAUTHBEARER begin with. */
struct sasl_gs2 {
	char flag;         /* 'n', 'y' or 'p' */
	struct str cbname; /* with 'p' */
	struct str authzid; /* still with =2C and =3D */
	struct str header; /* all of it, with both commas */
};
bool sasl_gs2_get(struct str *in, struct sasl_gs2 *ret); /* advances in */
bool sasl_saslname_get(struct str raw, char dst[SASL_NAME_MAX]); /* RFC 5802 5.1 */

/* Are these messages of SCRAM (RFC 5802 7)? The library is asked only then. */
bool sasl_scram_first(struct str in, struct sasl_gs2 *ret_gs2, char name[SASL_NAME_MAX]);
bool sasl_scram_final(struct str in, struct str *ret_binding); /* c=, still base64 */

/* What there is of SASLprep; ASCII, and what is no UTF-8, stay as they are. */
void sasl_scram_prepare(struct buf *out, struct str in);

/* base64url without padding (RFC 7515 2). */
bool sasl_base64url_dec(struct buf *out, struct str in);
