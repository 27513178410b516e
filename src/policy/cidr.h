/*
 * cidr: a list of networks as configuration writes it: "127.0.0.0/8, ::1, 10.1.2.3".
 *
 * Entries are parted by commas or blanks; an address without a prefix length is itself alone;
 * IPv6 may stand in brackets. IPv4 and IPv6 never match one another, but an IPv4-mapped IPv6
 * address is an IPv4 address on both sides. The list is owned: cidr_list_done().
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <sys/socket.h>

#define CIDR_MAX 1024

enum cidr_verdict {
	CIDR_OK,
	CIDR_ADDRESS,   /* not an address */
	CIDR_PREFIX,    /* the prefix length is no number or too large */
	CIDR_HOST_BITS, /* bits behind the prefix are set: 10.1.2.3/8 */
	CIDR_TOO_MANY,  /* more than CIDR_MAX */
	CIDR_COUNT
};
extern const char *const cidr_verdict_text[CIDR_COUNT]; /* what is wrong; what to write instead */

struct cidr {
	unsigned char ip[16];
	unsigned bits; /* of all 128 */
	bool v4;
};

struct cidr_list {
	struct cidr *item;
	size_t n;
};

/* On a mistake *ret stays untouched and *ret_at is the entry that is wrong (a view into text). */
enum cidr_verdict cidr_list_parse(struct str text, struct cidr_list *ret, struct str *ret_at);
void cidr_list_done(struct cidr_list *l);
bool cidr_list_match(const struct cidr_list *l, const struct sockaddr *sa);
