/*
 * The dialogues of tests/conversations against a session in memory: no socket, no clock, and a
 * host that knows only the mailboxes, domains, aliases and users of the file's header. V: lines are
 * for the daemon. Files that need more connections, TLS or keys unknown here are passed over.
 * PENNYPOST_SOURCE names the source tree; without it the current directory is looked at.
 */
#include "kit/smtp_kit.h"

#include "base/base64.h"
#include "base/num.h"

#include <dirent.h>
#include <regex.h>

struct conv {
	struct kit k;
	struct smtp_wording *wording;
	struct str text; /* the whole file */
	struct str dialect, input;
	size_t seen;     /* of k.out */
	char login[256]; /* of AUTH LOGIN under way */
	bool skip;
	char var_name[8][32], var_value[8][512];
	size_t n_vars;
	const char *file;
	unsigned line;
};

static void PRINTF(2, 3) __attribute__((noreturn)) conv_fail(struct conv *c, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct str unread = str_skip(buf_str(&c->k.out), c->seen);
	fail_msg("%s:%u: %s; unread: \"" STR_FMT "\"", c->file, c->line, text, STR_ARG(unread));
	abort();
}

/* ---- the header ---- */

struct set {
	const char *key;
	void (*take)(struct conv *c, struct str v);
};

static uint64_t
limit_of(struct conv *c, struct str v)
{
	uint64_t n = SMTP_LIMIT_OFF;
	if (!str_eq(v, STR("off")) && !num_u64(v, UINT64_MAX, &n))
		conv_fail(c, "bad number");
	return n;
}

static bool
is(struct str v, const char *word)
{
	return str_eq(v, str_of(word));
}

#define SET(name) static void set_##name(struct conv *c, struct str v)
#define TEXT(name, field)                                                                          \
	SET(name)                                                                                  \
	{                                                                                          \
		c->k.conf.field = v;                                                               \
	}
#define LIMIT(name, field)                                                                         \
	SET(name)                                                                                  \
	{                                                                                          \
		c->k.conf.field = limit_of(c, v);                                                  \
	}
#define WORD(name, field, word)                                                                    \
	SET(name)                                                                                  \
	{                                                                                          \
		c->k.conf.field = is(v, word);                                                     \
	}
TEXT(host, host)
TEXT(ehlo_host, ehlo_host)
TEXT(hub_host, hub_host)
TEXT(mechs, mechs)
TEXT(disabled, disabled)
LIMIT(max_size, max_size)
LIMIT(bad_commands, bad_commands)
LIMIT(command_line, command_line)
LIMIT(msgs, msgs_per_session)
LIMIT(rcpts, rcpts_per_msg)
LIMIT(hops, hops)
LIMIT(header_lines, header_lines)
LIMIT(conn_seconds, conn_seconds)
LIMIT(inject_seconds, inject_seconds)
LIMIT(err_no, err_no)
WORD(ehlo, ehlo, "yes")
WORD(require_helo, require_helo, "yes")
WORD(helo_arg, helo_arg_optional, "optional")
WORD(brackets, angle_brackets_required, "required")
WORD(dot_space, dot_space_end, "end")
WORD(editing, line_editing, "yes")
WORD(quit_silent, quit_silent, "yes")
WORD(vrfy, vrfy, "yes")
WORD(expn, expn, "yes")
WORD(auth, auth, "yes")
WORD(auth_required, auth_required, "yes")
WORD(auth_cleartext, auth_cleartext, "allow")
WORD(auth_unadvertised, auth_unadvertised, "accept")
WORD(tls_required, tls_required, "yes")
TEXT(tls_senders, tls_required_senders)

static void
set_starttls(struct conv *c, struct str v)
{
	c->k.conf.starttls = is(v, "yes");
	c->k.conf.starttls_refuse = is(v, "advertise-refuse");
}

static void
set_tls_broken(struct conv *c, struct str v)
{
	c->k.say_tls = is(v, "yes") ? SMTP_STARTTLS_UNAVAILABLE : SMTP_NONE;
}

static void
set_bare_lf(struct conv *c, struct str v)
{
	c->k.conf.bare_lf = is(v, "session") ? BARE_LF_SESSION : BARE_LF_REJECT;
}

static void
set_helo_check(struct conv *c, struct str v)
{
	c->k.conf.helo_check = is(v, "fqdn")     ? HELO_FQDN
	                       : is(v, "syntax") ? HELO_SYNTAX
	                                         : HELO_LENIENT;
}

