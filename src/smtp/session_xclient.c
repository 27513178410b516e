/*
 * XCLIENT and XFORWARD, as Postfix has them (XCLIENT_README, XFORWARD_README): a proxy or filter
 * in front of us says who its client is. Only peers that the configuration names are heard; an
 * attribute that is not understood makes the whole command void.
 */
#include "base/num.h"
#include "base/utf8.h"
#include "mail/xtext.h"
#include "smtp/param.h"
#include "smtp/session_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define VALUE_MAX 512

static bool
is_text(struct str v)
{
	for (size_t i = 0; i < v.len; i++)
		if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f)
			return false;
	return utf8_valid(v);
}

static bool
put_text(char *dst, size_t n, struct str v)
{
	return is_text(v) && str_copy(dst, n, v);
}

static bool
put_addr(char *dst, size_t n, struct str v)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char octets[16];
	if (str_istarts(v, STR("IPV6:")))
		v = str_skip(v, 5);
	if (!str_copy(text, sizeof(text), v))
		return false;
	int family = str_find(v, ':') < v.len ? AF_INET6 : AF_INET;
	return inet_pton(family, text, octets) == 1 &&
	       inet_ntop(family, octets, dst, (socklen_t)n) != NULL;
}

static bool
take_addr(struct smtp_xclient *x, struct str v)
{
	return put_addr(x->addr, sizeof(x->addr), v);
}

static bool
take_dest_addr(struct smtp_xclient *x, struct str v)
{
	return put_addr(x->dest_addr, sizeof(x->dest_addr), v);
}

static bool
put_port(uint16_t *dst, struct str v)
{
	uint64_t port = 0;
	bool good = v.len == 0 || num_u64(v, UINT16_MAX, &port);
	*dst = (uint16_t)port;
	return good;
}

static bool
take_port(struct smtp_xclient *x, struct str v)
{
	return put_port(&x->port, v);
}

static bool
take_dest_port(struct smtp_xclient *x, struct str v)
{
	return put_port(&x->dest_port, v);
}

static bool
take_name(struct smtp_xclient *x, struct str v)
{
	return addr_domain(v, ADDR_SMTPUTF8) == ADDR_OK && put_text(x->name, sizeof(x->name), v);
}

static bool
take_proto(struct smtp_xclient *x, struct str v)
{
	return (str_ieq(v, STR("SMTP")) || str_ieq(v, STR("ESMTP"))) &&
	       put_text(x->proto, sizeof(x->proto), v);
}

static bool
take_any_proto(struct smtp_xclient *x, struct str v)
{
	return put_text(x->proto, sizeof(x->proto), v);
}

static bool
take_helo(struct smtp_xclient *x, struct str v)
{
	return put_text(x->helo, sizeof(x->helo), v);
}

static bool
take_login(struct smtp_xclient *x, struct str v)
{
	return put_text(x->login, sizeof(x->login), v);
}

static bool
take_ident(struct smtp_xclient *x, struct str v)
{
	return put_text(x->ident, sizeof(x->ident), v);
}

static bool
take_source(struct smtp_xclient *x, struct str v)
{
	return (str_ieq(v, STR("LOCAL")) || str_ieq(v, STR("REMOTE"))) &&
	       put_text(x->source, sizeof(x->source), v);
}

struct attribute {
	const char *name;
	enum smtp_xattr attr;
	bool (*take)(struct smtp_xclient *x, struct str v); /* v is decoded and not empty */
};

static const struct attribute xclient_attributes[] = {
	{ "NAME", XATTR_NAME, take_name },
	{ "ADDR", XATTR_ADDR, take_addr },
	{ "PORT", XATTR_PORT, take_port },
	{ "PROTO", XATTR_PROTO, take_proto },
	{ "HELO", XATTR_HELO, take_helo },
	{ "LOGIN", XATTR_LOGIN, take_login },
	{ "DESTADDR", XATTR_DESTADDR, take_dest_addr },
	{ "DESTPORT", XATTR_DESTPORT, take_dest_port },
	{ NULL },
};
static const struct attribute xforward_attributes[] = {
	{ "NAME", XATTR_NAME, take_name },
	{ "ADDR", XATTR_ADDR, take_addr },
	{ "PORT", XATTR_PORT, take_port },
	{ "PROTO", XATTR_PROTO, take_any_proto },
	{ "HELO", XATTR_HELO, take_helo },
	{ "IDENT", XATTR_IDENT, take_ident },
	{ "SOURCE", XATTR_SOURCE, take_source },
	{ NULL },
};

/* What was said before under this name goes. */
static void
clear(struct smtp_xclient *x, enum smtp_xattr attr)
{
	char *const text[XATTR_COUNT] = { [XATTR_NAME] = x->name,
		[XATTR_ADDR] = x->addr,
		[XATTR_PROTO] = x->proto,
		[XATTR_HELO] = x->helo,
		[XATTR_LOGIN] = x->login,
		[XATTR_DESTADDR] = x->dest_addr,
		[XATTR_IDENT] = x->ident,
		[XATTR_SOURCE] = x->source };
	if (text[attr])
		text[attr][0] = '\0';
	else
		*(attr == XATTR_PORT ? &x->port : &x->dest_port) = 0;
	x->said |= 1u << attr;
}

