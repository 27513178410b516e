/* A front between a client of ours and a store, an auth and a parent of straw. */
#include "roles_kit.h"

#include "base/base64.h"
#include "policy/shared.h"
#include "roles/front/front.h"
#include "route/directory.h"
#include "smtp/reply.h"
#include "tls/tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

#define ALICE 7
#define BOB 8

struct world {
	struct kit front;
	struct conf *conf;
	int listener, store, auth, tally;
	uint16_t port;
	struct tls_key *key;
	struct buf cert;
	struct buf body;      /* of the last letter, as store got it */
	struct buf accept;    /* its ACCEPT */
	struct buf start;     /* the last SASL_START */
	uint16_t fault_taken; /* or 0 */
};

static struct world w;

static void
frame_from_store(const struct ipc_frame *f)
{
	struct buf body = BUF_INIT(16);
	if (f->type == IPC_BODY_OPEN)
		buf_reset(&w.body);
	if (f->type == IPC_BODY_DATA)
		buf_puts(&w.body, f->body);
	if (f->type == IPC_ACCEPT) {
		buf_reset(&w.accept);
		buf_puts(&w.accept, f->body);
		msg_u8_put(&body, ACCEPT_OK);
		assert_int_equal(chan_sync_send(w.store, IPC_ACCEPTED, f->id, buf_str(&body), -1),
		    0);
	}
	buf_done(&body);
}

static void
sign(const struct ipc_frame *f)
{
	struct msg_sign m;
	unsigned char sig[TLS_SIGNATURE_MAX];
	assert_true(msg_sign_get(f->body, &m));
	assert_true(tls_signable(m.tbs));
	size_t n = tls_key_sign(w.key, (enum tls_sign_alg)m.alg, m.tbs, sig);
	assert_true(n > 0);
	assert_int_equal(chan_sync_send(w.auth, IPC_SIGNED, f->id, str_n(sig, n), -1), 0);
}

/* PLAIN with an initial response: alice's password is "right". */
static void
log_in(const struct ipc_frame *f)
{
	struct msg_sasl_start m;
	struct buf body = BUF_INIT(4096);
	buf_reset(&w.start);
	buf_puts(&w.start, f->body);
	assert_true(msg_sasl_start_get(f->body, &m));
	bool right = m.has_initial && str_ends(m.initial, STR("\0right"));
	struct msg_sasl s = { .verdict = right ? SASL_V_OK : SASL_V_FAIL,
		.account = right ? STR("alice@example.com") : STR_NULL,
		.why = STR("wrong password") };
	msg_sasl_put(&body, &s);
	assert_int_equal(chan_sync_send(w.auth, IPC_SASL, f->id, buf_str(&body), -1), 0);
	buf_done(&body);
}

static void
frame_from_auth(const struct ipc_frame *f)
{
	if (f->type == IPC_SIGN)
		sign(f);
	else if (f->type == IPC_SASL_START)
		log_in(f);
}

static void
frame_from_front(const struct ipc_frame *f)
{
	if (f->type == IPC_FAULT_TAKEN)
		assert_true(msg_u16_get(f->body, UINT16_MAX, &w.fault_taken));
}

/* Everybody of straw does what there is to do; then true when fd can be read. */
static bool
pump(int fd)
{
	struct pollfd p[] = { { w.store, POLLIN, 0 }, { w.auth, POLLIN, 0 },
		{ w.front.sock, POLLIN, 0 }, { fd, POLLIN, 0 } };
	static void (*const handle[])(const struct ipc_frame *f) = { frame_from_store,
		frame_from_auth, frame_from_front };
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	int n = poll(p, ARRAY_LEN(p), KIT_PATIENCE_MS);
	if (n <= 0)
		fail_msg("nothing happens");
	for (size_t i = 0; i < 3; i++) {
		struct ipc_frame f;
		if (!p[i].revents)
			continue;
		assert_int_equal(chan_sync_recv(p[i].fd, &f, &store), 0);
		handle[i](&f);
		if (f.fd >= 0)
			close(f.fd);
	}
	buf_done(&store);
	return p[3].revents != 0;
}