static void
set_queue(struct conv *c, struct str v)
{
	c->k.say_mail = limit_of(c, v) == 0 ? SMTP_MAIL_QUEUEFULL : SMTP_NONE;
}

/* Read elsewhere: by conv_peer(), answer_rcpt(). */
static void
set_known(struct conv *c, struct str v)
{
}

SET(ipmm)
{
	c->k.conf.ipmm = is(v, "yes");
}

static const struct set sets[] = {
	{ "host", set_host },
	{ "ehlo_host", set_ehlo_host },
	{ "hub_host", set_hub_host },
	{ "mechs", set_mechs },
	{ "service.disabled", set_disabled },
	{ "max_size", set_max_size },
	{ "limit.bad_commands", set_bad_commands },
	{ "limit.command_line", set_command_line },
	{ "limit.msgs_per_session", set_msgs },
	{ "limit.rcpts_per_msg", set_rcpts },
	{ "limit.hops", set_hops },
	{ "limit.header_lines", set_header_lines },
	{ "limit.conn_seconds", set_conn_seconds },
	{ "limit.inject_seconds", set_inject_seconds },
	{ "limit.queue_messages", set_queue },
	{ "errno", set_err_no },
	{ "ehlo", set_ehlo },
	{ "require_helo", set_require_helo },
	{ "helo_arg", set_helo_arg },
	{ "angle_brackets", set_brackets },
	{ "dot_space", set_dot_space },
	{ "line_editing", set_editing },
	{ "quit_silent", set_quit_silent },
	{ "vrfy", set_vrfy },
	{ "expn", set_expn },
	{ "bare_lf", set_bare_lf },
	{ "helo_check", set_helo_check },
	{ "client_ip", set_known },
	{ "client_name", set_known },
	{ "counter", set_known },
	{ "relay_ip", set_known },
	{ "relay_sender", set_known },
	{ "starttls", set_starttls },
	{ "tls.broken", set_tls_broken },
	{ "tls.required", set_tls_required },
	{ "tls.required_senders", set_tls_senders },
	{ "auth", set_auth },
	{ "auth_required", set_auth_required },
	{ "auth_cleartext", set_auth_cleartext },
	{ "auth_unadvertised", set_auth_unadvertised },
	{ "ipmm", set_ipmm },
};

/* The value of a header line "@key value" or "@set key=value"; the n-th one. */
static bool
header(const struct conv *c, const char *at, size_t n, struct str *ret)
{
	struct str t = c->text;
	while (t.p) {
		struct str line = str_cut(&t, '\n');
		if (!str_starts(line, str_of(at)) || n--)
			continue;
		*ret = str_skip(line, strlen(at));
		return true;
	}
	return false;
}

static void
take_set(struct conv *c, struct str line)
{
	struct str value = line, key = str_cut(&value, '=');
	struct buf err = BUF_INIT(4096);
	if (str_starts(key, STR("alias.")))
		return;
	if (str_starts(key, STR("reply."))) {
		c->skip |= !dialect_override(c->wording, str_skip(key, 6), value, &err);
		buf_done(&err);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		if (str_eq(key, str_of(sets[i].key))) {
			sets[i].take(c, value);
			return;
		}
	}
	c->skip = true;
}

static void
conv_configure(struct conv *c)
{
	struct str v;
	char name[64];
	struct smtp_conf *conf = &c->k.conf;
	if (!header(c, "@dialect ", 0, &v))
		v = STR("rfc");
	assert_true(str_copy(name, sizeof(name), v));
	c->wording = kit_wording(name);
	kit_open(&c->k, c->wording);
	const struct smtp_quirks *q = &c->wording->quirks;
	conf->host = STR("mail.example.com");
	conf->max_size = 52428800;
	conf->hops = 100;
	conf->rcpts_per_msg = 1000;
	conf->header_lines = 10000;
	conf->header_bytes = 1u << 20;
	conf->require_helo = q->require_helo != 0;
	conf->helo_arg_optional = q->helo_arg_optional == 1;
	conf->angle_brackets_required = q->angle_brackets_required == 1;
	conf->quit_silent = q->quit_silent == 1;
	conf->mechs = q->mechs.len ? q->mechs : STR("PLAIN LOGIN");
	conf->auth = true;
	conf->auth_unadvertised = q->auth_unadvertised == 1;
	conf->ipmm = q->ipmm == 1;
	conf->ipmm_brackets = q->ipmm_brackets == 1;
	conf->ipmm_parts = 100;
	conf->ipmm_rcpts = 100000;
	for (size_t i = 0; header(c, "@set ", i, &v); i++)
		take_set(c, v);
	c->skip |= header(c, "A: ", 0, &v) || header(c, "T: ", 0, &v) || header(c, "@tls ", 0, &v);
	/* The host here has no digests. */
	c->skip |= str_find_str(c->text, STR("{cram-md5:")) < c->text.len;
	conf->lmtp = header(c, "@proto lmtp", 0, &v);
	c->skip |= !conf->lmtp && !header(c, "@proto smtp", 0, &v);
	if (!header(c, "@input ", 0, &c->input))
		c->input = STR("crlf");
}

