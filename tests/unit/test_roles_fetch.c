/*
 * fetch against a web server of our own in a child, in clear and by TLS: what it sends, what it
 * refuses to believe, and what it does when the answer is late, long, or does not come.
 */
#include "roles_kit.h"

#include "base/num.h"
#include "roles/fetch/fetch.h"
#include "roles/fetch/fetch_priv.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* --- a web server --- */

struct line { /* a connection */
	int fd;
	SSL *ssl;
};

static int
line_read(struct line *l, char *p, size_t n)
{
	return l->ssl ? SSL_read(l->ssl, p, (int)n) : (int)read(l->fd, p, n);
}

static void
line_write(struct line *l, const char *p, size_t n)
{
	while (n) {
		int done = l->ssl ? SSL_write(l->ssl, p, (int)n) : (int)write(l->fd, p, n);
		if (done <= 0)
			return;
		p += done;
		n -= (size_t)done;
	}
}

/* Head and body of a request with Content-Length; false at the end of the connection. */
static bool
read_request(struct line *l, struct buf *b)
{
	char part[4096];
	for (;;) {
		struct str all = buf_str(b);
		size_t end = str_find_str(all, STR("\r\n\r\n"));
		size_t at = str_find_str(all, STR("Content-Length: "));
		uint64_t length = 0;
		struct str digits = str_skip(all, at + 16);
		(void)num_u64(str_first(digits, str_find(digits, '\r')), 1 << 20, &length);
		if (end < all.len && all.len >= end + 4 + length)
			return true;
		int n = line_read(l, part, sizeof(part));
		if (n <= 0)
			return false;
		buf_put(b, part, (size_t)n);
	}
}

static void
respond(struct line *l, const char *status, struct str body)
{
	struct buf b = BUF_INIT(1u << 20);
	buf_putf(&b, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nLocation: /echo\r\n\r\n", status,
	    body.len);
	buf_puts(&b, body);
	line_write(l, b.p, b.len);
	buf_done(&b);
}

static void
serve_line(struct line *l)
{
	static char much[ANSWER_MAX + 1];
	struct buf b = BUF_INIT(1u << 20);
	while (read_request(l, &b)) {
		struct str path = buf_str(&b);
		(void)str_word(&path);
		path = str_word(&path);
		if (str_eq(path, STR("/echo")))
			respond(l, "200 OK", buf_str(&b));
		else if (str_eq(path, STR("/no")))
			respond(l, "401 No", STR("go away"));
		else if (str_eq(path, STR("/elsewhere")))
			respond(l, "302 Found", STR(""));
		else if (str_eq(path, STR("/long")))
			respond(l, "200 OK", str_n(much, sizeof(much)));
		else if (str_eq(path, STR("/fits")))
			respond(l, "200 OK", str_n(much, sizeof(much) - 1));
		else if (str_eq(path, STR("/close")))
			break;
		else
			pause();
		buf_reset(&b);
	}
	buf_done(&b);
}

static _Noreturn void
serve(int fd, SSL_CTX *ctx)
{
	alarm(100);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		struct line l = { .fd = accept(fd, NULL, NULL) };
		if (l.fd < 0 || fork() != 0) {
			close(l.fd);
			continue;
		}
		alarm(100);
		close(fd);
		if (ctx) {
			l.ssl = SSL_new(ctx);
			SSL_set_fd(l.ssl, l.fd);
			if (SSL_accept(l.ssl) != 1)
				_exit(1);
		}
		serve_line(&l);
		_exit(0);
	}
}

static struct server {
	pid_t pid;
	unsigned port;
} clear, secure;

static void
start_server(struct server *s, SSL_CTX *ctx)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 100), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	fflush(NULL);
	s->pid = fork();
	if (s->pid == 0) {
		setpgid(0, 0);
		serve(fd, ctx);
	}
	setpgid(s->pid, s->pid);
	close(fd);
}

static void
write_file(const char *name, const void *p, size_t n)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", kit_dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	close(fd);
}

