#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "roles/relay/plan.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHA "0123456789abcdef0123456789abcdef"

struct host {
	unsigned preference;
	const char *name;
	const char *addrs; /* parted by blanks */
	bool secure;
	enum tlsa_verdict tlsa;
	unsigned usage; /* of its one record; 0: none, or one that is of no use */
};

struct row {
	const char *name, *target;
	bool secure; /* MX */
	enum mx_verdict verdict;
	struct host host[4];
	const char *tls, *sts;
	bool no_ipv6;
	const char *want; /* "name [barred] tls ground addrs..., ..."; "!status" or "?status" (for
	                     now) in front */
};

static const char *const grounds[] = { "conf", "route", "dane", "sts", "testing" };
static const char *const levels[] = { "clear", "may", "any", "verify", "dane" };

static const struct row rows[] = {
	{ "one", "mx:example.net", .host = { { 10, "mx1", "192.0.2.1" } },
	    .want = "mx1 may conf 192.0.2.1" },
	{ "order", "mx:example.net", .host = { { 20, "b", "192.0.2.2" }, { 10, "a", "192.0.2.1" } },
	    .want = "a may conf 192.0.2.1, b may conf 192.0.2.2" },
	{ "families by turns", "mx:example.net",
	    .host = { { 10, "a", "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2" } },
	    .want = "a may conf 2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2" },
	{ "no IPv6", "mx:example.net", .host = { { 10, "a", "192.0.2.1 2001:db8::1" } },
	    .no_ipv6 = true, .want = "a may conf 192.0.2.1" },
	{ "only IPv6, which is off", "mx:example.net", .host = { { 10, "a", "2001:db8::1" } },
	    .no_ipv6 = true, .want = "?4.4.4" },
	{ "a host without address", "mx:example.net",
	    .host = { { 10, "a", "" }, { 20, "b", "192.0.2.2" } }, .want = "b may conf 192.0.2.2" },
	/* us */
	{ "we are the best", "mx:example.net",
	    .host = { { 10, "us.test", "203.0.113.9" }, { 20, "b", "192.0.2.2" } },
	    .want = "!5.4.6" },
	{ "we are the best, any case", "mx:example.net", .host = { { 10, "US.Test.", "" } },
	    .want = "!5.4.6" },
	{ "backup MX", "mx:example.net",
	    .host = { { 10, "a", "192.0.2.1" }, { 20, "us.test", "203.0.113.9" },
		{ 20, "c", "192.0.2.3" }, { 30, "d", "192.0.2.4" } },
	    .want = "a may conf 192.0.2.1" },
	{ "our address", "mx:example.net", .host = { { 10, "other", "203.0.113.9" } },
	    .want = "!5.4.6" },
	{ "our address by number", "smtp:[203.0.113.9]:25", .want = "!5.4.6" },
	{ "our name", "smtp:us.test:25", .host = { { 0, "us.test", "127.0.1.1" } },
	    .want = "!5.4.6" },
	{ "our name, another port", "smtp:us.test:2525", .host = { { 0, "us.test", "127.0.1.1" } },
	    .want = "us.test may conf 127.0.1.1" },
	{ "our name is one of two", "lmtp:both.test:25",
	    .host = { { 0, "both.test", "203.0.113.9 192.0.2.9" } }, .want = "!5.4.6" },
	{ "our address, another port", "smtp:[203.0.113.9]:2525",
	    .want = "203.0.113.9 may conf "
		    "203.0.113.9" },
	/* no way */
	{ "no domain", "mx:example.net", .verdict = MX_NO_DOMAIN, .want = "!5.1.2" },
	{ "null MX", "mx:example.net", .verdict = MX_NO_MAIL, .want = "!5.1.10" },
	{ "no host", "mx:example.net", .verdict = MX_NO_HOST, .want = "!5.4.4" },
	{ "later", "mx:example.net", .verdict = MX_LATER, .want = "?4.4.3" },
	{ "forged", "mx:example.net", .verdict = MX_FORGED, .want = "?4.4.3" },
	{ "off", "mx:example.net", .verdict = MX_OFF, .want = "?4.4.3" },
	{ "off, by number", "mx:[192.0.2.7]", .verdict = MX_OFF,
	    .want = "192.0.2.7 may conf 192.0.2.7" },
	{ "IPv6 by number", "smtp:[IPv6:2001:db8::1]:26", .verdict = MX_OFF,
	    .want = "2001:db8::1 may conf 2001:db8::1" },
	/* DANE */
	{ "DANE", "mx:example.net", .secure = true,
	    .host = { { 10, "a", "192.0.2.1", true, TLSA_SECURE, 3 } },
	    .want = "a dane dane 192.0.2.1" },
	{ "DANE, usage 2", "mx:example.net", .secure = true,
	    .host = { { 10, "a", "192.0.2.1", true, TLSA_SECURE, 2 } },
	    .want = "a dane dane 192.0.2.1" },
	{ "DANE, of no use", "mx:example.net", .secure = true,
	    .host = { { 10, "a", "192.0.2.1", true, TLSA_SECURE, 1 } },
	    .want = "a any dane 192.0.2.1" },
	{ "MX not secure", "mx:example.net",
	    .host = { { 10, "a", "192.0.2.1", true, TLSA_SECURE, 3 } },
	    .want = "a may conf 192.0.2.1" },
	{ "addresses not secure", "mx:example.net", .secure = true,
	    .host = { { 10, "a", "192.0.2.1", false, TLSA_SECURE, 3 } },
	    .want = "a may conf 192.0.2.1" },
	{ "TLSA cannot be had", "mx:example.net", .secure = true,
	    .host = { { 10, "a", "192.0.2.1", true, TLSA_FAILED, 0 }, { 20, "b", "192.0.2.2" } },
	    .want = "a barred dane dane 192.0.2.1, b may conf 192.0.2.2" },
	{ "TLSA cannot be had anywhere", "mx:example.net", .secure = true,
	    .host = { { 10, "a", "192.0.2.1", true, TLSA_FAILED, 0 } },
	    .want = "?4.4.4 a barred dane dane 192.0.2.1" },
	{ "TLSA cannot be had, and we are next", "mx:example.net", .secure = true,
	    .host = { { 10, "a", "192.0.2.1", true, TLSA_FAILED, 0 },
		{ 20, "us.test", "203.0.113.9" } },
	    .want = "?4.4.4 a barred dane dane 192.0.2.1" },
	{ "DANE of a smarthost", "smtp:a:25",
	    .host = { { 0, "a", "192.0.2.1", true, TLSA_SECURE, 3 } },
	    .want = "a dane dane 192.0.2.1" },
	/* routes */
	{ "a route weighs more", "mx:example.net", .secure = true, .tls = "never",
	    .host = { { 10, "a", "192.0.2.1", true, TLSA_SECURE, 3 } },
	    .want = "a clear route 192.0.2.1" },
	{ "must", "mx:example.net", .tls = "must", .host = { { 10, "a", "192.0.2.1" } },
	    .want = "a any route 192.0.2.1" },
	{ "verify", "smtp:a:25", .tls = "verify", .host = { { 10, "a", "192.0.2.1" } },
	    .want = "a verify route 192.0.2.1" },
	/* MTA-STS */
	{ "enforce", "mx:example.net",
	    .host = { { 10, "a.example.net", "192.0.2.1" }, { 20, "b.other.org", "192.0.2.2" } },
	    .sts = "enforce",
	    .want = "a.example.net verify sts 192.0.2.1, b.other.org barred verify sts 192.0.2.2" },
	{ "enforce, none allowed", "mx:example.net", .host = { { 20, "b.other.org", "192.0.2.2" } },
	    .sts = "enforce", .want = "?4.7.5 b.other.org barred verify sts 192.0.2.2" },
	{ "testing", "mx:example.net", .host = { { 20, "b.other.org", "192.0.2.2" } },
	    .sts = "testing", .want = "b.other.org may testing 192.0.2.2" },
	{ "none", "mx:example.net", .host = { { 20, "b.other.org", "192.0.2.2" } }, .sts = "none",
	    .want = "b.other.org may conf 192.0.2.2" },
	{ "DANE before MTA-STS", "mx:example.net", .secure = true,
	    .host = { { 10, "a.example.net", "192.0.2.1", true, TLSA_SECURE, 3 } },
	    .sts = "enforce", .want = "a.example.net dane dane 192.0.2.1" },
	{ "DANE of no use, and MTA-STS", "mx:example.net", .secure = true,
	    .host = { { 10, "a.example.net", "192.0.2.1", true, TLSA_SECURE, 1 } },
	    .sts = "enforce", .want = "a.example.net verify sts 192.0.2.1" },
	{ "DANE of no use, and MTA-STS for another host", "mx:example.net", .secure = true,
	    .host = { { 10, "a.other.org", "192.0.2.1", true, TLSA_SECURE, 1 } }, .sts = "enforce",
	    .want = "?4.7.5 a.other.org barred verify sts 192.0.2.1" },
	{ "DANE of no use, and MTA-STS testing", "mx:example.net", .secure = true,
	    .host = { { 10, "a.other.org", "192.0.2.1", true, TLSA_SECURE, 1 } }, .sts = "testing",
	    .want = "a.other.org any dane 192.0.2.1" },
	/* Somebody may hold back what would make the addresses secure. */
	{ "TLSA cannot be had, addresses in part", "mx:example.net", .secure = true,
	    .host = { { 10, "a", "192.0.2.1", false, TLSA_FAILED, 0 } },
	    .want = "?4.4.4 a barred dane dane 192.0.2.1" },
	/* addresses that are always this machine */
	{ "MX at the loopback address", "mx:example.net", .host = { { 10, "a", "127.0.0.2" } },
	    .want = "!5.4.6" },
	{ "MX at ::1", "mx:example.net", .host = { { 10, "a", "::1" } }, .want = "!5.4.6" },
	{ "MX at no address", "mx:example.net", .host = { { 10, "a", "0.0.0.0" } },
	    .want = "!5.4.6" },
	{ "a route may lead there", "smtp:a:25", .host = { { 0, "a", "127.0.0.2" } },
	    .want = "a may conf 127.0.0.2" },
};