static void
conv_peer(const struct conv *c, struct smtp_peer *p)
{
	struct str ip = STR("127.0.0.1"), name = STR("unknown");
	(void)header(c, "@set client_ip=", 0, &ip);
	(void)header(c, "@set client_name=", 0, &name);
	assert_true(str_copy(p->ip, sizeof(p->ip), ip) && str_copy(p->name, sizeof(p->name), name));
}

/* ---- the host ---- */

static bool
has(const struct conv *c, const char *at, struct str want)
{
	struct str v;
	for (size_t i = 0; header(c, at, i, &v); i++)
		if (str_ieq(v, want))
			return true;
	return false;
}

static enum smtp_situation
where(const struct conv *c, const struct addr *a)
{
	char alias[400];
	struct str v;
	snprintf(alias, sizeof(alias), "@set alias." STR_FMT "=", STR_ARG(a->whole));
	if (str_ieq(a->local, STR("postmaster")) || has(c, "@mailbox ", a->whole) ||
	    header(c, alias, 0, &v))
		return SMTP_NONE;
	if (has(c, "@domain ", a->domain))
		return SMTP_RCPT_UNKNOWN;
	bool relays =
	    c->k.s.authenticated || header(c, "@set relay_ip=127.0.0.0/8", 0, &v) ||
	    (header(c, "@set relay_sender=", 0, &v) && str_ieq(v, c->k.s.txn->from.whole));
	return relays ? SMTP_NONE : SMTP_RCPT_RELAY;
}

/* "@user LOGIN PASSWORD [ADDRESS]", or "@user-plain BASE64" of the whole message. */
static bool
is_user(struct conv *c, struct str login, struct str password)
{
	struct str v;
	for (size_t i = 0; header(c, "@user ", i, &v); i++)
		if (str_eq(str_word(&v), login) && str_eq(str_word(&v), password))
			return true;
	return false;
}

static bool
is_plain_user(struct conv *c, struct str octets)
{
	struct buf b64 = BUF_INIT(4096);
	base64_enc(&b64, octets);
	bool good = has(c, "@user-plain ", buf_str(&b64));
	buf_done(&b64);
	(void)str_cut(&octets, '\0');
	struct str login = str_cut(&octets, '\0');
	return good || is_user(c, login, octets);
}

/* The prompt of the dialect, base64 taken off. */
static struct str
prompt(struct conv *c, enum smtp_situation s, struct buf *out)
{
	assert_true(base64_dec(out, str_skip(c->wording->reply[s], 4)));
	return buf_str(out);
}

static void
answer_auth(struct conv *c, struct smtp_answer *a, struct buf *text)
{
	const struct smtp_auth *auth = c->k.s.auth;
	struct str mech = str_of(auth->mech), got = auth->octets;
	bool first = auth->begin && !auth->has_initial, good = false;
	if (is(mech, "LOGIN") && first) {
		c->login[0] = '\0';
		a->challenge = prompt(c, SMTP_AUTH_USER_PROMPT, text);
	} else if (is(mech, "LOGIN") && (auth->begin || !c->login[0])) {
		assert_true(str_copy(c->login, sizeof(c->login), got));
		a->challenge = prompt(c, SMTP_AUTH_PASS_PROMPT, text);
	} else if (!first) {
		good =
		    is(mech, "LOGIN") ? is_user(c, str_of(c->login), got) : is_plain_user(c, got);
		a->situation = good ? SMTP_AUTH_OK : SMTP_AUTH_FAIL;
		a->user = STR("user@example.com");
		c->login[0] = '\0';
	}
}

