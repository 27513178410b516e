/* Inside a day of TLS reports. */
#pragma once

#include "mail/tlsrpt.h"

#define TLSRPT_DOMAIN_MAX 253
#define TLSRPT_HELO_MAX 255
#define TLSRPT_IP_MAX 64
#define TLSRPT_WHY_MAX 128

struct tlsrpt_detail { /* one kind of failure; strings are owned */
	enum tlsrpt_result result;
	char *mx, *helo, *ip, *own_ip, *why;
	uint64_t count;
};

struct tlsrpt_under { /* what was seen under one policy */
	enum tlsrpt_policy policy;
	char *text, *mx;
	uint64_t good, bad;
	size_t n;
	struct tlsrpt_detail detail[TLSRPT_DETAILS_MAX];
};

struct tlsrpt_day {
	int64_t begin;
	uint32_t seconds;
	char *domain, *rua;
	size_t n;
	struct tlsrpt_under *under[TLSRPT_POLICIES_MAX];
	uint64_t good, bad; /* under all, those that found no room above too */
};

/* mail/tlsrpt.c. Text is cut to max, and what is no visible ASCII becomes "?"; getting refuses what
 * is not so. lines: \n may stand in it. */
void tlsrpt_text_put(struct buf *b, struct str s, size_t max, bool lines);
struct str tlsrpt_text_get(struct wire *w, size_t max, bool lines);