/* --- the world --- */

static void
give_tally(void)
{
	struct buf body = BUF_INIT(16);
	w.tally = memfd_create("tally", MFD_CLOEXEC);
	assert_int_equal(ftruncate(w.tally, (off_t)policy_shared_size()), 0);
	msg_u16_put(&body, 0);
	assert_int_equal(chan_sync_send(w.front.sock, IPC_TALLY, 0, buf_str(&body), w.tally), 0);
	buf_done(&body);
}

static void
give_directory(void)
{
	struct directory_builder *b = directory_builder_new();
	struct buf block = BUF_INIT(1 << 20), state = BUF_INIT(256);
	struct msg_store_state s = { 0 };
	const struct str members[] = { STR("alice@example.com") };
	directory_add_domain(b, STR("example.com"));
	directory_add_user(b, STR("alice@example.com"), ALICE);
	directory_add_user(b, STR("bob@example.com"), BOB);
	directory_add_alias(b, STR("sales@example.com"), members, 1);
	directory_set_options(b, '+', STR_NULL);
	assert_true(directory_build(b, 1, &block));
	int fd = memfd_sealed("directory", buf_str(&block));
	assert_int_equal(chan_sync_send(w.store, IPC_DIRECTORY, 1, STR_NULL, fd), 0);
	close(fd);
	msg_store_state_put(&state, &s);
	assert_int_equal(chan_sync_send(w.store, IPC_STORE_STATE, 0, buf_str(&state), -1), 0);
	directory_builder_free(b);
	buf_done(&block);
	buf_done(&state);
}

static void
give_certs(void)
{
	struct buf text = BUF_INIT(1 << 20);
	put_str(&text, buf_str(&w.cert));
	int fd = memfd_sealed("certs", buf_str(&text));
	assert_int_equal(chan_sync_send(w.auth, IPC_CERTS, 0, STR_NULL, fd), 0);
	close(fd);
	buf_done(&text);
}

static void
give_listener(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	struct buf body = BUF_INIT(16);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	w.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(w.listener, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(w.listener, 16), 0);
	assert_int_equal(getsockname(w.listener, (struct sockaddr *)&in, &len), 0);
	w.port = ntohs(in.sin_port);
	msg_u16_put(&body, 0);
	assert_int_equal(chan_sync_send(w.front.sock, IPC_LISTENER, 0, buf_str(&body), w.listener),
	    0);
	buf_done(&body);
}

/* When the front has said its status, it has taken everything that parent said before. */
static void
settle(void)
{
	struct buf store = BUF_INIT(IPC_BODY_MAX + 64);
	struct ipc_frame f = { 0 };
	assert_int_equal(chan_sync_send(w.front.sock, IPC_STATUS_ASK, 9, STR_NULL, -1), 0);
	while (f.type != IPC_STATUS) {
		assert_int_equal(kit_recv(w.front.sock, &f, &store), 0);
		frame_from_front(&f);
	}
	buf_done(&store);
}

static void
begin_at(const char *const *sets, uint16_t stands_for)
{
	struct buf key = BUF_INIT(8192), err = BUF_INIT(4096);
	const struct str names[] = { STR("mail.example.com") };
	static const char *const always[] = { "lab=yes", "hostname=mail.example.com", NULL };
	w = (struct world){ .cert = BUF_INIT(TLS_CHAIN_MAX),
		.body = BUF_INIT(1 << 20),
		.accept = BUF_INIT(1 << 20),
		.start = BUF_INIT(1 << 20) };
	assert_true(tls_make_self_signed(names, 1, 10, &key, &w.cert, &err));
	w.key = tls_key_read(buf_str(&key), &err);
	assert_non_null(w.key);
	w.conf = kit_conf(always);
	conf_listener_add(w.conf, "127.0.0.1", 10587, "smtp")->stands_for = stands_for;
	for (; *sets; sets++)
		assert_true(conf_set(w.conf, str_of(*sets), &err));
	kit_start(&w.front, front_main, w.conf, ROLE_FRONT, 0);
	give_tally();
	w.store = kit_peer(&w.front, ROLE_STORE, 0);
	w.auth = kit_peer(&w.front, ROLE_AUTH, 0);
	give_directory();
	give_certs();
	give_listener();
	settle();
	buf_done(&key);
	buf_done(&err);
}

