/*
 * The SMTP session: octet 0 chooses the configuration, octet 1 the protocol (LMTP when it is odd),
 * TLS, AUTH, XCLIENT, mail merge, and the rest is what a peer sends. It is played three times,
 * whole, octet by octet and in uneven pieces; replies and letters must be the same, every line of
 * the replies must be a reply line, and no letter may hold what its verdict forbids.
 */
#include "dialect/dialect.h"
#include "smtp/merge.h"
#include "smtp/session.h"

#include <stdlib.h>
#include <string.h>

#define TAIL "input waits behind " /* ... the refusal, ... STARTTLS */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct play {
	struct smtp_session s;
	struct smtp_clock clock;
	struct buf in, out, letters, body, history;
	struct str url, in_url; /* of what a URL leads to: what is still to come, and at hand */
	uint64_t owed;          /* LMTP: replies that the letter must get */
	size_t from;            /* where they begin */
};

static struct smtp_wording *wording;

static struct smtp_conf
conf_of(uint8_t bits, uint8_t mode)
{
	return (struct smtp_conf){
		.wording = wording,
		.host = STR("mx.example.com"),
		.max_size = bits & 1 ? 40 : 100000,
		.lmtp = mode & 1,
		.starttls = mode & 2,
		.starttls_refuse = mode & 64 && mode & 2,
		.tls_required = (mode & 6) == 6,
		.tls_required_senders = STR("@bank.example a@x"),
		.auth = mode & 8,
		.auth_cleartext = mode & 16,
		.auth_required = (mode & 136) == 136,
		.mechs = STR("PLAIN LOGIN X"),
		.mechs_tls = STR("EXTERNAL"),
		.ipmm = (mode & 6) == 4,
		.ipmm_brackets = (mode & 136) == 128,
		.ipmm_parts = 9,
		.ipmm_rcpts = 5,
		.xclient = mode & 32,
		.xforward = mode & 32,
		.requiretls = mode & 32,
		.mt_priority = mode & 32,
		.deliver_by = mode & 32,
		.hold_seconds = mode & 32 ? 86400 : 0,
		.burl = mode & 8,
		.ehlo = true,
		.require_helo = bits & 2,
		.line_editing = bits & 4,
		.bare_lf = bits & 8 ? BARE_LF_SESSION : BARE_LF_REJECT,
		.dot_space_end = bits & 16,
		.vrfy = bits & 32,
		.expn = bits & 32,
		.helo_check = bits & 64 ? HELO_SYNTAX : HELO_LENIENT,
		.angle_brackets_required = bits & 128,
		.bad_commands = 20,
		.command_line = bits & 1 ? 30 : 512,
		.msgs_per_session = SMTP_LIMIT_OFF,
		.rcpts_per_msg = 5,
		.hops = 3,
		.header_lines = 20,
		.header_bytes = 2000,
		.conn_seconds = SMTP_LIMIT_OFF,
		.inject_seconds = SMTP_LIMIT_OFF,
		.idle_seconds = 300,
		.data_seconds = 600,
		.data_rate = 500,
	};
}

static void
check_binary(const struct play *p)
{
	const struct smtp_txn *t = p->s.txn;
	struct str body = buf_str(&p->body);
	check(t && t->n_rcpt > 0 && t->n_rcpt <= p->s.conf->rcpts_per_msg);
	check(t->merge || (body.len == t->scan.size && body.len <= p->s.conf->max_size));
	if (t->body == BODY_BINARYMIME)
		return;
	for (size_t i = 0; i < body.len; i++) {
		check(body.p[i] != '\0');
		check(body.p[i] != '\n' || (i > 0 && body.p[i - 1] == '\r'));
		check(body.p[i] != '\r' || i + 1 == body.len || body.p[i + 1] == '\n');
	}
}

/* LMTP: the host says something else of some. */
static void
outcomes(struct play *p)
{
	list_each(n, &p->s.txn->rcpts)
	{
		struct smtp_rcpt *r = list_entry(n, struct smtp_rcpt, node);
		if (r->addr.local.len && r->addr.local.p[0] == 'f')
			r->outcome = SMTP_RCPT_FULL;
	}
	p->owed = p->s.conf->lmtp ? p->s.txn->n_rcpt : 1;
	if (p->s.txn->prdr && p->s.txn->n_rcpt > 1)
		p->owed = p->s.txn->n_rcpt + 2;
	p->from = p->out.len;
}

static void
check_owed(const struct play *p)
{
	uint64_t lines = 0;
	for (size_t i = p->from; i < p->out.len; i++)
		lines += p->out.p[i] == '\n';
	check(lines == p->owed);
}