static bool
is_unknown(struct str v)
{
	return str_ieq(v, STR("[UNAVAILABLE]")) || str_ieq(v, STR("[TEMPUNAVAIL]"));
}

static bool
take_one(struct smtp_xclient *x, const struct attribute *table, struct str word)
{
	struct str value = word, name = str_cut(&value, '=');
	struct buf text = BUF_INIT(VALUE_MAX);
	bool good = false;
	for (; table->name; table++) {
		if (!str_ieq(name, str_of(table->name)))
			continue;
		clear(x, table->attr);
		good = is_unknown(value) ||
		       (xtext_decode(&text, value) && table->take(x, buf_str(&text)));
	}
	buf_done(&text);
	return good;
}

/* The attributes behind what was said before: a copy, or NULL and the word that is wrong. */
static struct smtp_xclient *
take_all(const struct smtp_xclient *before, const struct attribute *table, struct str arg,
    struct str *ret_bad)
{
	struct smtp_xclient *x = xalloc(sizeof(*x));
	struct str word;
	bool good = arg.len > 0;
	*ret_bad = STR_NULL;
	if (before)
		*x = *before;
	while (good && (word = str_word(&arg)).len) {
		good = take_one(x, table, word);
		*ret_bad = word;
	}
	if (!good)
		free(x);
	return good ? x : NULL;
}

static struct smtp_xclient *
begin(struct smtp_turn *t, struct str verb, bool may, const struct smtp_xclient *before,
    const struct attribute *table, struct str arg)
{
	struct smtp_vars vars = { .v = { [SMTP_VAR_verb] = verb } };
	if (!may) {
		smtp_unknown(t, SMTP_XCLIENT_DENIED, verb, arg, verb);
		return NULL;
	}
	if (t->s->txn) {
		smtp_reply(t, SMTP_XCLIENT_INTXN, &vars);
		return NULL;
	}
	struct smtp_xclient *x = take_all(before, table, arg, &vars.v[SMTP_VAR_arg]);
	if (!x)
		smtp_reply(t, SMTP_XCLIENT_SYNTAX, &vars);
	return x;
}

void
smtp_xclient(struct smtp_turn *t, struct str arg)
{
	struct smtp_session *s = t->s;
	bool may = s->conf->xclient && (s->flags & F_XCLIENT);
	s->asked = begin(t, STR("XCLIENT"), may, s->xclient, xclient_attributes, arg);
	if (s->asked)
		smtp_ask(t, SMTP_ASK_XCLIENT);
}

void
smtp_xforward(struct smtp_turn *t, struct str arg)
{
	struct smtp_session *s = t->s;
	bool may = s->conf->xforward && (s->flags & F_XFORWARD);
	struct smtp_xclient *x =
	    begin(t, STR("XFORWARD"), may, s->xforward, xforward_attributes, arg);
	if (!x)
		return;
	free(s->xforward);
	s->xforward = x;
	smtp_reply(t, SMTP_XFORWARD_OK, NULL);
}

/* Nothing that was true of the proxy may be taken for true of its client. */
static void
become(struct smtp_session *s, const struct smtp_xclient *x, struct str user)
{
	const char *name = x->name[0] ? x->name : "unknown", *ip = x->addr[0] ? x->addr : "unknown";
	bool moved = x->said & 1u << XATTR_ADDR, named = x->said & 1u << XATTR_NAME;
	smtp_forget_hello(s);
	s->flags |= F_IS_CLIENT;
	if (moved)
		(void)str_copy(s->peer.ip, sizeof(s->peer.ip), str_of(ip));
	if (moved || named)
		(void)str_copy(s->peer.name, sizeof(s->peer.name), str_of(name));
	(void)str_copy(s->helo, sizeof(s->helo), str_of(x->helo));
	s->hello = x->helo[0] != '\0';
	s->esmtp = str_ieq(str_of(x->proto), STR("ESMTP"));
	s->authenticated = user.len && str_copy(s->user, sizeof(s->user), user);
}

void
smtp_answer_xclient(struct smtp_turn *t, const struct smtp_answer *a)
{
	struct smtp_session *s = t->s;
	struct smtp_xclient *x = s->asked;
	s->asked = NULL;
	if (a->situation != SMTP_NONE) {
		struct smtp_vars vars = {
			.v = { [SMTP_VAR_verb] = STR("XCLIENT"), [SMTP_VAR_reason] = a->reason }
		};
		free(x);
		smtp_reply(t, a->situation, &vars);
		return;
	}
	free(s->xclient);
	s->xclient = x;
	become(s, x, a->user);
	smtp_notef(t, "the client is now %s [%s]", s->peer.name, s->peer.ip);
	smtp_reply(t, SMTP_GREETING, NULL);
}
