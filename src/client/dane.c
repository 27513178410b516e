/* TLSA records of the host (RFC 7672 2.2, 3.1). */
#include "client/exit.h"
#include "client/link_priv.h"
#include "client/vouch_priv.h"

#include "base/num.h"

#include <stdio.h>
#include <stdlib.h>

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "3 1 1 HEX", as dns_rr_text() has it; the octets go to `data`, whose memory is there. */
static bool
read_record(struct str text, struct buf *data, struct tls_tlsa *ret)
{
	uint64_t v[3];

	for (size_t i = 0; i < 3; i++)
		if (!num_u64(str_word(&text), 255, &v[i]))
			return false;
	text = str_trim(text);
	size_t at = data->len;
	for (size_t i = 0; i + 1 < text.len; i += 2) {
		int high = digit(text.p[i]), low = digit(text.p[i + 1]);
		if (high < 0 || low < 0)
			return false;
		buf_putc(data, (char)(high << 4 | low));
	}
	*ret = (struct tls_tlsa){ .usage = (uint8_t)v[0],
		.selector = (uint8_t)v[1],
		.matching = (uint8_t)v[2],
		.data = str_n(data->p + at, data->len - at) };
	return !data->failed && text.len % 2 == 0;
}

static void
take_records(struct vouched *v, const struct dns_answer *a)
{
	/* Views must hold: all the room first. */
	if (!buf_reserve(&v->data, a->texts.len / 2 + 1))
		return;
	for (size_t i = 0; i < a->n && v->n_tlsa < VOUCH_TLSA_MAX; i++) {
		struct tls_tlsa *t = &v->tlsa[v->n_tlsa];
		if (read_record(dns_rr_text(a, i), &v->data, t) && tls_tlsa_usable(t))
			v->n_tlsa++;
	}
}

static int
obey_records(struct link *l, const char *name, const struct dns_answer *a)
{
	struct vouched *v = l->vouched;

	take_records(v, a);
	v->must_tls = true;
	if (v->n_tlsa == 0) {
		/* RFC 7672 2.2: encrypted, and nobody knows with whom. */
		event_warn(l->ev, "tls",
		    "none of the TLSA records at %s can be used for mail (usage 3 or 2, selector 0 "
		    "or 1, matching 0 to 2): TLS is a must, and nothing vouches for the server",
		    name);
		return CLIENT_OK;
	}
	v->must_verify = !l->conf->vouch->lenient;
	event_note(l->ev, "DANE: %zu TLSA record%s at %s, validated", v->n_tlsa,
	    v->n_tlsa == 1 ? "" : "s", name);
	return CLIENT_OK;
}

static int
judge(struct link *l, const char *host, const char *name, enum dns_status st,
    const struct dns_answer *a)
{
	struct buf why = BUF_INIT(2048);
	int status;

	switch (st) {
	case DNS_FOUND:
		if (a->ad)
			return obey_records(l, name, a);
		return vouch_object(l, CLIENT_TLS,
		    "the TLSA records at %s are validated by nobody: their zone must be signed "
		    "(DNSSEC), and the name server must validate, and stand on this machine or be "
		    "named by --dns",
		    name);
	case DNS_NODATA:
	case DNS_NXDOMAIN:
		return vouch_object(l, CLIENT_TLS,
		    "%s has no TLSA record (%s): DANE says nothing about it; without --dane other "
		    "rules hold",
		    host, name);
	case DNS_STOPPED:
		return link_fail(l, CLIENT_INTERRUPTED,
		    "interrupted while the TLSA records were looked up");
	case DNS_SERVFAIL:
	case DNS_REFUSED:
	case DNS_TIMEOUT:
	case DNS_UNREACHABLE:
	case DNS_BROKEN:
	case DNS_BADNAME:
	case DNS_STATUS_COUNT:
		break;
	}
	/* RFC 7672 2.1.2: who can make the look-up fail could make DANE go away. */
	dns_explain(&why, name, st);
	status = vouch_object(l, CLIENT_RESOLVE, STR_FMT, STR_ARG(buf_str(&why)));
	buf_done(&why);
	return status;
}

int
dane_begin(struct link *l, struct dns *d)
{
	const struct vouch *v = l->conf->vouch;
	char host[DNS_NAME_MAX], name[DNS_NAME_MAX + 16];

	vouch_host(l, host);
	if (!*host)
		return vouch_object(l, CLIENT_TLS,
		    "%s is no name of a host, and TLSA records stand at names: --dane needs one",
		    l->conf->host);
	if (v->by_mx && !v->route_proven)
		return vouch_object(l, CLIENT_TLS,
		    "the MX records of %s, which lead to %s, are validated by nobody, so DANE "
		    "cannot say whether it is the right server: the domain must be signed "
		    "(DNSSEC), and the name server must validate, and stand on this machine or be "
		    "named by --dns",
		    v->domain, host);
	struct dns_answer *a = xalloc(sizeof(*a));
	dns_answer_init(a);
	snprintf(name, sizeof(name), "_%u._tcp.%s", l->conf->port, host);
	enum dns_status st = dns_ask(d, name, DNS_TLSA, a);
	int status = judge(l, host, name, st, a);
	dns_answer_done(a);
	free(a);
	return status;
}
