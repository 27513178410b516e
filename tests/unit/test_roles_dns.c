/*
 * dns against a name server of our own in a child: names that lead back and names that do not,
 * what reverse zones may hold, silence, floods, askers that go away.
 */
#include "roles_kit.h"

#include "roles/dns/dns.h"
#include "roles/dns/dns_priv.h"
#include "sys/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define TTL 300

/* --- a name server --- */

struct record {
	const char *name; /* in lower case, without a dot at its end */
	int type;
	const char *data; /* a name, or an address */
};

static const struct record zone[] = {
	/* leads back */
	{ "1.2.0.192.in-addr.arpa", DNS_PTR, "mail.example.test" },
	{ "mail.example.test", DNS_A, "192.0.2.1" },
	/* leads elsewhere, and nowhere */
	{ "2.2.0.192.in-addr.arpa", DNS_PTR, "mail.example.test" },
	{ "3.2.0.192.in-addr.arpa", DNS_PTR, "nothing.example.test" },
	/* the second of three names is it, with the second of two addresses */
	{ "4.2.0.192.in-addr.arpa", DNS_PTR, "mail.example.test" },
	{ "4.2.0.192.in-addr.arpa", DNS_PTR, "Four.Example.Test" },
	{ "4.2.0.192.in-addr.arpa", DNS_PTR, "nothing.example.test" },
	{ "four.example.test", DNS_A, "192.0.2.99" },
	{ "four.example.test", DNS_A, "192.0.2.4" },
	/* what no host is called */
	{ "5.2.0.192.in-addr.arpa", DNS_PTR, "a b.example.test" },
	{ "a b.example.test", DNS_A, "192.0.2.5" },
	{ "6.2.0.192.in-addr.arpa", DNS_PTR, "evil\r\n250 ok.example.test" },
	/* IPv6 */
	{ "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR,
	    "six.example.test" },
	{ "six.example.test", DNS_AAAA, "2001:db8::1" },
	{ "six.example.test", DNS_A, "192.0.2.6" },
	/* this machine, as a lab has it */
	{ "1.0.0.127.in-addr.arpa", DNS_PTR, "client.example.test" },
	{ "client.example.test", DNS_A, "127.0.0.1" },
	/* never answered */
	{ "7.2.0.192.in-addr.arpa", DNS_PTR, NULL },
};

static size_t
put_name(unsigned char *out, const char *name)
{
	size_t n = 0;
	for (struct str rest = str_of(name); rest.p;) {
		struct str label = str_cut(&rest, '.');
		out[n++] = (unsigned char)label.len;
		memcpy(out + n, label.p, label.len);
		n += label.len;
	}
	out[n++] = 0;
	return n;
}

static size_t
put_data(unsigned char *out, const struct record *r)
{
	if (r->type == DNS_PTR)
		return put_name(out, r->data);
	int family = r->type == DNS_A ? AF_INET : AF_INET6;
	check(inet_pton(family, r->data, out) == 1);
	return family == AF_INET ? 4 : 16;
}

static size_t
put_record(unsigned char *out, const struct record *r)
{
	unsigned char head[12] = { 0xc0, 12, 0, (unsigned char)r->type, 0, 1, 0, 0, TTL >> 8,
		TTL & 255 };
	size_t n = put_data(out + 12, r);
	head[11] = (unsigned char)n;
	memcpy(out, head, 12);
	return 12 + n;
}

/* The name asked for as text in lower case; the octets that the question takes. */
static size_t
get_question(const unsigned char *in, char name[256], int *type)
{
	size_t at = 12, n = 0;
	while (in[at]) {
		for (size_t i = 1; i <= in[at]; i++)
			name[n++] =
			    (char)(in[at + i] | (in[at + i] >= 'A' && in[at + i] <= 'Z' ? 32 : 0));
		name[n++] = '.';
		at += in[at] + 1u;
	}
	name[n ? n - 1 : 0] = '\0';
	*type = in[at + 1] << 8 | in[at + 2];
	return at + 5 - 12;
}

