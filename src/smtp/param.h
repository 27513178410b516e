/*
 * param: the ESMTP parameters of MAIL, XMRG and RCPT (RFC 5321 4.1.2, RFC 1870, 6152, 3030, 3461,
 * 4954 section 5, 6531; where the configuration has them on, RFC 2852, 4865, 6710, 8689),
 * strictly.
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
#define PARAM_SOLICIT_MAX 1000 /* RFC 3865 2.2 */

enum param_verb { PARAM_MAIL = 1, PARAM_RCPT = 2, PARAM_MERGE = 4 };
enum param_verdict {
	PARAM_OK,
	PARAM_UNKNOWN, /* no such keyword here: 555 */
	PARAM_VALUE    /* the value is wrong, missing, not wanted or the second one: 501 */
};

struct smtp_params {
	unsigned seen;       /* a bit per row of the table */
	const struct smtp_conf *conf; /* in: says which of the optional ones are on; NULL: none */
	bool ours;           /* in: who may ask for what is for our own people */
	int64_t wall;        /* in: Unix seconds now, for HOLDFOR */
	bool utf8;           /* in: UTF-8 values are allowed (RCPT); out: SMTPUTF8 (MAIL) */
	uint64_t size;       /* UINT64_MAX: more than any counter holds */
	enum smtp_body_type body;
	struct str ret;      /* "FULL" or "HDRS" */
	struct str envid;
	unsigned notify;
	struct str notify_text;
	struct str orcpt;
	struct str auth;     /* as given */
	bool requiretls, verp, prdr;
	struct str solicit;  /* as given */
	char verp_marks[2];
	uint64_t hold_until; /* Unix seconds, or 0 */
	int mt_priority;
	struct str deliver_by; /* as given */
	uint64_t return_after; /* its seconds, when the letter comes back then (R), or 0 */
	struct str bad;      /* what a reply should name when the verdict is not PARAM_OK */
};

enum param_verdict smtp_params_parse(struct str args, enum param_verb verb, struct smtp_params *p);
