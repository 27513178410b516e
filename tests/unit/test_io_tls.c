/* Streams inside TLS: the events mean what they mean without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/stream.h"
#include "kit/tls_kit.h"

#include <signal.h>

#define EVENTS (STREAM_SECURED + 1)

struct world {
	struct loop *loop;
	struct loop_timer *timer;
	int rounds;
	unsigned turns;
	struct stream *s;
	SSL *ssl;
	int raw, client;
	int count[EVENTS];
	struct buf got, heard;
	size_t eat;
	bool echo, in_call, pause_at_input;
	int free_at;
};

static struct kit_cert cert;
static struct tls_certs *certs;
static struct tls_server *server;
static struct kit_signer signer;

static void
on_stream(void *arg, enum stream_event e)
{
	struct world *w = arg;

	check(!w->in_call);
	w->count[e]++;
	if ((int)e == w->free_at) {
		stream_close(w->s);
		free(w->s);
		w->s = NULL;
		return;
	}
	if (e != STREAM_INPUT)
		return;
	w->in_call = true;
	if (w->pause_at_input)
		stream_pause(w->s, true);
	struct str in = str_first(stream_input(w->s), w->eat);
	buf_puts(&w->got, in);
	if (w->echo) {
		buf_puts(&w->s->out, in);
		stream_send(w->s);
	}
	stream_eat(w->s, in.len);
	w->in_call = false;
}

static void
on_timer(void *arg)
{
	struct world *w = arg;

	if (w->rounds-- > 0)
		loop_timer_set(w->timer, 0, 0);
	else
		loop_stop(w->loop);
}

static void
on_turn(void *arg)
{
	struct world *w = arg;

	w->turns++;
}

static void
run_ms(struct world *w, int ms)
{
	w->rounds = 4;
	w->turns = 0;
	loop_timer_set(w->timer, ms, 0);
	loop_run(w->loop);
}

static void
begin_with(struct world *w, int version, enum kit_answer how)
{
	static SSL_CTX *ctx;
	int fd[2];

	*w = (struct world){ .loop = loop_new(),
		.s = xalloc(sizeof(*w->s)),
		.free_at = -1,
		.eat = SIZE_MAX,
		.client = SSL_ERROR_WANT_READ,
		.got = BUF_INIT(8u << 20),
		.heard = BUF_INIT(8u << 20) };
	signer.how = how;
	signer.due = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	assert_int_equal(fcntl(fd[1], F_SETFL, O_NONBLOCK), 0);
	w->raw = fd[1];
	w->timer = loop_timer_new(w->loop, on_timer, w);
	loop_on_turn(w->loop, on_turn, w);
	assert_int_equal(stream_open(w->s, w->loop, fd[0], on_stream, w), 0);
	assert_null(stream_tls_of(w->s));
	stream_tls(w->s, tls_accept(server, fd[0]));
	assert_non_null(stream_tls_of(w->s));
	SSL_CTX_free(ctx);
	ctx = kit_client(version, version);
	w->ssl = SSL_new(ctx);
	SSL_set_fd(w->ssl, w->raw);
	SSL_set_connect_state(w->ssl);
	SSL_set_mode(w->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static void
client_step(struct world *w)
{
	if (!kit_open_end(w->client))
		return;
	ERR_clear_error();
	w->client = SSL_get_error(w->ssl, SSL_do_handshake(w->ssl));
}

static void
shake(struct world *w)
{
	for (int i = 0; i < 10 && w->s && !w->count[STREAM_SECURED] && !w->count[STREAM_ERROR];
	     i++) {
		client_step(w);
		run_ms(w, 0);
		if (signer.due) {
			signer.due = false;
			struct stream *s = tls_signed(signer.id, str_n(signer.sig, signer.len));
			assert_ptr_equal(s, w->s);
			stream_tls_resume(s);
		}
	}
	client_step(w);
}

static void
begin(struct world *w, int version)
{
	begin_with(w, version, KIT_LATER);
	shake(w);
	assert_int_equal(w->count[STREAM_SECURED], 1);
	assert_int_equal(w->client, SSL_ERROR_NONE);
}

static void
end(struct world *w)
{
	if (w->s) {
		stream_close(w->s);
		stream_close(w->s);
		free(w->s);
	}
	w->timer = loop_timer_free(w->timer);
	w->loop = loop_free(w->loop);
	SSL_free(w->ssl);
	if (w->raw >= 0)
		close(w->raw);
	buf_done(&w->got);
	buf_done(&w->heard);
}

static void
say(struct world *w, struct str s)
{
	assert_int_equal(SSL_write(w->ssl, s.p, (int)s.len), s.len);
}

/* All that the stream has sent so far. */
static void
hear(struct world *w)
{
	static char block[65536];
	int n;

	ERR_clear_error();
	while ((n = SSL_read(w->ssl, block, sizeof(block))) > 0)
		buf_put(&w->heard, block, (size_t)n);
	w->client = SSL_get_error(w->ssl, n);
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void
test_echo(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct world w;
		begin(&w, versions[i]);
		w.echo = true;
		say(&w, STR("EHLO example.com\r\n"));
		run_ms(&w, 5);
		assert_int_equal(w.count[STREAM_INPUT], 1);
		hear(&w);
		assert_true(str_eq(buf_str(&w.heard), STR("EHLO example.com\r\n")));
		assert_null(w.s->in.p);
		assert_null(w.s->out.p);
		run_ms(&w, 20);
		assert_true(w.turns < 20); /* nobody spins */
		assert_int_equal(w.count[STREAM_SECURED], 1);
		assert_int_equal(w.count[STREAM_DRAINED], 0);
		end(&w);
	}
}