static void
answer(struct conv *c)
{
	struct smtp_session *s = &c->k.s;
	struct buf qid = BUF_INIT(512), text = BUF_INIT(4096);
	const struct qid_facts facts = {
		.letter = (1253881668123ull << 22) | 7, .counter = 214, .host = c->k.conf.host
	};
	qid_format(&qid, c->wording->quirks.qid_style, &facts);
	struct smtp_answer a = { .situation = SMTP_NONE,
		.qid = buf_str(&qid),
		.uuid = STR("0b39248e-b2fe-4454-9dc8-d0066082b054"),
		.counter = STR("214"),
		.counter8 = STR("000000D6"),
		.rand7 = STR("DcBi4FS") };
	if (s->ask == SMTP_ASK_RCPT)
		a.situation = where(c, &s->rcpt_asked->addr);
	else if (s->ask == SMTP_ASK_MAIL)
		a.situation = c->k.say_mail;
	else if (s->ask == SMTP_ASK_COMMIT)
		a.situation = c->k.say_commit;
	else if (s->ask == SMTP_ASK_TLS)
		a.situation = c->k.say_tls;
	else if (s->ask == SMTP_ASK_AUTH)
		answer_auth(c, &a, &text);
	assert_true(smtp_session_answer(s, s->ask_no, &a, &c->k.clock, &c->k.out));
	buf_done(&qid);
	buf_done(&text);
}

static void
send_octets(struct conv *c, struct str octets)
{
	buf_puts(&c->k.in, octets);
	while (!c->k.ended) {
		enum smtp_step step = kit_step(&c->k);
		if (step == SMTP_MORE)
			return;
		if (step == SMTP_ASK)
			answer(c);
		c->k.ended = step == SMTP_END;
	}
}

/* ---- the lines ---- */

static void
unescape(struct buf *out, struct str s)
{
	static const char from[] = "rnt0\\", to[] = "\r\n\t\0\\";
	for (size_t i = 0; i < s.len; i++) {
		const char *hit = s.p[i] == '\\' && i + 1 < s.len ? strchr(from, s.p[i + 1]) : NULL;
		uint64_t v;
		if (s.p[i] == '\\' && s.len - i >= 4 && s.p[i + 1] == 'x' &&
		    num_hex(str_n(s.p + i + 2, 2), &v)) {
			buf_putc(out, (char)v);
			i += 3;
		} else if (hit && *hit) {
			buf_putc(out, to[hit - from]);
			i++;
		} else {
			buf_putc(out, s.p[i]);
		}
	}
}

static void
expand_one(struct conv *c, struct buf *out, struct str word)
{
	struct str rest = word, name = str_cut(&rest, ':');
	uint64_t n;
	if (is(name, "sp")) {
		buf_putc(out, ' ');
	} else if (is(name, "repeat")) {
		if (!num_u64(str_cut(&rest, ':'), 1000000, &n))
			conv_fail(c, "bad repeat");
		while (n--)
			buf_puts(out, rest);
	} else if (is(name, "b64")) {
		struct buf raw = BUF_INIT(65536);
		unescape(&raw, rest);
		base64_enc(out, buf_str(&raw));
		buf_done(&raw);
	} else {
		for (size_t i = 0; i < c->n_vars; i++)
			if (str_eq(name, str_of(c->var_name[i])))
				buf_putz(out, c->var_value[i]);
	}
}

static void
expand(struct conv *c, struct buf *out, struct str s)
{
	for (size_t at; (at = str_find(s, '{')) < s.len;) {
		buf_puts(out, str_first(s, at));
		s = str_skip(s, at);
		size_t end = str_find(s, '}');
		bool word = end < s.len && end > 1 && s.p[1] >= 'a' && s.p[1] <= 'z';
		if (word)
			expand_one(c, out, str_first(str_skip(s, 1), end - 1));
		else
			buf_putc(out, '{');
		s = str_skip(s, word ? end + 1 : 1);
	}
	buf_puts(out, s);
}

/* The next line the server said, without taking it; false when there is none. */
static bool
next_line(const struct conv *c, struct str *ret, size_t *ret_len)
{
	struct str rest = str_skip(buf_str(&c->k.out), c->seen);
	size_t nl = str_find(rest, '\n');
	if (nl == rest.len)
		return false;
	*ret_len = nl + 1;
	*ret = str_first(rest, nl && rest.p[nl - 1] == '\r' ? nl - 1 : nl);
	return true;
}

static bool
matches(struct conv *c, struct str pattern, struct str line, struct str *ret_group)
{
	char ere[2048], text[1024];
	regex_t re;
	regmatch_t m[3] = { 0 };
	snprintf(ere, sizeof(ere), "^(" STR_FMT ")$", STR_ARG(pattern));
	assert_true(str_copy(text, sizeof(text), line));
	if (regcomp(&re, ere, REG_EXTENDED) != 0)
		conv_fail(c, "bad expression");
	bool ok = regexec(&re, text, 3, m, 0) == 0;
	if (ok && ret_group && m[2].rm_so >= 0)
		*ret_group = str_n(line.p + m[2].rm_so, (size_t)(m[2].rm_eo - m[2].rm_so));
	regfree(&re);
	return ok;
}

