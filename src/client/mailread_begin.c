/* mailread_begin: greeting, capabilities, TLS. */
#include "client/mailread_priv.h"

#include <ctype.h>
#include <string.h>

static const char *const starttls_verb[PROTO_COUNT] = {
	[PROTO_IMAP] = "STARTTLS", [PROTO_POP3] = "STLS", [PROTO_SIEVE] = "STARTTLS"
};
static const char *const proto_title[PROTO_COUNT] = {
	[PROTO_IMAP] = "IMAP", [PROTO_POP3] = "POP3", [PROTO_SIEVE] = "ManageSieve"
};
static const char *const proto_alpn[PROTO_COUNT] = {
	[PROTO_IMAP] = "imap", [PROTO_POP3] = "pop3", [PROTO_SIEVE] = "managesieve"
};

/* --- what is known --- */

static void
forget_caps(struct mailread *m)
{
	buf_reset(&m->caps);
	m->mechs[0] = '\0';
	m->caps_known = m->login_disabled = m->has_idle = false;
}

static void
mech_add(struct mailread *m, struct str mech)
{
	size_t n = strlen(m->mechs);
	struct str all = { m->mechs, n };
	while (all.p) {
		if (str_ieq(str_cut(&all, ' '), mech))
			return;
	}
	if (mech.len == 0 || n + mech.len + 2 > sizeof(m->mechs))
		return;
	if (n > 0)
		m->mechs[n++] = ' ';
	for (size_t i = 0; i < mech.len; i++)
		m->mechs[n++] = (char)toupper((unsigned char)mech.p[i]);
	m->mechs[n] = '\0';
}

static void
imap_cap(struct mailread *m, struct str cap)
{
	if (cap.len == 0)
		return;
	if (m->caps.len > 0)
		buf_putc(&m->caps, ' ');
	buf_puts(&m->caps, cap);
	if (str_istarts(cap, STR("AUTH=")))
		mech_add(m, str_skip(cap, 5));
	else if (str_ieq(cap, STR("LOGINDISABLED")))
		m->login_disabled = true;
	else if (str_ieq(cap, STR("IDLE")) || str_ieq(cap, STR("IMAP4rev2")))
		m->has_idle = true;
}

/* A list takes the place of the one before (RFC 3501 7.2.1). */
void
mailread_caps_nodes(struct mailread *m, const struct imap_node *n)
{
	forget_caps(m);
	for (; n; n = n->next)
		imap_cap(m, imap_node_text(n));
	m->caps_known = m->saw_caps = true;
}

void
mailread_caps_text(struct mailread *m, struct str s)
{
	forget_caps(m);
	for (struct str w = str_word(&s); w.len; w = str_word(&s))
		imap_cap(m, w);
	m->caps_known = m->saw_caps = true;
}

/* A line of CAPA, or of ManageSieve (RFC 5804 1.7): its first word says what it is. */
static void
line_cap(struct mailread *m, struct str line)
{
	struct str rest = str_trim(line), name = str_word(&rest);
	if (name.len == 0)
		return;
	if (m->caps.len > 0)
		buf_putc(&m->caps, '\n');
	buf_puts(&m->caps, str_trim(line));
	if (!str_ieq(name, STR("SASL")))
		return;
	for (struct str w = str_word(&rest); w.len; w = str_word(&rest))
		mech_add(m, w);
}

bool
mailread_has(const struct mailread *m, const char *name)
{
	struct str all = buf_str(&m->caps);
	char sep = m->proto == PROTO_IMAP ? ' ' : '\n';
	while (all.len) {
		struct str one = str_cut(&all, sep);
		struct str word = sep == ' ' ? one : str_word(&one);
		if (str_ieq(word, str_of(name)))
			return true;
	}
	return false;
}

/* --- greeting --- */

static int
greet_imap(struct mailread *m)
{
	const struct imap_response *r = NULL;
	int status = mailread_next(m, &r);
	if (status != CLIENT_OK)
		return status;
	mailread_keep(m, r);
	buf_puts(&m->greeting, buf_str(&m->text));
	m->preauth = m->logged_in = r->status == IMAP_PREAUTH;
	if (r->kind == IMAP_UNTAGGED && m->good)
		return CLIENT_OK;
	return mailread_fail(m, CLIENT_GREETING, "the greeting is none of IMAP: " STR_FMT,
	    STR_ARG(buf_str(&m->text)));
}

/* Capability lines come first (RFC 5804 1.8); the reader tells each as untagged. */
static void
sieve_line(struct mailread *m, const struct imap_response *r)
{
	struct buf line = BUF_INIT(MAILREAD_CAPS_MAX);
	for (const struct imap_node *n = r->data; n; n = n->next) {
		buf_puts(&line, imap_node_text(n));
		buf_putc(&line, ' ');
	}
	line_cap(m, buf_str(&line));
	buf_done(&line);
}

static int
greet_sieve(struct mailread *m)
{
	const struct imap_response *r = NULL;
	forget_caps(m);
	m->untagged = sieve_line;
	int status = mailread_next(m, &r);
	m->untagged = NULL;
	if (status != CLIENT_OK)
		return status;
	mailread_keep(m, r);
	buf_puts(&m->greeting, buf_str(&m->text));
	m->caps_known = m->good;
	if (m->good)
		return CLIENT_OK;
	return mailread_refused(m, CLIENT_GREETING, "the connection");
}

