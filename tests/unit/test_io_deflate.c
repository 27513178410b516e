#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "io/stream.h"
#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

/* A deflated stream that echoes what it hears, and a peer with a compressor of its own. */
struct world {
	struct loop *loop;
	struct loop_timer *timer;
	int rounds;
	struct stream s;
	int raw;
	int count[STREAM_SECURED + 1];
	size_t heard, most; /* octets; the most that waited at once */
	size_t eat;         /* at most so many each time */
	bool echo, zeroes;
	z_stream pack, unpack;
	struct buf got; /* what the peer heard, inflated */
};

static void
on_stream(void *arg, enum stream_event e)
{
	struct world *w = arg;
	w->count[e]++;
	if (e != STREAM_INPUT)
		return;
	struct str in = stream_input(&w->s);
	w->most = MAX(w->most, in.len);
	in = str_first(in, w->eat);
	w->heard += in.len;
	for (size_t i = 0; w->zeroes && i < in.len; i++)
		assert_int_equal(in.p[i], 0);
	if (w->echo) {
		buf_puts(&w->s.out, in);
		stream_send(&w->s);
	}
	stream_eat(&w->s, in.len);
}

static void
on_timer(void *arg)
{
	struct world *w = arg;
	if (w->rounds-- > 0)
		loop_timer_set(w->timer, w->rounds % 4 == 0, 0);
	else
		loop_stop(w->loop);
}

static void
run(struct world *w)
{
	w->rounds = 8;
	loop_timer_set(w->timer, 1, 0);
	loop_run(w->loop);
}

