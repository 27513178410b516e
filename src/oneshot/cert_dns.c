/* What the name service says about the server's certificate: DANE (RFC 6698, RFC 7672) and whether
 * the domain has a policy of MTA-STS (RFC 8461 3.1). */
#include "base/num.h"
#include "client/dns.h"
#include "crypt/crypt.h"
#include "oneshot/cert_priv.h"

#include <stdio.h>
#include <stdlib.h>

/* Certificate data of the record against certificate i: RFC 6698 2.1. */
static bool
matches(const struct link *l, size_t i, const struct cert_tlsa *t, struct str hex)
{
	struct buf der = BUF_INIT(256u << 10), ours = BUF_INIT(1u << 20);
	unsigned char digest[CRYPT_DIGEST_MAX];
	struct str octets = STR_NULL;
	bool ok = tls_peer_der(l->tls, i, t->selector == 1, &der);

	if (ok && t->type == 0) {
		octets = buf_str(&der);
	} else if (ok) {
		enum crypt_hash h = t->type == 1 ? CRYPT_SHA256 : CRYPT_SHA512;
		crypt_digest(h, buf_str(&der), digest);
		octets = str_n(digest, crypt_hash_size(h));
	}
	for (size_t k = 0; ok && k < octets.len; k++)
		buf_putf(&ours, "%02x", (unsigned char)octets.p[k]);
	ok = ok && !ours.failed && str_ieq(buf_str(&ours), hex);
	buf_done(&der);
	buf_done(&ours);
	return ok;
}

/* "3 1 1 HEX" */
static bool
read_tlsa(struct str text, struct cert_tlsa *ret, struct str *ret_hex)
{
	uint64_t v[3];

	for (size_t i = 0; i < 3; i++)
		if (!num_u64(str_word(&text), 255, &v[i]))
			return false;
	*ret_hex = str_trim(text);
	*ret = (struct cert_tlsa){ .usage = (unsigned)v[0],
		.selector = (unsigned)v[1],
		.type = (unsigned)v[2],
		.match = -1,
		.usable = v[0] >= 2 && v[0] <= 3 && v[1] <= 1 && v[2] <= 2 };
	str_copy(ret->data, sizeof(ret->data), str_first(*ret_hex, sizeof(ret->data) - 1));
	return ret_hex->len > 0;
}

static void
take_tlsa(struct cert_report *r, const struct link *l, struct str text)
{
	struct cert_tlsa t;
	struct str hex;

	if (r->n_tlsa == CERT_TLSA_MAX || !read_tlsa(text, &t, &hex))
		return;
	/* DANE-EE is about the server's own certificate, DANE-TA about an issuer in the chain. */
	size_t first = t.usage == 0 || t.usage == 2 ? 1 : 0, last = first ? r->n : 1;
	for (size_t i = first; i < last && t.match < 0 && t.selector <= 1 && t.type <= 2; i++)
		if (matches(l, i, &t, hex))
			t.match = (int)i;
	r->tlsa[r->n_tlsa++] = t;
}

static void
ask_tlsa(struct cert_report *r, struct dns *d, const char *host, const struct link *l)
{
	struct dns_answer *a = xalloc(sizeof(*a));
	char name[DNS_NAME_MAX + 16];

	dns_answer_init(a);
	crypt_init();
	snprintf(name, sizeof(name), "_%u._tcp.%s", r->o->link.port, host);
	r->dane_asked = true;
	enum dns_status st = dns_ask(d, name, DNS_TLSA, a);
	r->dane_ad = a->ad;
	for (size_t i = 0; st == DNS_FOUND && i < a->n; i++)
		take_tlsa(r, l, dns_rr_text(a, i));
	if (r->n_tlsa == 0)
		snprintf(r->dane_why, sizeof(r->dane_why), "%s", dns_status_text[st].text);
	dns_answer_done(a);
	free(a);
}

static void
ask_sts(struct cert_report *r, struct dns *d, const char *host)
{
	struct dns_answer *a = xalloc(sizeof(*a));
	char name[DNS_NAME_MAX + 16];

	dns_answer_init(a);
	snprintf(name, sizeof(name), "_mta-sts.%s", host);
	r->sts_asked = true;
	enum dns_status st = dns_ask(d, name, DNS_TXT, a);
	for (size_t i = 0; st == DNS_FOUND && i < a->n && !*r->sts; i++) {
		struct str text = dns_rr_text(a, i);
		if (str_istarts(text, STR("v=STSv1")))
			str_copy(r->sts, sizeof(r->sts), str_first(text, sizeof(r->sts) - 1));
	}
	if (!*r->sts)
		snprintf(r->sts_why, sizeof(r->sts_why), "%s",
		    st == DNS_FOUND ? "no record of that version" : dns_status_text[st].text);
	dns_answer_done(a);
	free(a);
}

void
cert_dns(struct cert_report *r, const struct link *l)
{
	const char *host = r->o->link.host;
	char name[DNS_NAME_MAX], address[46];
	struct buf err = BUF_INIT(1024);
	struct dns d;

	if (dns_is_address(str_of(host), address) || !dns_name(str_of(host), name, &err) ||
	    !strchr(name, '.') || !dns_init(&d, &r->o->link, r->o->dns, &err)) {
		buf_done(&err);
		return;
	}
	ask_tlsa(r, &d, name, l);
	if (r->o->proto == PROTO_SMTP)
		ask_sts(r, &d, name);
	buf_done(&err);
}