static void
expect(struct conv *c, struct str kind, struct str pattern)
{
	struct str line, group = STR_NULL;
	size_t len;
	bool optional = is(kind, "S?"), many = is(kind, "S*");
	while (next_line(c, &line, &len) && matches(c, pattern, line, &group)) {
		c->seen += len;
		if (many)
			continue;
		if (str_starts(kind, STR("S=")) && c->n_vars < 8) {
			(void)str_copy(c->var_name[c->n_vars], 32, str_skip(kind, 2));
			(void)str_copy(c->var_value[c->n_vars++], 512, group);
		}
		return;
	}
	if (!optional && !many)
		conv_fail(c, "expected /" STR_FMT "/", STR_ARG(pattern));
}

static void
say(struct conv *c, struct str text, bool raw)
{
	struct buf b = BUF_INIT(1u << 20);
	if (raw)
		unescape(&b, text);
	else
		expand(c, &b, text);
	if (!raw)
		buf_putz(&b, is(c->input, "lf") ? "\n" : "\r\n");
	assert_false(b.failed);
	if (is(c->input, "keystroke"))
		for (size_t i = 0; i < b.len; i++)
			send_octets(c, str_n(b.p + i, 1));
	else
		send_octets(c, buf_str(&b));
	buf_done(&b);
}

/* D: fault=KEY: the next answer that can be this situation is. */
static void
fault(struct conv *c, struct str key)
{
	enum smtp_situation s;
	if (!str_starts(key, STR("fault=")) || !smtp_situation_find(str_skip(key, 6), &s))
		conv_fail(c, "unknown fault");
	if (s == SMTP_SHUTDOWN)
		smtp_session_shutdown(&c->k.s, &c->k.clock, &c->k.out);
	else if (str_starts(str_skip(key, 6), STR("mail.")))
		c->k.say_mail = s;
	else
		c->k.say_commit = s;
	send_octets(c, STR_NULL);
}

static void
play_line(struct conv *c, struct str line)
{
	uint64_t ms;
	struct str arg = line, kind = str_cut(&arg, ':');
	if (arg.len && arg.p[0] == ' ')
		arg = str_skip(arg, 1);
	if (is(kind, "C") || is(kind, "R"))
		say(c, arg, is(kind, "R"));
	else if (kind.p[0] == 'S')
		expect(c, kind, arg);
	else if (is(kind, "D"))
		fault(c, arg);
	else if (is(kind, "W") && num_u64(arg, 1000000, &ms))
		c->k.clock.now += (int64_t)ms;
	else if (is(kind, "N") && c->seen != c->k.out.len)
		conv_fail(c, "said something");
	else if (is(kind, "E") && (!c->k.ended || c->seen != c->k.out.len))
		conv_fail(c, "not closed");
}

static void
play(struct conv *c)
{
	struct smtp_peer peer;
	struct str t = c->text;
	conv_peer(c, &peer);
	smtp_session_init(&c->k.s, &c->k.conf, &peer, &c->k.clock);
	smtp_session_greet(&c->k.s, SMTP_NONE, &c->k.clock, &c->k.out);
	send_octets(c, STR_NULL);
	for (c->line = 1; t.p; c->line++) {
		struct str line = str_cut(&t, '\n');
		if (line.len && line.p[0] != '#' && line.p[0] != '@')
			play_line(c, line);
	}
}

static bool
conversation(const char *path, const char *file)
{
	static char text[1u << 18];
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	struct conv *c = xalloc(sizeof(*c));
	c->file = file;
	c->text = str_n(text, fread(text, 1, sizeof(text), f));
	fclose(f);
	conv_configure(c);
	bool played = !c->skip;
	if (played)
		play(c);
	else
		printf("# passed over: %s\n", file);
	kit_close(&c->k);
	dialect_free(c->wording);
	free(c);
	return played;
}

static void
conversations(void **state)
{
	char dir[4096], path[8192];
	const char *source = getenv("PENNYPOST_SOURCE");
	unsigned played = 0;
	snprintf(dir, sizeof(dir), "%s/tests/conversations", source ? source : ".");
	DIR *d = opendir(dir);
	if (!d) {
		skip();
		return;
	}
	for (struct dirent *e; (e = readdir(d));) {
		if (!str_ends(str_of(e->d_name), STR(".conv")))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		played += conversation(path, e->d_name);
	}
	closedir(d);
	printf("# %u conversations played\n", played);
	assert_true(played > 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(conversations) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