/* The first octet of a message says what becomes of it. */
static void
answer_auth(const struct smtp_session *s, struct smtp_answer *a)
{
	const struct smtp_auth *auth = s->auth;
	char c = auth->octets.len ? auth->octets.p[0] : '\0';
	check(auth->steps <= SMTP_AUTH_STEPS_MAX && auth->octets.len <= SMTP_AUTH_RESPONSE_MAX);
	check(!s->txn && !s->authenticated && (s->tls || s->conf->auth_cleartext));
	if (c == 'y' || c == 'l') {
		a->situation = SMTP_AUTH_OK;
		a->user = STR("joe@example.com");
		a->challenge = c == 'l' ? STR("last") : STR_NULL;
	} else if (c == 'n') {
		a->situation = SMTP_AUTH_FAIL;
	} else {
		a->challenge = auth->octets;
	}
}

/* A mail merge: its letters lie within what was handed on, and within the limit. */
static enum smtp_situation
take_merge(struct play *p)
{
	static struct merge_letter letter;
	struct smtp_merge *m = p->s.txn->merge;
	check(m->body == p->body.len && m->n_rcpt == p->s.txn->n_rcpt);
	for (const struct merge_rcpt *r = m->first; r; r = r->next) {
		enum smtp_situation no = smtp_merge_letter(m, r, &letter);
		if (no != SMTP_NONE)
			return no;
		check(letter.size <= p->s.conf->max_size);
		for (size_t i = 0; i < letter.n; i++) {
			const struct merge_piece *piece = &letter.piece[i];
			struct str s = piece->text;
			check(piece->literal || piece->off <= p->body.len);
			check(piece->literal || piece->len <= p->body.len - piece->off);
			if (!piece->literal)
				s = str_n(p->body.p + piece->off, (size_t)piece->len);
			check(!piece->literal || str_find_any(s, "\r\n") == s.len);
			buf_puts(&p->letters, s);
		}
		buf_putz(&p->letters, "--\n");
	}
	return SMTP_NONE;
}

/* A URL leads to its own octets, piece by piece; not all do. */
static void
answer_burl(struct play *p, struct smtp_answer *a)
{
	const struct smtp_session *s = &p->s;
	check(s->authenticated && s->arg.len && p->in_url.len == 0);
	if (p->url.p == NULL)
		p->url = s->arg;
	bool refused = s->arg.len % 5 == 0 && p->url.len < s->arg.len;
	a->situation = s->arg.p[0] == 'n' || refused ? SMTP_BURL_DENIED : SMTP_NONE;
	a->size = s->arg.len;
	p->in_url = str_first(p->url, 3);
	a->octets = p->in_url.len;
	p->url = str_skip(p->url, p->in_url.len);
	if (p->url.len == 0 || a->situation != SMTP_NONE)
		p->url = STR_NULL;
	if (a->situation != SMTP_NONE)
		p->in_url = STR_NULL;
}

static void
answer(struct play *p)
{
	struct smtp_session *s = &p->s;
	struct smtp_answer a = { .situation = SMTP_NONE, .qid = STR("Q") };
	if (s->ask == SMTP_ASK_RCPT && s->rcpt_asked->addr.local.len &&
	    s->rcpt_asked->addr.local.p[0] == 'n')
		a.situation = SMTP_RCPT_UNKNOWN;
	if (s->ask == SMTP_ASK_DATA && s->txn->n_rcpt == 2)
		a.situation = SMTP_DATA_TEMPERR;
	if (s->ask == SMTP_ASK_AUTH)
		answer_auth(s, &a);
	if (s->ask == SMTP_ASK_XCLIENT) {
		a.situation = s->asked->port == 1 ? SMTP_CONN_LIMIT_HOST : SMTP_NONE;
		a.user = str_of(s->asked->login);
	}
	if (s->ask == SMTP_ASK_ETRN) {
		a.situation = s->arg.len % 2 ? SMTP_ETRN_COUNT : SMTP_ETRN_DENIED;
		a.counter = STR("3");
	}
	if (s->ask == SMTP_ASK_BURL)
		answer_burl(p, &a);
	if (s->ask == SMTP_ASK_EXPN)
		a.lines[a.n_lines++] = s->arg;
	if (s->ask == SMTP_ASK_COMMIT) {
		check_binary(p);
		if (s->txn->merge) {
			a.situation = take_merge(p);
		} else {
			buf_puts(&p->letters, buf_str(&p->body));
			buf_putz(&p->letters, "--\n");
		}
		buf_reset(&p->body);
		outcomes(p);
	}
	bool letter = s->ask == SMTP_ASK_COMMIT;
	check(smtp_session_answer(s, s->ask_no, &a, &p->clock, &p->out));
	if (letter)
		check_owed(p);
}