/* Octets of the answer; 0: none. */
static size_t
respond(const unsigned char *in, unsigned char out[4096])
{
	char name[256];
	int type;
	size_t n = 12 + get_question(in, name, &type);
	bool exists = false;
	memcpy(out, in, n);
	memset(out + 2, 0, 10);
	out[2] = 0x85;
	out[3] = 0x80;
	out[5] = 1;
	for (size_t i = 0; i < ARRAY_LEN(zone); i++) {
		if (strcmp(zone[i].name, name) != 0)
			continue;
		if (!zone[i].data)
			return 0;
		exists = true;
		if (zone[i].type == type) {
			n += put_record(out + n, &zone[i]);
			out[7]++;
		}
	}
	if (!exists)
		out[3] |= 3;
	return n;
}

static pid_t server_pid;
static char server_place[32];

static _Noreturn void
serve(int fd)
{
	alarm(100);
	for (;;) {
		unsigned char in[4096] = { 0 }, out[4096];
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t got = recvfrom(fd, in, sizeof(in) - 1, 0, (struct sockaddr *)&from, &len);
		size_t n = got > 16 ? respond(in, out) : 0;
		if (n)
			sendto(fd, out, n, 0, (struct sockaddr *)&from, len);
	}
}

static int
start_server(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(server_place, sizeof(server_place), "127.0.0.1:%u", ntohs(a.sin_port));
	fflush(NULL);
	server_pid = fork();
	if (server_pid == 0)
		serve(fd);
	close(fd);
	kit_make_dir();
	return server_pid < 0;
}

static int
stop_server(void **state)
{
	kill(server_pid, SIGKILL);
	waitpid(server_pid, NULL, 0);
	kit_drop_dir();
	return 0;
}

/* --- the role --- */

static void
dns_start(struct kit *k)
{
	char set[64];
	snprintf(set, sizeof(set), "dns=%s", server_place);
	const char *sets[] = { "lab=yes", "hostname=mail.example.com", set, NULL };
	struct conf *c = kit_conf(sets);
	kit_start(k, dns_main, c, ROLE_DNS, 0);
	conf_free(c);
}

static void
address_of(const char *text, unsigned char out[ADDRESS_LEN])
{
	memset(out, 0, ADDRESS_LEN);
	if (inet_pton(AF_INET6, text, out) == 1)
		return;
	out[10] = out[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, out + 12), 1);
}

static void
send_address(int fd, uint64_t id, const char *text)
{
	unsigned char a[ADDRESS_LEN];
	address_of(text, a);
	assert_int_equal(chan_sync_send(fd, IPC_NAME_ASK, id, str_n(a, sizeof(a)), -1), 0);
}

/* The name of the answer to `id`, which must be the next. */
static void
expect_name(int fd, uint64_t id, const char *name)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f;
	assert_int_equal(kit_recv(fd, &f, &store), 0);
	assert_int_equal(f.type, IPC_NAME);
	assert_int_equal(f.id, id);
	if (!str_eq(f.body, str_of(name)))
		fail_msg("\"" STR_FMT "\" instead of \"%s\"", STR_ARG(f.body), name);
	buf_done(&store);
}

static void
names_lead_back_or_are_none(void **state)
{
	static const struct {
		const char *address, *name;
	} rows[] = {
		{ "192.0.2.1", "mail.example.test" },
		{ "192.0.2.2", "" },
		{ "192.0.2.3", "" },
		{ "192.0.2.4", "four.example.test" },
		{ "192.0.2.5", "" },
		{ "192.0.2.6", "" },
		{ "192.0.2.200", "" },
		{ "2001:db8::1", "six.example.test" },
		{ "2001:db8::2", "" },
		{ "127.0.0.1", "client.example.test" },
		/* out of the cache */
		{ "192.0.2.1", "mail.example.test" },
		{ "192.0.2.3", "" },
	};
	struct kit k;
	dns_start(&k);
	int fd = kit_peer(&k, ROLE_FRONT, 3);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		send_address(fd, i + 7, rows[i].address);
		expect_name(fd, i + 7, rows[i].name);
	}
	close(fd);
	assert_int_equal(kit_drain(&k, 5000), 0);
}

