/* What the protocol of a listener means for its keys. */
#include "conf/conf_priv.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdio.h>

#define CAPABILITIES_MAX 900

static const struct {
	const char *name;
	unsigned flag;           /* keys that are not for it have others only */
	uint64_t port, tls_port; /* where it is at home */
} protocols[] = {
	[CONF_IS_SMTP] = { "smtp", CONF_OF_SMTP, 25, 25 },
	[CONF_IS_LMTP] = { "lmtp", CONF_OF_SMTP, CONF_LMTP_PORT, CONF_LMTP_PORT },
	[CONF_IS_IMAP] = { "imap", CONF_OF_IMAP, 143, 993 },
	[CONF_IS_POP3] = { "pop3", CONF_OF_POP3, 110, 995 },
	[CONF_IS_METRICS] = { "metrics", CONF_OF_METRICS, CONF_METRICS_PORT, CONF_METRICS_PORT },
};

enum conf_protocol
conf_protocol(const struct conf_listener *l)
{
	for (size_t i = 1; i < ARRAY_LEN(protocols); i++)
		if (strcmp(l->protocol, protocols[i].name) == 0)
			return (enum conf_protocol)i;
	return CONF_IS_SMTP;
}

bool
conf_is_lmtp(const struct conf_listener *l)
{
	return conf_protocol(l) == CONF_IS_LMTP;
}

bool
conf_reads_mail(const struct conf_listener *l)
{
	enum conf_protocol p = conf_protocol(l);
	return p == CONF_IS_IMAP || p == CONF_IS_POP3;
}

uint64_t
conf_default_port(const struct conf_listener *l)
{
	enum conf_protocol p = conf_protocol(l);
	return strcmp(l->tls_implicit, "yes") == 0 ? protocols[p].tls_port : protocols[p].port;
}

static uint64_t
idle_floor(const struct conf_listener *l)
{
	enum conf_protocol p = conf_protocol(l);
	return p == CONF_IS_IMAP ? CONF_IMAP_IDLE : p == CONF_IS_POP3 ? CONF_POP3_IDLE : 0;
}

uint64_t
conf_idle_seconds(const struct conf_listener *l)
{
	bool written = !conf_value_is_default(conf_key_find(STR("limit.idle_seconds")), l);
	if (l->lab && written)
		return l->limit_idle_seconds;
	return MAX(l->limit_idle_seconds, idle_floor(l));
}

/* Atoms (RFC 9051 9) parted by blanks, the protocol's own name among them. */
bool
conf_good_capabilities(struct str v, const char **ret_want)
{
	*ret_want = "IMAP4rev1 or IMAP4rev2 and what else shall be shown, parted by blanks";
	bool imap = v.len == 0;
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] < ' ' || v.p[i] >= 0x7f || strchr("(){%*\"\\]", v.p[i]))
			return false;
	if (v.len > CAPABILITIES_MAX)
		return false;
	for (struct str word; (word = str_word(&v)).len;)
		imap = imap || str_istarts(word, STR("IMAP4"));
	return imap;
}

/* --- checks --- */

struct checker {
	const struct conf *c;
	const struct conf_listener *l;
	const char *who;
	struct buf *err, *warnings;
	bool ok;
};

static void PRINTF(2, 3) wrong(struct checker *ck, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_putf(ck->err, "%s: ", ck->who);
	buf_vputf(ck->err, fmt, ap);
	buf_putc(ck->err, '\n');
	va_end(ap);
	ck->ok = false;
}

static void PRINTF(2, 3) odd(struct checker *ck, const char *fmt, ...)
{
	va_list ap;
	if (ck->warnings == NULL)
		return;
	va_start(ap, fmt);
	buf_putf(ck->warnings, "%s: ", ck->who);
	buf_vputf(ck->warnings, fmt, ap);
	buf_putc(ck->warnings, '\n');
	va_end(ap);
}

