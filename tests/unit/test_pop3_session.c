/* POP3 in dialogues: each is played whole, octet by octet and at every split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "kit/pop3_box.h"

#include <stdio.h>

static const struct pop3_wording *words;

#define A "Subject: a\r\n\r\none\r\n.two\r\n..three\r\n"
#define B "Subject: b\r\n\r\nno end"
#define C ".dots: c\n\n.\r\n.\n\r\n.\r"
#define D "only: header\r\n"

struct kit {
	struct pop3_conf conf;
	struct pop3_session s;
	struct pop3_clock clock;
	struct box box;
	struct buf in, out, all;
	bool ended;
};

static void
kit_open(struct kit *k)
{
	*k = (struct kit){ .clock = { 1000, 1253881668 } };
	k->conf = (struct pop3_conf){ .wording = words,
		.host = STR("mx.example.com"),
		.stls = true,
		.auth_cleartext = true,
		.mechs = STR("PLAIN X"),
		.mechs_tls = STR("EXTERNAL"),
		.bad_commands = 9,
		.idle_seconds = 600,
		.conn_seconds = UINT64_MAX,
		.expire_days = UINT64_MAX,
		.implementation = STR("Pennypost") };
	buf_init(&k->in, 1u << 20);
	buf_init(&k->out, 1u << 22);
	buf_init(&k->all, 1u << 26);
	k->box.window = 1000;
	box_add(&k->box, 3, STR(A));
	box_add(&k->box, 5, STR(B));
	box_add(&k->box, 9, STR(C));
	box_add(&k->box, 10, STR(D));
	box_add(&k->box, 4000000000u, STR(""));
}

static void
kit_greet(struct kit *k)
{
	pop3_session_init(&k->s, &k->conf, false, &k->clock);
	k->s.stamp = 0x0123456789abcdef;
	pop3_session_greet(&k->s, STR_NULL, &k->clock, &k->out);
}

static void
kit_push(struct kit *k, struct str piece)
{
	if (!k->ended)
		k->ended = !box_feed(&k->box, &k->s, &k->clock, &k->in, piece, &k->out, &k->all);
}

static void
kit_say(struct kit *k, const char *z)
{
	kit_push(k, str_of(z));
}

static void
kit_close(struct kit *k)
{
	pop3_session_done(&k->s);
	pop3_session_done(&k->s);
	uidset_done(&k->box.expunged);
	buf_done(&k->in);
	buf_done(&k->out);
	buf_done(&k->all);
}

/* want: lines by their beginnings, each ended by '|'; '=' in front: the whole line. */
static void
expect(const char *name, struct str got, const char *want_text)
{
	struct str want = str_of(want_text), all = got;
	while (want.len) {
		struct str w = str_cut(&want, '|');
		size_t nl = str_find_str(got, STR("\r\n"));
		struct str line = str_first(got, nl);
		bool whole = str_starts(w, STR("="));
		if (whole)
			w = str_skip(w, 1);
		if (nl == got.len || (whole ? !str_eq(line, w) : !str_starts(line, w)))
			fail_msg("%s: wanted '" STR_FMT "' in\n" STR_FMT, name, STR_ARG(w),
			    STR_ARG(all));
		got = str_skip(got, nl + 2);
	}
	if (got.len)
		fail_msg("%s: too much: " STR_FMT, name, STR_ARG(got));
}

struct row {
	const char *name;
	const char *say;
	const char *want;
	bool ended;
	void (*set)(struct kit *k);
	const char *expunged;
	size_t n; /* of say, where it holds NUL */
};

static void
row_check(const struct row *r, struct kit *k, const struct kit *first)
{
	struct buf text = BUF_INIT(1000);
	expect(r->name, buf_str(&k->all), r->want);
	if (k->ended != r->ended)
		fail_msg("%s: %s", r->name, k->ended ? "ended" : "open");
	uidset_text(&k->box.expunged, &text);
	if (!str_eq(buf_str(&text), str_of(r->expunged ? r->expunged : "")))
		fail_msg("%s: expunged " STR_FMT, r->name, STR_ARG(buf_str(&text)));
	if (first && !str_eq(buf_str(&k->all), buf_str(&first->all)))
		fail_msg("%s: depends on how the input was split", r->name);
	buf_done(&text);
}

static void
row_open(struct kit *k, const struct row *r)
{
	kit_open(k);
	if (r->set)
		r->set(k);
	kit_greet(k);
}

static void
row_play(const struct row *r)
{
	struct str in = str_n(r->say, r->n ? r->n : strlen(r->say));
	struct kit whole, k;
	row_open(&whole, r);
	kit_push(&whole, in);
	row_check(r, &whole, NULL);
	row_open(&k, r);
	for (size_t i = 0; i < in.len; i++)
		kit_push(&k, str_n(in.p + i, 1));
	row_check(r, &k, &whole);
	kit_close(&k);
	for (size_t i = 1; i < in.len; i++) {
		row_open(&k, r);
		kit_push(&k, str_first(in, i));
		kit_push(&k, str_skip(in, i));
		row_check(r, &k, &whole);
		kit_close(&k);
	}
	kit_close(&whole);
}

