/* Anything that has lines: what is typed goes out, what comes is shown. */
#include "talk/talk.h"
#include "talk/words.h"

#include <stdlib.h>

struct raw_talk {
	bool asked; /* AUTH went, or what came last is a challenge: 334, "+" */
};

static void *
open_state(struct talk *t)
{
	return xalloc(sizeof(struct raw_talk));
}

static void
close_state(void *state)
{
	free(state);
}

/* Logins of all the protocols, and how many words behind the verb are no secret. */
static const struct {
	const char *verb;
	unsigned open;
} logins[] = {
	{ "AUTH", 1 },
	{ "AUTHENTICATE", 1 },
	{ "LOGIN", 1 },
	{ "APOP", 1 },
	{ "PASS", 0 },
};

/* Nothing of what is typed has a meaning here, but a password is one all the same. */
static void
mask(struct str line, struct mode_typed *ret)
{
	struct str rest = line;
	for (int i = 0; i < 2; i++) { /* a tag may stand in front */
		struct str word = str_word(&rest);
		size_t k = 0;
		while (k < ARRAY_LEN(logins) && !str_ieq(word, str_of(logins[k].verb)))
			k++;
		if (k == ARRAY_LEN(logins))
			continue;
		for (unsigned n = 0; n < logins[k].open; n++)
			str_word(&rest);
		if (str_trim(rest).len == 0)
			return;
		buf_puts(&ret->masked, str_first(line, line.len - rest.len));
		buf_putz(&ret->masked, " <hidden>");
		ret->secret = true;
		return;
	}
}

static enum mode_wait
waits(struct talk *t)
{
	return MODE_FREE;
}

static void
typed(struct talk *t, struct str line, bool sure, struct mode_typed *ret)
{
	const struct raw_talk *x = t->state;
	buf_puts(&ret->send, line);
	if (!x->asked) {
		mask(line, ret);
	} else if (line.len && !str_eq(line, STR("*"))) {
		buf_putz(&ret->masked, "<answer hidden>");
		ret->secret = true;
	}
}

static void
sent(struct talk *t, struct str line, const struct mode_typed *m)
{
	struct raw_talk *x = t->state;
	struct str rest = line, first = str_word(&rest), second = str_word(&rest);
	/* From a pipe the answers go before the challenges come. */
	x->asked = x->asked || str_ieq(first, STR("AUTH")) || str_ieq(first, STR("AUTHENTICATE")) ||
	           str_ieq(second, STR("AUTHENTICATE"));
}

static void
received(struct talk *t, struct str line, bool piece, bool again)
{
	struct raw_talk *x = t->state;
	struct str word = str_word(&line);
	if (!again)
		x->asked = str_eq(word, STR("334")) || str_eq(word, STR("+"));
}

static bool
ended(struct talk *t)
{
	return true;
}

static void
auth(struct talk *t, struct str mech, struct str user)
{
	event_warn(t->ev, NULL,
	    "A login needs a protocol: --proto smtp, lmtp, imap, pop3 or sieve.");
}

static void
caps(struct talk *t)
{
	event_warn(t->ev, NULL, "Nothing is known of this server's protocol.");
}

static void
prompt(struct talk *t, struct buf *ret)
{
	buf_putz(ret, t->link.tls ? "raw(tls) > " : "raw > ");
}

static void
complete(struct talk *t, struct words *w)
{
}

static int
status(struct talk *t)
{
	return CLIENT_OK;
}

const struct mode mode_raw = { .proto = PROTO_RAW,
	.service = "host",
	.open = open_state,
	.close = close_state,
	.waits = waits,
	.typed = typed,
	.sent = sent,
	.received = received,
	.ended = ended,
	.auth = auth,
	.caps = caps,
	.prompt = prompt,
	.complete = complete,
	.status = status };
