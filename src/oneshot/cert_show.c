/* The report, for people and as JSON. */
#include "base/base64.h"
#include "base/date.h"
#include "cli/cli.h"
#include "client/exit.h"
#include "oneshot/cert_priv.h"
#include "oneshot/say.h"

#include <inttypes.h>

static void
put_hex(struct buf *b, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_putf(b, "%02x", p[i]);
}

static void
put_time(struct buf *b, int64_t sec)
{
	struct date d = date_of(sec, 0);

	buf_putf(b, "%04d-%02d-%02d %02d:%02d", d.year, d.mon, d.day, d.hour, d.min);
}

static int64_t
days_left(const struct cert_report *r, int64_t not_after)
{
	int64_t left = not_after - r->now;

	return left >= 0 ? left / 86400 : -((-left + 86399) / 86400);
}

/* Names come from strangers, and many of them fit into one certificate. */
static void
put_names(struct buf *b, const struct buf *names)
{
	struct str rest = buf_str(names);
	size_t n = 0;

	while (rest.p && rest.len) {
		struct str name = str_cut(&rest, '\n');
		if (name.len == 0)
			continue;
		if (n < 40) {
			buf_putz(b, n ? ", " : "");
			show_escape(b, name);
		}
		n++;
	}
	if (n > 40)
		buf_putf(b, ", and %zu more", n - 40);
	if (n == 0)
		buf_putz(b, "none");
	buf_putc(b, '\n');
}

static void
show_one(const struct cert_report *r, size_t i, struct buf *b)
{
	const struct cert_one *one = &r->chain[i];
	int64_t left = days_left(r, one->c.not_after);

	buf_putf(b, "\nCertificate %zu%s\n  subject      ", i,
	    i == 0               ? ": the server's"
	    : one->c.self_signed ? ": a root"
				 : "");
	show_escape(b, str_of(one->c.subject));
	if (i == 0 || one->names.len) {
		buf_putz(b, "\n  names        ");
		put_names(b, &one->names);
	} else {
		buf_putc(b, '\n');
	}
	buf_putz(b, "  issuer       ");
	if (one->c.self_signed)
		buf_putz(b, "itself");
	else
		show_escape(b, str_of(one->c.issuer));
	buf_putz(b, "\n  valid        ");
	put_time(b, one->c.not_before);
	buf_putz(b, " to ");
	put_time(b, one->c.not_after);
	if (left >= 0)
		buf_putf(b, " UTC (%" PRId64 " days left)", left);
	else
		buf_putf(b, " UTC (EXPIRED %" PRId64 " days ago)", -left);
	buf_putf(b, "\n  key          %s\n  signature    %s\n  serial       %s\n", one->c.key_type,
	    one->c.signature, one->c.serial);
	buf_putz(b, "  pin          ");
	base64_enc(b, str_n(one->c.key, sizeof(one->c.key)));
	buf_putz(b, "\n  SHA-256      ");
	put_hex(b, one->c.sha256, sizeof(one->c.sha256));
	buf_putc(b, '\n');
}

static void
show_ocsp(const struct cert_report *r, struct buf *b)
{
	buf_putz(b, "\nOCSP           ");
	if (!r->ocsp.stapled) {
		buf_putz(b, "nothing stapled\n");
		return;
	}
	buf_putf(b, "stapled: %s%s", r->ocsp.status,
	    r->ocsp.verified ? "" : ", NOT VERIFIED (signature or time)");
	if (r->ocsp.next_update) {
		buf_putz(b, ", good to ");
		put_time(b, r->ocsp.next_update);
		buf_putz(b, " UTC");
	}
	buf_putc(b, '\n');
}

static void
show_dane(const struct cert_report *r, struct buf *b)
{
	buf_putz(b, "DANE           ");
	if (!r->dane_asked) {
		buf_putz(b, "not asked for: not a full name of a host\n");
		return;
	}
	if (r->n_tlsa == 0) {
		buf_putf(b, "_%u._tcp.%s TLSA: %s\n", r->o->link.port, r->o->link.host,
		    r->dane_why);
		return;
	}
	buf_putf(b, "%zu TLSA record%s, %s\n", r->n_tlsa, r->n_tlsa == 1 ? "" : "s",
	    r->dane_ad ? "validated by the resolver (DNSSEC)"
		       : "NOT VALIDATED by the resolver: without DNSSEC nobody may trust them");
	for (size_t i = 0; i < r->n_tlsa; i++) {
		const struct cert_tlsa *t = &r->tlsa[i];
		buf_putf(b, "  %u %u %u %.16s...  ", t->usage, t->selector, t->type, t->data);
		if (t->match >= 0)
			buf_putf(b, "matches certificate %d", t->match);
		else
			buf_putz(b, "DOES NOT MATCH");
		buf_putz(b, t->usable ? "\n" : " (a form that mail servers pass over)\n");
	}
}

