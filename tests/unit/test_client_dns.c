/* Answers of name servers, good and hostile; names as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "base/wire.h"
#include "client/dns.h"
#include "sys/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ID 0x1234
#define HEAD(flags, an) "\x12\x34" flags "\0\1" an "\0\0\0\0"
#define OK HEAD("\x81\xa0", "\0\1")
#define EXAMPLE "\7example\3com\0"           /* at 12 */
#define ASKED(type) EXAMPLE "\0" type "\0\1" /* ends at 29 */
#define REC(owner, type, len) owner "\0" type "\0\1\0\0\x0e\x10\0" len
#define BACK "\xc0\x0c"

struct row {
	const char *name;
	struct str octets;
	uint16_t type;
	enum dns_status status;
	size_t n;
	const char *first; /* of the first record: target, address or text */
};
#define R(text)                                                                                    \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static const struct row rows[] = {
	{ "an address", R(OK ASKED("\1") REC(BACK, "\1", "\4") "\xc0\0\2\1"), DNS_A, DNS_FOUND, 1,
	    "192.0.2.1" },
	{ "IPv6",
	    R(OK ASKED("\x1c") REC(BACK, "\x1c", "\x10") "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"),
	    DNS_AAAA, DNS_FOUND, 1, "2001:db8::1" },
	{ "MX", R(OK ASKED("\x0f") REC(BACK, "\x0f", "\7") "\0\x0a\2mx" BACK), DNS_MX, DNS_FOUND, 1,
	    "mx.example.com" },
	{ "null MX", R(OK ASKED("\x0f") REC(BACK, "\x0f", "\3") "\0\0\0"), DNS_MX, DNS_FOUND, 1,
	    "." },
	{ "SRV", R(OK ASKED("\x21") REC(BACK, "\x21", "\x0b") "\0\1\0\2\2\x4b\2mx" BACK), DNS_SRV,
	    DNS_FOUND, 1, "mx.example.com" },
	{ "TXT of two strings", R(OK ASKED("\x10") REC(BACK, "\x10", "\x0d") "\6v=spf1\5 -all"),
	    DNS_TXT, DNS_FOUND, 1, "v=spf1 -all" },
	{ "TXT with controls", R(OK ASKED("\x10") REC(BACK, "\x10", "\4") "\3a\x1b\x07"), DNS_TXT,
	    DNS_FOUND, 1, "a\\x1b\\x07" },
	{ "TLSA", R(OK ASKED("\x34") REC(BACK, "\x34", "\5") "\3\1\1\xab\xcd"), DNS_TLSA, DNS_FOUND,
	    1, "3 1 1 abcd" },
	{ "an alias",
	    R(HEAD("\x81\x80", "\0\2") ASKED("\1")
		    REC(BACK, "\5", "\4") "\1a" BACK REC("\xc0\x29", "\1", "\4") "\x7f\0\0\1"),
	    DNS_A, DNS_FOUND, 1, "127.0.0.1" },
	{ "the alias comes last",
	    R(HEAD("\x81\x80", "\0\2") ASKED("\1")
		    REC("\1a" BACK, "\1", "\4") "\x7f\0\0\1" REC(BACK, "\5", "\4") "\1a" BACK),
	    DNS_A, DNS_FOUND, 1, "127.0.0.1" },
	{ "an alias of itself", R(OK ASKED("\1") REC(BACK, "\5", "\2") BACK), DNS_A, DNS_BROKEN, 0,
	    NULL },
	{ "aliases in a circle",
	    R(HEAD("\x81\x80", "\0\2") ASKED("\1")
		    REC(BACK, "\5", "\4") "\1a" BACK REC("\1a" BACK, "\5", "\2") BACK),
	    DNS_A, DNS_BROKEN, 0, NULL },
	{ "an alias to nothing", R(OK ASKED("\1") REC(BACK, "\5", "\4") "\1a" BACK), DNS_A,
	    DNS_NODATA, 0, NULL },
	{ "another owner", R(OK ASKED("\1") REC("\1x\0", "\1", "\4") "\x7f\0\0\1"), DNS_A,
	    DNS_NODATA, 0, NULL },
	{ "no such name", R(HEAD("\x81\x83", "\0\0") ASKED("\1")), DNS_A, DNS_NXDOMAIN, 0, NULL },
	{ "no data", R(HEAD("\x81\x80", "\0\0") ASKED("\1")), DNS_A, DNS_NODATA, 0, NULL },
	{ "failed", R(HEAD("\x81\x82", "\0\0") ASKED("\1")), DNS_A, DNS_SERVFAIL, 0, NULL },
	{ "refused", R(HEAD("\x81\x85", "\0\0") ASKED("\1")), DNS_A, DNS_REFUSED, 0, NULL },
	{ "refused, barely", R("\x12\x34\x81\x85\0\0\0\0\0\0\0\0"), DNS_A, DNS_REFUSED, 0, NULL },
	{ "not understood", R(HEAD("\x81\x81", "\0\0") ASKED("\1")), DNS_A, DNS_BROKEN, 0, NULL },
	{ "a name that leads to itself", R(OK ASKED("\1") REC("\xc0\x1d", "\1", "\4") "\x7f\0\0\1"),
	    DNS_A, DNS_BROKEN, 0, NULL },
	{ "a name that leads onwards", R(OK ASKED("\1") REC("\xc0\x30", "\1", "\4") "\x7f\0\0\1"),
	    DNS_A, DNS_BROKEN, 0, NULL },
	{ "more data than there is", R(OK ASKED("\1") REC(BACK, "\1", "\5") "\x7f\0\0\1"), DNS_A,
	    DNS_BROKEN, 0, NULL },
	{ "fewer records than it says",
	    R(HEAD("\x81\x80", "\0\2") ASKED("\1") REC(BACK, "\1", "\4") "\x7f\0\0\1"), DNS_A,
	    DNS_BROKEN, 0, NULL },
	{ "65535 records", R(HEAD("\x81\x80", "\xff\xff") ASKED("\1")), DNS_A, DNS_BROKEN, 0,
	    NULL },
	{ "an address of three octets", R(OK ASKED("\1") REC(BACK, "\1", "\3") "\x7f\0\0"), DNS_A,
	    DNS_BROKEN, 0, NULL },
	{ "an MX that reaches out of its record",
	    R(OK ASKED("\x0f") REC(BACK, "\x0f", "\4") "\0\x0a\2mx" BACK), DNS_MX, DNS_BROKEN, 0,
	    NULL },
	{ "a string longer than its record", R(OK ASKED("\x10") REC(BACK, "\x10", "\3") "\7ab"),
	    DNS_TXT, DNS_BROKEN, 0, NULL },
	{ "octets that are no host's",
	    R(OK ASKED("\x0f") REC(BACK, "\x0f", "\x09") "\0\x0a\4\x1b[.\x80" BACK), DNS_MX,
	    DNS_FOUND, 1, "????.example.com" },
};

