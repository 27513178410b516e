/* Which mechanism: the strongest that is offered and may be used, or the user's first. */
#include "sasl/client.h"

#include "base/check.h"

struct choice {
	struct str offered;
	bool has_tls, clear_ok, has_token, has_cert;
	/* why there is none */
	bool clear, weak, other;
};

static bool
in_list(struct str list, const char *name)
{
	for (struct str word; (word = str_word(&list)).len > 0;)
		if (str_ieq(word, str_of(name)))
			return true;
	return false;
}

/* May it be used at all? Whoever has named it wants it though it is weak. */
static bool
usable(struct choice *ch, const struct sasl_mech *m, bool named)
{
	if (m->pop || (m->binds && !ch->has_tls))
		return false;
	if (m->in_clear && !ch->has_tls && !ch->clear_ok) {
		ch->clear = true;
		return false;
	}
	if (named)
		return true;
	if (m->weak) {
		ch->weak = true;
		return false;
	}
	bool fits = m->need == SASL_NEED_EXTERNAL ? ch->has_cert && !ch->has_token
	            : m->need == SASL_NEED_TICKET ? false
	            : m->need == SASL_NEED_TOKEN  ? ch->has_token
	                                          : !ch->has_token;
	ch->other = ch->other || !fits;
	return fits;
}

static const struct sasl_mech *
from_wanted(struct choice *ch, const char *wanted)
{
	struct str left = str_of(wanted);
	while (left.p) {
		const struct sasl_mech *m = sasl_mech_find(str_trim(str_cut(&left, ',')));
		bool there = m && (ch->offered.len == 0 || in_list(ch->offered, m->name));
		if (there && usable(ch, m, true))
			return m;
	}
	return NULL;
}

const struct sasl_mech *
sasl_client_choose(struct str offered, const char *wanted, bool has_tls, bool clear_ok,
    bool has_token, bool has_cert, struct buf *why)
{
	struct choice ch = { .offered = offered,
		.has_tls = has_tls,
		.clear_ok = clear_ok,
		.has_token = has_token,
		.has_cert = has_cert };
	const struct sasl_mech *found = NULL;
	if (wanted && wanted[0])
		found = from_wanted(&ch, wanted);
	else
		for (const struct sasl_mech *m = sasl_mechs; m->name && !found; m++)
			if (in_list(offered, m->name) && usable(&ch, m, false))
				found = m;
	if (found)
		return found;
	if (ch.clear)
		buf_putz(why, "the password would cross the line in clear: use TLS, or allow it by "
			      "--allow-cleartext");
	else if (wanted && wanted[0])
		buf_putf(why, "of %s none can be used; the server offers: " STR_FMT, wanted,
		    STR_ARG(offered.len ? str_first(offered, 300) : STR("nothing")));
	else if (ch.weak)
		buf_putf(why,
		    "what the server offers is weak (" STR_FMT
		    "); name one by --auth=MECH to use it "
		    "all the same",
		    STR_ARG(str_first(offered, 300)));
	else
		buf_putf(why, "no mechanism that we can use is offered: " STR_FMT,
		    STR_ARG(offered.len ? str_first(offered, 300) : STR("nothing")));
	return NULL;
}
