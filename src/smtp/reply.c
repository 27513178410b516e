#include "smtp/reply.h"

#include "base/check.h"
#include "base/utf8.h"

const char *const smtp_situation_key[SMTP_SITUATION_COUNT] = {
#define X(e, k) k,
	SMTP_SITUATIONS(X)
#undef X
};

const char *const smtp_var_name[SMTP_VAR_COUNT] = {
#define X(v) #v,
	SMTP_VARS(X)
#undef X
};

const char *const smtp_cond_name[SMTP_COND_COUNT] = {
#define X(c) #c,
	SMTP_CONDS(X)
#undef X
};

const char *const smtp_qid_style_name[QID_STYLE_COUNT] = {
	[QID_HEX] = "hex",
	[QID_POSTFIX] = "postfix",
	[QID_SENDMAIL] = "sendmail",
	[QID_EXCHANGE] = "exchange",
	[QID_IIS] = "iis",
	[QID_IRONPORT] = "ironport",
	[QID_B64URL22] = "b64url22",
};

/* Refusals are the rule and stand here as 0. */
static const char class_of[SMTP_SITUATION_COUNT] = {
	[SMTP_GREETING] = '2',
	[SMTP_GREETING_LMTP] = '2',
	[SMTP_HELO_OK] = '2',
	[SMTP_MAIL_OK] = '2',
	[SMTP_RCPT_OK] = '2',
	[SMTP_RCPT_OK_QUEUE] = '2',
	[SMTP_DATA_OK] = '2',
	[SMTP_DATA_OK_LMTP] = '2',
	[SMTP_BDAT_OK] = '2',
	[SMTP_BURL_OK] = '2',
	[SMTP_RSET_OK] = '2',
	[SMTP_NOOP_OK] = '2',
	[SMTP_QUIT_OK] = '2',
	[SMTP_HELP_OK] = '2',
	[SMTP_HELP_TOPIC] = '2',
	[SMTP_VRFY_OK] = '2',
	[SMTP_VRFY_CANNOT] = '2',
	[SMTP_EXPN_OK] = '2',
	[SMTP_ETRN_OK] = '2',
	[SMTP_ETRN_NONE] = '2',
	[SMTP_ETRN_PENDING] = '2',
	[SMTP_ETRN_COUNT] = '2',
	[SMTP_PRDR_OK] = '2',
	[SMTP_PRDR_PART] = '2',
	[SMTP_PRDR_GO] = '3',
	[SMTP_ATRN_OK] = '2',
	[SMTP_STARTTLS_GO] = '2',
	[SMTP_AUTH_OK] = '2',
	[SMTP_XMRG_OK] = '2',
	[SMTP_XDFN_OK] = '2',
	[SMTP_XPRT_OK] = '2',
	[SMTP_XPRT_LAST] = '2',
	[SMTP_ACKRCPT_OK] = '2',
	[SMTP_XFORWARD_OK] = '2',
	[SMTP_DATA_GO] = '3',
	[SMTP_AUTH_USER_PROMPT] = '3',
	[SMTP_AUTH_PASS_PROMPT] = '3',
	[SMTP_AUTH_PLAIN_PROMPT] = '3',
	[SMTP_XPRT_GO] = '3',
	[SMTP_CONN_LIMIT_HOST] = '4',
	[SMTP_CONN_LIMIT_TOTAL] = '4',
	[SMTP_CONN_LIMIT_LISTENER] = '4',
	[SMTP_CONN_LIMIT_TLS] = '4',
	[SMTP_CONN_DISABLED] = '4',
	[SMTP_SHUTDOWN] = '4',
	[SMTP_TIMEOUT_IDLE] = '4',
	[SMTP_TIMEOUT_TOTAL] = '4',
	[SMTP_TIMEOUT_NOINJECT] = '4',
	[SMTP_BADCMD_LIMIT] = '4',
	[SMTP_MAIL_TOOMANY] = '4',
	[SMTP_CMD_FLOOD] = '4',
	[SMTP_GREETING_REJECT] = '5',
	[SMTP_GREETING_LMTP_REJECT] = '5',
	[SMTP_CONN_HTTP] = '5',
};

char
smtp_situation_class(enum smtp_situation s)
{
	return class_of[s] ? class_of[s] : 'r';
}

bool
smtp_situation_closes(enum smtp_situation s)
{
	return class_of[s] == '4' || class_of[s] == '5' || s == SMTP_QUIT_OK;
}

bool
smtp_situation_find(struct str key, enum smtp_situation *ret)
{
	for (int i = 0; i < SMTP_SITUATION_COUNT; i++) {
		if (str_eq(key, str_of(smtp_situation_key[i]))) {
			*ret = (enum smtp_situation)i;
			return true;
		}
	}
	return false;
}