static void
begin(struct world *w)
{
	int fd[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	*w = (struct world){ .loop = loop_new(),
		.raw = fd[1],
		.eat = SIZE_MAX,
		.echo = true,
		.got = BUF_INIT(8u << 20) };
	w->timer = loop_timer_new(w->loop, on_timer, w);
	assert_int_equal(stream_open(&w->s, w->loop, fd[0], on_stream, w), 0);
	assert_true(stream_deflate(&w->s));
	assert_int_equal(deflateInit2(&w->pack, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(inflateInit2(&w->unpack, -15), Z_OK);
}

static void
end(struct world *w)
{
	stream_close(&w->s);
	stream_close(&w->s);
	deflateEnd(&w->pack);
	inflateEnd(&w->unpack);
	w->timer = loop_timer_free(w->timer);
	w->loop = loop_free(w->loop);
	close(w->raw);
	buf_done(&w->got);
}

/* What the peer would send to say this. */
static struct buf
packed(struct world *w, struct str text, int flush)
{
	struct buf out = BUF_INIT(1u << 20);
	assert_true(buf_reserve(&out, 1u << 19));
	w->pack.next_in = (Bytef *)(uintptr_t)text.p;
	w->pack.avail_in = (uInt)text.len;
	w->pack.next_out = (Bytef *)out.p;
	w->pack.avail_out = 1u << 19;
	int rc = deflate(&w->pack, flush);
	assert_true(rc == Z_OK || rc == Z_STREAM_END);
	assert_int_equal(w->pack.avail_in, 0);
	out.len = (1u << 19) - w->pack.avail_out;
	return out;
}

static void
say(struct world *w, struct str octets)
{
	assert_int_equal(send(w->raw, octets.p, octets.len, MSG_NOSIGNAL), octets.len);
}

static void
hear(struct world *w)
{
	static unsigned char block[65536], plain[65536];
	ssize_t n;
	while ((n = recv(w->raw, block, sizeof(block), MSG_DONTWAIT)) > 0) {
		w->unpack.next_in = block;
		w->unpack.avail_in = (uInt)n;
		do {
			w->unpack.next_out = plain;
			w->unpack.avail_out = sizeof(plain);
			int rc = inflate(&w->unpack, Z_SYNC_FLUSH);
			assert_true(rc == Z_OK || rc == Z_BUF_ERROR);
			buf_put(&w->got, plain, sizeof(plain) - w->unpack.avail_out);
		} while (w->unpack.avail_out == 0);
	}
}

#define COMMANDS "a1 FETCH 1:* (FLAGS UID RFC822.SIZE)\r\na2 NOOP\r\na3 FETCH 1:* FLAGS\r\n"

static void
test_every_split(void **state)
{
	struct world probe;
	begin(&probe);
	struct buf p = packed(&probe, STR(COMMANDS), Z_SYNC_FLUSH);
	end(&probe);
	for (size_t at = 0; at <= p.len; at++) {
		struct world w;
		begin(&w);
		say(&w, str_first(buf_str(&p), at));
		run(&w);
		say(&w, str_skip(buf_str(&p), at));
		run(&w);
		hear(&w);
		assert_true(str_eq(buf_str(&w.got), STR(COMMANDS)));
		assert_int_equal(stream_unsent(&w.s), 0);
		assert_null(w.s.in.p);
		assert_null(w.s.out.p);
		end(&w);
	}
	buf_done(&p);
}

static void
test_octet_by_octet(void **state)
{
	struct world w;
	begin(&w);
	struct buf p = packed(&w, STR(COMMANDS), Z_SYNC_FLUSH);
	for (size_t i = 0; i < p.len; i++) {
		say(&w, str_n(p.p + i, 1));
		run(&w);
	}
	hear(&w);
	assert_true(str_eq(buf_str(&w.got), STR(COMMANDS)));
	buf_done(&p);
	end(&w);
}

/* A few octets that mean a great many come in no faster than they are eaten. */
static void
test_bomb(void **state)
{
	static const char zeroes[1u << 20];
	struct world w;
	size_t said = 0;
	begin(&w);
	w.echo = false;
	w.zeroes = true;
	w.eat = 10;
	for (int i = 0; i < 24; i++) {
		struct buf p = packed(&w, str_n(zeroes, sizeof(zeroes)), Z_SYNC_FLUSH);
		assert_true(p.len < 4096);
		say(&w, buf_str(&p));
		said += sizeof(zeroes);
		buf_done(&p);
	}
	for (int i = 0; i < 20; i++)
		run(&w);
	assert_true(w.heard > 0 && w.heard < said / 2);
	w.eat = SIZE_MAX;
	w.heard += stream_input(&w.s).len;
	stream_eat(&w.s, stream_input(&w.s).len);
	for (int i = 0; i < 1000 && w.heard < said; i++)
		run(&w);
	assert_true(w.most <= STREAM_IN_MAX);
	assert_int_equal(w.heard, said);
	assert_int_equal(w.count[STREAM_ERROR], 0);
	end(&w);
}

/* While it is paused nothing is inflated, and afterwards all of it. */
static void
test_pause(void **state)
{
	static const char zeroes[1u << 20];
	struct world w;
	begin(&w);
	w.echo = false;
	w.eat = 0;
	struct buf p = packed(&w, str_n(zeroes, sizeof(zeroes)), Z_SYNC_FLUSH);
	say(&w, buf_str(&p));
	run(&w);
	assert_int_equal(stream_input(&w.s).len, STREAM_IN_MAX);
	stream_pause(&w.s, true);
	stream_eat(&w.s, STREAM_IN_MAX);
	int was = w.count[STREAM_INPUT];
	run(&w);
	assert_int_equal(w.count[STREAM_INPUT], was);
	w.eat = SIZE_MAX;
	stream_pause(&w.s, false);
	for (int i = 0; i < 40; i++)
		run(&w);
	assert_int_equal(w.heard, sizeof(zeroes) - STREAM_IN_MAX);
	buf_done(&p);
	end(&w);
}

static void
rest(struct world *w)
{
	for (int i = 0; i < 10; i++)
		stream_rest(&w->s);
}

/* The peer may refer to what it said before the pause; we do not, but it understands us. */
static void
test_rest_between_commands(void **state)
{
	struct world w;
	begin(&w);
	for (int i = 0; i < 50; i++) {
		buf_reset(&w.got);
		struct buf p = packed(&w, STR(COMMANDS), Z_SYNC_FLUSH);
		if (i > 0)
			assert_true(p.len < 16); /* nothing but a reference */
		/* Also in the middle of a block, where nothing can be let go. */
		say(&w, str_first(buf_str(&p), 3));
		run(&w);
		rest(&w);
		say(&w, str_skip(buf_str(&p), 3));
		run(&w);
		hear(&w);
		assert_true(str_eq(buf_str(&w.got), STR(COMMANDS)));
		rest(&w);
		buf_done(&p);
	}
	end(&w);
}

static void
test_large_answer(void **state)
{
	struct world w;
	struct buf text = BUF_INIT(STREAM_OUT_MAX);
	uint32_t x = 1;
	begin(&w);
	for (size_t i = 0; i < 900u << 10; i++) {
		x = x * 1664525u + 1013904223u;
		buf_putc(&text, (char)(x >> 24)); /* it does not get smaller */
	}
	buf_puts(&w.s.out, buf_str(&text));
	stream_send(&w.s);
	assert_true(stream_unsent(&w.s) > 0);
	buf_puts(&w.s.out, STR("the end"));
	stream_send(&w.s);
	for (int i = 0; i < 200 && w.got.len < text.len + 7; i++) {
		hear(&w);
		run(&w);
	}
	buf_puts(&text, STR("the end"));
	assert_true(str_eq(buf_str(&w.got), buf_str(&text)));
	run(&w);
	assert_int_equal(stream_unsent(&w.s), 0);
	assert_int_equal(w.count[STREAM_DRAINED], 1);
	buf_done(&text);
	end(&w);
}

static void
test_garbage(void **state)
{
	struct world w;
	begin(&w);
	say(&w, STR("\xff\xff\xff\xff a1 NOOP\r\n"));
	run(&w);
	assert_int_equal(w.count[STREAM_ERROR], 1);
	assert_int_equal(w.heard, 0);
	end(&w);
}

static void
test_peer_ends(void **state)
{
	struct world w;
	begin(&w);
	struct buf p = packed(&w, STR(COMMANDS), Z_FINISH);
	say(&w, buf_str(&p));
	run(&w);
	run(&w);
	assert_int_equal(w.heard, sizeof(COMMANDS) - 1);
	assert_int_equal(w.count[STREAM_EOF], 1);
	buf_done(&p);
	end(&w);

	begin(&w);
	shutdown(w.raw, SHUT_WR);
	run(&w);
	assert_int_equal(w.count[STREAM_EOF], 1);
	end(&w);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_split),
		cmocka_unit_test(test_octet_by_octet),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_rest_between_commands),
		cmocka_unit_test(test_large_answer),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_peer_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