static void
begin(const char *const *sets)
{
	begin_at(sets, 587);
}

static void
end(void)
{
	assert_int_equal(kit_stop(&w.front), 0);
	close(w.listener);
	close(w.store);
	close(w.auth);
	close(w.tally);
	tls_key_free(w.key);
	conf_free(w.conf);
	buf_done(&w.cert);
	buf_done(&w.body);
	buf_done(&w.accept);
	buf_done(&w.start);
}

/* --- the client --- */

struct client {
	int fd;
	struct tls *tls;
	char got[65536];
	size_t n;
};

static struct client
dial(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(w.port) };
	struct client c = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(c.fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(fcntl(c.fd, F_SETFL, O_NONBLOCK), 0);
	return c;
}

static void
hang_up(struct client *c)
{
	tls_free(c->tls);
	close(c->fd);
}

static void
say_n(struct client *c, struct str s)
{
	size_t n = 0;
	if (c->tls)
		assert_int_equal(tls_write(c->tls, s.p, s.len, &n), TLS_OK);
	else
		n = (size_t)send(c->fd, s.p, s.len, MSG_NOSIGNAL);
	assert_int_equal(n, s.len);
}

/* Octets, or 0 at the end. */
static size_t
take(struct client *c, char *p, size_t n)
{
	for (;;) {
		size_t got = 0;
		ssize_t r;
		if (c->tls) {
			enum tls_io io = tls_read(c->tls, p, n, &got);
			if (io == TLS_OK)
				return got;
			if (io == TLS_CLOSED || io == TLS_FAILED)
				return 0;
		} else {
			r = recv(c->fd, p, n, MSG_DONTWAIT);
			if (r >= 0)
				return (size_t)r;
			if (errno != EAGAIN)
				return 0;
		}
		while (!pump(c->fd))
			;
	}
}

static bool
is_whole(const struct client *c)
{
	const char *line = c->got, *end = c->got + c->n, *lf;
	while ((lf = memchr(line, '\n', (size_t)(end - line)))) {
		if (lf - line >= 4 && line[3] == ' ')
			return true;
		line = lf + 1;
	}
	return false;
}

/* The next reply, all its lines; "" when the connection is closed. */
static const char *
hear(struct client *c)
{
	c->n = 0;
	do {
		size_t n = take(c, c->got + c->n, sizeof(c->got) - 1 - c->n);
		if (n == 0)
			break;
		c->n += n;
	} while (!is_whole(c));
	c->got[c->n] = '\0';
	return c->got;
}

static void
expect(struct client *c, const char *code)
{
	const char *got = hear(c);
	if (strncmp(got, code, strlen(code)) != 0)
		fail_msg("\"%s\" instead of %s", got, code);
}

static void
talk(struct client *c, const char *line, const char *code)
{
	say_n(c, str_of(line));
	say_n(c, STR("\r\n"));
	expect(c, code);
}

static void
shake_hands(struct client *c)
{
	struct tls_client_conf conf = { .name = "mail.example.com" };
	struct buf err = BUF_INIT(4096);
	enum tls_io io;
	c->tls = tls_connect(&conf, c->fd, &err);
	assert_non_null(c->tls);
	while ((io = tls_handshake(c->tls)) == TLS_READ)
		while (!pump(c->fd))
			;
	if (io != TLS_OK)
		fail_msg("%s", tls_error(c->tls));
	buf_done(&err);
}