#define GREET "=+OK mx.example.com POP3 ready|"
#define LOGIN "USER joe\r\nPASS secret\r\n"
#define LOGGED GREET "+OK |+OK logged in, 5 messages|"
#define CAPA_FIRST "+OK |TOP|UIDL|RESP-CODES|AUTH-RESP-CODE|PIPELINING|UTF8 USER|LANG|"
#define CAPA_LAST "=EXPIRE NEVER|=LOGIN-DELAY 0|=IMPLEMENTATION Pennypost|=.|"

static void
clear_refused(struct kit *k)
{
	k->conf.auth_cleartext = false;
}

static void
tls_required(struct kit *k)
{
	k->conf.tls_required = true;
}

static void
no_tls(struct kit *k)
{
	k->conf.stls = false;
}

static void
tls_refused(struct kit *k)
{
	k->conf.stls_refuse = true;
}

static void
apop(struct kit *k)
{
	k->conf.apop = true;
}

static void
apop_in_tls(struct kit *k)
{
	apop(k);
	k->conf.auth_cleartext = false;
}

static void
shown(struct kit *k)
{
	k->conf.expire_days = 30;
	k->conf.login_delay = 60;
	k->conf.implementation = STR_NULL;
	k->conf.mechs = STR("X");
}

static void
bare_lf(struct kit *k)
{
	k->conf.bare_lf = true;
}

static void
small_windows(struct kit *k)
{
	k->box.window = BOX_ROW + 5;
}

static void
odd(struct kit *k)
{
	k->box.letter[1].gone = true;
	k->box.letter[2].damaged = true;
}

static void
unreadable(struct kit *k)
{
	k->box.read = ACCESS_FAILED;
}

static void
denied(struct kit *k)
{
	k->box.read = ACCESS_DENIED;
}

static void
unchangeable(struct kit *k)
{
	k->box.change = ACCESS_FULL;
}

static void
empty(struct kit *k)
{
	k->box.n = 0;
}