static bool
feed(struct play *p, struct str piece)
{
	buf_puts(&p->in, piece);
	for (;;) {
		bool fetched = p->s.phase == PHASE_BURL;
		struct str in = fetched ? p->in_url : buf_str(&p->in);
		char *block = in.len ? xmemdup(in.p, in.len) : NULL;
		struct str rest = { block, in.len };
		enum smtp_step step = smtp_session_step(&p->s, &rest, &p->clock, &p->out);
		if (step == SMTP_BODY)
			buf_puts(&p->body, p->s.chunk);
		if (fetched)
			p->in_url = str_skip(p->in_url, in.len - rest.len);
		else
			buf_drop(&p->in, in.len - rest.len);
		free(block);
		if (step == SMTP_ASK)
			answer(p);
		if (step == SMTP_DROP)
			buf_reset(&p->body);
		if (step == SMTP_DROP && p->s.phase != PHASE_BURL)
			p->url = p->in_url = STR_NULL;
		if (step == SMTP_MORE && fetched)
			continue;
		if (step == SMTP_UPGRADE) {
			check(p->in.len == 0 && !p->s.tls && p->s.conf->starttls);
			smtp_session_secured(&p->s, STR("TLS"), &p->clock);
		}
		check(step != SMTP_MORE || p->in.len == 0);
		if (step == SMTP_MORE || step == SMTP_END || step == SMTP_TURN)
			return step == SMTP_MORE;
	}
}

static void
play(struct play *p, const struct smtp_conf *conf, struct str in, size_t step)
{
	const struct smtp_peer peer = { "192.0.2.7", "client.example.net" };
	*p = (struct play){ .clock = { 1000, 1253881668, 0 } };
	buf_init(&p->in, 1u << 22);
	buf_init(&p->out, 1u << 24);
	buf_init(&p->letters, 1u << 24);
	buf_init(&p->body, 1u << 22);
	buf_init(&p->history, 1u << 24);
	smtp_session_init(&p->s, conf, &peer, &p->clock);
	p->s.history = &p->history;
	smtp_session_trust(&p->s, true, true);
	smtp_session_greet(&p->s, SMTP_NONE, &p->clock, &p->out);
	size_t n = step;
	do {
		struct str piece = str_first(in, n);
		in = str_skip(in, n);
		n = step == 7 ? n % 13 + 1 : step;
		if (!feed(p, piece))
			break;
	} while (in.len);
	(void)smtp_session_deadline(&p->s);
	smtp_session_done(&p->s);
}

static void
play_done(struct play *p)
{
	buf_done(&p->in);
	buf_done(&p->out);
	buf_done(&p->letters);
	buf_done(&p->body);
	buf_done(&p->history);
}

static void
check_replies(struct str out)
{
	while (out.len) {
		size_t nl = str_find_str(out, STR("\r\n"));
		check(nl < out.len && nl >= 4);
		check(nl <= SMTP_REPLY_LINE_MAX || str_starts(out, STR("334 ")));
		check(out.p[0] >= '2' && out.p[0] <= '5' && (out.p[3] == ' ' || out.p[3] == '-'));
		for (size_t i = 0; i < nl; i++)
			check((unsigned char)out.p[i] >= ' ' && out.p[i] != 0x7f);
		out = str_skip(out, nl + 2);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 7 };
	if (size < 2 || size > 8192)
		return 0;
	if (!wording) {
		struct buf err = BUF_INIT(65536);
		wording = dialect_load(STR("rfc"), dialect_find_builtin, NULL, &err);
		check(wording);
		buf_done(&err);
	}
	struct smtp_conf conf = conf_of(data[0], data[1]);
	struct str in = str_n(data + 2, size - 2);
	struct play whole, split;
	play(&whole, &conf, in, in.len ? in.len : 1);
	check_replies(buf_str(&whole.out));
	/* R-PIPE makes STARTTLS and a refused DATA depend on what waits behind them: there, only
	 * safety counts. */
	bool same = str_find_str(buf_str(&whole.history), STR(TAIL)) == whole.history.len;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		play(&split, &conf, in, steps[i]);
		check_replies(buf_str(&split.out));
		if (same && str_find_str(buf_str(&split.history), STR(TAIL)) == split.history.len) {
			check(str_eq(buf_str(&whole.out), buf_str(&split.out)));
			check(str_eq(buf_str(&whole.letters), buf_str(&split.letters)));
		}
		play_done(&split);
	}
	play_done(&whole);
	return 0;
}