static void
secure(struct client *c)
{
	expect(c, "220");
	talk(c, "EHLO me", "250");
	assert_non_null(strstr(c->got, "STARTTLS"));
	assert_null(strstr(c->got, "AUTH"));
	talk(c, "STARTTLS", "220");
	shake_hands(c);
	talk(c, "EHLO me", "250");
	assert_null(strstr(c->got, "STARTTLS"));
	assert_non_null(strstr(c->got, "AUTH SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN"));
}

static void
authenticate(struct client *c, struct str secret, const char *code)
{
	struct buf line = BUF_INIT(1000), plain = BUF_INIT(1000);
	buf_puts(&plain, STR("\0alice@example.com\0"));
	buf_puts(&plain, secret);
	buf_putz(&line, "AUTH PLAIN ");
	base64_enc(&line, buf_str(&plain));
	talk(c, buf_cstr(&line), code);
	buf_done(&line);
	buf_done(&plain);
}

static void
letter(struct client *c, const char *text, const char *code)
{
	talk(c, "MAIL FROM:<alice+x@example.com>", "250");
	talk(c, "RCPT TO:<bob@example.com>", "250");
	talk(c, "DATA", "354");
	say_n(c, str_of(text));
	talk(c, ".", code);
}

/* With limit.tls=1 a connection that is just ending may still be counted. */
static bool
try_secure(struct client *c)
{
	expect(c, "220");
	talk(c, "EHLO me", "250");
	say_n(c, STR("STARTTLS\r\n"));
	if (strncmp(hear(c), "220", 3) != 0) {
		hang_up(c);
		return false;
	}
	shake_hands(c);
	talk(c, "EHLO me", "250");
	return true;
}

/* Peers have channels of their own, so what they said may be heard late: asks until STARTTLS is
 * answered like this. */
static void
await_starttls(const char *code)
{
	for (;;) {
		struct client c = dial();
		expect(&c, "220");
		talk(&c, "EHLO me", "250");
		say_n(&c, STR("STARTTLS\r\n"));
		bool found = strncmp(hear(&c), code, strlen(code)) == 0;
		hang_up(&c);
		if (found)
			return;
	}
}

/* --- tests --- */

static const char *const nothing[] = { NULL };