static void
put_ip(struct buf *b, struct str text)
{
	char z[64];
	unsigned char a[16] = { [10] = 0xff, [11] = 0xff };
	assert_true(str_copy(z, sizeof(z), text));
	if (inet_pton(AF_INET, z, a + 12) != 1) {
		assert_int_equal(inet_pton(AF_INET6, z, a), 1);
	}
	buf_put(b, a, 16);
}

static void
put_hosts(const struct row *r, struct buf *out, uint16_t *ret_n)
{
	for (size_t i = 0; i < ARRAY_LEN(r->host) && r->host[i].name; i++) {
		const struct host *h = &r->host[i];
		struct buf addrs = BUF_INIT(1024), tlsas = BUF_INIT(1024);
		struct str rest = str_of(h->addrs), word;
		while ((word = str_word(&rest)).len)
			put_ip(&addrs, word);
		struct msg_mx_tlsa t = { (uint8_t)h->usage, 1, 1, STR(SHA) };
		if (h->usage)
			msg_mx_tlsa_put(&tlsas, &t);
		struct msg_mx_host m = { .preference = (uint16_t)h->preference,
			.name = str_of(h->name),
			.secure = h->secure,
			.tlsa = (uint8_t)h->tlsa,
			.n_addrs = (uint16_t)(addrs.len / 16),
			.n_tlsa = h->usage != 0,
			.addrs = buf_str(&addrs),
			.tlsas = buf_str(&tlsas) };
		msg_mx_host_put(out, &m);
		(*ret_n)++;
		buf_done(&addrs);
		buf_done(&tlsas);
	}
}