static const struct row strangers[] = {
	{ "CAPA", "CAPA\r\ncapa x\r\n",
	    GREET CAPA_FIRST "=STLS|=USER|=SASL PLAIN X|" CAPA_LAST "-ERR |" },
	{ "CAPA, login in clear refused", "CAPA\r\nUSER joe\r\nAUTH PLAIN\r\nAUTH\r\nPASS x\r\n",
	    GREET CAPA_FIRST "=STLS|" CAPA_LAST
			     "-ERR a password needs TLS|-ERR a password needs TLS|"
			     "-ERR a password needs TLS|-ERR a password needs TLS|",
	    .set = clear_refused },
	{ "CAPA, other settings", "CAPA\r\nUSER joe\r\n",
	    GREET CAPA_FIRST
	    "=STLS|=SASL X|=EXPIRE 30|=LOGIN-DELAY 60|=.|-ERR USER is switched off|",
	    .set = shown },
	{ "no TLS", "CAPA\r\nSTLS\r\n",
	    GREET CAPA_FIRST "=USER|=SASL PLAIN X|" CAPA_LAST "-ERR TLS is switched off|",
	    .set = no_tls },
	{ "TLS refused", "STLS\r\nNOOP\r\n", GREET "-ERR [SYS/TEMP] no TLS|-ERR log in first|",
	    .set = tls_refused },
	{ "TLS required", "USER joe\r\nUTF8\r\nLANG en\r\nQUIT\r\n",
	    GREET "-ERR this needs TLS|-ERR this needs TLS|+OK en |+OK |", .ended = true,
	    .set = tls_required },
	{ "a login", LOGIN "STAT\r\n", LOGGED "=+OK 5 87|" },
	{ "case and blanks", "  user joe  \r\npAss secret\r\nstat  \r\n", LOGGED "=+OK 5 87|" },
	{ "wrong, then right", "USER joe\r\nPASS x\r\nPASS secret\r\n" LOGIN,
	    GREET "+OK |=-ERR [AUTH] name or password is wrong|-ERR send USER|+OK |+OK |" },
	{ "PASS with blanks", "USER joe\r\nPASS  secret\r\nUSER joe\r\nPASS \xc3\xa9 \r\n",
	    GREET "+OK |-ERR [AUTH]|+OK |+OK logged in|" },
	{ "trouble", "USER joe\r\nPASS busy\r\nUSER joe\r\nPASS soon\r\n",
	    GREET "+OK |-ERR [SYS/TEMP]|+OK |-ERR [LOGIN-DELAY]|" },
	{ "syntax", "USER\r\nUSER \r\nPASS\r\nAPOP joe\r\nAUTH X a b\r\nfoo\r\n\r\n",
	    GREET "-ERR |-ERR |-ERR send USER|-ERR |-ERR |-ERR no such|-ERR no such|" },
	{ "before its time", "STAT\r\nLIST\r\nRETR 1\r\nDELE 1\r\nRSET\r\nTOP 1 1\r\nUIDL\r\n",
	    GREET "-ERR log in|-ERR log in|-ERR log in|-ERR log in|-ERR log in|-ERR log in|"
		  "-ERR log in|" },
	{ "after its time", LOGIN "USER joe\r\nPASS x\r\nAUTH X\r\nAPOP a b\r\nUTF8\r\nSTLS\r\n",
	    LOGGED "-ERR you|-ERR you|-ERR you|-ERR you|-ERR you|-ERR STLS comes|" },
	{ "APOP", "APOP joe 00112233445566778899aabbccddeeff\r\nSTAT\r\n",
	    "=+OK mx.example.com POP3 ready <0123456789abcdef@mx.example.com>|"
	    "+OK logged in, 5|+OK 5 |",
	    .set = apop },
	{ "APOP, wrong",
	    "APOP joe 00112233445566778899aabbccddeef0\r\nAPOP joe 0011\r\n"
	    "APOP joe 0011223344556677889zaabbccddeeff\r\n",
	    "+OK |-ERR [AUTH]|-ERR APOP has|-ERR APOP has|", .set = apop },
	{ "APOP, not in clear", "APOP joe 00112233445566778899aabbccddeeff\r\n",
	    "=+OK mx.example.com POP3 ready <0123456789abcdef@mx.example.com>|-ERR a password|",
	    .set = apop_in_tls },
	{ "APOP off", "APOP joe 00112233445566778899aabbccddeeff\r\n", GREET "-ERR APOP is|" },
	{ "AUTH", "AUTH PLAIN AGpvZQBzZWNyZXQ=\r\nCAPA\r\n",
	    GREET "+OK logged in, 5|" CAPA_FIRST CAPA_LAST },
	{ "AUTH, a list", "AUTH\r\n", GREET "+OK |=PLAIN|=X|=.|" },
	{ "AUTH, steps", "AUTH x\r\nYQ==\r\nbg==\r\nauth X eQ==\r\n",
	    GREET "=+ |=+ YQ==|-ERR [AUTH]|+OK logged|" },
	{ "AUTH, empty initial response", "AUTH X =\r\neQ==\r\n", GREET "=+ |+OK logged|" },
	{ "AUTH, a last word", "AUTH X bA==\r\n\r\nSTAT\r\n", GREET "=+ bGFzdA==|+OK |+OK 5|" },
	{ "AUTH, the last word answered", "AUTH X bA==\r\neQ==\r\nSTAT\r\n",
	    GREET "+ |-ERR this is not|-ERR log in|" },
	{ "AUTH, cancelled", "AUTH X\r\n*\r\nAUTH X bA==\r\n*\r\nSTAT\r\n",
	    GREET "+ |-ERR cancelled|+ |-ERR cancelled|-ERR log in|" },
	{ "AUTH, not base64", "AUTH X ***\r\nAUTH X\r\n=\r\nAUTH X\r\nAB==\r\nAUTH X bQ==\r\n",
	    GREET "-ERR this is not|+ |-ERR this is not|+ |-ERR this is not|"
		  "-ERR this is not what|" },
	{ "AUTH, unknown", "AUTH Y\r\nAUTH EXTERNAL\r\n", GREET "-ERR there is|-ERR there is|" },
	{ "AUTH without end",
	    "AUTH X\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
	    "\r\n\r\n\r\nSTAT\r\n",
	    GREET "+ |+ |+ |+ |+ |+ |+ |+ |+ |+ |+ |+ |+ |+ |+ |+ |+ |-ERR [AUTH]|-ERR log in|" },
	{ "LANG", "LANG\r\nLANG en-GB\r\nLANG *\r\nlang I-DEFAULT\r\nLANG de\r\nLANG en de\r\n",
	    GREET "+OK |=en English|=i-default English|=.|=+OK en language is en|+OK en |"
		  "+OK i-default |-ERR there is|-ERR |" },
	{ "UTF8", "UTF8\r\nUTF8 x\r\nUTF8\r\n", GREET "+OK |-ERR |+OK |" },
	{ "QUIT", "QUIT x\r\nQUIT\r\nNOOP\r\n",
	    GREET "-ERR |=+OK mx.example.com closing connection|", .ended = true },
	{ "too many mistakes", "a\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\nNOOP\r\n",
	    GREET "-ERR|-ERR|-ERR|-ERR|-ERR|-ERR|-ERR|-ERR|-ERR|-ERR too many|", .ended = true },
	{ "HTTP", "GET / HTTP/1.1\r\nUSER joe\r\n", GREET "-ERR |", .ended = true },
	{ "not HTTP", "STAT / HTTP\r\nGET / HTTP/1.1\r\n", GREET "-ERR |-ERR no such|" },
	{ "bare LF", "CAPA x\r\nQUIT\nNOOP\r\n", GREET "-ERR this|-ERR a line ends|-ERR log in|" },
	{ "bare LF at once", "QUIT\nQUIT\r\n", GREET "-ERR a line ends|+OK |", .ended = true },
	{ "an LF session", "USER joe\nPASS secret\r\nSTAT\n", LOGGED "+OK 5|", .set = bare_lf },
	{ "a CR inside", "STAT\rSTAT\r\n", GREET "-ERR a line ends|" },
	{ "CR NUL", "STAT\r\0LANG de\r\0", GREET "-ERR log in|-ERR there|", .n = 16 },
	{ "NUL", "USER j\0oe\r\nSTAT\r\n", GREET "-ERR a command has no NUL|-ERR log in|",
	    .n = 17 },
	{ "8 bits", "STAT \xc3\xa9\r\nUSER \xff\r\nUSER \xc3\xa9\r\n",
	    GREET "-ERR a command is|-ERR a command is|+OK |" },
	{ "bare LF in AUTH", "AUTH X\r\neQ==\nSTAT\r\n", GREET "+ |-ERR a line|-ERR log in|" },
	{ "the drop cannot be read", LOGIN "STAT\r\n", GREET "+OK |-ERR [SYS/TEMP] the mailbox|",
	    .ended = true, .set = unreadable },
	{ "the drop may not be read", LOGIN, GREET "+OK |-ERR [SYS/PERM] the mailbox|",
	    .ended = true, .set = denied },
	{ "an empty drop", LOGIN "STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nQUIT\r\n",
	    GREET "+OK |+OK logged in, 0|=+OK 0 0|+OK |=.|+OK |=.|-ERR no such message|+OK |",
	    .ended = true, .set = empty },
};

