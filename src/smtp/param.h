/*
 * param: the ESMTP parameters of MAIL and RCPT (RFC 5321 4.1.2, RFC 1870, 6152, 3030, 3461,
 * 4954 section 5, 6531), strictly.
 *
 * Pure: the values are views into the arguments. A keyword may stand only once. Parsing goes
 * on behind a mistake, so that SIZE is known whatever else is wrong (docs/rules.md 2: the size is
 * checked before the options).
 */
#pragma once

#include "base/str.h"
#include "smtp/session.h"

#include <stdbool.h>
#include <stdint.h>

#define PARAM_ENVID_MAX 100 /* RFC 3461 4.4 */
#define PARAM_ORCPT_MAX 500 /* RFC 3461 4.2 */
#define PARAM_AUTH_MAX 500  /* RFC 4954 5 */

enum param_verb { PARAM_MAIL = 1, PARAM_RCPT = 2 };
enum param_verdict {
	PARAM_OK,
	PARAM_UNKNOWN, /* no such keyword here: 555 */
	PARAM_VALUE    /* the value is wrong, missing, not wanted or the second one: 501 */
};

struct smtp_params {
	unsigned seen;       /* a bit per row of the table */
	bool utf8;           /* in: UTF-8 values are allowed (RCPT); out: SMTPUTF8 (MAIL) */
	uint64_t size;       /* UINT64_MAX: more than any counter holds */
	enum smtp_body_type body;
	struct str ret;      /* "FULL" or "HDRS", as given */
	struct str envid;
	unsigned notify;
	struct str notify_text;
	struct str orcpt;
	struct str bad;      /* what a reply should name when the verdict is not PARAM_OK */
};

enum param_verdict smtp_params_parse(struct str args, enum param_verb verb, struct smtp_params *p);
/* xtext of RFC 3461 section 4, at least one octet. */
bool smtp_xtext_valid(struct str s);
