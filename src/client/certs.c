#include "client/certs.h"

#include "base/base64.h"
#include "base/date.h"
#include "client/show.h"

#define CERTS_SHOWN 20u
#define PEM_COLUMNS 64u /* RFC 7468 2 */

static void
put_field(struct buf *out, const char *name, struct str value)
{
	buf_putf(out, "   %-8s", name);
	show_escape(out, value);
	buf_putc(out, '\n');
}

static void
put_facts(const struct tls_peer_cert *c, struct str names, struct buf *out)
{
	struct buf when = BUF_INIT(128), pin = BUF_INIT(128), all = BUF_INIT(32768);

	date_rfc5322(&when, c->not_before, 0);
	buf_putz(&when, " to ");
	date_rfc5322(&when, c->not_after, 0);
	base64_enc(&pin, str_n(c->key, sizeof(c->key)));
	while (names.p && names.len) {
		buf_putz(&all, all.len ? ", " : "");
		buf_puts(&all, str_cut(&names, '\n'));
	}
	put_field(out, "subject", str_of(c->subject));
	if (all.len)
		put_field(out, "names", buf_str(&all));
	put_field(out, "issuer", c->self_signed ? STR("itself") : str_of(c->issuer));
	put_field(out, "valid", buf_str(&when));
	put_field(out, "key", str_of(c->key_type));
	put_field(out, "pin", buf_str(&pin));
	buf_done(&when);
	buf_done(&pin);
	buf_done(&all);
}

static void
put_pem(const struct link *l, size_t i, struct buf *out)
{
	struct buf der = BUF_INIT(256u << 10), text = BUF_INIT(512u << 10);

	if (tls_peer_der(l->tls, i, false, &der)) {
		base64_enc(&text, buf_str(&der));
		buf_putz(out, "-----BEGIN CERTIFICATE-----\n");
		for (struct str rest = buf_str(&text); rest.len;
		     rest = str_skip(rest, PEM_COLUMNS)) {
			buf_puts(out, str_first(rest, PEM_COLUMNS));
			buf_putc(out, '\n');
		}
		buf_putz(out, "-----END CERTIFICATE-----\n");
	}
	buf_done(&der);
	buf_done(&text);
}

void
certs_ocsp(const struct link *l, struct buf *out)
{
	struct tls_ocsp o;

	tls_peer_ocsp(l->tls, &o);
	if (o.stapled)
		buf_putf(out, "OCSP: %s%s", o.status, o.verified ? "" : ", NOT VERIFIED");
	else
		buf_putz(out, "OCSP: the server has stapled nothing");
}

void
certs_text(const struct link *l, bool pem, struct buf *out)
{
	size_t n = MIN(tls_peer_certs(l->tls), (size_t)CERTS_SHOWN);

	for (size_t i = 0; i < n; i++) {
		struct tls_peer_cert c = { 0 };
		struct buf names = BUF_INIT(32768);
		buf_putf(out, "Certificate %zu\n", i);
		if (tls_peer_cert(l->tls, i, &c, &names))
			put_facts(&c, buf_str(&names), out);
		if (pem)
			put_pem(l, i, out);
		buf_done(&names);
	}
	if (l->verified)
		buf_putz(out, l->conf->n_pins ? "The key is one of those that --pin names.\n"
					      : "The certificate is good for this name.\n");
	else
		buf_putf(out, "NOT VERIFIED: " STR_FMT "\n", STR_ARG(buf_str(&l->verdict)));
}