static const char *
first(const struct dns_answer *a, uint16_t type, char *to, size_t n)
{
	if (type == DNS_TXT || type == DNS_TLSA) {
		assert_true(str_copy(to, n, dns_rr_text(a, 0)));
		return to;
	}
	return type == DNS_A || type == DNS_AAAA ? a->rr[0].addr : a->rr[0].target;
}

static void
answers(void **state)
{
	static struct dns_answer a;
	char text[256];
	dns_answer_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		if (!dns_read(r->octets, ID, "Example.com", r->type, &a))
			fail_msg("%s: not ours", r->name);
		if (a.status != r->status || a.n != r->n)
			fail_msg("%s: %s, %zu (%s)", r->name, dns_status_text[a.status].name, a.n,
			    a.why);
		if (r->first && strcmp(first(&a, r->type, text, sizeof(text)), r->first) != 0)
			fail_msg("%s: %s", r->name, first(&a, r->type, text, sizeof(text)));
	}
	dns_answer_done(&a);
}

/* Whatever is cut off: never found, and nothing is read behind the end. */
static void
cut_short(void **state)
{
	static struct dns_answer a;
	dns_answer_init(&a);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t n = 0; n < rows[i].octets.len; n++) {
			char *p = xmemdup(rows[i].octets.p, n);
			if (dns_read(str_n(p, n), ID, "example.com", rows[i].type, &a))
				assert_int_not_equal(a.status, DNS_FOUND);
			free(p);
		}
	dns_answer_done(&a);
}

static void
strays(void **state)
{
	static struct dns_answer a;
	struct str in = rows[0].octets;
	dns_answer_init(&a);
	assert_false(dns_read(in, ID + 1, "example.com", DNS_A, &a));
	assert_false(dns_read(in, ID, "example.org", DNS_A, &a));
	assert_false(dns_read(in, ID, "example.co", DNS_A, &a));
	assert_false(dns_read(in, ID, "example.com", DNS_AAAA, &a));
	char *query = xmemdup(in.p, in.len);
	query[2] &= 0x7f;
	assert_false(dns_read(str_n(query, in.len), ID, "example.com", DNS_A, &a));
	free(query);
	assert_true(dns_read(in, ID, "example.com.", DNS_A, &a));
	assert_true(a.ad);
	dns_answer_done(&a);
}