#define A_OUT "=Subject: a|=|=one|=..two|=...three|=.|"
#define B_OUT "=Subject: b|=|=no end|=.|"
#define D_OUT "=only: header|=.|"

static const struct row drops[] = {
	{ "LIST", LOGIN "LIST\r\nLIST 2\r\nlist 6\r\nLIST 0\r\nLIST x\r\nLIST 1 2\r\n",
	    LOGGED "+OK 5 messages (87 octets)|=1 34|=2 20|=3 19|=4 14|=5 0|=.|=+OK 2 20|"
		   "=-ERR no such message; there are 5|-ERR no such|-ERR a message|-ERR one|" },
	{ "UIDL", LOGIN "UIDL\r\nUIDL 5\r\nUIDL 99999999999999999999\r\n",
	    LOGGED "+OK |=1 1234.3|=2 1234.5|=3 1234.9|=4 1234.10|=5 1234.4000000000|=.|"
		   "=+OK 5 1234.4000000000|-ERR |" },
	{ "RETR", LOGIN "RETR 1\r\nRETR 2\r\nRETR 4\r\nRETR 5\r\nRETR 2\r\nRETR\r\nRETR 1 2\r\n",
	    LOGGED "=+OK 34 octets|" A_OUT "+OK 20|" B_OUT "+OK 14|" D_OUT "+OK 0 |=.|+OK 20|" B_OUT
		   "-ERR |-ERR |" },
	{ "RETR in small windows", LOGIN "RETR 1\r\nRETR 2\r\nRETR 4\r\nRETR 5\r\nRETR 2\r\n",
	    LOGGED "=+OK 34 octets|" A_OUT "+OK 20|" B_OUT "+OK 14|" D_OUT
		   "+OK 0 |=.|+OK 20|" B_OUT,
	    .set = small_windows },
	{ "RETR of bare line ends", LOGIN "RETR 3\r\nNOOP\r\n",
	    LOGGED "+OK 19|=..dots: c|=|=..|=..|=|=..\r|=.|+OK |" },
	{ "TOP", LOGIN "TOP 1 0\r\nTOP 1 1\r\nTOP 1 2\r\nTOP 1 99\r\nTOP 4 7\r\nTOP 5 0\r\n",
	    LOGGED "+OK |=Subject: a|=|=.|+OK |=Subject: a|=|=one|=.|"
		   "+OK |=Subject: a|=|=one|=..two|=.|+OK |" A_OUT "+OK |" D_OUT "+OK |=.|" },
	{ "TOP in small windows",
	    LOGIN "TOP 1 0\r\nTOP 1 1\r\nTOP 1 2\r\nTOP 1 99\r\nTOP 4 7\r\nTOP 5 0\r\n",
	    LOGGED "+OK |=Subject: a|=|=.|+OK |=Subject: a|=|=one|=.|"
		   "+OK |=Subject: a|=|=one|=..two|=.|+OK |" A_OUT "+OK |" D_OUT "+OK |=.|",
	    .set = small_windows },
	{ "TOP behind RETR", LOGIN "RETR 1\r\nTOP 2 0\r\nTOP 2 5\r\nRETR 3\r\nTOP 4 0\r\n",
	    LOGGED "+OK 34|" A_OUT "+OK |=Subject: b|=|=.|+OK |" B_OUT
		   "+OK 19|=..dots: c|=|=..|=..|=|=..\r|=.|+OK |" D_OUT },
	{ "TOP, syntax", LOGIN "TOP\r\nTOP 1\r\nTOP 1 x\r\nTOP 1 1 1\r\nTOP 9 1\r\n",
	    LOGGED "-ERR |-ERR |-ERR |-ERR |-ERR no such|" },
	{ "odd letters", LOGIN "RETR 1\r\nRETR 2\r\nRETR 3\r\nTOP 3 0\r\nSTAT\r\n",
	    GREET "+OK |+OK logged in, 4|+OK 34|" A_OUT
		  "-ERR [SYS/PERM] message 2 cannot be read|+OK 14|" D_OUT "+OK |" D_OUT
		  "=+OK 4 67|",
	    .set = odd },
	{ "DELE and RSET",
	    LOGIN "DELE 2\r\nSTAT\r\nLIST\r\nRETR 2\r\nDELE 2\r\nLIST 2\r\nRSET\r\n"
		  "RSET x\r\nSTAT\r\nDELE 2 3\r\nDELE\r\nQUIT\r\n",
	    LOGGED "=+OK message 2 will be deleted|=+OK 4 67|+OK 4 messages (67|=1 34|=3 19|=4 14|"
		   "=5 0|=.|-ERR message 2 is deleted|-ERR message 2|-ERR message 2|+OK |-ERR |"
		   "=+OK 5 87|-ERR |-ERR |+OK |",
	    .ended = true },
	{ "deletion at QUIT", LOGIN "DELE 2\r\nDELE 3\r\nDELE 5\r\nQUIT\r\n",
	    LOGGED "+OK |+OK |+OK |+OK mx.example.com closing|", .ended = true,
	    .expunged = "5:9,4000000000" },
	{ "no QUIT, no deletion", LOGIN "DELE 2\r\n", LOGGED "+OK |" },
	{ "deletion that fails", LOGIN "DELE 2\r\nQUIT\r\n",
	    LOGGED "+OK |=-ERR [SYS/TEMP] some deleted messages not removed|", .ended = true,
	    .set = unchangeable },
	{ "odd commands", LOGIN "NOOP\r\nNOOP x\r\nXTND\r\nLANG en\r\nSTAT x\r\nUIDL x\r\n",
	    LOGGED "+OK |-ERR |-ERR no such|+OK en|-ERR |-ERR |" },
};

