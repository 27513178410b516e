#include "play/conv.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/num.h"
#include "base/utf8.h"
#include "play/expand.h"

#include <stdlib.h>

struct parser {
	struct conv *c;
	struct buf *err;
	int line;
	bool bad;
	unsigned seen; /* headers met, one bit per row of the table */
};

static void mistake(struct parser *p, const char *fmt, ...) PRINTF(2, 3);

static void
mistake(struct parser *p, const char *fmt, ...)
{
	va_list ap;

	p->bad = true;
	buf_putf(p->err, "%s:%d: ", p->c->path, p->line);
	va_start(ap, fmt);
	buf_vputf(p->err, fmt, ap);
	va_end(ap);
	buf_putc(p->err, '\n');
}

/* Room for one more element behind n of them; grows at every power of two. */
static void *
grow(void *p, size_t n, size_t size)
{
	if (n & (n - 1))
		return p;
	return xrealloc(p, (n ? 2 * n : 1) * size);
}

/* Cut a word off the front; exactly one blank parts it from what follows. */
static struct str
word(struct str *s)
{
	return str_cut(s, ' ');
}

/* --- headers ------------------------------------------------------------- */

static bool
choose(struct str value, const char *const *names, unsigned *ret)
{
	for (unsigned i = 0; names[i]; i++) {
		if (str_eq(value, str_of(names[i]))) {
			*ret = i;
			return true;
		}
	}
	return false;
}

static void
head_proto(struct parser *p, struct str v)
{
	static const char *const names[] = { "smtp", "imap", "pop3", "lmtp", NULL };
	unsigned i;

	if (choose(v, names, &i))
		p->c->proto = (enum conv_proto)i;
	else
		mistake(p, "@proto knows smtp, lmtp, imap and pop3");
}

static void
head_tls(struct parser *p, struct str v)
{
	static const char *const names[] = { "none", "starttls", "implicit", NULL };
	unsigned i;

	if (choose(v, names, &i))
		p->c->tls = (enum conv_tls)i;
	else
		mistake(p, "@tls knows none, starttls and implicit");
}

static void
head_input(struct parser *p, struct str v)
{
	static const char *const names[] = { "crlf", "lf", "keystroke", NULL };
	unsigned i;

	if (choose(v, names, &i))
		p->c->input = (enum conv_input)i;
	else
		mistake(p, "@input knows crlf, lf and keystroke");
}

static void
head_listen(struct parser *p, struct str v)
{
	if (!num_u64(v, 65535, &p->c->listen) || p->c->listen == 0)
		mistake(p, "@listen wants a port number, such as @listen 25");
}

static void
head_dialect(struct parser *p, struct str v)
{
	for (size_t i = 0; i < v.len; i++) {
		char ch = v.p[i];
		if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' ||
			ch == '_')) {
			mistake(p, "@dialect wants the name of a dialect, such as @dialect rfc");
			return;
		}
	}
	p->c->dialect = v;
}

static void
head_id(struct parser *p, struct str v)
{
	p->c->id = v;
}

static void
head_title(struct parser *p, struct str v)
{
	p->c->title = v;
}

static void
head_seed(struct parser *p, struct str v)
{
	p->c->seed = v;
}

static void
head_reqs(struct parser *p, struct str v)
{
	p->c->reqs = v;
}

static void
head_set(struct parser *p, struct str v)
{
	size_t eq = str_find(v, '=');

	if (eq == 0 || eq == v.len) {
		mistake(p, "@set wants key=value");
		return;
	}
	p->c->sets = grow(p->c->sets, p->c->n_sets, sizeof(*p->c->sets));
	p->c->sets[p->c->n_sets++] = (struct conv_set){ v, p->line };
}

static void
head_user(struct parser *p, struct str v)
{
	struct conv_user u = { .login = word(&v), .password = word(&v), .address = v };

	if (!u.login.len || !u.password.len) {
		mistake(p, "@user wants LOGIN PASSWORD and, where it is not the login, ADDRESS");
		return;
	}
	if (!u.address.len && str_find(u.login, '@') < u.login.len)
		u.address = u.login;
	p->c->users = grow(p->c->users, p->c->n_users, sizeof(*p->c->users));
	p->c->users[p->c->n_users++] = u;
}

static void
head_user_plain(struct parser *p, struct str v)
{
	struct buf octets = BUF_INIT(CONV_TEXT_MAX);

	if (!base64_dec(&octets, v))
		mistake(p, "@user-plain wants base64");
	buf_done(&octets);
	p->c->logins = grow(p->c->logins, p->c->n_logins, sizeof(*p->c->logins));
	p->c->logins[p->c->n_logins++] = v;
}

static void
head_mailbox(struct parser *p, struct str v)
{
	struct str addr = word(&v);

	if (str_find(addr, '@') >= addr.len) {
		mistake(p, "@mailbox wants an address with its domain");
		return;
	}
	p->c->mailboxes = grow(p->c->mailboxes, p->c->n_mailboxes, sizeof(*p->c->mailboxes));
	p->c->mailboxes[p->c->n_mailboxes++] = addr;
}