static void
many(void **state)
{
	static struct dns_answer a;
	struct buf b = BUF_INIT(65536);
	dns_answer_init(&a);
	buf_put(&b, HEAD("\x81\x80", "\0\x64") ASKED("\1"), 29);
	for (int i = 0; i < 100; i++)
		buf_put(&b, REC(BACK, "\1", "\4") "\x7f\0\0\1", 16);
	assert_true(dns_read(buf_str(&b), ID, "example.com", DNS_A, &a));
	assert_int_equal(a.status, DNS_FOUND);
	assert_int_equal(a.n, DNS_RR_MAX);
	assert_true(a.more);
	buf_done(&b);
	dns_answer_done(&a);
}

static void
queries(void **state)
{
	unsigned char q[DNS_QUERY_MAX];
	char label[80], name[300];
	static const char want[] = "\x12\x34\1\x20\0\1\0\0\0\0\0\1" EXAMPLE "\0\x0f\0\1"
				   "\0\0\x29\4\xd0\0\0\0\0\0\0";
	assert_int_equal(dns_query(q, ID, "example.com", DNS_MX), sizeof(want) - 1);
	assert_memory_equal(q, want, sizeof(want) - 1);
	assert_int_equal(dns_query(q, ID, "example.com.", DNS_MX), sizeof(want) - 1);
	assert_int_equal(dns_query(q, ID, "a..b", DNS_MX), 0);
	assert_int_equal(dns_query(q, ID, ".a", DNS_MX), 0);
	memset(label, 'a', sizeof(label));
	label[64] = '\0';
	assert_int_equal(dns_query(q, ID, label, DNS_MX), 0);
	memset(name, 'a', sizeof(name));
	for (int i = 1; i < 300; i += 2)
		name[i] = '.';
	name[299] = '\0';
	assert_int_equal(dns_query(q, ID, name, DNS_MX), 0);
}

static const struct {
	const char *in, *out; /* NULL: refused */
} names[] = {
	{ "Example.COM", "example.com" },
	{ " example.com. ", "example.com" },
	{ "_dmarc.example.com", "_dmarc.example.com" },
	{ "b\303\274cher.example", "xn--bcher-kva.example" },
	{ "B\303\234CHER.example", "xn--bcher-kva.example" },
	{ "bu\314\210cher.example", "xn--bcher-kva.example" },
	{ "fa\303\237.de", "xn--fa-hia.de" },
	{ "\346\227\245\346\234\254\343\200\202jp", "xn--wgv71a.jp" },
	{ "\357\275\205xample.com", "example.com" },
	{ "\320\277\321\200\320\270\320\274\320\265\321\200.\321\200\321\204",
	    "xn--e1afmkfd.xn--p1ai" },
	{ "", NULL },
	{ ".", NULL },
	{ "a..b", NULL },
	{ ".a", NULL },
	{ "a b", NULL },
	{ "a@b", NULL },
	{ "\xff", NULL },
	{ "\342\230\203.example", NULL },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", NULL },
};

static void
name_forms(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char got[DNS_NAME_MAX];
		struct buf err = BUF_INIT(512);
		bool ok = dns_name(str_of(names[i].in), got, &err);
		if (ok != (names[i].out != NULL) || (ok && strcmp(got, names[i].out) != 0))
			fail_msg("%s: %s (%s)", names[i].in, ok ? got : "refused",
			    err.len ? buf_cstr(&err) : "");
		assert_true(ok == (err.len == 0));
		buf_done(&err);
	}
}

