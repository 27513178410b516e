/* Versions and suites, one handshake for each that the server takes. */
#include "client/exit.h"
#include "oneshot/cert_priv.h"

#include <stdio.h>

const char *
cert_version_name(int version)
{
	static const char *const names[] = { "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

	return version >= 0x0301 && version <= 0x0304 ? names[version - 0x0301] : "?";
}

/* One try, told to nobody. CLIENT_OK: they agreed on ret; CLIENT_TLS: they did not. */
static int
try_once(struct cert_report *r, int version, const char *suites, struct tls_facts *ret,
    char why[160])
{
	struct link_conf conf = r->o->link;
	struct events nobody;
	struct link l;

	events_init(&nobody);
	conf.insecure = true;
	conf.n_pins = 0;
	conf.debug_bytes = false;
	conf.tls.min_version = conf.tls.max_version = version;
	conf.tls.ciphers = suites;
	conf.tls.ocsp = false;
	int status = cert_open(r, &l, &conf, &nobody);
	if (status == CLIENT_OK)
		status = link_tls(&l, cert_alpn(r->o->proto));
	if (status == CLIENT_OK)
		*ret = l.facts;
	else
		snprintf(why, 160, "%.150s", l.tls ? tls_error(l.tls) : buf_cstr(&l.why));
	link_close(&l);
	return status;
}

/* All suites of a version but those in `without`. */
static void
offer(int version, char (*without)[64], size_t n, struct buf *out)
{
	struct buf all = BUF_INIT(64u << 10);

	tls_suites(version, &all);
	struct str rest = buf_str(&all);
	while (rest.p && rest.len) {
		struct str name = str_cut(&rest, '\n');
		bool out_of_it = name.len == 0;
		for (size_t i = 0; i < n; i++)
			out_of_it = out_of_it || str_eq(name, str_of(without[i]));
		if (!out_of_it)
			buf_putf(out, "%s" STR_FMT, out->len ? ":" : "", STR_ARG(name));
	}
	/* libssl leaves out weak ones unless it is told not to care. */
	if (out->len && version < 0x0304)
		buf_putz(out, ":@SECLEVEL=0");
	buf_done(&all);
}

/* What the server chose is taken away until it chooses nothing more. */
static int
scan_suites(struct cert_report *r, size_t i)
{
	int status = CLIENT_OK;

	while (status == CLIENT_OK && r->versions[i].n_suites < CERT_SUITES_MAX) {
		struct buf list = BUF_INIT(64u << 10);
		struct tls_facts facts;
		char why[160];
		offer(r->versions[i].version, r->versions[i].suites, r->versions[i].n_suites,
		    &list);
		if (list.len == 0 || !buf_cstr(&list)) {
			buf_done(&list);
			break;
		}
		status = try_once(r, r->versions[i].version, list.p, &facts, why);
		buf_done(&list);
		if (status == CLIENT_OK)
			snprintf(r->versions[i].suites[r->versions[i].n_suites++], 64, "%s",
			    facts.cipher);
	}
	return status == CLIENT_INTERRUPTED ? status : CLIENT_OK;
}

int
cert_scan(struct cert_report *r)
{
	int status = CLIENT_OK;

	for (int version = 0x0301; version <= 0x0304 && status == CLIENT_OK; version++) {
		size_t i = r->n_versions++;
		struct tls_facts facts;
		struct buf list = BUF_INIT(64u << 10);
		r->versions[i].version = version;
		offer(version, NULL, 0, &list);
		int got = buf_cstr(&list) && list.len
		              ? try_once(r, version, list.p, &facts, r->versions[i].why)
		              : CLIENT_TLS;
		buf_done(&list);
		r->versions[i].taken = got == CLIENT_OK;
		if (got == CLIENT_INTERRUPTED)
			status = got;
		if (r->versions[i].taken && r->o->all_ciphers)
			status = scan_suites(r, i);
	}
	return status;
}