static void
fetch_gets_addresses(void **state)
{
	static const struct {
		const char *name, *addresses[4];
	} rows[] = {
		{ "mail.example.test", { "192.0.2.1" } },
		{ "six.example.test", { "192.0.2.6", "2001:db8::1" } },
		{ "no.example.test", { NULL } },
		{ "..", { NULL } },
		{ "localhost", { "127.0.0.1", "::1" } },
	};
	struct kit k;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	dns_start(&k);
	int fd = kit_peer(&k, ROLE_FETCH, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ipc_frame f;
		size_t n = 0;
		chan_sync_send(fd, IPC_ADDR_ASK, i, str_of(rows[i].name), -1);
		assert_int_equal(kit_recv(fd, &f, &store), 0);
		assert_int_equal(f.type, IPC_ADDR);
		assert_int_equal(f.id, i);
		for (; n < ARRAY_LEN(rows[i].addresses) && rows[i].addresses[n]; n++) {
			unsigned char a[ADDRESS_LEN];
			address_of(rows[i].addresses[n], a);
			assert_true((n + 1) * ADDRESS_LEN <= f.body.len);
			assert_memory_equal(f.body.p + n * ADDRESS_LEN, a, ADDRESS_LEN);
		}
		assert_int_equal(f.body.len, n * ADDRESS_LEN);
	}
	buf_done(&store);
	close(fd);
	assert_int_equal(kit_stop(&k), 0);
}

/* Nobody waits longer than the role's own patience, whatever the name server does. */
static void
silence_ends(void **state)
{
	struct kit k;
	dns_start(&k);
	int fd = kit_peer(&k, ROLE_FRONT, 0);
	int64_t begin = sys_mono_ms();
	send_address(fd, 1, "192.0.2.7");
	send_address(fd, 2, "192.0.2.1");
	expect_name(fd, 2, "mail.example.test");
	expect_name(fd, 1, "");
	assert_true(sys_mono_ms() - begin >= JOB_MS - 100);
	close(fd);
	assert_int_equal(kit_drain(&k, 5000), 0);
}

/* More questions than there is room for: each has an answer, and afterwards all is as before. */
static void
floods_are_answered(void **state)
{
	enum { MANY = JOBS_MAX * 3 };
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	static bool seen[MANY];
	struct kit k;
	dns_start(&k);
	int fd = kit_peer(&k, ROLE_FRONT, 0);
	for (unsigned i = 0; i < MANY; i++) {
		char text[32];
		snprintf(text, sizeof(text), "198.51.%u.%u", i >> 8, i & 255);
		send_address(fd, i, text);
	}
	for (unsigned i = 0; i < MANY; i++) {
		struct ipc_frame f;
		assert_int_equal(kit_recv(fd, &f, &store), 0);
		assert_int_equal(f.type, IPC_NAME);
		assert_int_equal(f.body.len, 0);
		assert_true(f.id < MANY && !seen[f.id]);
		seen[f.id] = true;
	}
	send_address(fd, MANY, "192.0.2.1");
	expect_name(fd, MANY, "mail.example.test");
	buf_done(&store);
	close(fd);
	assert_int_equal(kit_drain(&k, 5000), 0);
}

static void
askers_may_go_and_misbehave(void **state)
{
	struct kit k;
	dns_start(&k);
	/* gone before the answer; its place is taken again, and the old answer does not come */
	int fd = kit_peer(&k, ROLE_FRONT, 0);
	send_address(fd, 1, "192.0.2.7");
	close(fd);
	fd = kit_peer(&k, ROLE_FRONT, 0);
	send_address(fd, 1, "192.0.2.1");
	expect_name(fd, 1, "mail.example.test");
	/* malformed, and not its to ask */
	chan_sync_send(fd, IPC_NAME_ASK, 2, STR("short"), -1);
	assert_true(kit_closed(fd));
	close(fd);
	fd = kit_peer(&k, ROLE_FRONT, 1);
	chan_sync_send(fd, IPC_ADDR_ASK, 2, STR("mail.example.test"), -1);
	assert_true(kit_closed(fd));
	close(fd);
	fd = kit_peer(&k, ROLE_FRONT, 0);
	send_address(fd, 3, "192.0.2.1");
	expect_name(fd, 3, "mail.example.test");
	close(fd);
	assert_int_equal(kit_stop(&k), 0);
}

