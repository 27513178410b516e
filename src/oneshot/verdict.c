#include "oneshot/verdict.h"

#include "base/check.h"
#include "client/exit.h"

#include <stdint.h>

const char *const probe_verdict_name[PROBE_VERDICTS] = { "accepted", "accepted-catchall",
	"rejected", "policy", "temporary", "unverifiable" };

const char *const probe_verdict_text[PROBE_VERDICTS] = {
	[PROBE_ACCEPTED] = "the server takes mail for it",
	[PROBE_CATCHALL] =
	    ("the server takes mail for every address of the domain; this says nothing "
	     "about this one"),
	[PROBE_REJECTED] = "the server says that it takes no mail for it",
	[PROBE_POLICY] = "the server refuses us, whatever the address",
	[PROBE_TEMPORARY] = "the server wants to be asked again later",
	[PROBE_UNVERIFIABLE] = "nobody could be asked, or the server does not tell",
};

/* Replies to RCPT and VRFY that are about us or the command, not the address, where no enhanced
 * code says more. */
static const struct {
	short code;
	enum probe_verdict verdict;
} odd[] = {
	{ 252, PROBE_UNVERIFIABLE }, /* RFC 5321 3.5.3 */
	{ 500, PROBE_UNVERIFIABLE },
	{ 502, PROBE_UNVERIFIABLE },
	{ 503, PROBE_UNVERIFIABLE },
	{ 504, PROBE_UNVERIFIABLE },
	{ 555, PROBE_UNVERIFIABLE },
	{ 530, PROBE_POLICY },
	{ 534, PROBE_POLICY },
	{ 535, PROBE_POLICY },
	{ 538, PROBE_POLICY },
};

enum probe_verdict
probe_judge(enum probe_at at, int code, struct str enhanced)
{
	if (code < 200 || code > 599)
		return PROBE_UNVERIFIABLE;
	if (code >= 400 && code < 500)
		return PROBE_TEMPORARY;
	if (code >= 500 && at == PROBE_BEFORE)
		return PROBE_POLICY;
	if (code >= 500 && str_starts(enhanced, STR("5.7.")))
		return PROBE_POLICY;
	if (code >= 500 && (str_starts(enhanced, STR("5.1.")) || str_starts(enhanced, STR("5.2."))))
		return PROBE_REJECTED;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		if (odd[i].code == code)
			return odd[i].verdict;
	if (code >= 300 && code < 400)
		return PROBE_UNVERIFIABLE;
	return code >= 500 ? PROBE_REJECTED : PROBE_ACCEPTED;
}

void
probe_count(struct probe_tally *t, enum probe_verdict v, int trouble)
{
	t->n++;
	t->refused += v == PROBE_REJECTED || v == PROBE_POLICY || v == PROBE_TEMPORARY;
	t->temporary += v == PROBE_TEMPORARY;
	if (t->trouble == CLIENT_OK)
		t->trouble = trouble;
}

int
probe_exit(const struct probe_tally *t, bool temp_exit)
{
	if (t->trouble == CLIENT_INTERRUPTED)
		return t->trouble;
	if (temp_exit && t->temporary)
		return CLIENT_TEMPORARY;
	if (t->refused)
		return t->refused == t->n ? CLIENT_RCPT_ALL : CLIENT_RCPT_SOME;
	return t->trouble;
}