static void
dialogues(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(strangers); i++)
		row_play(&strangers[i]);
	for (size_t i = 0; i < ARRAY_LEN(drops); i++)
		row_play(&drops[i]);
}

/* --- what rows do not show --- */

static void
stls(void **state)
{
	struct kit k;
	kit_open(&k);
	k.conf.auth_cleartext = false;
	k.conf.bare_lf = true;
	kit_greet(&k);
	kit_say(&k, "UTF8\r\nSTLS x\r\n");
	kit_say(&k, "STLS\r\n");
	assert_true(k.s.tls);
	/* Line ends are decided anew, and nothing said before counts. */
	kit_say(&k, "CAPA\nSTLS\nUSER joe\nPASS secret\nSTLS\n");
	expect("stls", buf_str(&k.all),
	    GREET "+OK |-ERR this command|=+OK begin TLS negotiation now|" CAPA_FIRST
		  "=USER|=SASL PLAIN X EXTERNAL|" CAPA_LAST
		  "-ERR TLS is there|+OK |+OK logged|-ERR TLS is there|");
	kit_close(&k);
	/* R-PIPE: whatever waits behind it, and however it got there. */
	kit_open(&k);
	kit_greet(&k);
	kit_say(&k, "STLS\r\nCAPA\r\n");
	assert_true(k.ended);
	expect("stls", buf_str(&k.all), GREET);
	kit_close(&k);
}

/* What came while the handshake was being asked for is as bad. */
static void
stls_behind(void **state)
{
	static const struct pop3_answer yes = { .status = ACCESS_OK };
	struct kit k;
	struct str in = STR("STLS\r\n"), more = STR("CAPA\r\n");
	kit_open(&k);
	kit_greet(&k);
	assert_int_equal(pop3_session_step(&k.s, &in, &k.clock, &k.out), POP3_ASK);
	assert_int_equal(k.s.ask, POP3_ASK_TLS);
	assert_true(pop3_session_answer(&k.s, k.s.ask_no, &yes, &k.clock, &k.out));
	assert_int_equal(pop3_session_step(&k.s, &more, &k.clock, &k.out), POP3_END);
	pop3_session_secured(&k.s, &k.clock);
	assert_false(k.s.tls);
	kit_close(&k);
}

static void
user_is_forgotten(void **state)
{
	struct kit k;
	kit_open(&k);
	kit_greet(&k);
	kit_say(&k, "USER joe\r\n");
	kit_say(&k, "STLS\r\n");
	kit_say(&k, "PASS secret\r\n");
	expect("forgotten", buf_str(&k.all), GREET "+OK |+OK |-ERR send USER|");
	kit_close(&k);
}