/* The keys at the top of the file are for whoever knows them; here those of this listener. */
static void
check_keys(struct checker *ck, enum conf_protocol p)
{
	const struct conf_listener *all = &ck->c->defaults;
	for (const struct conf_key *k = conf_keys; k->name; k++) {
		unsigned of = k->flags & CONF_OF_ANY;
		if (!(k->flags & CONF_LISTENER) || of == 0 || (of & protocols[p].flag) ||
		    conf_value_is_default(k, ck->l) || conf_value_same(k, ck->l, all))
			continue;
		wrong(ck, "%s is for %s, and %s is spoken here; remove it", k->name,
		    of & CONF_OF_METRICS ? "lmtp and metrics"
		    : of == CONF_OF_SMTP ? "smtp"
		    : of == CONF_OF_IMAP ? "imap"
		    : of == CONF_OF_POP3 ? "pop3"
					 : "smtp and imap",
		    protocols[p].name);
	}
}

/* reply.imap.KEY and reply.pop3.KEY are theirs, the others SMTP's. */
static void
check_replies(struct checker *ck, enum conf_protocol p)
{
	size_t pos = 0;
	struct str key;
	void *text;
	while (map_next(&ck->l->replies, &pos, &key, &text)) {
		const char *general = map_get(&ck->c->defaults.replies, key);
		bool imap = str_starts(key, STR("imap.")), pop3 = str_starts(key, STR("pop3."));
		bool fits = p == CONF_IS_IMAP      ? imap
		            : p == CONF_IS_POP3    ? pop3
		            : p == CONF_IS_METRICS ? false
		                                   : !imap && !pop3;
		if (fits || (general && strcmp(general, text) == 0))
			continue;
		wrong(ck, "reply." STR_FMT " is for %s, and %s is spoken here; remove it",
		    STR_ARG(key),
		    imap   ? "imap"
		    : pop3 ? "pop3"
			   : "smtp",
		    protocols[p].name);
	}
}

static void
check_port(struct checker *ck, enum conf_protocol p)
{
	uint64_t port = ck->l->stands_for ? ck->l->stands_for : ck->l->port;
	for (size_t i = CONF_IS_IMAP; i < CONF_IS_METRICS; i++)
		if (i != p && (port == protocols[i].port || port == protocols[i].tls_port))
			odd(ck,
			    "%s is spoken at a port of %s; write protocol = \"%s\"; or another "
			    "port",
			    protocols[p].name, protocols[i].name, protocols[i].name);
	if (conf_reads_mail(ck->l) && (port == 25 || port == 587 || port == 465))
		odd(ck,
		    "%s is spoken at a port of smtp; write protocol = \"smtp\"; or another port",
		    protocols[p].name);
}

static void
check_reader(struct checker *ck)
{
	const struct conf_listener *l = ck->l;
	if (!l->lab && l->limit_idle_seconds < idle_floor(l) &&
	    l->limit_idle_seconds != ck->c->defaults.limit_idle_seconds)
		odd(ck,
		    "limit.idle_seconds is below the %" PRIu64
		    " that its RFC demands, and works only before the login",
		    idle_floor(l));
	if (conf_protocol(l) == CONF_IS_POP3 && l->pop3_apop)
		odd(ck, "pop3_apop is weak: who sees a login can try passwords at home (RFC 1939 "
			"13)");
}

bool
conf_check_protocols(const struct conf *c, struct buf *err, struct buf *warnings)
{
	bool ok = true;
	for (size_t i = 0; i < c->n_listeners; i++) {
		const struct conf_listener *l = &c->listeners[i];
		char name[96];
		struct checker ck = { c, l, conf_who(c, l, name), err, warnings, true };
		enum conf_protocol p = conf_protocol(l);
		check_keys(&ck, p);
		check_replies(&ck, p);
		if (!conf_unix_path(l))
			check_port(&ck, p);
		if (conf_reads_mail(l))
			check_reader(&ck);
		ok = ok && ck.ok;
	}
	return ok;
}
