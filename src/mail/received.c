#include "mail/received.h"

#include "base/date.h"

#define COLUMNS 76 /* and one for a semicolon */
#define TAB 8
#define TOKEN_MAX 255 /* of a word that a peer may have chosen; lines stay below 998 octets */

/* Builds the field a word at a time; a word is never broken. */
struct fold {
	struct buf *out;
	struct buf word;
	size_t column;
};

static void
fold_begin(struct fold *f, struct buf *out, const char *name)
{
	*f = (struct fold){ .out = out, .word = BUF_INIT(4096) };
	buf_putz(out, name);
	f->column = strlen(name);
}

/* Puts the word that was built, on a line of its own if `fresh` or if it does not fit. */
static void
fold_word(struct fold *f, bool fresh)
{
	if (f->word.len == 0)
		return;
	if (fresh || f->column + 1 + f->word.len > COLUMNS) {
		buf_putz(f->out, "\r\n\t");
		f->column = TAB;
	} else {
		buf_putc(f->out, ' ');
		f->column++;
	}
	buf_puts(f->out, buf_str(&f->word));
	f->column += f->word.len;
	buf_reset(&f->word);
}

static void
fold_end(struct fold *f)
{
	buf_putz(f->out, "\r\n");
	f->out->failed |= f->word.failed;
	buf_done(&f->word);
}

/* Text of a field: nothing that could end the line. */
static void
put_text(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		buf_putc(b, c < 0x20 || c == 0x7f ? '?' : s.p[i]);
	}
}

/* One word that stays one word wherever a field is taken apart (RFC 5321 4.4). */
static void
put_token(struct buf *b, struct str s)
{
	s = str_first(s, TOKEN_MAX);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		buf_putc(b, c <= 0x20 || c >= 0x7f || strchr("()\\;\",", c) ? '?' : s.p[i]);
	}
}

static void
put_comment(struct buf *b, struct str s)
{
	s = str_first(s, TOKEN_MAX);
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '(' || s.p[i] == ')' || s.p[i] == '\\')
			buf_putc(b, '\\');
		put_text(b, str_first(str_skip(s, i), 1));
	}
}

static void
put_literal(struct buf *b, struct str ip)
{
	buf_putz(b, str_find(ip, ':') < ip.len ? "[IPv6:" : "[");
	put_comment(b, ip);
	buf_putz(b, "]");
}

static void
clause(struct fold *f, const char *keyword, struct str token, bool fresh)
{
	if (token.len == 0)
		return;
	buf_putz(&f->word, keyword);
	put_token(&f->word, token);
	fold_word(f, fresh);
}

static void
comment(struct fold *f, const char *label, struct str text)
{
	if (text.len == 0)
		return;
	buf_putf(&f->word, "(%s", label);
	put_comment(&f->word, text);
	buf_putc(&f->word, ')');
	fold_word(f, false);
}

/* RFC 5321 4.4: a name that was not given is replaced by the address. */
static void
from_clause(struct fold *f, const struct received *r)
{
	buf_putz(&f->word, "from ");
	if (r->helo.len)
		put_token(&f->word, r->helo);
	else if (r->peer_ip.len)
		put_literal(&f->word, r->peer_ip);
	else
		buf_putz(&f->word, "localhost");
	fold_word(f, false);
	if (r->peer_ip.len == 0) {
		comment(f, "", STR("unix socket"));
		return;
	}
	buf_putc(&f->word, '(');
	if (r->peer_name.len) {
		put_comment(&f->word, r->peer_name);
		buf_putc(&f->word, ' ');
	}
	put_literal(&f->word, r->peer_ip);
	buf_putc(&f->word, ')');
	fold_word(f, false);
	comment(f, "", r->tls);
}

/* Folded where one class ends. */
static void
solicits(struct fold *f, struct str classes)
{
	const char *begin = "(SOLICIT=";
	for (; classes.len; begin = "") {
		struct str one = str_cut(&classes, ',');
		buf_putz(&f->word, begin);
		put_comment(&f->word, one);
		buf_putc(&f->word, classes.len ? ',' : ')');
		fold_word(f, false);
	}
}

void
received_put(struct buf *b, const struct received *r)
{
	struct fold f;
	fold_begin(&f, b, "Received:");
	from_clause(&f, r);
	clause(&f, "by ", r->by.len ? r->by : STR("localhost"), true);
	clause(&f, "with ", r->with, false);
	solicits(&f, r->solicits);
	clause(&f, "id ", r->id, false);
	comment(&f, "session ", r->session);
	if (r->rcpt.len) {
		buf_putz(&f.word, "for <");
		put_text(&f.word, r->rcpt);
		buf_putc(&f.word, '>');
		fold_word(&f, true);
	}
	buf_putc(b, ';');
	f.column++;
	date_rfc5322(&f.word, r->sec, r->zone);
	fold_word(&f, r->rcpt.len == 0);
	fold_end(&f);
}

static void
path_field(struct buf *b, const char *name, struct str path, bool brackets)
{
	buf_putf(b, "%s: %s", name, brackets ? "<" : "");
	put_text(b, path);
	buf_putz(b, brackets ? ">\r\n" : "\r\n");
}

void
return_path_put(struct buf *b, struct str from)
{
	path_field(b, "Return-Path", from, true);
}

void
delivered_to_put(struct buf *b, struct str rcpt)
{
	path_field(b, "Delivered-To", rcpt, false);
}

void
added_put(struct buf *b, const struct added *a)
{
	if (!a->have_date) {
		buf_putz(b, "Date: ");
		date_rfc5322(b, a->sec, a->zone);
		buf_putz(b, "\r\n");
	}
	if (!a->have_from && a->from.len) {
		path_field(b, "From", a->from, false);
	} else if (!a->have_from) {
		buf_putz(b, "From: MAILER-DAEMON@");
		put_token(b, a->host);
		buf_putz(b, "\r\n");
	}
	if (!a->have_dest)
		buf_putz(b, "To: undisclosed-recipients:;\r\n");
	if (!a->have_message_id) {
		buf_putz(b, "Message-ID: <");
		put_token(b, a->id);
		buf_putc(b, '@');
		put_token(b, a->host);
		buf_putz(b, ">\r\n");
	}
}