/* --mta-sts */
static void
show_policy(const struct sts_found *f, struct buf *b)
{
	struct buf text = BUF_INIT(STS_POLICY_MAX);

	if (f->state == STS_FOUND)
		sts_text(f, &text);
	else if (f->state == STS_FAILED)
		show_escape(&text, buf_str(&f->why));
	if (text.len)
		buf_putf(b, "  policy       " STR_FMT "\n", STR_ARG(buf_str(&text)));
	buf_done(&text);
}

static void
show_sts(const struct cert_report *r, struct buf *b)
{
	if (!r->sts_asked)
		return;
	buf_putf(b, "MTA-STS        _mta-sts.%s TXT: ", r->o->link.host);
	if (*r->sts)
		show_escape(b, str_of(r->sts));
	else
		buf_putz(b, r->sts_why);
	buf_putc(b, '\n');
	show_policy(&r->o->vouch.sts, b);
}

static void
show_versions(const struct cert_report *r, struct buf *b)
{
	for (size_t i = 0; i < r->n_versions; i++) {
		buf_putf(b, "%s%s        %s", i ? "" : "\n",
		    cert_version_name(r->versions[i].version),
		    r->versions[i].taken ? "taken" : "refused");
		if (!r->versions[i].taken && *r->versions[i].why) {
			buf_putz(b, " (");
			show_escape(b, str_of(r->versions[i].why));
			buf_putz(b, ")");
		}
		if (r->versions[i].taken && r->versions[i].version < 0x0303)
			buf_putz(b, ": out of date (RFC 8996)");
		buf_putc(b, '\n');
		for (size_t k = 0; k < r->versions[i].n_suites; k++)
			buf_putf(b, "  %s\n", r->versions[i].suites[k]);
	}
}

void
cert_show(const struct cert_report *r, FILE *to)
{
	struct buf b = BUF_INIT(SIZE_MAX / 2);

	show_escape(&b, str_of(r->o->link.host));
	buf_putf(&b, " (%s) port %u, %s by %s\n", r->peer, r->o->link.port,
	    client_proto_name[r->o->proto], r->starttls ? "STARTTLS" : "TLS from the start");
	buf_putf(&b, "Protocol       %s, %s, %d bits\n", r->facts.version, r->facts.cipher,
	    r->facts.bits);
	buf_putz(&b, "Verified       ");
	if (r->verified && *r->matched) {
		buf_putf(&b, "yes: %s", r->matched);
	} else if (r->verified) {
		buf_putz(&b, "yes: the chain is good, and the name matches");
	} else {
		buf_putz(&b, "NO: ");
		buf_puts(&b, buf_str(&r->verdict));
	}
	buf_putc(&b, '\n');
	for (size_t i = 0; i < r->n; i++)
		show_one(r, i, &b);
	show_ocsp(r, &b);
	show_dane(r, &b);
	show_sts(r, &b);
	show_versions(r, &b);
	fwrite(b.p, 1, b.len, to);
	buf_done(&b);
}

/* --- JSON --------------------------------------------------------------------------------- */

static void
set_text(json_t *o, const char *name, struct str value)
{
	json_object_set_new(o, name, out_json_text(value));
}

static void
set_time(json_t *o, const char *name, int64_t sec)
{
	struct buf b = BUF_INIT(64);

	date_rfc3339(&b, sec * 1000);
	set_text(o, name, buf_str(&b));
	buf_done(&b);
}

static json_t *
lines(const struct buf *text)
{
	json_t *all = json_array();
	struct str rest = buf_str(text);

	while (rest.p && rest.len) {
		struct str line = str_cut(&rest, '\n');
		if (line.len)
			json_array_append_new(all, out_json_text(line));
	}
	return all;
}

