/*
 * sts: policies of MTA-STS (RFC 8461): a web page that says which hosts take the mail of a domain,
 * and that they must have TLS with certificates that are good for their names.
 *
 * Pure. Whatever breaks the grammar makes the whole policy void, with a sentence that says where;
 * fields that are not known are passed over, of fields that come twice the first counts.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STS_POLICY_MAX (64u << 10) /* octets of a policy (RFC 8461 3.2) */
#define STS_MX_MAX 128             /* patterns of one policy */
#define STS_AGE_MAX 31557600u      /* seconds: a year */
#define STS_ID_MAX 32

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE, STS_MODES };
extern const char *const sts_mode_name[STS_MODES]; /* "none", "testing", "enforce" */

struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age;
	size_t n;
	struct str mx[STS_MX_MAX]; /* views of the text; "*.example.com" stands for one label more */
};

/* The text of a TXT record at _mta-sts.DOMAIN: "v=STSv1; id=20260101T000000;" (RFC 8461 3.1).
 * ret_id: a view. */
bool sts_record(struct str text, struct str *ret_id);
/* False with a sentence in err; then ret is empty. */
bool sts_parse(struct str text, struct sts_policy *ret, struct buf *err);
/* host: in A-labels, with or without a dot at the end. */
bool sts_match(struct str pattern, struct str host);
bool sts_allows(const struct sts_policy *p, struct str host); /* one of its patterns matches */