static void
show(const struct plan *p, struct buf *out)
{
	if (!p->ok)
		buf_putf(out, "%c%s%s", p->for_ever ? '!' : '?', p->status, p->n ? " " : "");
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_host *h = &p->hosts[i];
		buf_putf(out, "%s%s %s%s %s", i ? ", " : "", h->name, h->barred ? "barred " : "",
		    levels[h->tls], grounds[h->ground]);
		for (size_t k = 0; k < h->n_addrs; k++) {
			char z[INET6_ADDRSTRLEN];
			bool v4 = h->addrs[k][10] == 0xff && h->addrs[k][0] == 0;
			inet_ntop(v4 ? AF_INET : AF_INET6, h->addrs[k] + (v4 ? 12 : 0), z,
			    sizeof(z));
			buf_putf(out, " %s", z);
		}
	}
}

static struct plan *
make(const struct row *r, uint64_t lot)
{
	static struct str names[] = { { "us.test", 7 } };
	static unsigned char ours[1][16] = { { [10] = 0xff, [11] = 0xff, 203, 0, 113, 9 } };
	static uint16_t ports[] = { 25 };
	static const struct self self = { names, 1, ours, 1, ports, 1 };
	struct plan_conf conf = { .port = 25,
		.ipv6 = !r->no_ipv6,
		.tls = r->tls ? r->tls : "auto",
		.by_route = r->tls != NULL,
		.lot = lot,
		.self = &self };
	struct buf hosts = BUF_INIT(1u << 16), err = BUF_INIT(256);
	struct sts_policy sts = { 0 };
	struct target t;
	char text[128];
	struct msg_mx mx = { .verdict = (uint8_t)r->verdict, .secure = r->secure };
	put_hosts(r, &hosts, &mx.n);
	mx.hosts = buf_str(&hosts);
	assert_true(target_parse(str_of(r->target), &t));
	if (r->sts) {
		snprintf(text, sizeof(text),
		    "version: STSv1\nmode: %s\nmx: *.example.net\nmax_age: 86400\n", r->sts);
		assert_true(sts_parse(str_of(text), &sts, &err));
	}
	struct plan *p = plan_new(&conf, &t, &mx, r->sts ? &sts : NULL);
	buf_done(&hosts);
	buf_done(&err);
	return p;
}