static void
hands_in(void **state)
{
	struct msg_accept m;
	struct msg_sasl_start s;
	begin(nothing);
	await_starttls("220");
	struct client c = dial();
	secure(&c);
	talk(&c, "MAIL FROM:<alice@example.com>", "530");
	authenticate(&c, STR("wrong"), "535");
	authenticate(&c, STR("right"), "235");
	assert_true(msg_sasl_start_get(buf_str(&w.start), &s));
	assert_true(s.tls && s.exporter.len == 32 && s.endpoint.len == 32);
	assert_true(str_eq(s.service, STR("smtp")) && str_eq(s.mech, STR("PLAIN")));
	assert_true(str_eq(s.user_prompt, STR("Username:")) && s.prefix.len == 16);
	assert_true(str_eq(s.peer, STR("127.0.0.1")) && s.external.len == 0);

	talk(&c, "MAIL FROM:<bob@example.com>", "553 5.7.1");
	talk(&c, "MAIL FROM:<x@elsewhere.org>", "553 5.7.1");
	talk(&c, "MAIL FROM:<sales@example.com>", "250");
	talk(&c, "RCPT TO:<x@elsewhere.org>", "250 2.1.5");
	talk(&c, "RCPT TO:<x@elsewhere>", "550 5.1.2");
	talk(&c, "RSET", "250");
	letter(&c, "From: Bob <bob@example.com>\r\n\r\nx\r\n", "550 5.7.1");
	letter(&c, "From: A <alice@example.com>, bob@example.com\r\n\r\nx\r\n", "550 5.7.1");
	letter(&c,
	    "From: A <alice@example.com>, sales@example.com\r\nBcc: c@d,\r\n e@f\r\nTo: x@y\r\n"
	    "\r\nBcc: stays\r\n",
	    "250");
	static const char stored[] =
	    "From: A <alice@example.com>, sales@example.com\r\nTo: x@y\r\n\r\nBcc: stays\r\n";
	assert_string_equal(buf_cstr(&w.body), stored);
	assert_true(msg_accept_get(buf_str(&w.accept), &m));
	assert_int_equal(m.size, strlen(stored));
	assert_int_equal(m.header_len, strstr(stored, "\r\n\r\n") + 2 - stored);
	assert_true(str_find_str(m.trace, STR("(version=TLSv1.3 cipher=")) < m.trace.len);
	assert_true(str_find_str(m.trace, STR("with ESMTPSA")) < m.trace.len);
	assert_true(str_find_str(m.trace, STR("Message-ID: ")) < m.trace.len);
	assert_true(str_find_str(m.history, STR("# TLS: TLSv1.3 ")) < m.history.len);
	assert_true(str_starts(m.message_id, STR("<")) && str_ends(m.message_id, STR(">")));
	assert_true(str_eq(m.facts.account, STR("alice@example.com")) && m.n_onward == 0);
	assert_int_equal(m.facts.flags, ONWARD_OURS | ONWARD_SUBMITTED);
	hang_up(&c);
	end();
}

/* Readers at the other end must not find another author, or a secret recipient, than we did. */
static void
hides_nothing_in_a_header(void **state)
{
	struct buf wide = BUF_INIT(1000);
	buf_putf(&wide, "From%80s: bob@example.com\r\nTo: x@y\r\n\r\nx\r\n", "");
	begin(nothing);
	await_starttls("220");
	struct client c = dial();
	secure(&c);
	authenticate(&c, STR("right"), "235");
	letter(&c, buf_cstr(&wide), "550 5.7.1");
	letter(&c, "From: alice@example.com,\r\nbob@example.com\r\nTo: x@y\r\n\r\nx\r\n",
	    "550 5.7.1");
	letter(&c, "From: alice@example.com\r\nBcc: c@d,\r\ne@f\r\nTo: x@y\r\n\r\nx\r\n", "250");
	assert_string_equal(buf_cstr(&w.body), "From: alice@example.com\r\nTo: x@y\r\n\r\nx\r\n");
	letter(&c, "From: alice@example.com\r\nBcc: c@d\r\nDear friend\r\n\r\nx\r\n", "250");
	assert_string_equal(buf_cstr(&w.body),
	    "From: alice@example.com\r\nDear friend\r\n\r\nx\r\n");
	hang_up(&c);
	end();
	buf_done(&wide);
}

static void
checks_can_be_switched_off(void **state)
{
	static const char *const sets[] = { "own_sender=no", "own_from=no", NULL };
	begin(sets);
	await_starttls("220");
	struct client c = dial();
	secure(&c);
	authenticate(&c, STR("right"), "235");
	talk(&c, "MAIL FROM:<bob@example.com>", "250");
	talk(&c, "RSET", "250");
	letter(&c, "From: Bob <bob@example.com>\r\n\r\nx\r\n", "250");
	hang_up(&c);
	end();
}

static void
nothing_behind_starttls(void **state)
{
	begin(nothing);
	await_starttls("220");
	struct client c = dial();
	expect(&c, "220");
	talk(&c, "EHLO me", "250");
	say_n(&c, STR("STARTTLS\r\nRSET\r\n"));
	const char *got = hear(&c);
	assert_true(*got == '\0' || strncmp(got, "220", 3) == 0);
	if (*got)
		assert_string_equal(hear(&c), "");
	hang_up(&c);
	end();
}