static void
test_signature_at_once(void **state)
{
	struct world w;

	begin_with(&w, TLS1_3_VERSION, KIT_NOW);
	shake(&w);
	assert_int_equal(w.count[STREAM_SECURED], 1);
	end(&w);
}

/* While the signature is open nothing is looked at, and nothing spins. */
static void
test_signature_never(void **state)
{
	struct world w;

	begin_with(&w, TLS1_3_VERSION, KIT_NEVER);
	shake(&w);
	assert_int_equal(w.count[STREAM_SECURED], 0);
	run_ms(&w, 20);
	assert_true(w.turns < 20);
	assert_int_equal(w.count[STREAM_ERROR], 0);
	end(&w);
	assert_null(tls_signed(signer.id, str_n(signer.sig, signer.len)));
}

static void
resume_one(void *owner)
{
	stream_tls_resume(owner);
}

static void
test_no_signature(void **state)
{
	struct world w;

	begin_with(&w, TLS1_2_VERSION, KIT_REFUSE);
	shake(&w);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	assert_int_equal(w.count[STREAM_SECURED], 0);
	assert_true(tls_error(stream_tls_of(w.s))[0]);
	end(&w);

	begin_with(&w, TLS1_3_VERSION, KIT_NEVER);
	shake(&w);
	tls_signer_gone(resume_one);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	end(&w);
}

static void
test_output_before_the_handshake(void **state)
{
	struct world w;

	begin_with(&w, TLS1_3_VERSION, KIT_LATER);
	buf_puts(&w.s->out, STR("220 hello\r\n"));
	stream_send(w.s);
	assert_int_equal(stream_unsent(w.s), 11);
	shake(&w);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_SECURED], 1);
	assert_int_equal(w.count[STREAM_DRAINED], 1);
	assert_int_equal(stream_unsent(w.s), 0);
	hear(&w);
	assert_true(str_eq(buf_str(&w.heard), STR("220 hello\r\n")));
	end(&w);
}

/* The client's first words come in the same segment as the end of its handshake. */
static void
test_input_with_the_handshake(void **state)
{
	struct world w;

	begin_with(&w, TLS1_3_VERSION, KIT_NOW);
	client_step(&w);
	run_ms(&w, 2);
	assert_int_equal(w.count[STREAM_SECURED], 0);
	client_step(&w);
	say(&w, STR("EHLO x\r\n"));
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_SECURED], 1);
	assert_int_equal(w.count[STREAM_INPUT], 1);
	assert_true(str_eq(buf_str(&w.got), STR("EHLO x\r\n")));
	end(&w);
}

static size_t
talk_until_full(struct world *w)
{
	static char block[30000];
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	for (;;) {
		int n = SSL_write(w->ssl, block, sizeof(block));
		if (n > 0)
			sent += (size_t)n;
		run_ms(w, 0);
		if (n <= 0 && stream_input(w->s).len == STREAM_IN_MAX)
			return sent;
	}
}

static void
test_full_input(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		struct world w;
		begin(&w, versions[i]);
		w.eat = 0;
		size_t sent = talk_until_full(&w);
		int was = w.count[STREAM_INPUT];
		run_ms(&w, 20);
		assert_int_equal(w.count[STREAM_INPUT], was);
		assert_true(w.turns < 20);
		w.eat = SIZE_MAX;
		buf_put(&w.got, stream_input(w.s).p, STREAM_IN_MAX);
		stream_eat(w.s, STREAM_IN_MAX);
		run_ms(&w, 50);
		assert_int_equal(w.got.len, sent);
		end(&w);
	}
}

