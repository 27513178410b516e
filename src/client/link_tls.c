/* TLS on a link: the handshake, the certificate, what to say about both. */
#include "base/base64.h"
#include "base/check.h"
#include "base/date.h"
#include "client/exit.h"
#include "client/link_priv.h"
#include "client/vouch.h"
#include "sys/clock.h"

#include <ctype.h>
#include <poll.h>
#include <stdio.h>

/* What is wrong with a certificate, and what can be done about it. */
static const struct {
	const char *what, *remedy;
} trusts[TLS_TRUST_COUNT] = {
	[TLS_TRUST_OK] = { "", "" },
	[TLS_TRUST_NO_CERT] = { "the server has shown no certificate", "" },
	[TLS_TRUST_EXPIRED] = { "the certificate has expired",
	    "the server's administrator must renew it (or this machine's clock is wrong)" },
	[TLS_TRUST_EARLY] = { "the certificate is not valid yet",
	    "is this machine's clock right?" },
	[TLS_TRUST_NAME] = { "the certificate is made out to other names",
	    "connect by a name that it has, or name the one you expect with --verify-name" },
	[TLS_TRUST_SELF_SIGNED] = { "the certificate is signed by itself",
	    "if it is the right one, trust it with --pin (`pennypost cert` shows what to write), "
	    "or with --ca FILE" },
	[TLS_TRUST_UNKNOWN_ROOT] = { "the certificate comes from an authority that is not known "
				     "here",
	    "if that is your own, name its certificate with --ca FILE" },
	[TLS_TRUST_INCOMPLETE] = { "no chain leads from the certificate to an authority that is "
				   "known here",
	    "the server must send the intermediate certificates too; an authority of your own is "
	    "named with --ca FILE" },
	[TLS_TRUST_REVOKED] = { "the certificate was revoked",
	    "do not go on: the server's administrator must get a new one" },
	[TLS_TRUST_PURPOSE] = { "the certificate is not meant for a server",
	    "the server's administrator must get another" },
	[TLS_TRUST_WEAK] = { "a key or signature in the chain is too weak",
	    "the server's administrator must get a new certificate" },
	[TLS_TRUST_OTHER] = { "the certificate cannot be verified", "" },
	[TLS_TRUST_DANE] = { "the TLSA records in the DNS are about another certificate (DANE)",
	    "the server's key has changed and its records have not, or this is another server" },
};

/* --- pins --------------------------------------------------------------------------------- */

/* SHA-256 as hexadecimal digits (colons allowed), or base64, with or without "sha256//". */
static bool
pin_read(struct str text, unsigned char out[TLS_KEY_NAME])
{
	struct buf b = BUF_INIT(256);
	size_t n = 0;
	unsigned value = 0;

	if (str_istarts(text, STR("sha256//")))
		text = str_skip(text, 8);
	else if (str_istarts(text, STR("sha256:")))
		text = str_skip(text, 7);
	if (text.len == 44 && base64_dec(&b, text) && b.len == TLS_KEY_NAME) {
		memcpy(out, b.p, TLS_KEY_NAME);
		buf_done(&b);
		return true;
	}
	buf_done(&b);
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == ':')
			continue;
		if (!isxdigit(c) || n == 2u * TLS_KEY_NAME)
			return false;
		value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
		if (++n % 2 == 0)
			out[n / 2 - 1] = (unsigned char)(value & 0xff);
	}
	return n == 2u * TLS_KEY_NAME;
}

bool
link_pin_valid(struct str text)
{
	unsigned char key[TLS_KEY_NAME];

	return pin_read(text, key);
}

static bool
pin_matches(const struct link *l, const struct tls_peer_cert *c)
{
	unsigned char key[TLS_KEY_NAME];

	for (size_t i = 0; i < l->conf->n_pins; i++)
		if (pin_read(l->conf->pins[i], key) && memcmp(key, c->key, sizeof(key)) == 0)
			return true;
	return false;
}

/* --- the judgement ------------------------------------------------------------------------ */

/* A sentence with a remedy; nothing for TLS_TRUST_OK. */
static void
trust_text(enum tls_trust trust, struct str detail, struct buf *out)
{
	buf_putz(out, trusts[trust].what);
	if (trust == TLS_TRUST_OTHER && detail.len)
		buf_putf(out, ": " STR_FMT, STR_ARG(detail));
	if (*trusts[trust].remedy)
		buf_putf(out, "; %s", trusts[trust].remedy);
}

/* --insecure and its like; DANE and MTA-STS are not to be had without a good certificate. */
static bool
is_lenient(const struct link *l)
{
	return l->conf->insecure && !(l->vouched && l->vouched->must_verify);
}