static void
reverse_names(void **state)
{
	static const struct {
		const char *address, *name;
	} rows[] = {
		{ "192.0.2.1", "1.2.0.192.in-addr.arpa." },
		{ "255.255.255.255", "255.255.255.255.in-addr.arpa." },
		{ "2001:db8::ab",
		    "b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa." },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned char a[ADDRESS_LEN];
		char name[REVERSE_MAX];
		address_of(rows[i].address, a);
		name_reverse(a, name);
		assert_string_equal(name, rows[i].name);
	}
}

static void
names_on_the_wire(void **state)
{
	static const struct {
		struct str wire;
		const char *text; /* NULL: no host name */
	} rows[] = {
		{ { "\4mail\7example\3org\0", 18 }, "mail.example.org" },
		{ { "\4MAIL\0", 6 }, "mail" },
		{ { "\0", 1 }, NULL },
		{ { "", 0 }, NULL },
		{ { "\4mail", 5 }, NULL },
		{ { "\5mail\0", 6 }, NULL },
		{ { "\4mail\0x", 7 }, NULL },
		{ { "\4ma l\0", 6 }, NULL },
		{ { "\4ma\0l\0", 6 }, NULL },
		{ { "\4-ail\0", 6 }, NULL },
		{ { "\4m.il\0", 6 }, NULL },
		{ { "\300\14", 2 }, NULL },
		{ { "\4m_il\0", 6 }, "m_il" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[NAME_MAX_LEN + 1];
		bool ok = name_text(rows[i].wire, text);
		assert_int_equal(ok, rows[i].text != NULL);
		if (ok)
			assert_string_equal(text, rows[i].text);
	}
	/* the longest name, and one octet more */
	char wire[300], text[NAME_MAX_LEN + 1];
	for (int last = 61; last <= 62; last++) {
		size_t n = 0;
		for (int l = 0; l < 4; l++) {
			int len = l < 3 ? 63 : last;
			wire[n++] = (char)len;
			memset(wire + n, 'a', (size_t)len);
			n += (size_t)len;
		}
		wire[n++] = 0;
		assert_int_equal(name_text(str_n(wire, n), text), last == 61);
	}
}

static void
cache_forgets(void **state)
{
	struct cache c;
	unsigned char a[ADDRESS_LEN] = { 0 };
	struct str key = str_n(a, sizeof(a)), name;
	uint32_t left;
	cache_init(&c, CACHE_MAX, CACHE_OCTETS);
	for (uint32_t i = 0; i < CACHE_MAX + 10; i++) {
		be32_put(a, i);
		cache_put(&c, key, STR("a.example.org"), 0, 100);
	}
	assert_int_equal(c.n, CACHE_MAX);
	be32_put(a, 9);
	assert_false(cache_get(&c, key, 0, &name, &left));
	be32_put(a, 10);
	assert_true(cache_get(&c, key, 98001, &name, &left));
	assert_true(str_eq(name, STR("a.example.org")));
	assert_int_equal(left, 2);
	assert_false(cache_get(&c, key, 100000, &name, &left));
	cache_put(&c, key, STR("b.example.org"), 0, UINT32_MAX);
	assert_true(cache_get(&c, key, 1, &name, &left));
	assert_true(str_eq(name, STR("b.example.org")));
	cache_put(&c, key, STR(""), 0, 1);
	assert_true(cache_get(&c, key, 1, &name, &left) && name.len == 0);
	cache_done(&c);
	/* by octets, too; what is larger than all of it is not kept */
	cache_init(&c, CACHE_MAX, 2 * (ADDRESS_LEN + 10));
	for (uint32_t i = 0; i < 3; i++) {
		be32_put(a, i);
		cache_put(&c, key, STR("0123456789"), 0, 100);
	}
	assert_int_equal(c.n, 2);
	assert_int_equal(c.octets, 2 * (ADDRESS_LEN + 10));
	cache_put(&c, key, STR("0123456789012345678901234567890123456789"), 0, 100);
	assert_int_equal(c.n, 1);
	cache_done(&c);
	assert_int_equal(c.n, 0);
	assert_int_equal(c.octets, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reverse_names),
		cmocka_unit_test(names_on_the_wire),
		cmocka_unit_test(cache_forgets),
		cmocka_unit_test(names_lead_back_or_are_none),
		cmocka_unit_test(fetch_gets_addresses),
		cmocka_unit_test(silence_ends),
		cmocka_unit_test(floods_are_answered),
		cmocka_unit_test(askers_may_go_and_misbehave),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