static void
hosts(void **state)
{
	static const char *const good[] = { "a", "a.b", "mx-1.example.com", "1.example" };
	static const char *const bad[] = { "", ".", "a.", "-a.b", "a-.b", "a_b.c", "a..b",
		"a?b.c" };
	char r[DNS_NAME_MAX], addr[46];
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(dns_is_host(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(dns_is_host(bad[i]));
	assert_true(dns_reverse("192.0.2.7", r));
	assert_string_equal(r, "7.2.0.192.in-addr.arpa");
	assert_true(dns_reverse("2001:db8::1", r));
	assert_string_equal(r,
	    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	assert_false(dns_reverse("x", r));
	assert_int_equal(dns_is_address(STR("[IPv6:2001:DB8::1]"), addr), AF_INET6);
	assert_string_equal(addr, "2001:db8::1");
	assert_int_equal(dns_is_address(STR("[192.0.2.1]"), addr), AF_INET);
	assert_int_equal(dns_is_address(STR("192.0.2.1\0x"), addr), 0);
	assert_int_equal(dns_is_address(STR("192.0.2.256"), addr), 0);
}

static void
servers(void **state)
{
	static const struct {
		const char *in, *text; /* NULL: refused */
	} given[] = { { "192.0.2.53", "192.0.2.53:53" }, { "192.0.2.53:5353", "192.0.2.53:5353" },
		{ "[2001:db8::53]:5353", "[2001:db8::53]:5353" },
		{ "2001:db8::53", "[2001:db8::53]:53" }, { "192.0.2.53:", NULL },
		{ "192.0.2.53:0", NULL }, { "192.0.2.53:65536", NULL }, { "ns.example.com", NULL },
		{ "", NULL } };
	struct link_conf conf = { .timeout_ms = 1000 };
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		struct dns d;
		struct buf err = BUF_INIT(512);
		assert_int_equal(dns_init(&d, &conf, given[i].in, &err), given[i].text != NULL);
		if (given[i].text)
			assert_string_equal(d.server[0].text, given[i].text);
		assert_int_equal(err.len == 0, given[i].text != NULL);
		buf_done(&err);
	}
}

/* --resolve answers all, and no name server is asked (there is none to ask). */
static void
fixed(void **state)
{
	static struct dns_route r;
	static struct dns_addrs a;
	struct link_conf conf = { .timeout_ms = 100 };
	struct buf err = BUF_INIT(512);
	struct dns d;
	conf.resolve[0].name = "Example.com";
	conf.resolve[0].addr = "[2001:db8::9]";
	conf.resolve[1].name = "example.com";
	conf.resolve[1].addr = "192.0.2.9";
	conf.n_resolve = 2;
	assert_true(dns_init(&d, &conf, "127.0.0.1:1", &err));
	dns_route_init(&r);
	assert_int_equal(dns_route(&d, STR("EXAMPLE.com"), &r), DNS_FOUND);
	assert_true(r.fixed);
	assert_int_equal(r.n, 1);
	assert_string_equal(r.mx[0].host, "example.com");
	assert_int_equal(dns_addrs(&d, r.mx[0].host, &a), DNS_FOUND);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.addr[0], "2001:db8::9");
	conf.family = AF_INET;
	assert_int_equal(dns_addrs(&d, r.mx[0].host, &a), DNS_FOUND);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.addr[0], "192.0.2.9");
	assert_int_equal(dns_route(&d, STR("[192.0.2.5]"), &r), DNS_FOUND);
	assert_string_equal(r.mx[0].host, "192.0.2.5");
	assert_int_equal(dns_route(&d, STR("[192.0.2.555]"), &r), DNS_BADNAME);
	assert_int_equal(dns_route(&d, STR("a..b"), &r), DNS_BADNAME);
	assert_int_equal(dns_route(&d, STR("elsewhere.example"), &r), DNS_UNREACHABLE);
	dns_route_done(&r);
	buf_done(&err);
}

/* A name server that says without end what is no answer of ours. */
struct flood {
	int fd;
	volatile bool ends;
};

static void *
flood(void *arg)
{
	struct flood *f = arg;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char junk[512];

	if (recvfrom(f->fd, junk, sizeof(junk), 0, (struct sockaddr *)&from, &len) <= 0)
		return NULL;
	for (int i = 0; i < 100000 && !f->ends; i++) {
		(void)sendto(f->fd, "no", 2, 0, (struct sockaddr *)&from, len);
		usleep(20);
	}
	return NULL;
}

static void
flooded(void **state)
{
	struct flood f = { .fd = socket(AF_INET, SOCK_DGRAM, 0) };
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	struct link_conf conf = { .timeout_ms = 200 };
	struct buf err = BUF_INIT(512);
	struct dns_answer a;
	struct dns d;
	char server[64];
	pthread_t thread;

	assert_int_equal(bind(f.fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(f.fd, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(pthread_create(&thread, NULL, flood, &f), 0);
	snprintf(server, sizeof(server), "127.0.0.1:%u", ntohs(sin.sin_port));
	assert_true(dns_init(&d, &conf, server, &err));
	d.tries = 1;
	dns_answer_init(&a);
	int64_t from = sys_mono_ms();
	assert_int_equal(dns_ask(&d, "example.com", DNS_A, &a), DNS_TIMEOUT);
	assert_true(sys_mono_ms() - from < 2000);
	f.ends = true;
	pthread_join(thread, NULL);
	close(f.fd);
	dns_answer_done(&a);
	buf_done(&err);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(flooded),
	cmocka_unit_test(answers),
	cmocka_unit_test(cut_short),
	cmocka_unit_test(strays),
	cmocka_unit_test(many),
	cmocka_unit_test(queries),
	cmocka_unit_test(name_forms),
	cmocka_unit_test(hosts),
	cmocka_unit_test(servers),
	cmocka_unit_test(fixed),
};

int
main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