/* What DANE and MTA-STS have to say behind the handshake. */
static void
judge_vouched(struct link *l)
{
	struct vouched *v = l->vouched;
	struct tls_tlsa t;

	if (v->n_tlsa && l->verified && tls_peer_dane(l->tls, &t))
		snprintf(v->matched, sizeof(v->matched), "DANE-%s matched (%u %u %u)",
		    t.usage == 3 ? "EE" : "TA", t.usage, t.selector, t.matching);
	if (v->testing && !l->verified)
		event_warn(l->ev, "tls",
		    "the certificate is not good, and the domain's MTA-STS policy, now in mode "
		    "testing, wants a good one: in mode enforce the server would be refused");
	if (v->objection.len) {
		l->verified = false;
		buf_reset(&l->verdict);
		buf_puts(&l->verdict, buf_str(&v->objection));
	}
}

static void
judge(struct link *l, const struct tls_peer_cert *c, bool have_cert)
{
	struct buf detail = BUF_INIT(1024);
	enum tls_trust trust = tls_peer_trust(l->tls, &detail);

	buf_reset(&l->verdict);
	l->trust = trust;
	l->verified = trust == TLS_TRUST_OK;
	if (l->conf->n_pins) {
		l->verified = have_cert && pin_matches(l, c);
		if (!l->verified)
			buf_putz(&l->verdict,
			    "the server's key is none of those that --pin names: it has "
			    "changed, or this is another server");
	} else {
		trust_text(trust, buf_str(&detail), &l->verdict);
	}
	buf_done(&detail);
	if (l->vouched)
		judge_vouched(l);
}

static void
put_day(struct buf *b, int64_t sec)
{
	struct date d = date_of(sec, 0);

	buf_putf(b, "%04d-%02d-%02d", d.year, d.mon, d.day);
}

static void
tell_tls(struct link *l, const struct tls_peer_cert *c, bool have_cert)
{
	struct buf b = BUF_INIT(8192);
	struct event e = { .kind = EVENT_TLS, .step = "tls" };

	buf_putf(&b, "%s, %s", l->facts.version, l->facts.cipher);
	if (have_cert) {
		buf_putz(&b, ", ");
		if (*c->common_name)
			buf_putf(&b, "CN=%s", c->common_name);
		else
			buf_putz(&b, *c->subject ? c->subject : "no subject");
		buf_putz(&b, ", valid to ");
		put_day(&b, c->not_after);
	}
	if (l->verified && l->conf->n_pins)
		buf_putz(&b, ", pin matches");
	else if (l->verified && l->vouched && *l->vouched->matched)
		buf_putf(&b, ", %s", l->vouched->matched);
	else if (l->verified)
		buf_putz(&b, ", name matches");
	else if (l->trust != TLS_TRUST_OK)
		buf_putf(&b, ", NOT VERIFIED: %s", trusts[l->trust].what);
	else
		buf_putf(&b, ", NOT VERIFIED: %s",
		    l->conf->n_pins ? "none of the pins" : "not the server that is wanted");
	e.text = buf_str(&b);
	e.status = l->verified ? CLIENT_OK : CLIENT_TLS;
	event_emit(l->ev, &e);
	buf_done(&b);
}

/* --- the handshake ------------------------------------------------------------------------ */

static void
trace(void *arg, bool sent, const char *what, size_t octets)
{
	struct link *l = arg;

	event_note(l->ev, "TLS %s %s, %zu octets", sent ? ">>>" : "<<<", what, octets);
}

static const char *
failure_remedy(const struct link *l)
{
	switch (tls_cause(l->tls)) {
	case TLS_CAUSE_PLAIN:
		return ": the server speaks without TLS on this port; use STARTTLS (--tls=must), "
		       "or none (--tls=never)";
	case TLS_CAUSE_VERSION:
		return ": it takes none of our versions; --tls-min 1.0 tries the old ones";
	case TLS_CAUSE_CIPHER:
		return ": it takes none of our suites; --tls-min 1.0 or --ciphers ALL:@SECLEVEL=0 "
		       "offers the old ones";
	case TLS_CAUSE_WANTS_CERT:
		return ": it wants a certificate of ours that it trusts (--cert, --key)";
	case TLS_CAUSE_NAME:
		return ": it knows no such name; --sni asks for another";
	case TLS_CAUSE_CLOSED:
		return " in the middle of the handshake; does this port speak TLS?";
	case TLS_CAUSE_CERTIFICATE:
	case TLS_CAUSE_OTHER:
		break;
	}
	return "";
}

static int
handshake_failed(struct link *l)
{
	if (tls_cause(l->tls) == TLS_CAUSE_CERTIFICATE) {
		struct buf detail = BUF_INIT(1024);
		l->trust = tls_peer_trust(l->tls, &detail);
		buf_reset(&l->verdict);
		trust_text(l->trust, buf_str(&detail), &l->verdict);
		buf_done(&detail);
		return link_fail(l, CLIENT_TLS,
		    "TLS with %s: " STR_FMT " (--insecure goes on regardless)", l->label,
		    STR_ARG(buf_str(&l->verdict)));
	}
	return link_fail(l, CLIENT_TLS, "TLS with %s: %s%s", l->label, tls_error(l->tls),
	    failure_remedy(l));
}

