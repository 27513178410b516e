/* verdict: what a reply says about an address. By codes alone; texts decide nothing. Pure. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum probe_verdict {
	PROBE_ACCEPTED,
	PROBE_CATCHALL,     /* accepted, and so was an address that nobody can have */
	PROBE_REJECTED,     /* there is no such address, or its mailbox takes nothing */
	PROBE_POLICY,       /* refused for who asks, or how, not for the address */
	PROBE_TEMPORARY,
	PROBE_UNVERIFIABLE, /* the server does not tell, or could not be asked */
	PROBE_VERDICTS
};
extern const char *const probe_verdict_name[PROBE_VERDICTS];
extern const char *const probe_verdict_text[PROBE_VERDICTS]; /* a clause each */

enum probe_at { PROBE_BEFORE /* greeting, HELO, MAIL */, PROBE_RCPT /* VRFY and EXPN, too */ };
/* code 0: there was no reply. */
enum probe_verdict probe_judge(enum probe_at at, int code, struct str enhanced);
/* Of all addresses: CLIENT_OK, CLIENT_RCPT_ALL, CLIENT_RCPT_SOME, or trouble (an exit status) of those
 * that could not be asked; CLIENT_TEMPORARY instead, with temp_exit. */
struct probe_tally {
	size_t n, refused, temporary;
	int trouble; /* the first */
};
void probe_count(struct probe_tally *t, enum probe_verdict v, int trouble);
int probe_exit(const struct probe_tally *t, bool temp_exit);
