/* report: each refusal becomes a line of the log: what was said and what it answered. */
#include "roles/front/smtp_priv.h"

#define LOOK_BACK 64 /* lines of a refused command's neighbourhood */

/* What stands behind "+12ms c: " or "+12ms s: ", perhaps with a remark in brackets before the
 * colon; false when the line is another kind. */
static bool
said_by(struct str line, char who, struct str *ret)
{
	struct str rest = str_skip(line, str_find(line, ' ') + 1);
	if (rest.len < 3 || rest.p[0] != who)
		return false;
	rest = str_skip(rest, 1);
	if (str_starts(rest, STR(" (")))
		rest = str_skip(rest, str_find(rest, ')') + 1);
	if (!rest.len || rest.p[0] != ':')
		return false;
	*ret = str_trim(str_skip(rest, 1));
	return true;
}

/* The last command before octet `end` of the history. */
static struct str
command_before(struct str history, size_t end)
{
	struct str head = str_first(history, end), said;
	for (int i = 0; i < LOOK_BACK && head.len; i++) {
		head.len--; /* its LF */
		size_t nl = str_rfind(head, '\n');
		struct str line = nl < head.len ? str_skip(head, nl + 1) : head;
		if (said_by(line, 'c', &said))
			return said;
		head = nl < head.len ? str_first(head, nl + 1) : STR_NULL;
	}
	return STR_NULL;
}

static bool
is_refusal(struct str reply)
{
	return reply.len >= 3 && (reply.p[0] == '4' || reply.p[0] == '5') &&
	       (reply.len == 3 || reply.p[3] == ' ');
}

void
report_refusals(struct conn *c)
{
	if (c->smtp->session.refused == c->smtp->reported)
		return;
	c->smtp->reported = c->smtp->session.refused;
	struct str history = buf_str(&c->smtp->history), said;
	size_t from = MIN(c->smtp->reported_at, history.len);
	struct str command = command_before(history, from), rest = str_skip(history, from);
	while (rest.p && rest.len) {
		struct str line = str_cut(&rest, '\n');
		if (said_by(line, 'c', &said))
			command = said;
		else if (said_by(line, 's', &said) && is_refusal(said))
			LOG(LOG_INFO, c->id, "refused", LOGZ("peer", c->ip),
			    LOGF("command", command), LOGF("reply", said));
	}
	c->smtp->reported_at = history.len;
}