static int
shake_hands(struct link *l)
{
	int64_t deadline = sys_mono_ms() + l->conf->timeout_ms;

	for (;;) {
		enum tls_io io = tls_handshake(l->tls);
		if (io == TLS_OK)
			return CLIENT_OK;
		if (io != TLS_READ && io != TLS_WRITE)
			return handshake_failed(l);
		switch (link_wait(l, l->fd, io == TLS_READ ? POLLIN : POLLOUT, deadline)) {
		case LINK_WAIT_OK:
			break;
		case LINK_WAIT_TIME:
			return link_fail(l, CLIENT_TIMEOUT,
			    "TLS with %s: the handshake took too long; does this port speak TLS "
			    "from the start? (--tls=must uses STARTTLS, --timeout waits longer)",
			    l->label);
		case LINK_WAIT_STOP:
			return link_fail(l, CLIENT_INTERRUPTED, "interrupted during the handshake");
		}
	}
}

static bool
host_name(const char *host, char out[256])
{
	struct str s = str_of(host);

	if (s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']')
		s = str_n(s.p + 1, s.len - 2);
	if (s.len > 1 && s.p[s.len - 1] == '.') /* RFC 6066 3: without the final dot */
		s.len--;
	return str_copy(out, 256, s);
}

/* RFC 7672 3.2.2: the certificate may be the domain's whose mail the host takes, too. */
static const char *
other_name(const struct link *l)
{
	const struct vouch *v = l->conf->vouch;

	return v->by_mx && v->route_proven && *v->domain && !l->conf->verify_name ? v->domain
	                                                                          : NULL;
}

static int
begin_tls(struct link *l, const char *alpn)
{
	struct tls_client_conf conf = l->conf->tls;
	char host[256], sni[256], name[256];
	const char *also[2] = { NULL };
	struct buf err = BUF_INIT(2048);

	if (!host_name(link_path(l->conf) ? "localhost" : l->conf->host, host) ||
	    !host_name(l->conf->sni ? l->conf->sni : host, sni) ||
	    !host_name(l->conf->verify_name ? l->conf->verify_name : host, name))
		return link_fail(l, CLIENT_TLS, "TLS with %s: the name is too long", l->label);
	conf.name = *sni ? sni : NULL;
	conf.verify_name = name;
	conf.alpn = alpn;
	conf.verify = !is_lenient(l) && l->conf->n_pins == 0;
	conf.judge = true;
	conf.keylog = l->conf->keylog;
	if (l->vouched && l->vouched->n_tlsa) {
		conf.tlsa = l->vouched->tlsa;
		conf.n_tlsa = l->vouched->n_tlsa;
		also[0] = other_name(l);
		conf.also_names = also;
	}
	if (l->conf->debug_bytes) {
		conf.trace = trace;
		conf.trace_arg = l;
	}
	tls_init();
	l->tls = tls_connect(&conf, l->fd, &err);
	int status = CLIENT_OK;
	if (!l->tls)
		status =
		    link_fail(l, CLIENT_TLS, "TLS cannot begin: " STR_FMT, STR_ARG(buf_str(&err)));
	buf_done(&err);
	return status;
}

int
link_tls(struct link *l, const char *alpn)
{
	struct tls_peer_cert cert = { 0 };

	if (l->fd < 0 || l->at_end)
		return link_fail(l, CLIENT_CLOSED, "%s closed the connection before TLS began",
		    l->label);
	if (l->tls)
		return link_fail(l, CLIENT_TLS, "this connection is inside TLS already");
	/* Said before TLS, read inside it: it would pass for what the server says in secret
	 * (CVE-2011-0411). */
	if (link_unread(l))
		return link_fail(l, CLIENT_TLS,
		    "%s sent %zu octets in clear that belong behind the start of TLS: somebody on "
		    "the way may have put them there",
		    l->label, link_unread(l));
	int status = begin_tls(l, alpn);
	if (status == CLIENT_OK)
		status = shake_hands(l);
	if (status != CLIENT_OK) {
		l->at_end = true; /* whatever comes now is no line of the protocol */
		l->end = LINK_FAILED;
		return status;
	}
	tls_facts(l->tls, &l->facts);
	bool have_cert = tls_peer_cert(l->tls, 0, &cert, NULL);
	judge(l, &cert, have_cert);
	tell_tls(l, &cert, have_cert);
	if (l->verified || is_lenient(l))
		return CLIENT_OK;
	l->at_end = true;
	l->end = LINK_FAILED;
	return link_fail(l, CLIENT_TLS, "TLS with %s: " STR_FMT " (--insecure goes on regardless)",
	    l->label, STR_ARG(buf_str(&l->verdict)));
}