static void
long_lines(void **state)
{
	static char x[200000];
	struct kit k;
	memset(x, 'a', sizeof(x));
	kit_open(&k);
	kit_greet(&k);
	kit_push(&k, str_n(x, POP3_LINE_MAX));
	kit_say(&k, "\r\n");
	kit_push(&k, str_n(x, POP3_LINE_MAX + 1));
	kit_say(&k, "\r\n");
	kit_push(&k, str_n(x, 60000));
	kit_say(&k, "\r\nAUTH X ");
	kit_push(&k, str_n(x, POP3_LINE_MAX));
	kit_say(&k, "\r\n*\r\nAUTH X\r\n");
	kit_push(&k, str_n(x, POP3_AUTH_RESPONSE_MAX + 1));
	kit_say(&k, "\r\nNOOP\r\n");
	kit_push(&k, str_n(x, sizeof(x)));
	assert_true(k.ended);
	expect("long", buf_str(&k.all),
	    GREET
	    "-ERR no such|-ERR the line is too long|-ERR the line is too|+ |-ERR cancelled|"
	    "+ |-ERR the line is too|-ERR log in|-ERR the line is too|-ERR the line does not|");
	kit_close(&k);
}

/* What RETR puts out is the letter, stuffed; unstuffed it is the letter again. */
static void
same_letter(struct str got, struct str want)
{
	size_t at = 0;
	got = str_skip(got, str_find_str(got, STR("\r\n")) + 2);
	assert_true(str_ends(got, STR("\r\n.\r\n")));
	got.len -= 3;
	while (got.len) {
		size_t nl = str_find_str(got, STR("\r\n")) + 2;
		struct str line = str_first(got, nl);
		got = str_skip(got, nl);
		if (str_starts(line, STR(".")))
			line = str_skip(line, 1);
		assert_true(str_eq(line, str_first(str_skip(want, at), line.len)));
		at += line.len;
	}
	assert_int_equal(at, want.len);
}

static void
big_letters(void **state)
{
	static const size_t windows[] = { ACCESS_WINDOW, 30011, 1000 };
	struct buf big = BUF_INIT(2u << 20);
	buf_putz(&big, "Subject: big\r\n\r\n");
	for (unsigned i = 0; big.len < 1500000; i++)
		buf_putf(&big, "%s%u%*s\r\n", i % 3 ? "" : "...", i, (int)(i % 77), "");
	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		struct kit k;
		kit_open(&k);
		k.box.n = 1;
		k.box.window = windows[i];
		box_add(&k.box, 4, buf_str(&big));
		box_add(&k.box, 6, STR(D));
		kit_greet(&k);
		kit_say(&k, LOGIN);
		buf_reset(&k.all);
		kit_say(&k, "RETR 2\r\n");
		same_letter(buf_str(&k.all), buf_str(&big));
		buf_reset(&k.all);
		kit_say(&k, "TOP 2 20000\r\n");
		size_t lines = 0;
		for (size_t j = 0; j < k.all.len; j++)
			lines += k.all.p[j] == '\n';
		assert_int_equal(lines, 20000 + 4);
		buf_reset(&k.all);
		kit_say(&k, "RETR 1\r\nRETR 2\r\nRETR 3\r\nNOOP\r\n");
		assert_true(str_ends(buf_str(&k.all), STR(D ".\r\n+OK NOOP completed\r\n")));
		kit_close(&k);
	}
	buf_done(&big);
}

static void
many(struct kit *k, size_t window, bool pipelined, unsigned reads)
{
	struct buf cmds = BUF_INIT(1u << 16);
	k->box.window = window;
	while (k->box.n < BOX_MAX)
		box_add(&k->box, 4000000000u + (uint32_t)k->box.n, STR(A));
	kit_greet(k);
	kit_say(k, LOGIN);
	k->box.reads = 0;
	for (size_t i = 1; i <= BOX_MAX; i++) {
		buf_putf(&cmds, "RETR %zu\r\n", i);
		if (pipelined)
			continue;
		kit_push(k, buf_str(&cmds));
		buf_reset(&cmds);
	}
	kit_push(k, buf_str(&cmds));
	assert_int_equal(k->box.reads, reads);
	buf_done(&cmds);
}

static void
reads_ahead(void **state)
{
	struct kit a, b;
	kit_open(&a);
	many(&a, ACCESS_WINDOW, true, 1);
	kit_open(&b);
	many(&b, ACCESS_WINDOW, false, 2);
	assert_true(str_eq(buf_str(&a.all), buf_str(&b.all)));
	kit_close(&b);
	kit_open(&b);
	many(&b, 3000, true, 3);
	assert_true(str_eq(buf_str(&a.all), buf_str(&b.all)));
	/* One here and one there: no more than asked for. */
	buf_reset(&a.all);
	a.box.reads = 0;
	kit_say(&a, "RETR 40\r\n");
	kit_say(&a, "RETR 20\r\n");
	kit_say(&a, "DELE 22\r\n");
	kit_say(&a, "RETR 21\r\n"); /* stops in front of 22 */
	kit_say(&a, "RETR 23\r\n");
	kit_say(&a, "TOP 1 0\r\n");
	kit_say(&a, "TOP 2 0\r\n");
	kit_say(&a, "TOP 3 0\r\n");
	assert_int_equal(a.box.reads, 6);
	kit_close(&a);
	kit_close(&b);
}