static json_t *
one_json(const struct cert_report *r, const struct cert_one *one)
{
	json_t *o = json_object();
	struct buf b = BUF_INIT(256);

	set_text(o, "subject", str_of(one->c.subject));
	json_object_set_new(o, "names", lines(&one->names));
	set_text(o, "issuer", str_of(one->c.issuer));
	set_time(o, "not_before", one->c.not_before);
	set_time(o, "not_after", one->c.not_after);
	json_object_set_new(o, "days_left", json_integer(days_left(r, one->c.not_after)));
	set_text(o, "key", str_of(one->c.key_type));
	set_text(o, "signature", str_of(one->c.signature));
	set_text(o, "serial", str_of(one->c.serial));
	base64_enc(&b, str_n(one->c.key, sizeof(one->c.key)));
	set_text(o, "pin", buf_str(&b));
	buf_reset(&b);
	put_hex(&b, one->c.sha256, sizeof(one->c.sha256));
	set_text(o, "sha256", buf_str(&b));
	json_object_set_new(o, "self_signed", json_boolean(one->c.self_signed));
	buf_done(&b);
	return o;
}

static json_t *
dns_json(const struct cert_report *r)
{
	json_t *o = json_object(), *all = json_array();

	for (size_t i = 0; i < r->n_tlsa; i++) {
		const struct cert_tlsa *t = &r->tlsa[i];
		json_t *one = json_object();
		json_object_set_new(one, "usage", json_integer(t->usage));
		json_object_set_new(one, "selector", json_integer(t->selector));
		json_object_set_new(one, "type", json_integer(t->type));
		set_text(one, "data", str_of(t->data));
		json_object_set_new(one, "matches", json_boolean(t->match >= 0));
		json_object_set_new(one, "usable", json_boolean(t->usable));
		json_array_append_new(all, one);
	}
	json_object_set_new(o, "tlsa", all);
	json_object_set_new(o, "validated", json_boolean(r->dane_ad));
	if (r->n_tlsa == 0 && r->dane_asked)
		set_text(o, "why", str_of(r->dane_why));
	return o;
}

static json_t *
versions_json(const struct cert_report *r)
{
	json_t *all = json_object();

	for (size_t i = 0; i < r->n_versions; i++) {
		json_t *one = json_object(), *suites = json_array();
		json_object_set_new(one, "taken", json_boolean(r->versions[i].taken));
		for (size_t k = 0; k < r->versions[i].n_suites; k++)
			json_array_append_new(suites,
			    out_json_text(str_of(r->versions[i].suites[k])));
		json_object_set_new(one, "suites", suites);
		json_object_set_new(all, cert_version_name(r->versions[i].version), one);
	}
	return all;
}

json_t *
cert_json(const struct cert_report *r)
{
	json_t *o = json_object(), *chain = json_array(), *ocsp = json_object();

	set_text(o, "host", str_of(r->o->link.host));
	json_object_set_new(o, "port", json_integer(r->o->link.port));
	set_text(o, "address", str_of(r->peer));
	set_text(o, "proto", str_of(client_proto_name[r->o->proto]));
	json_object_set_new(o, "starttls", json_boolean(r->starttls));
	set_text(o, "version", str_of(r->facts.version));
	set_text(o, "cipher", str_of(r->facts.cipher));
	json_object_set_new(o, "verified", json_boolean(r->verified));
	if (!r->verified)
		set_text(o, "why", buf_str(&r->verdict));
	if (*r->matched)
		set_text(o, "verified_by", str_of(r->matched));
	json_object_set_new(o, "days_left", json_integer(r->left_days));
	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(chain, one_json(r, &r->chain[i]));
	json_object_set_new(o, "chain", chain);
	json_object_set_new(ocsp, "stapled", json_boolean(r->ocsp.stapled));
	if (r->ocsp.stapled) {
		set_text(ocsp, "status", str_of(r->ocsp.status));
		json_object_set_new(ocsp, "verified", json_boolean(r->ocsp.verified));
	}
	json_object_set_new(o, "ocsp", ocsp);
	json_object_set_new(o, "dane", dns_json(r));
	if (r->sts_asked)
		json_object_set_new(o, "mta_sts",
		    *r->sts ? out_json_text(str_of(r->sts)) : json_null());
	if (r->o->vouch.sts.state == STS_FOUND)
		json_object_set_new(o, "mta_sts_policy", say_policy(&r->o->vouch.sts));
	if (r->n_versions)
		json_object_set_new(o, "versions", versions_json(r));
	if (r->pem.len)
		set_text(o, "pem", buf_str(&r->pem));
	return o;
}