static void
counts_tls(void **state)
{
	static const char *const sets[] = { "limit.tls=1", NULL };
	begin(sets);
	await_starttls("220");
	struct client a = dial(), b;
	while (!try_secure(&a))
		a = dial();
	b = dial();
	expect(&b, "220");
	talk(&b, "EHLO me", "250");
	talk(&b, "STARTTLS", "421");
	assert_string_equal(hear(&b), "");
	hang_up(&b);
	talk(&a, "NOOP", "250");
	hang_up(&a);
	await_starttls("220");
	end();
}

/* Over limit.tls a handshake is made to say so, but not for everybody at once. */
static void
turns_few_away_in_tls(void **state)
{
	static const char *const sets[] = { "limit.tls=1", "limit.conns_per_ip=off", NULL };
	static struct client c[110];
	size_t open = 0;
	begin_at(sets, 465);
	for (;;) { /* the certificate is there when a connection is not closed at once */
		char x;
		c[0] = dial();
		settle();
		settle();
		if (recv(c[0].fd, &x, 1, MSG_DONTWAIT) < 0)
			break;
		hang_up(&c[0]);
	}
	for (size_t i = 1; i < ARRAY_LEN(c); i++) {
		c[i] = dial();
		settle();
	}
	assert_string_equal(hear(&c[ARRAY_LEN(c) - 1]), "");
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		char x;
		open += recv(c[i].fd, &x, 1, MSG_DONTWAIT) < 0;
		hang_up(&c[i]);
	}
	assert_in_range(open, 2, 101);
	end();
}

static void
auth_goes_and_comes(void **state)
{
	begin(nothing);
	await_starttls("220");
	struct client a = dial(), b = dial();
	secure(&a);
	expect(&b, "220");
	talk(&b, "EHLO me", "250");
	close(w.auth);
	w.auth = w.store; /* nobody: what poll looks at must be open */
	await_starttls("454");
	talk(&b, "STARTTLS", "454");
	talk(&a, "NOOP", "250");
	w.auth = kit_peer(&w.front, ROLE_AUTH, 0);
	give_certs();
	await_starttls("220");
	authenticate(&a, STR("right"), "235");
	talk(&b, "STARTTLS", "220");
	shake_hands(&b);
	talk(&b, "EHLO me", "250");
	hang_up(&a);
	hang_up(&b);
	end();
}

static void
wants_its_proxy_header(void **state)
{
	static const char *const sets[] = { "proxy_peers=127.0.0.0/8", NULL };
	static const char v1[] = "PROXY TCP4 192.0.2.7 192.0.2.1 5555 25\r\n";
	begin(sets);
	struct client c = dial();
	say_n(&c, STR("EHLO me\r\n"));
	assert_string_equal(hear(&c), "");
	hang_up(&c);
	for (size_t cut = 1; cut < strlen(v1); cut += 7) {
		c = dial();
		say_n(&c, str_first(str_of(v1), cut));
		settle();
		say_n(&c, str_skip(str_of(v1), cut));
		expect(&c, "220");
		talk(&c, "EHLO me", "250");
		assert_non_null(strstr(c.got, "[192.0.2.7]"));
		hang_up(&c);
	}
	c = dial();
	say_n(&c, STR("PROXY TCP6 2001:db8::7 2001:db8::1 5555 25\r\nEHLO me\r\n"));
	expect(&c, "220");
	if (!strchr(strchr(c.got, '\n') + 1, '\n'))
		expect(&c, "250");
	assert_non_null(strstr(c.got, "2001:db8::7"));
	hang_up(&c);
	end();
}

