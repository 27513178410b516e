/* Local commands about the connection. */
#include "talk/local_priv.h"

#include "base/check.h"
#include "client/certs.h"
#include "client/dns.h"
#include "talk/unescape.h"

#include <stdlib.h>

void
local_starttls(struct talk *t, struct str args)
{
	if (t->link.tls)
		event_note(t->ev, "TLS is on already; /tls shows it.");
	else if (t->mode->starttls == NULL)
		talk_tls(t); /* a protocol that has no word for it: the handshake, now */
	else
		talk_auto(t, "%s", t->mode->starttls);
}

void
local_tls(struct talk *t, struct str args)
{
	const struct tls_facts *f = &t->link.facts;
	struct buf certs = BUF_INIT(1u << 20);
	if (t->link.tls == NULL) {
		talk_print(t, "No TLS: the connection is in clear.");
		return;
	}
	talk_print(t, "%s, %s, %d bits%s%s%s", f->version, f->cipher, f->bits,
	    f->resumed ? ", resumed" : "", *f->alpn ? ", ALPN " : "", f->alpn);
	certs_text(&t->link, false, &certs);
	talk_print(t, STR_FMT, STR_ARG(str_trim(buf_str(&certs))));
	buf_done(&certs);
}

static const struct {
	const char *name;
	uint16_t type;
} types[] = {
	{ "A", DNS_A },
	{ "AAAA", DNS_AAAA },
	{ "MX", DNS_MX },
	{ "TXT", DNS_TXT },
	{ "PTR", DNS_PTR },
	{ "CNAME", DNS_CNAME },
	{ "SRV", DNS_SRV },
	{ "TLSA", DNS_TLSA },
};

static void
print_answer(struct talk *t, const struct dns_answer *a, const char *type)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct dns_rr *rr = &a->rr[i];
		struct str text = dns_rr_text(a, i);
		if (rr->family)
			talk_print(t, "%s %u %s %s", a->owner, rr->ttl, type, rr->addr);
		else if (text.len)
			talk_print(t, "%s %u %s " STR_FMT, a->owner, rr->ttl, type, STR_ARG(text));
		else if (str_eq(str_of(type), STR("MX")))
			talk_print(t, "%s %u %s %u %s", a->owner, rr->ttl, type, rr->pref,
			    rr->target);
		else if (str_eq(str_of(type), STR("SRV")))
			talk_print(t, "%s %u %s %u %u %u %s", a->owner, rr->ttl, type, rr->pref,
			    rr->weight, rr->port, rr->target);
		else
			talk_print(t, "%s %u %s %s", a->owner, rr->ttl, type, rr->target);
	}
}

static void
ask_dns(struct talk *t, struct str text, const char *type_name, uint16_t type)
{
	char name[DNS_NAME_MAX], addr[46];
	struct buf err = BUF_INIT(1024);
	struct dns d;
	struct dns_answer a;
	dns_answer_init(&a);
	bool ok = type == DNS_PTR && dns_is_address(text, addr) ? dns_reverse(addr, name)
	                                                        : dns_name(text, name, &err);
	if (ok && dns_init(&d, &t->o->link, t->o->dns, &err)) {
		enum dns_status st = dns_ask(&d, name, type, &a);
		if (st == DNS_FOUND)
			print_answer(t, &a, type_name);
		else
			event_warn(t->ev, NULL, "%s %s: %s", name, type_name,
			    dns_status_text[st].text);
	} else {
		event_warn(t->ev, NULL, STR_FMT, STR_ARG(buf_str(&err)));
	}
	dns_answer_done(&a);
	buf_done(&err);
}

void
local_dns(struct talk *t, struct str args)
{
	char addr[46];
	struct str name = str_word(&args), type = str_word(&args);
	if (name.len == 0) {
		event_warn(t->ev, NULL,
		    "/dns NAME [A|AAAA|MX|TXT|PTR|CNAME|SRV|TLSA]: which name?");
		return;
	}
	if (type.len == 0)
		type = dns_is_address(name, addr) ? STR("PTR") : STR("A");
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (str_ieq(type, str_of(types[i].name))) {
			ask_dns(t, name, types[i].name, types[i].type);
			return;
		}
	}
	event_warn(t->ev, NULL, "/dns knows A, AAAA, MX, TXT, PTR, CNAME, SRV and TLSA.");
}

/* Whole lines are commands to the server, so they have answers. */
static void
expect_answers(struct talk *t, struct str octets)
{
	if (t->mode != &mode_smtp && t->mode != &mode_lmtp)
		return;
	while (str_find(octets, '\n') < octets.len && !(t->mode->literal && t->mode->literal(t))) {
		struct str line = str_rtrim(str_cut(&octets, '\n'));
		struct mode_typed m = { .send = BUF_INIT(TALK_LINE_MAX) };
		buf_puts(&m.send, line);
		t->mode->sent(t, line, &m);
		buf_done(&m.send);
	}
}

void
local_raw(struct talk *t, struct str args)
{
	struct buf octets = BUF_INIT(1u << 20);
	const char *why = octets_read(args, &octets);
	if (why)
		event_warn(t->ev, NULL, "/raw: %s.", why);
	else if (octets.len && talk_send_octets(t, buf_str(&octets), STR_NULL, false))
		expect_answers(t, buf_str(&octets));
	buf_done(&octets);
}

void
local_close(struct talk *t, struct str args)
{
	talk_disconnect(t);
	talk_auto_clear(t);
	talk_print(t, "Connection closed.");
	event_note(t->ev, "/reconnect connects again, /quit leaves.");
}

void
local_quit(struct talk *t, struct str args)
{
	talk_end(t, CLIENT_OK);
}

void
local_reconnect(struct talk *t, struct str args)
{
	talk_disconnect(t);
	talk_auto_clear(t);
	if (t->editor) /* what was typed ahead was for the other connection; a pipe means it */
		talk_queue_clear(&t->typed);
	t->failed = false;
	t->status = CLIENT_OK;
	int status = talk_connect(t);
	if (status == CLIENT_OK)
		return;
	talk_disconnect(t);
	if (!t->editor)
		talk_end(t, status);
}