static void
head_domain(struct parser *p, struct str v)
{
	if (!v.len) {
		mistake(p, "@domain wants a name");
		return;
	}
	p->c->domains = grow(p->c->domains, p->c->n_domains, sizeof(*p->c->domains));
	p->c->domains[p->c->n_domains++] = v;
}

static const struct {
	const char *name;
	bool many;
	void (*take)(struct parser *p, struct str value);
} heads[] = {
	{ "id", false, head_id },
	{ "title", false, head_title },
	{ "seed", false, head_seed },
	{ "proto", false, head_proto },
	{ "listen", false, head_listen },
	{ "tls", false, head_tls },
	{ "dialect", false, head_dialect },
	{ "input", false, head_input },
	{ "reqs", false, head_reqs },
	{ "set", true, head_set },
	{ "user", true, head_user },
	{ "user-plain", true, head_user_plain },
	{ "mailbox", true, head_mailbox },
	{ "domain", true, head_domain },
};

static void
header(struct parser *p, struct str line)
{
	struct str rest = str_skip(line, 1);
	struct str name = word(&rest);

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		if (!str_eq(name, str_of(heads[i].name)))
			continue;
		if (!heads[i].many && (p->seen & 1u << i))
			mistake(p, "@%s stands here a second time", heads[i].name);
		else
			heads[i].take(p, rest);
		p->seen |= 1u << i;
		return;
	}
	mistake(p, "unknown header @" STR_FMT, STR_ARG(str_first(name, 40)));
}

/* --- steps --------------------------------------------------------------- */

static void
step_pattern(struct parser *p, struct conv_step *s)
{
	s->ere = s->text;
}

static void
step_send(struct parser *p, struct conv_step *s)
{
	const char *why;

	if (!expand_check(s->text, &why))
		mistake(p, "%s", why);
}

static void
step_raw(struct parser *p, struct conv_step *s)
{
	struct buf octets = BUF_INIT(CONV_TEXT_MAX);
	const char *why;

	if (!unescape(s->text, &octets, &why))
		mistake(p, "%s", why);
	buf_done(&octets);
}

static void
step_ms(struct parser *p, struct conv_step *s)
{
	if (!num_u64(s->text, CONV_MS_MAX, &s->number))
		mistake(p, "a number of milliseconds belongs here, %u at most", CONV_MS_MAX);
}

static void
step_starttls(struct parser *p, struct conv_step *s)
{
	if (!str_eq(s->text, STR("starttls")))
		mistake(p, "write T: starttls");
}

static void
step_close(struct parser *p, struct conv_step *s)
{
	if (!str_eq(s->text, STR("close")))
		mistake(p, "write " STR_FMT " close", STR_ARG(str_first(s->raw, 2)));
}