static int
greet_pop3(struct mailread *m)
{
	enum pop_status answer;
	struct str stamp;
	int status = mailread_pop_answer(m, &answer);
	if (status != CLIENT_OK)
		return status == CLIENT_EXPECT ? CLIENT_GREETING : status;
	buf_puts(&m->greeting, str_first(buf_str(&m->text), MAILREAD_TEXT_MAX));
	m->stamp[0] = '\0';
	if (pop_stamp(buf_str(&m->text), &stamp))
		(void)str_copy(m->stamp, sizeof(m->stamp), stamp);
	return answer == POP_OK ? CLIENT_OK
	                        : mailread_refused(m, CLIENT_GREETING, "the connection");
}

int
mailread_greet(struct mailread *m)
{
	m->step = "greeting";
	m->tag = 0;
	if (m->proto == PROTO_POP3)
		return greet_pop3(m);
	return m->proto == PROTO_SIEVE ? greet_sieve(m) : greet_imap(m);
}

/* --- capabilities --- */

/* A line, in pieces. */
struct capa {
	struct mailread *m;
	struct buf line;
};

static void
capa_piece(void *arg, struct str piece)
{
	struct capa *c = arg;
	buf_puts(&c->line, piece);
	if (piece.len == 0 || piece.p[piece.len - 1] != '\n')
		return;
	if (!c->line.failed)
		line_cap(c->m, buf_str(&c->line));
	buf_reset(&c->line);
}

/* A server that knows no CAPA has none (RFC 2449 5). */
static int
caps_pop3(struct mailread *m)
{
	struct capa c = { .m = m };
	int status = mailread_pop(m, "CAPA");
	if (status != CLIENT_OK)
		return status;
	forget_caps(m);
	buf_init(&c.line, 1024);
	if (m->good)
		status = mailread_pop_lines(m, capa_piece, &c);
	buf_done(&c.line);
	m->caps_known = status == CLIENT_OK;
	return status;
}

int
mailread_caps(struct mailread *m)
{
	int status;
	m->step = "capabilities";
	if (m->proto == PROTO_POP3)
		return caps_pop3(m);
	forget_caps(m);
	m->untagged = m->proto == PROTO_SIEVE ? sieve_line : NULL;
	status = mailread_command(m, "CAPABILITY");
	m->untagged = NULL;
	if (status != CLIENT_OK)
		return status;
	if (!m->good)
		return mailread_refused(m, CLIENT_HELLO, "CAPABILITY");
	m->caps_known = true;
	return CLIENT_OK;
}

/* --- TLS --- */

int
mailread_starttls(struct mailread *m)
{
	const char *verb = starttls_verb[m->proto];
	m->step = "starttls";
	int status =
	    m->proto == PROTO_POP3 ? mailread_pop(m, "%s", verb) : mailread_command(m, "%s", verb);
	if (status != CLIENT_OK)
		return status;
	if (!m->good)
		return mailread_refused(m, CLIENT_TLS_REFUSED, verb);
	m->step = "tls";
	status = link_tls(m->link, proto_alpn[m->proto]);
	if (status != CLIENT_OK)
		return mailread_fail(m, status, STR_FMT, STR_ARG(buf_str(&m->link->why)));
	/* What was said in clear counts no more (RFC 3501 6.2.1, RFC 2595 4, RFC 5804 2.2). */
	forget_caps(m);
	return m->proto == PROTO_SIEVE ? greet_sieve(m) : mailread_caps(m);
}

int
mailread_begin(struct mailread *m, enum client_tls tls)
{
	const char *verb = starttls_verb[m->proto];
	int status = mailread_greet(m);
	if (status == CLIENT_OK && (!m->caps_known || m->proto == PROTO_POP3))
		status = mailread_caps(m);
	if (status != CLIENT_OK || m->link->tls || tls == CLIENT_TLS_NEVER ||
	    tls == CLIENT_TLS_IMPLICIT)
		return status;
	if (m->preauth) { /* RFC 9051 6.2.1: no TLS behind it */
		m->step = "starttls";
		return tls == CLIENT_TLS_MAY ? CLIENT_OK
		                             : mailread_fail(m, CLIENT_TLS_REFUSED,
						   "TLS is required, but the greeting was PREAUTH: "
						   "it cannot be begun any more");
	}
	if (mailread_has(m, verb))
		status = mailread_starttls(m);
	else if (tls == CLIENT_TLS_MUST)
		status = mailread_fail(m, CLIENT_TLS_REFUSED,
		    "TLS is required, and this %s server does not offer %s; try the port that "
		    "begins "
		    "with TLS, or --tls=may",
		    proto_title[m->proto], verb);
	/* Refused, though offered: go on without, where that is allowed. The login will not. */
	if (status == CLIENT_TLS_REFUSED && tls == CLIENT_TLS_MAY) {
		event_warn(m->ev, "starttls", STR_FMT, STR_ARG(buf_str(&m->why)));
		status = CLIENT_OK;
	}
	return status;
}
