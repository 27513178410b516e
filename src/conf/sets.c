/* Domains, aliases, replies and dialects: what conf holds besides keys. */
#include "conf/conf_priv.h"

#include "base/check.h"
#include "base/utf8.h"

#include <stdlib.h>

void
conf_quote(struct buf *out, struct str v)
{
	buf_putc(out, '"');
	utf8_escape(out, str_first(v, 100));
	buf_putz(out, v.len > 100 ? "...\"" : "\"");
}

/* Labels of 1 to 63 octets that neither begin nor end in '-' (RFC 5321 2.3.5, 4.1.2). */
bool
conf_good_domain(struct str v)
{
	if (v.len == 0 || v.len > 255 || !utf8_valid(v) || v.p[v.len - 1] == '.')
		return false;
	while (v.p) {
		struct str label = str_cut(&v, '.');
		if (label.len == 0 || label.len > 63 || label.p[0] == '-' ||
		    label.p[label.len - 1] == '-')
			return false;
		for (size_t i = 0; i < label.len; i++) {
			unsigned char c = (unsigned char)label.p[i];
			if (c <= 0x20 || c == 0x7f || strchr("@<>()[]:;,_\"\\/", c))
				return false;
		}
	}
	return true;
}

bool
conf_domain_add(struct conf *c, struct str name, struct buf *err)
{
	if (!conf_good_domain(name)) {
		conf_quote(err, name);
		buf_putz(err, " is no domain; write one such as example.org");
		return false;
	}
	for (size_t i = 0; i < c->n_domains; i++)
		if (str_ieq(str_of(c->domains[i]), name))
			return true;
	if (c->n_domains >= CONF_DOMAINS_MAX) {
		buf_putf(err, "more than %d domains; add them with `pennypost domain add` instead",
		    CONF_DOMAINS_MAX);
		return false;
	}
	c->domains = xrealloc(c->domains, (c->n_domains + 1) * sizeof *c->domains);
	c->domains[c->n_domains++] = str_dup(name);
	return true;
}

struct conf_alias *
conf_alias_add(struct conf *c, struct str address, struct buf *err)
{
	if (!conf_good_alias(address)) {
		conf_quote(err, address);
		buf_putz(err, " is no address for an alias; write staff@example.org, or "
			      "@example.org for all others there");
		return NULL;
	}
	for (size_t i = 0; i < c->n_aliases; i++) {
		if (str_ieq(str_of(c->aliases[i].address), address)) {
			conf_alias_clear(&c->aliases[i]);
			return &c->aliases[i];
		}
	}
	if (c->n_aliases >= CONF_ALIASES_MAX) {
		buf_putf(err, "more than %d aliases; add them with `pennypost alias add` instead",
		    CONF_ALIASES_MAX);
		return NULL;
	}
	c->aliases = xrealloc(c->aliases, (c->n_aliases + 1) * sizeof *c->aliases);
	struct conf_alias *a = &c->aliases[c->n_aliases++];
	*a = (struct conf_alias){ .address = str_dup(address) };
	return a;
}

bool
conf_alias_member_add(struct conf_alias *a, struct str member, struct buf *err)
{
	if (!conf_good_member(member)) {
		conf_quote(err, member);
		buf_putz(err, " is no address; write members as ann@example.org");
		return false;
	}
	if (a->n_members >= CONF_MEMBERS_MAX) {
		buf_putf(err, "the alias %s has more than %d members; split it into several",
		    a->address, CONF_MEMBERS_MAX);
		return false;
	}
	a->members = xrealloc(a->members, (a->n_members + 1) * sizeof *a->members);
	a->members[a->n_members++] = str_dup(member);
	return true;
}

/* "auth.user_prompt"; whether there is such a one, the dialects know. */
static bool
good_situation(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return s.len > 0 && s.len <= 64;
}

/* "250 text"; those of IMAP and POP3 have no code. */
static bool
good_reply(struct str situation, struct str text)
{
	bool coded = !str_starts(situation, STR("imap.")) && !str_starts(situation, STR("pop3."));
	bool good =
	    !coded || (text.len > 4 && text.p[3] == ' ' && text.p[0] >= '2' && text.p[0] <= '5');
	for (size_t i = 1; coded && good && i < 3; i++)
		good = text.p[i] >= '0' && text.p[i] <= '9';
	return good && text.len <= CONF_TEXT_MAX && str_find(text, '\r') == text.len &&
	       (text.len == 0 || !memchr(text.p, '\0', text.len));
}

bool
conf_reply_set(struct conf_listener *l, struct str situation, struct str text, struct buf *err)
{
	if (!good_situation(situation)) {
		buf_putz(err,
		    "reply needs the name of a situation; write reply.greeting, for example");
		return false;
	}
	if (!good_reply(situation, text)) {
		buf_putz(err, "reply.");
		utf8_escape(err, situation);
		buf_putz(err, " cannot be ");
		conf_quote(err, text);
		buf_putz(err,
		    "; write a code, a blank and words, such as 220 mail.example.org ready");
		return false;
	}
	free(map_put(&l->replies, situation, str_dup(text)));
	return true;
}

bool
conf_dialect_add(struct conf *c, struct str name, struct str text, struct buf *err)
{
	const char *want;
	if (!conf_good_dialect(name, &want) || (text.len && memchr(text.p, '\0', text.len)) ||
	    text.len > CONF_DIALECT_MAX) {
		buf_putz(err, "the dialect ");
		conf_quote(err, name);
		buf_putf(err,
		    " cannot be taken; it needs a name of letters, digits, - and _ and at most %u "
		    "octets without NUL",
		    CONF_DIALECT_MAX);
		return false;
	}
	for (size_t i = 0; i < c->n_dialects; i++) {
		if (str_eq(str_of(c->dialects[i].name), name)) {
			free(c->dialects[i].text);
			c->dialects[i].text = str_dup(text);
			return true;
		}
	}
	if (c->n_dialects >= CONF_DIALECTS_MAX) {
		buf_putf(err, "more than %d dialect files; remove some", CONF_DIALECTS_MAX);
		return false;
	}
	c->dialects = xrealloc(c->dialects, (c->n_dialects + 1) * sizeof *c->dialects);
	c->dialects[c->n_dialects].name = str_dup(name);
	c->dialects[c->n_dialects++].text = str_dup(text);
	return true;
}

static int
by_situation(const void *a, const void *b)
{
	return str_cmp(((const struct conf_reply *)a)->situation,
	    ((const struct conf_reply *)b)->situation);
}

struct conf_reply *
conf_replies_sorted(const struct conf_listener *l, size_t *ret_n)
{
	size_t pos = 0, n = 0;
	struct str key;
	void *text;
	struct conf_reply *all = xalloc((l->replies.used + 1) * sizeof *all);
	while (map_next(&l->replies, &pos, &key, &text))
		all[n++] = (struct conf_reply){ key, text };
	qsort(all, n, sizeof *all, by_situation);
	*ret_n = n;
	return all;
}