static void
fails_as_told(void **state)
{
	begin(nothing);
	await_starttls("220");
	struct buf body = BUF_INIT(16);
	struct client c = dial();
	secure(&c);
	authenticate(&c, STR("right"), "235");
	msg_u16_put(&body, SMTP_MAIL_LOWRES);
	assert_int_equal(chan_sync_send(w.front.sock, IPC_FAULT, 0, buf_str(&body), -1), 0);
	settle();
	talk(&c, "MAIL FROM:<alice@example.com>", "452");
	talk(&c, "MAIL FROM:<alice@example.com>", "250");
	assert_int_equal(w.fault_taken, SMTP_MAIL_LOWRES);
	talk(&c, "RSET", "250");
	buf_reset(&body);
	msg_u16_put(&body, SMTP_DATA_TEMPERR);
	assert_int_equal(chan_sync_send(w.front.sock, IPC_FAULT, 0, buf_str(&body), -1), 0);
	settle();
	letter(&c, "From: alice@example.com\r\n\r\nx\r\n", "451");
	letter(&c, "From: alice@example.com\r\n\r\nx\r\n", "250");
	buf_reset(&body);
	msg_u16_put(&body, SMTP_SHUTDOWN);
	assert_int_equal(chan_sync_send(w.front.sock, IPC_FAULT, 0, buf_str(&body), -1), 0);
	/* Somebody else's connection met it. */
	assert_int_equal(chan_sync_send(w.front.sock, IPC_FAULT, 0, STR("\xff\xff"), -1), 0);
	settle();
	talk(&c, "NOOP", "250");
	assert_int_equal(chan_sync_send(w.front.sock, IPC_FAULT, 0, buf_str(&body), -1), 0);
	settle();
	talk(&c, "NOOP", "421");
	buf_done(&body);
	hang_up(&c);
	end();
}

static void
counts_an_account(void **state)
{
	static const char *const sets[] = { "limit.rcpts_per_hour_account=2", NULL };
	begin(sets);
	await_starttls("220");
	struct client c = dial();
	secure(&c);
	authenticate(&c, STR("right"), "235");
	talk(&c, "MAIL FROM:<alice@example.com>", "250");
	talk(&c, "RCPT TO:<bob@example.com>", "250");
	talk(&c, "RCPT TO:<alice@example.com>", "250");
	talk(&c, "RCPT TO:<sales@example.com>", "4");
	hang_up(&c);
	end();
}

static void
minds_its_memory(void **state)
{
	static const char *const sets[] = { "limit.mem_high=20", "auth_required=no", "ipmm=yes",
		NULL };
	begin(sets);
	await_starttls("220");
	struct client a = dial(), b = dial();
	expect(&a, "220");
	expect(&b, "220");
	talk(&a, "EHLO me", "250");
	talk(&b, "EHLO me", "250");
	talk(&a, "MAIL FROM:<x@y>", "250");
	talk(&a, "RCPT TO:<bob@example.com>", "250");
	talk(&a, "DATA", "354");
	say_n(&a, STR("Subject: it takes some room\r\n\r\nand more\r\n"));
	for (;;) {
		say_n(&b, STR("MAIL FROM:<x@y>\r\n"));
		if (strncmp(hear(&b), "452", 3) == 0)
			break;
		talk(&b, "RSET", "250");
	}
	talk(&a, ".", "250");
	talk(&b, "MAIL FROM:<x@y>", "250");
	talk(&b, "RSET", "250");
	/* What a mail merge is told takes room, too. */
	talk(&a, "XMRG FROM:<x@y>", "250");
	talk(&a, "XDFN name=\"somebody with a name\"", "250");
	talk(&b, "MAIL FROM:<x@y>", "452");
	talk(&a, "RSET", "250");
	talk(&b, "MAIL FROM:<x@y>", "250");
	talk(&b, "RSET", "250");
	talk(&a, "XMRG FROM:<x@y>", "250");
	talk(&a, "XDFN name=\"somebody with a name\"", "250");
	hang_up(&a);
	for (;;) {
		say_n(&b, STR("MAIL FROM:<x@y>\r\n"));
		if (strncmp(hear(&b), "250", 3) == 0)
			break;
	}
	hang_up(&b);
	end();
}