/* A certificate for fetch.example.test, signed by itself; DIR/ca.pem. */
static SSL_CTX *
make_secure(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	BIO *out = BIO_new(BIO_s_mem());
	char *pem;
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"fetch.example.test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	X509_EXTENSION *san =
	    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:fetch.example.test");
	X509_add_ext(x, san, -1);
	X509_EXTENSION_free(san);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(out, x), 1);
	long n = BIO_get_mem_data(out, &pem);
	write_file("ca.pem", pem, (size_t)n);
	BIO_free(out);
	SSL_CTX_use_certificate(ctx, x);
	SSL_CTX_use_PrivateKey(ctx, key);
	X509_free(x);
	EVP_PKEY_free(key);
	return ctx;
}

static int
start_servers(void **state)
{
	kit_make_dir();
	SSL_CTX *ctx = make_secure();
	start_server(&clear, NULL);
	start_server(&secure, ctx);
	SSL_CTX_free(ctx);
	write_file("password", "pass word&\nsecond line\n", 23);
	return 0;
}

static int
stop_servers(void **state)
{
	kill(-clear.pid, SIGKILL);
	kill(-secure.pid, SIGKILL);
	waitpid(clear.pid, NULL, 0);
	waitpid(secure.pid, NULL, 0);
	kit_drop_dir();
	return 0;
}

/* --- the role --- */

static void
give(struct kit *k, enum secret_kind kind, const char *path)
{
	struct msg_secret m = { .kind = (uint8_t)kind, .name = str_of(path) };
	struct buf b = BUF_INIT(4096);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	msg_secret_put(&b, &m);
	assert_int_equal(chan_sync_send(k->sock, IPC_SECRET, 0, buf_str(&b), fd), 0);
	close(fd);
	buf_done(&b);
}

enum { WITH_CLIENT = 1, WITH_CA = 2 };

static struct conf *
conf_for(const char *url, unsigned with)
{
	char set_url[160], set_file[160], set_ca[160];
	const char *sets[6] = { set_url };
	size_t n = 1;
	snprintf(set_url, sizeof(set_url), "oauth.introspect_url=%s", url);
	snprintf(set_file, sizeof(set_file), "oauth.introspect_secret_file=%s/password", kit_dir);
	snprintf(set_ca, sizeof(set_ca), "oauth.introspect_ca=%s/ca.pem", kit_dir);
	if (with & WITH_CLIENT) {
		sets[n++] = "oauth.introspect_client=mail server";
		sets[n++] = set_file;
	}
	if (with & WITH_CA)
		sets[n++] = set_ca;
	return kit_conf(sets);
}

static void
give_all(struct kit *k, unsigned with)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/password", kit_dir);
	if (with & WITH_CLIENT)
		give(k, SECRET_CLIENT, path);
	snprintf(path, sizeof(path), "%s/ca.pem", kit_dir);
	if (with & WITH_CA)
		give(k, SECRET_CA, path);
	give(k, SECRET_END, "/dev/null");
}

static void
fetch_start(struct kit *k, const char *url, unsigned with)
{
	struct conf *c = conf_for(url, with);
	kit_start(k, fetch_main, c, ROLE_FETCH, 0);
	conf_free(c);
	give_all(k, with);
}

static void
send_ask(int fd, uint64_t id, const char *form)
{
	struct msg_fetch m = { .what = FETCH_INTROSPECT, .form = str_of(form) };
	struct buf b = BUF_INIT(4096);
	msg_fetch_put(&b, &m);
	assert_int_equal(chan_sync_send(fd, IPC_FETCH, id, buf_str(&b), -1), 0);
	buf_done(&b);
}

/* The next answer; ret's views are in store. */
static uint64_t
expect(int fd, struct msg_fetched *ret, struct buf *store)
{
	struct ipc_frame f;
	assert_int_equal(kit_recv(fd, &f, store), 0);
	assert_int_equal(f.type, IPC_FETCHED);
	assert_true(msg_fetched_get(f.body, ret));
	return f.id;
}

static bool
has(struct str s, const char *what)
{
	return str_find_str(s, str_of(what)) < s.len;
}