bool
conv_is_name(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(i && s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return s.len > 0 && s.len <= 32;
}

static void
step_conn(struct parser *p, struct conv_step *s)
{
	s->name = s->text;
	if (!conv_is_name(s->name))
		mistake(p, "the name of a connection is small letters and digits, such as A: b");
}

static void
step_fault(struct parser *p, struct conv_step *s)
{
	if (!str_starts(s->text, STR("fault=")) || s->text.len == 6)
		mistake(p, "write D: fault=KEY, such as D: fault=mail.lowres");
}

/* How the rest of a V: line behind its address reads. */
enum verify_rest { REST_NONE, REST_COUNT, REST_NUMBER, REST_FIELD, REST_NAME, REST_ERE };

static const struct {
	const char *word;
	enum conv_verify verify;
	enum verify_rest rest;
	const char *usage;
} verifies[] = {
	{ "mailbox", CONV_MAILBOX, REST_COUNT, "V: mailbox ADDRESS count=N" },
	{ "maxcount", CONV_MAXCOUNT, REST_NUMBER, "V: maxcount ADDRESS N" },
	{ "header", CONV_HEADER, REST_FIELD, "V: header ADDRESS Name: PATTERN" },
	{ "noheader", CONV_NOHEADER, REST_NAME, "V: noheader ADDRESS Name" },
	{ "body", CONV_BODY, REST_ERE, "V: body ADDRESS PATTERN" },
	{ "nobody", CONV_NOBODY, REST_ERE, "V: nobody ADDRESS PATTERN" },
	{ "queued", CONV_QUEUED, REST_NONE, "V: queued ADDRESS" },
	{ "notqueued", CONV_NOTQUEUED, REST_NONE, "V: notqueued ADDRESS" },
};

static bool
verify_rest(struct conv_step *s, enum verify_rest rest, struct str v)
{
	size_t colon;

	switch (rest) {
	case REST_NONE:
		return !v.len;
	case REST_COUNT:
		return str_starts(v, STR("count=")) &&
		       num_u64(str_skip(v, 6), UINT32_MAX, &s->number);
	case REST_NUMBER:
		return num_u64(v, UINT32_MAX, &s->number);
	case REST_FIELD:
		colon = str_find_str(v, STR(": "));
		if (colon == 0 || colon == v.len)
			return false;
		s->name = str_first(v, colon);
		s->ere = str_skip(v, colon + 2);
		return true;
	case REST_NAME:
		s->name = v;
		return v.len > 0 && str_find(v, ' ') == v.len;
	case REST_ERE:
		s->ere = v;
		return v.len > 0;
	}
	return false;
}

static void
step_verify(struct parser *p, struct conv_step *s)
{
	struct str v = s->text;
	struct str kind = word(&v);

	s->addr = word(&v);
	for (size_t i = 0; i < ARRAY_LEN(verifies); i++) {
		if (!str_eq(kind, str_of(verifies[i].word)))
			continue;
		s->verify = verifies[i].verify;
		if (!s->addr.len || !verify_rest(s, verifies[i].rest, v))
			mistake(p, "write %s", verifies[i].usage);
		return;
	}
	mistake(p,
	    "V: knows mailbox, maxcount, header, noheader, body, nobody, queued and notqueued");
}

static const struct {
	const char *mark;
	enum conv_op op;
	void (*take)(struct parser *p, struct conv_step *s);
} marks[] = {
	{ "S", CONV_EXPECT, step_pattern },
	{ "S?", CONV_MAYBE, step_pattern },
	{ "S*", CONV_MANY, step_pattern },
	{ "C", CONV_SEND, step_send },
	{ "R", CONV_RAW, step_raw },
	{ "N", CONV_SILENT, step_ms },
	{ "W", CONV_WAIT, step_ms },
	{ "T", CONV_TLS, step_starttls },
	{ "E", CONV_CLOSED, step_close },
	{ "X", CONV_CLOSE, step_close },
	{ "A", CONV_CONN, step_conn },
	{ "D", CONV_FAULT, step_fault },
	{ "V", CONV_VERIFY, step_verify },
};

static void
step(struct parser *p, struct str line)
{
	struct conv *c = p->c;
	size_t colon = str_find(line, ':');
	struct str mark = str_first(line, colon);
	struct conv_step s = { .line = p->line, .raw = line, .text = str_skip(line, colon + 2) };
	bool blank = colon + 1 >= line.len || line.p[colon + 1] == ' ';

	if (str_starts(mark, STR("S=")) && conv_is_name(str_skip(mark, 2))) {
		s.name = str_skip(mark, 2);
		mark = STR("S");
	}
	for (size_t i = 0; colon < line.len && blank && i < ARRAY_LEN(marks); i++) {
		if (!str_eq(mark, str_of(marks[i].mark)))
			continue;
		s.op = marks[i].op;
		marks[i].take(p, &s);
		c->steps = grow(c->steps, c->n_steps, sizeof(*c->steps));
		c->steps[c->n_steps++] = s;
		return;
	}
	mistake(p, "this line is no directive; a mark such as \"S: \" or \"C: \" belongs in front");
}

/* What the file says is shown on terminals. */
static bool
is_text(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.p[i];
		if (ch == 0x7f || (ch < 0x20 && ch != '\t' && ch != '\n' && ch != '\r'))
			return false;
	}
	return utf8_valid(s);
}

static uint64_t
home_port(const struct conv *c)
{
	static const uint64_t port[][2] = { [CONV_SMTP] = { 25, 25 },
		[CONV_LMTP] = { 24, 24 },
		[CONV_IMAP] = { 143, 993 },
		[CONV_POP3] = { 110, 995 } };
	return port[c->proto][c->tls == CONV_TLS_IMPLICIT];
}

bool
conv_parse(struct conv *c, const char *path, struct str text, struct buf *err)
{
	struct parser p = { .c = c, .err = err, .line = 0 };

	*c = (struct conv){ .path = xstrdup(path), .dialect = STR("rfc") };
	c->text = str_dup(text);
	struct str rest = str_n(c->text, text.len);
	if (text.len > CONV_TEXT_MAX || !is_text(text)) {
		p.line = 1;
		mistake(&p,
		    "a conversation is UTF-8 text of %u octets at most, without control characters",
		    CONV_TEXT_MAX);
		return false;
	}
	while (rest.p) {
		struct str line = str_cut(&rest, '\n');
		p.line++;
		if (str_ends(line, STR("\r")))
			line.len--;
		if (!line.len || line.p[0] == '#')
			continue;
		if (line.p[0] == '@')
			header(&p, line);
		else
			step(&p, line);
	}
	if (!c->listen)
		c->listen = home_port(c);
	if (!c->n_steps && !p.bad)
		mistake(&p, "there is no step in this conversation");
	return !p.bad;
}

void
conv_done(struct conv *c)
{
	free(c->path);
	free(c->text);
	free(c->sets);
	free(c->users);
	free(c->logins);
	free(c->mailboxes);
	free(c->domains);
	free(c->steps);
	*c = (struct conv){ 0 };
}