/* At most n octets, and no UTF-8 character cut in two. */
static struct str
cut(struct str s, size_t n)
{
	if (s.len <= n)
		return s;
	while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return str_first(s, n);
}

/* One reply line while it is put together: it can only grow to its limit. */
struct line {
	char text[SMTP_REPLY_LINE_MAX];
	size_t len;
};

static void
line_put(struct line *l, struct str s)
{
	s = cut(s, sizeof(l->text) - l->len);
	if (s.len)
		memcpy(l->text + l->len, s.p, s.len);
	l->len += s.len;
}

/* Peer data: whatever could end the line or fool a terminal becomes '?'. */
static void
line_put_var(struct line *l, struct str v)
{
	v = cut(v, MIN((size_t)SMTP_VAR_MAX, sizeof(l->text) - l->len));
	bool text = utf8_is_ascii(v) || utf8_valid(v);
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.p[i];
		/* U+0080 to U+009F, the C1 controls, are C2 80 to C2 9F. */
		bool c1 = c >= 0x80 && c < 0xa0 && i > 0 && (unsigned char)v.p[i - 1] == 0xc2;
		if (c1)
			l->text[l->len - 1] = '?';
		bool bad = c < 0x20 || c == 0x7f || c1 || (c >= 0x80 && !text);
		l->text[l->len++] = bad ? '?' : v.p[i];
	}
}

static struct str
var_value(struct str name, const struct smtp_vars *vars)
{
	static const struct str names[SMTP_VAR_COUNT] = {
#define X(v) { #v, sizeof(#v) - 1 },
		SMTP_VARS(X)
#undef X
	};
	for (size_t i = 0; vars && i < SMTP_VAR_COUNT; i++)
		if (str_eq(name, names[i]))
			return vars->v[i];
	return STR_NULL;
}

static void
line_put_template(struct line *l, struct str t, const struct smtp_vars *vars)
{
	for (;;) {
		size_t at = str_find_str(t, STR("${"));
		line_put(l, str_first(t, at));
		t = str_skip(t, at);
		size_t end = str_find(t, '}');
		if (end == t.len)
			break;
		line_put_var(l, var_value(str_first(str_skip(t, 2), end - 2), vars));
		t = str_skip(t, end + 1);
	}
	line_put(l, t);
}

void
smtp_text_put(struct buf *out, struct str text, const struct smtp_vars *vars)
{
	struct line l;
	l.len = 0;
	line_put_template(&l, text, vars);
	buf_put(out, l.text, l.len);
}

static void
reply_line(struct buf *out, struct str code, bool more, struct str t, const struct smtp_vars *vars)
{
	struct line l;
	l.len = 0;
	line_put(&l, code);
	line_put(&l, more ? STR("-") : STR(" "));
	line_put_template(&l, t, vars);
	if (!buf_reserve(out, l.len + 2))
		return;
	buf_put(out, l.text, l.len);
	buf_put(out, "\r\n", 2);
}

void
smtp_reply_part(struct buf *out, const struct smtp_wording *w, enum smtp_situation s,
    const struct smtp_vars *vars, bool more)
{
	check(s >= 0 && s < SMTP_SITUATION_COUNT);
	struct str text = w->reply[s];
	struct str code = str_first(text, 3);
	text = str_skip(text, 4);
	do {
		struct str line = str_cut(&text, '\n');
		reply_line(out, code, text.p || more, line, vars);
	} while (text.p);
}

void
smtp_reply_put(struct buf *out, const struct smtp_wording *w, enum smtp_situation s,
    const struct smtp_vars *vars)
{
	smtp_reply_part(out, w, s, vars, false);
}

bool
smtp_cap_shown(const struct smtp_cap *cap, const bool cond[SMTP_COND_COUNT])
{
	if (cond[SMTP_COND_tls] && str_ieq(str_trim(cap->text), STR("STARTTLS")))
		return false;
	return cap->cond < 0 || cond[cap->cond] != cap->negate;
}

void
smtp_ehlo_put(struct buf *out, const struct smtp_wording *w, const struct smtp_vars *vars,
    const bool cond[SMTP_COND_COUNT])
{
	struct str line = w->ehlo_first;
	for (size_t i = 0; i < w->n_cap; i++) {
		const struct smtp_cap *cap = &w->cap[i];
		if (!smtp_cap_shown(cap, cond))
			continue;
		reply_line(out, STR("250"), true, line, vars);
		line = cap->text;
	}
	reply_line(out, STR("250"), false, line, vars);
}

int
smtp_reply_code(const struct smtp_wording *w, enum smtp_situation s)
{
	check(s >= 0 && s < SMTP_SITUATION_COUNT);
	int code = 0;
	for (size_t i = 0; i < 3 && i < w->reply[s].len; i++)
		code = code * 10 + (w->reply[s].p[i] - '0');
	return code;
}