static void
a_question_is_one_post(void **state)
{
	struct kit k;
	struct msg_fetched m;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	char url[96];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", clear.port);
	fetch_start(&k, url, WITH_CLIENT);
	int fd = kit_peer(&k, ROLE_AUTH, 0);
	for (uint64_t i = 1; i <= 3; i++) {
		send_ask(fd, i, "token=abc&token_type_hint=access_token");
		assert_int_equal(expect(fd, &m, &store), i);
		assert_int_equal(m.status, 200);
		assert_true(str_starts(m.body, STR("POST /echo HTTP/1.1\r\n")));
		/* "mail%20server:pass%20word%26" */
		assert_true(has(m.body,
		    "\r\nAuthorization: Basic bWFpbCUyMHNlcnZlcjpwYXNzJTIwd29yZCUyNg==\r\n"));
		assert_true(has(m.body, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
		assert_true(str_ends(m.body,
		    STR("\r\n\r\ntoken=abc&token_type_hint=access_token")));
	}
	/* a reload: another place, no name any more */
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/no", clear.port);
	struct conf *c = conf_for(url, 0);
	kit_send_conf(k.sock, c, ROLE_FETCH, 0);
	conf_free(c);
	give_all(&k, 0);
	do { /* the channels are not in step */
		send_ask(fd, 7, "token=abc");
		assert_int_equal(expect(fd, &m, &store), 7);
	} while (m.status != 401);
	assert_true(str_eq(m.body, STR("go away")));
	buf_done(&store);
	close(fd);
	assert_int_equal(kit_drain(&k, 5000), 0);
}

static void
answers_are_taken_as_they_are(void **state)
{
	static const struct {
		const char *path;
		uint16_t status;
		size_t len;
		const char *error;
	} rows[] = {
		{ "no", 401, 7, "" },
		{ "elsewhere", 302, 0, "" }, /* nobody goes there */
		{ "fits", 200, ANSWER_MAX, "" },
		{ "long", 0, 0, "the answer is too long" },
		{ "close", 0, 0, "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kit k;
		struct msg_fetched m;
		struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
		char url[96];
		snprintf(url, sizeof(url), "http://127.0.0.1:%u/%s", clear.port, rows[i].path);
		fetch_start(&k, url, 0);
		int fd = kit_peer(&k, ROLE_AUTH, 0);
		send_ask(fd, 1, "token=abc");
		expect(fd, &m, &store);
		assert_int_equal(m.status, rows[i].status);
		assert_int_equal(m.body.len, rows[i].len);
		assert_int_equal(m.error.len > 0, m.status == 0);
		if (*rows[i].error)
			assert_true(str_eq(m.error, str_of(rows[i].error)));
		buf_done(&store);
		close(fd);
		assert_int_equal(kit_stop(&k), 0);
	}
}

/* TLS: the right authority and the right name, or nothing. The test is dns. */
static void
only_the_right_server_is_believed(void **state)
{
	static const struct {
		const char *host;
		unsigned with;
		uint16_t status;
	} rows[] = {
		{ "fetch.example.test", WITH_CA, 200 },
		{ "other.example.test", WITH_CA, 0 },
		{ "fetch.example.test", 0, 0 },
		{ "127.0.0.1", WITH_CA, 0 },
	};
	static const char loopback[16] = { [10] = '\xff', [11] = '\xff', [12] = 127, [15] = 1 };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct kit k;
		struct msg_fetched m;
		struct ipc_frame f;
		struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
		char url[96];
		snprintf(url, sizeof(url), "https://%s:%u/echo", rows[i].host, secure.port);
		fetch_start(&k, url, rows[i].with);
		int dns = kit_peer(&k, ROLE_DNS, 0), fd = kit_peer(&k, ROLE_AUTH, 0);
		send_ask(fd, 1, "token=abc");
		if (rows[i].host[0] != '1') {
			assert_int_equal(kit_recv(dns, &f, &store), 0);
			assert_int_equal(f.type, IPC_ADDR_ASK);
			assert_true(str_eq(f.body, str_of(rows[i].host)));
			chan_sync_send(dns, IPC_ADDR, f.id, str_n(loopback, 16), -1);
		}
		expect(fd, &m, &store);
		assert_int_equal(m.status, rows[i].status);
		buf_done(&store);
		close(dns);
		close(fd);
		assert_int_equal(kit_stop(&k), 0);
	}
}

static void
names_may_not_be_found(void **state)
{
	struct kit k;
	struct msg_fetched m;
	struct ipc_frame f;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	fetch_start(&k, "https://fetch.example.test/echo", WITH_CA);
	int fd = kit_peer(&k, ROLE_AUTH, 0);
	send_ask(fd, 1, "token=abc");
	assert_int_equal(expect(fd, &m, &store), 1);
	assert_int_equal(m.status, 0);
	assert_true(has(m.error, "dns does not run"));
	int dns = kit_peer(&k, ROLE_DNS, 0);
	do { /* the channels are not in step */
		send_ask(fd, 2, "token=abc");
		if (kit_readable(dns, 200))
			break;
		expect(fd, &m, &store);
	} while (true);
	assert_int_equal(kit_recv(dns, &f, &store), 0);
	chan_sync_send(dns, IPC_ADDR, f.id, STR(""), -1);
	assert_int_equal(expect(fd, &m, &store), 2);
	assert_true(has(m.error, "leads nowhere"));
	/* dns goes while we wait for it */
	send_ask(fd, 3, "token=abc");
	assert_int_equal(kit_recv(dns, &f, &store), 0);
	close(dns);
	assert_int_equal(expect(fd, &m, &store), 3);
	assert_true(has(m.error, "dns does not run"));
	buf_done(&store);
	close(fd);
	assert_int_equal(kit_stop(&k), 0);
}

/* A server that says nothing costs its time and no more; there is room for so many. */
static void
silence_ends_and_floods_are_refused(void **state)
{
	struct kit k;
	struct msg_fetched m;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	char url[96];
	bool seen[REQUESTS_MAX + 10] = { false };
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/silent", clear.port);
	fetch_start(&k, url, 0);
	int fd = kit_peer(&k, ROLE_AUTH, 0);
	for (uint64_t i = 0; i < ARRAY_LEN(seen); i++)
		send_ask(fd, i, "token=abc");
	for (size_t i = 0; i < ARRAY_LEN(seen); i++) {
		uint64_t id = expect(fd, &m, &store);
		assert_true(id < ARRAY_LEN(seen) && !seen[id]);
		seen[id] = true;
		assert_int_equal(m.status, 0);
		assert_int_equal(id >= REQUESTS_MAX, has(m.error, "too many"));
	}
	/* auth goes while the server is silent */
	send_ask(fd, 1, "token=abc");
	close(fd);
	assert_int_equal(kit_drain(&k, 60000), 0);
	buf_done(&store);
}

static void
a_missing_password_is_said(void **state)
{
	struct kit k;
	struct msg_fetched m;
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	char url[96];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/echo", clear.port);
	struct conf *c = conf_for(url, WITH_CLIENT);
	kit_start(&k, fetch_main, c, ROLE_FETCH, 0);
	conf_free(c);
	give_all(&k, 0);
	int fd = kit_peer(&k, ROLE_AUTH, 0);
	send_ask(fd, 1, "token=abc");
	expect(fd, &m, &store);
	assert_int_equal(m.status, 0);
	assert_true(has(m.error, "secret_file"));
	/* malformed */
	chan_sync_send(fd, IPC_FETCH, 2, STR("\377"), -1);
	assert_true(kit_closed(fd));
	close(fd);
	buf_done(&store);
	assert_int_equal(kit_stop(&k), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_one_post),
		cmocka_unit_test(answers_are_taken_as_they_are),
		cmocka_unit_test(only_the_right_server_is_believed),
		cmocka_unit_test(names_may_not_be_found),
		cmocka_unit_test(silence_ends_and_floods_are_refused),
		cmocka_unit_test(a_missing_password_is_said),
	};
	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