static void
vanishes(void **state)
{
	struct kit k;
	kit_open(&k);
	kit_greet(&k);
	kit_say(&k, LOGIN);
	k.box.letter[1].gone = true;
	buf_reset(&k.all);
	kit_say(&k, "RETR 1\r\nRETR 2\r\nRETR 4\r\nDELE 2\r\n");
	expect("vanished", buf_str(&k.all),
	    "+OK 34|" A_OUT "=-ERR message 2 is not there any more|+OK 14|" D_OUT "+OK |");
	k.box.read = ACCESS_FAILED;
	buf_reset(&k.all);
	kit_say(&k, "RETR 3\r\nSTAT\r\n");
	expect("failed", buf_str(&k.all), "-ERR [SYS/TEMP] message 3|=+OK 4 67|");
	kit_close(&k);
}

/* Windows without a letter are asked for again, but not for ever. */
static void
moving_letters(void **state)
{
	struct kit k;
	kit_open(&k);
	k.box.moving = 4;
	kit_greet(&k);
	kit_say(&k, LOGIN);
	k.box.moving = 8;
	kit_say(&k, "RETR 4\r\n");
	k.box.moving = 9;
	kit_say(&k, "RETR 4\r\nRETR 4\r\n");
	expect("moving", buf_str(&k.all),
	    LOGGED "+OK 14|" D_OUT "-ERR [SYS/TEMP] message 4|+OK 14|" D_OUT);
	kit_close(&k);
	kit_open(&k);
	k.box.moving = 10;
	kit_greet(&k);
	kit_say(&k, LOGIN);
	assert_true(k.ended);
	kit_close(&k);
}

/* Half a letter does not pass for a whole one. */
static void
breaks_off(void **state)
{
	struct kit k;
	struct str in = STR(LOGIN "RETR 1\r\n");
	kit_open(&k);
	k.box.window = BOX_ROW + 10;
	kit_greet(&k);
	for (unsigned n = 0; n < 100; n++) {
		enum pop3_step step = pop3_session_step(&k.s, &in, &k.clock, &k.out);
		if (step == POP3_END)
			break;
		assert_int_equal(step, POP3_ASK);
		k.box.letter[0].damaged = k.s.ask == POP3_ASK_READ && k.s.read.from.n > 0 &&
		                          k.s.read.part == ACCESS_PART_ALL && k.s.read.uids.len;
		box_answer(&k.box, &k.s, &k.clock, &k.out);
	}
	assert_int_equal(k.s.state, POP3_CLOSED);
	assert_false(str_ends(buf_str(&k.out), STR(".\r\n")));
	kit_close(&k);
}

/* Every octet of an answer is believed only as far as it makes sense. */
static void
garbled_answers(void **state)
{
	for (size_t at = 0; at < 600; at++) {
		struct kit k;
		struct str in = STR(LOGIN "RETR 1\r\nTOP 2 1\r\nQUIT\r\n");
		kit_open(&k);
		kit_greet(&k);
		for (unsigned n = 0; n < 100; n++) {
			struct buf octets = BUF_INIT(1u << 16);
			enum pop3_step step = pop3_session_step(&k.s, &in, &k.clock, &k.out);
			if (step == POP3_END || step == POP3_MORE)
				break;
			if (k.s.ask != POP3_ASK_READ) {
				box_answer(&k.box, &k.s, &k.clock, &k.out);
				continue;
			}
			box_read(&k.box, &k.s.read, &octets);
			if (at / 2 < octets.len)
				octets.p[at / 2] = (char)(octets.p[at / 2] ^ (at % 2 ? 0x80 : 1));
			struct pop3_answer a = { .octets = buf_str(&octets) };
			pop3_session_answer(&k.s, k.s.ask_no, &a, &k.clock, &k.out);
			buf_done(&octets);
			assert_true(n < 99);
		}
		kit_close(&k);
	}
}

static void
many_deletions(void **state)
{
	struct kit k;
	kit_open(&k);
	while (k.box.n < BOX_MAX)
		box_add(&k.box, 4000000000u + (uint32_t)k.box.n, STR(A));
	k.box.window = ACCESS_WINDOW;
	kit_greet(&k);
	kit_say(&k, LOGIN);
	for (int i = 2; i <= BOX_MAX; i += 2) {
		char text[32];
		snprintf(text, sizeof(text), "DELE %d\r\n", i);
		kit_say(&k, text);
	}
	kit_say(&k, "QUIT\r\n");
	assert_true(k.ended);
	assert_int_equal(uidset_count(&k.box.expunged), BOX_MAX / 2);
	assert_int_equal(k.box.changes, 1);
	kit_close(&k);
}