/* Records that lie in libssl: no poll tells about them. */
static void
test_records_at_hand(void **state)
{
	struct world w;

	begin(&w, TLS1_3_VERSION);
	w.pause_at_input = true;
	say(&w, STR("one\r\n"));
	say(&w, STR("two\r\n"));
	say(&w, STR("three\r\n"));
	w.eat = 2;
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_INPUT], 1);
	w.eat = SIZE_MAX;
	for (int i = 0; i < 10 && w.got.len < 17; i++) {
		size_t left = stream_input(w.s).len;
		buf_puts(&w.got, stream_input(w.s));
		stream_eat(w.s, left);
		stream_pause(w.s, false);
		run_ms(&w, 5);
	}
	assert_true(str_eq(buf_str(&w.got), STR("one\r\ntwo\r\nthree\r\n")));
	end(&w);
}

static void
test_pause(void **state)
{
	struct world w;

	begin(&w, TLS1_2_VERSION);
	stream_pause(w.s, true);
	say(&w, STR("x"));
	run_ms(&w, 20);
	assert_int_equal(w.count[STREAM_INPUT], 0);
	assert_true(w.turns < 20);
	stream_pause(w.s, false);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_INPUT], 1);
	end(&w);
}

/* Half a record is nothing yet. */
static void
test_half_a_record(void **state)
{
	struct world w;
	char wire[256];
	BIO *mem = BIO_new(BIO_s_mem());

	begin(&w, TLS1_3_VERSION);
	SSL_set0_wbio(w.ssl, mem);
	say(&w, STR("NOOP\r\n"));
	int n = BIO_read(mem, wire, sizeof(wire));
	assert_true(n > 10);
	for (int i = 0; i < n; i++) {
		assert_int_equal(w.count[STREAM_INPUT], 0);
		assert_int_equal(send(w.raw, wire + i, 1, MSG_NOSIGNAL), 1);
		run_ms(&w, 0);
	}
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_INPUT], 1);
	assert_true(str_eq(buf_str(&w.got), STR("NOOP\r\n")));
	end(&w);
}

static void
fill(struct world *w, size_t n)
{
	char block[1000];

	w->in_call = true;
	for (size_t i = 0; i < n; i += sizeof(block)) {
		memset(block, (int)('a' + i / sizeof(block) % 26), sizeof(block));
		buf_put(&w->s->out, block, sizeof(block));
		stream_send(w->s);
	}
	w->in_call = false;
}

static void
test_drained(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(versions); k++) {
		struct world w;
		begin(&w, versions[k]);
		fill(&w, 700000);
		assert_true(stream_unsent(w.s) > 0);
		run_ms(&w, 5);
		assert_int_equal(w.count[STREAM_DRAINED], 0);
		for (int i = 0; i < 200 && w.heard.len < 700000; i++) {
			hear(&w);
			run_ms(&w, 1);
		}
		assert_int_equal(w.count[STREAM_DRAINED], 1);
		assert_int_equal(w.heard.len, 700000);
		for (size_t i = 0; i < w.heard.len; i++)
			assert_int_equal(w.heard.p[i], 'a' + i / 1000 % 26);
		assert_null(w.s->out.p);
		end(&w);
	}
}

static void
test_deaf_peer(void **state)
{
	struct world w;

	begin(&w, TLS1_3_VERSION);
	fill(&w, 4u << 20);
	assert_int_equal(w.count[STREAM_ERROR], 0);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	fill(&w, 4000);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	end(&w);
}

static void
test_last_words(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(versions); k++) {
		struct world w;
		begin(&w, versions[k]);
		stream_pause(w.s, true);
		fill(&w, 1000);
		say(&w, STR("552 too big\r\n"));
		close(w.raw); /* with octets that it has not read */
		w.raw = -1;
		fill(&w, 1000);
		run_ms(&w, 5);
		assert_int_equal(w.count[STREAM_ERROR], 1);
		assert_int_equal(w.count[STREAM_INPUT], 0);
		assert_true(str_eq(stream_last_words(w.s), STR("552 too big\r\n")));
		end(&w);
	}
}

static void
test_eof(void **state)
{
	for (int polite = 0; polite < 4; polite++) {
		struct world w;
		begin(&w, versions[polite / 2]);
		say(&w, STR("QUIT\r\n"));
		if (polite & 1)
			SSL_shutdown(w.ssl);
		else
			shutdown(w.raw, SHUT_WR);
		run_ms(&w, 10);
		assert_int_equal(w.count[STREAM_INPUT], 1);
		assert_int_equal(w.count[STREAM_EOF], 1);
		run_ms(&w, 20);
		assert_true(w.turns < 20);
		assert_int_equal(w.count[STREAM_EOF], 1);
		assert_true(w.s->eof);
		buf_puts(&w.s->out, STR("221"));
		stream_send(w.s);
		hear(&w);
		assert_true(str_eq(buf_str(&w.heard), STR("221")));
		assert_int_equal(w.count[STREAM_ERROR], 0);
		end(&w);
	}
}

