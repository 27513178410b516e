/*
 * The POP3 session: octet 0 chooses the configuration, octet 1 the mailbox behind it, and the rest
 * is what a peer sends, after a login where octet 0 says so. It is played whole, octet by octet and
 * in uneven pieces; the answers must be the same, and every line of them a line.
 */
#include "../tests/unit/kit/pop3_box.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct play {
	struct pop3_session s;
	struct pop3_clock clock;
	struct box box;
	struct buf in, out, all;
};

static const struct pop3_wording *words;

static struct pop3_conf
conf_of(uint8_t bits)
{
	return (struct pop3_conf){ .wording = words,
		.host = STR("mx.example.com"),
		.stls = bits & 1,
		.stls_refuse = (bits & 5) == 5,
		.tls_required = (bits & 10) == 10,
		.auth_cleartext = !(bits & 4) || (bits & 64),
		.mechs = STR("PLAIN X"),
		.mechs_tls = STR("EXTERNAL"),
		.apop = bits & 16,
		.bare_lf = bits & 32,
		.bad_commands = bits & 128 ? 5 : 1000,
		.idle_seconds = 600,
		.conn_seconds = UINT64_MAX,
		.expire_days = UINT64_MAX,
		.implementation = STR("x") };
}

static void
fill(struct box *b, uint8_t bits)
{
	static const size_t windows[] = { 125, 200, 400, ACCESS_WINDOW };
	b->window = windows[bits & 3];
	box_add(b, 2, STR("Subject: a\r\n\r\none\r\n.two\r\n\r\n.\r\n"));
	box_add(b, 3, STR(".x: y\n\n.\n..\r.\n\r"));
	box_add(b, 7, STR(""));
	box_add(b, 9,
	    STR("Subject: long\r\nX: 0123456789012345678901234567890123456789\r\n\r\n"
		"0123456789012345678901234567890123456789\r\n"));
	box_add(b, UINT32_MAX, STR("\r\n.\r\nx"));
	b->letter[0].damaged = bits & 4;
	b->letter[1].gone = bits & 8;
	b->read = (bits & 48) == 48 ? ACCESS_FAILED : ACCESS_OK;
	b->change = bits & 64 ? ACCESS_FAILED : ACCESS_OK;
}

static void
play(struct play *p, const struct pop3_conf *conf, uint8_t bits, bool login, struct str in,
    size_t step)
{
	*p = (struct play){ .clock = { 1000, 1253881668 } };
	buf_init(&p->in, 1u << 20);
	buf_init(&p->out, 1u << 20);
	buf_init(&p->all, 1u << 26);
	fill(&p->box, bits);
	pop3_session_init(&p->s, conf, false, &p->clock);
	p->s.stamp = 0x0123456789abcdef;
	pop3_session_greet(&p->s, STR_NULL, &p->clock, &p->out);
	bool open = !login || box_feed(&p->box, &p->s, &p->clock, &p->in,
				  STR("USER joe\r\nPASS secret\r\n"), &p->out, &p->all);
	size_t n = step;
	while (open && in.len) {
		struct str piece = str_first(in, n);
		in = str_skip(in, n);
		n = step == 7 ? n % 13 + 1 : step;
		open = box_feed(&p->box, &p->s, &p->clock, &p->in, piece, &p->out, &p->all);
	}
	check(p->box.changes == 0 || p->s.state == POP3_CLOSED);
	(void)pop3_session_deadline(&p->s);
	pop3_session_done(&p->s);
}

static void
play_done(struct play *p)
{
	uidset_done(&p->box.expunged);
	buf_done(&p->in);
	buf_done(&p->out);
	buf_done(&p->all);
}

/* Line ends are CRLF, whatever stands in the letters. */
static void
check_lines(struct str out)
{
	for (size_t i = 0; i < out.len; i++)
		check(out.p[i] != '\n' || (i > 0 && out.p[i - 1] == '\r'));
}

/* R-PIPE makes STLS depend on what waits behind it. */
static bool
holds_stls(struct str in)
{
	for (size_t i = 0; i + 4 <= in.len; i++)
		if (str_ieq(str_n(in.p + i, 4), STR("STLS")))
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const size_t steps[] = { 1, 7 };
	static struct smtp_wording *w;
	if (n < 2 || n > 8192)
		return 0;
	if (!words) {
		struct buf err = BUF_INIT(65536);
		w = dialect_load(STR("rfc"), dialect_find_builtin, NULL, &err);
		check(w);
		words = &w->access->pop3;
		buf_done(&err);
	}
	struct pop3_conf conf = conf_of(data[0]);
	struct str in = str_n(data + 2, n - 2);
	bool login = data[0] & 64;
	struct play whole, split;
	play(&whole, &conf, data[1], login, in, in.len ? in.len : 1);
	check_lines(buf_str(&whole.all));
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		play(&split, &conf, data[1], login, in, steps[i]);
		check_lines(buf_str(&split.all));
		if (!holds_stls(in))
			check(str_eq(buf_str(&whole.all), buf_str(&split.all)));
		play_done(&split);
	}
	play_done(&whole);
	return 0;
}