static void
test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(4096);
		struct plan *p = make(&rows[i], 1);
		show(p, &out);
		if (!str_eq(buf_str(&out), str_of(rows[i].want)))
			fail_msg("%s: " STR_FMT " (%s)", rows[i].name, STR_ARG(buf_str(&out)),
			    p->why);
		assert_true(p->ok || p->why[0]);
		plan_unref(p);
		buf_done(&out);
	}
}

/* What dns says in a sentence is said once; where it says nothing, we do. */
static void
test_no_answer(void **state)
{
	const struct self self = { 0 };
	const struct plan_conf conf = { .port = 25, .tls = "auto", .self = &self };
	const struct msg_mx answers[] = {
		{ .verdict = MX_NO_DOMAIN, .why = STR("there is no domain gone.example") },
		{ .verdict = MX_NO_DOMAIN },
	};
	static const char *const want[] = { "there is no domain gone.example",
		"there is no such domain" };
	struct target t;
	assert_true(target_parse(STR("mx:gone.example"), &t));
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct plan *p = plan_new(&conf, &t, &answers[i], NULL);
		assert_string_equal(p->why, want[i]);
		plan_unref(p);
	}
}

/* RFC 8689 4.2.1: who says that the host is the domain's. */
static void
test_vouched(void **state)
{
	static const struct {
		const char *host, *sts, *tls;
		bool secure, vouched;
	} hosts[] = {
		{ "mx.example.net", NULL, NULL, false, false },
		{ "mx.example.net", NULL, NULL, true, true },
		{ "mx.example.net", "enforce", NULL, false, true },
		{ "mx.example.org", "enforce", NULL, false, false },
		{ "mx.example.net", "testing", NULL, false, false },
		{ "mx.example.net", "testing", NULL, true, true },
		{ "mx.example.net", "none", NULL, false, false },
		{ "mx.example.net", "enforce", "verify", false, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct row row = { "vouched", "mx:example.net", .secure = hosts[i].secure,
			.host = { { 10, hosts[i].host, "192.0.2.1" } }, .sts = hosts[i].sts,
			.tls = hosts[i].tls };
		struct plan *p = make(&row, 1);
		if (p->hosts[0].vouched != hosts[i].vouched)
			fail_msg("row %zu", i);
		plan_unref(p);
	}
}

/* RFC 7672 3.2.2: whose names a certificate may have, beside the host's. */
static void
test_next_hop(void **state)
{
	static const struct {
		const char *target;
		bool secure;
		const char *next_hop, *canonical;
	} hops[] = {
		{ "mx:cust.example", true, "cust.example", "prov.example" },
		{ "mx:cust.example", false, "", "" }, /* anybody may have said so */
		{ "smtp:cust.example:25", true, "", "" },
	};
	const struct self self = { 0 };
	const struct plan_conf conf = { .port = 25, .tls = "auto", .self = &self };
	for (size_t i = 0; i < ARRAY_LEN(hops); i++) {
		struct msg_mx mx = { .secure = hops[i].secure, .canonical = STR("prov.example") };
		struct target t;
		assert_true(target_parse(str_of(hops[i].target), &t));
		struct plan *p = plan_new(&conf, &t, &mx, NULL);
		assert_string_equal(p->next_hop, hops[i].next_hop);
		assert_string_equal(p->canonical, hops[i].canonical);
		plan_unref(p);
	}
}

/* Hosts of one preference take turns; those of another stay behind them. */
static void
test_lot(void **state)
{
	static const struct row row = { "lot", "mx:example.net",
		.host = { { 10, "a", "192.0.2.1" }, { 10, "b", "192.0.2.2" },
		    { 10, "c", "192.0.2.3" }, { 20, "d", "192.0.2.4" } } };
	unsigned first[3] = { 0 };
	for (uint64_t lot = 0; lot < 300; lot++) {
		struct plan *p = make(&row, lot * UINT64_C(0x9e3779b97f4a7c15));
		assert_int_equal(p->n, 4);
		assert_string_equal(p->hosts[3].name, "d");
		first[p->hosts[0].name[0] - 'a']++;
		plan_unref(p);
	}
	for (size_t i = 0; i < 3; i++)
		assert_true(first[i] > 50);
}

static void
test_letters(void **state)
{
	static const struct {
		enum plan_tls tls;
		enum plan_ground ground;
		bool vouched, require, optional;
		int want; /* -1: not there */
		const char *barred;
	} letters[] = {
		{ PLAN_MAY, GROUND_CONF, false, false, false, PLAN_MAY },
		{ PLAN_MAY, GROUND_CONF, false, true, false, -1 },
		{ PLAN_MAY, GROUND_CONF, true, true, false, PLAN_VERIFY },
		{ PLAN_CLEAR, GROUND_ROUTE, true, true, false, -1 },
		{ PLAN_DANE, GROUND_DANE, true, true, false, PLAN_DANE },
		{ PLAN_ANY, GROUND_DANE, true, true, false, PLAN_VERIFY },
		{ PLAN_DANE, GROUND_DANE, true, false, true, PLAN_MAY },
		{ PLAN_VERIFY, GROUND_STS, true, false, true, PLAN_MAY },
		{ PLAN_VERIFY, GROUND_ROUTE, true, false, true, PLAN_VERIFY },
		{ PLAN_VERIFY, GROUND_STS, true, true, true, PLAN_VERIFY },
		{ PLAN_DANE, GROUND_DANE, true, false, false, -1, "no TLSA" },
		{ PLAN_DANE, GROUND_DANE, true, false, true, PLAN_MAY, "no TLSA" },
		{ PLAN_DANE, GROUND_DANE, true, true, true, -1, "no TLSA" },
		{ PLAN_VERIFY, GROUND_STS, false, false, false, -1, "not named" },
		{ PLAN_VERIFY, GROUND_STS, false, false, true, PLAN_MAY, "not named" },
	};
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		struct plan_host h = { .tls = letters[i].tls,
			.ground = letters[i].ground,
			.vouched = letters[i].vouched,
			.barred = letters[i].barred };
		enum plan_tls got;
		const char *why;
		bool ok = plan_for_letter(&h, letters[i].require, letters[i].optional, &got, &why);
		assert_int_equal(ok, letters[i].want >= 0);
		if (ok)
			assert_int_equal(got, letters[i].want);
		assert_int_equal(*why == '\0', ok);
		assert_true(ok || !h.barred || why == h.barred);
	}
}

/* A certificate that TLSA records name is not one from an authority, nor the other way round. */
static void
test_suits(void **state)
{
	static const enum plan_tls shown[] = { PLAN_CLEAR, PLAN_ANY, PLAN_VERIFY, PLAN_DANE };
	static const char *const want[PLAN_TLS_COUNT] = {
		[PLAN_CLEAR] = "yyyy",
		[PLAN_MAY] = "yyyy",
		[PLAN_ANY] = "nyyy",
		[PLAN_VERIFY] = "nnyn",
		[PLAN_DANE] = "nnny",
	};
	for (size_t need = 0; need < PLAN_TLS_COUNT; need++)
		for (size_t i = 0; i < ARRAY_LEN(shown); i++)
			assert_int_equal(plan_suits(shown[i], (enum plan_tls)need),
			    want[need][i] == 'y');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_vouched),
		cmocka_unit_test(test_next_hop),
		cmocka_unit_test(test_lot),
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_suits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