static void
times(void **state)
{
	struct kit k;
	kit_open(&k);
	k.conf.conn_seconds = 3600;
	kit_greet(&k);
	assert_int_equal(pop3_session_deadline(&k.s), 1000 + 600000);
	k.clock.now = 500000;
	kit_say(&k, LOGIN "DELE 1\r\n");
	assert_int_equal(pop3_session_deadline(&k.s), 500000 + 600000);
	k.clock.now = 1099999;
	assert_false(pop3_session_timeout(&k.s, &k.clock, &k.out));
	k.clock.now = 1100000;
	assert_true(pop3_session_timeout(&k.s, &k.clock, &k.out));
	/* RFC 1939 3: not a word, and nothing is deleted. */
	assert_int_equal(k.out.len, 0);
	assert_int_equal(k.box.changes, 0);
	assert_int_equal(pop3_session_deadline(&k.s), INT64_MAX);
	kit_close(&k);
	kit_open(&k);
	k.conf.conn_seconds = 10;
	kit_greet(&k);
	k.clock.now = 9000;
	kit_say(&k, "CAPA\r\n");
	k.clock.now = 11000;
	assert_true(pop3_session_timeout(&k.s, &k.clock, &k.out));
	kit_close(&k);
}

static void
shutdowns(void **state)
{
	struct kit k;
	kit_open(&k);
	kit_greet(&k);
	pop3_session_shutdown(&k.s, &k.clock, &k.out);
	expect("shutdown", buf_str(&k.out), GREET "-ERR [SYS/TEMP] the server|");
	pop3_session_shutdown(&k.s, &k.clock, &k.out);
	kit_close(&k);
	/* QUIT's answer comes. */
	kit_open(&k);
	kit_greet(&k);
	kit_say(&k, LOGIN "DELE 1\r\n");
	buf_reset(&k.all);
	struct str in = STR("QUIT\r\n");
	assert_int_equal(pop3_session_step(&k.s, &in, &k.clock, &k.out), POP3_ASK);
	assert_int_equal(k.s.ask, POP3_ASK_CHANGE);
	assert_int_equal(k.out.len, 0);
	pop3_session_shutdown(&k.s, &k.clock, &k.out);
	kit_push(&k, STR_NULL);
	expect("shutdown at QUIT", buf_str(&k.all), "+OK mx.example.com closing|");
	assert_int_equal(uidset_count(&k.box.expunged), 1);
	kit_close(&k);
}

static void
refused(void **state)
{
	struct kit k;
	kit_open(&k);
	pop3_session_init(&k.s, &k.conf, true, &k.clock);
	pop3_session_greet(&k.s, STR("too many\r\nconnections"), &k.clock, &k.out);
	expect("refused", buf_str(&k.out), "=-ERR [SYS/TEMP] too many??connections|");
	kit_push(&k, STR("NOOP\r\n"));
	assert_true(k.ended);
	kit_close(&k);
}

static void
idle_memory(void **state)
{
	struct kit k;
	kit_open(&k);
	kit_greet(&k);
	kit_say(&k, "CAPA\r\nUSER joe\r\nPASS x\r\nNOO");
	assert_non_null(k.s.priv);
	kit_say(&k, "P\r\nAUTH X\r\n");
	assert_non_null(k.s.auth);
	kit_say(&k, "*\r\n");
	assert_null(k.s.priv);
	assert_null(k.s.auth);
	kit_close(&k);
}

static void
no_room_for_words(void **state)
{
	struct kit k;
	struct str in = STR(LOGIN "LIST\r\nRETR 1\r\n");
	kit_open(&k);
	k.out.max = 120;
	kit_greet(&k);
	for (unsigned n = 0; n < 50; n++) {
		if (pop3_session_step(&k.s, &in, &k.clock, &k.out) == POP3_END)
			break;
		box_answer(&k.box, &k.s, &k.clock, &k.out);
	}
	assert_int_equal(k.s.state, POP3_CLOSED);
	kit_close(&k);
}

static int
load(void **state)
{
	struct buf err = BUF_INIT(65536);
	struct smtp_wording *w = dialect_load(STR("rfc"), dialect_find_builtin, NULL, &err);
	if (!w)
		fail_msg(STR_FMT, STR_ARG(buf_str(&err)));
	words = &w->access->pop3;
	*state = w;
	buf_done(&err);
	return 0;
}

static int
unload(void **state)
{
	dialect_free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues),
		cmocka_unit_test(stls),
		cmocka_unit_test(stls_behind),
		cmocka_unit_test(user_is_forgotten),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(big_letters),
		cmocka_unit_test(reads_ahead),
		cmocka_unit_test(vanishes),
		cmocka_unit_test(moving_letters),
		cmocka_unit_test(breaks_off),
		cmocka_unit_test(garbled_answers),
		cmocka_unit_test(many_deletions),
		cmocka_unit_test(times),
		cmocka_unit_test(shutdowns),
		cmocka_unit_test(refused),
		cmocka_unit_test(idle_memory),
		cmocka_unit_test(no_room_for_words),
	};
	return cmocka_run_group_tests(tests, load, unload);
}