static void
becomes_its_client(void **state)
{
	static const char *const sets[] = { "xclient_peers=127.0.0.1", "auth_required=no",
		"relay_ip=192.0.2.0/24", NULL };
	begin(sets);
	await_starttls("220");
	struct client c = dial();
	expect(&c, "220");
	talk(&c, "EHLO me", "250");
	talk(&c, "XCLIENT ADDR=192.0.2.9 NAME=mx.example.net LOGIN=alice@example.com", "220");
	talk(&c, "EHLO me", "250");
	assert_non_null(strstr(c.got, "[192.0.2.9]"));
	talk(&c, "MAIL FROM:<bob@example.com>", "553");
	hang_up(&c);
	end();
}

/* Only a peer's letter gets what it lacks. */
static void
expect_relay(struct client *c, bool relay)
{
	struct msg_accept m;
	talk(c, "EHLO me", "250");
	talk(c, "MAIL FROM:<x@example.net>", "250");
	talk(c, "RCPT TO:<bob@example.com>", "250");
	talk(c, "DATA", "354");
	talk(c, "Subject: x\r\n\r\nx\r\n.", "250");
	assert_true(msg_accept_get(buf_str(&w.accept), &m));
	bool added = str_find_str(m.trace, STR("Message-ID: ")) < m.trace.len;
	assert_true(added == relay);
	hang_up(c);
}

/* Behind a proxy that does not say whose connection it is, nobody has the proxy's rights. */
static void
keeps_its_rights(void **state)
{
	static const char *const xclient[] = { "xclient_peers=127.0.0.1", "auth_required=no",
		"relay_ip=127.0.0.1", NULL };
	static const char *const proxy[] = { "proxy_peers=127.0.0.1", "auth_required=no",
		"relay_ip=127.0.0.1", "xclient_peers=127.0.0.1", NULL };
	static const char *const gone[] = { "XCLIENT ADDR=[UNAVAILABLE]",
		"XCLIENT NAME=x.example.net ADDR=[TEMPUNAVAIL]", "XCLIENT ADDR=192.0.2.1" };
	begin(xclient);
	await_starttls("220");
	struct client c = dial();
	expect(&c, "220");
	expect_relay(&c, true);
	c = dial();
	expect(&c, "220");
	talk(&c, "EHLO me", "250");
	talk(&c, "XCLIENT NAME=x.example.net", "220");
	expect_relay(&c, true);
	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		c = dial();
		expect(&c, "220");
		talk(&c, "EHLO me", "250");
		talk(&c, gone[i], "220");
		expect_relay(&c, false);
	}
	end();
	begin(proxy);
	c = dial();
	say_n(&c, STR("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"));
	expect(&c, "220");
	expect_relay(&c, true);
	c = dial();
	talk(&c, "PROXY UNKNOWN", "220");
	talk(&c, "XCLIENT ADDR=192.0.2.1", "5");
	expect_relay(&c, false);
	end();
}

static int
once(void **state)
{
	crypt_init();
	tls_init();
	kit_make_dir();
	return 0;
}

static int
over(void **state)
{
	kit_drop_dir();
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_in),
		cmocka_unit_test(hides_nothing_in_a_header),
		cmocka_unit_test(checks_can_be_switched_off),
		cmocka_unit_test(nothing_behind_starttls),
		cmocka_unit_test(counts_tls),
		cmocka_unit_test(turns_few_away_in_tls),
		cmocka_unit_test(auth_goes_and_comes),
		cmocka_unit_test(wants_its_proxy_header),
		cmocka_unit_test(fails_as_told),
		cmocka_unit_test(counts_an_account),
		cmocka_unit_test(minds_its_memory),
		cmocka_unit_test(becomes_its_client),
		cmocka_unit_test(keeps_its_rights),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, once, over);
}