static void
test_broken(void **state)
{
	struct world w;

	begin(&w, TLS1_3_VERSION);
	assert_int_equal(send(w.raw, "EHLO in the clear\r\n", 19, MSG_NOSIGNAL), 19);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	assert_int_equal(w.count[STREAM_INPUT], 0);
	assert_true(tls_error(stream_tls_of(w.s))[0]);
	end(&w);

	begin_with(&w, TLS1_3_VERSION, KIT_LATER);
	assert_int_equal(send(w.raw, "EHLO in the clear\r\n", 19, MSG_NOSIGNAL), 19);
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	assert_int_equal(w.count[STREAM_SECURED], 0);
	end(&w);

	begin_with(&w, TLS1_3_VERSION, KIT_LATER);
	close(w.raw);
	w.raw = -1;
	run_ms(&w, 5);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	assert_int_equal(w.count[STREAM_EOF], 0);
	end(&w);
}

static void
test_shutdown_write(void **state)
{
	for (size_t k = 0; k < ARRAY_LEN(versions); k++) {
		struct world w;
		begin(&w, versions[k]);
		fill(&w, 700000);
		stream_shutdown_write(w.s);
		for (int i = 0; i < 200 && w.heard.len < 700000; i++) {
			hear(&w);
			run_ms(&w, 1);
		}
		hear(&w);
		assert_int_equal(w.heard.len, 700000);
		assert_int_equal(w.client, SSL_ERROR_ZERO_RETURN);
		say(&w, STR("late"));
		run_ms(&w, 5);
		assert_int_equal(w.count[STREAM_INPUT], 1);
		assert_int_equal(w.count[STREAM_ERROR], 0);
		SSL_shutdown(w.ssl);
		run_ms(&w, 5);
		assert_int_equal(w.count[STREAM_EOF], 1);
		end(&w);
	}
}

static void
test_close(void **state)
{
	struct world w;

	begin(&w, TLS1_3_VERSION);
	buf_puts(&w.s->out, STR("221 bye\r\n"));
	stream_send(w.s);
	stream_close(w.s);
	hear(&w);
	assert_true(str_eq(buf_str(&w.heard), STR("221 bye\r\n")));
	assert_int_equal(w.client, SSL_ERROR_ZERO_RETURN);
	end(&w);
}

static void
test_freed_in_the_callback(void **state)
{
	for (int e = 0; e < EVENTS; e++) {
		struct world w;
		if (e == STREAM_SECURED)
			begin_with(&w, TLS1_3_VERSION, KIT_LATER);
		else
			begin(&w, TLS1_3_VERSION);
		w.free_at = e;
		if (e == STREAM_SECURED)
			shake(&w);
		else if (e == STREAM_DRAINED)
			fill(&w, 700000);
		else if (e == STREAM_ERROR)
			fill(&w, 4u << 20);
		else
			say(&w, STR("abc"));
		if (e == STREAM_EOF)
			SSL_shutdown(w.ssl);
		for (int k = 0; k < 100 && w.s; k++) {
			if (e == STREAM_DRAINED)
				hear(&w);
			run_ms(&w, 1);
		}
		assert_null(w.s);
		assert_int_equal(w.count[e], 1);
		end(&w);
	}
}

static int
group_begin(void **state)
{
	struct tls_server_conf conf = { .alpn = "smtp", .id = STR("25") };
	struct buf err = BUF_INIT(4096);

	tls_init();
	signal(SIGPIPE, SIG_IGN); /* the client is libssl's */
	cert = kit_cert(EVP_EC_gen("P-256"), "localhost", "DNS:localhost", false, NULL);
	certs = tls_certs_new();
	assert_true(tls_certs_add(certs, buf_str(&cert.pem), &err));
	signer.certs[0] = &cert;
	server = tls_server_new(&conf, certs, kit_sign, &signer, &err);
	assert_non_null(server);
	return 0;
}

static int
group_end(void **state)
{
	server = tls_server_free(server);
	certs = tls_certs_unref(certs);
	kit_cert_done(&cert);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_signature_at_once),
		cmocka_unit_test(test_signature_never),
		cmocka_unit_test(test_no_signature),
		cmocka_unit_test(test_output_before_the_handshake),
		cmocka_unit_test(test_input_with_the_handshake),
		cmocka_unit_test(test_full_input),
		cmocka_unit_test(test_records_at_hand),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_half_a_record),
		cmocka_unit_test(test_drained),
		cmocka_unit_test(test_deaf_peer),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_eof),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_shutdown_write),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_freed_in_the_callback),
	};
	return cmocka_run_group_tests(tests, group_begin, group_end);
}
