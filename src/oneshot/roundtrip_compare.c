/* roundtrip_compare: what happened to a letter on its way. */
#include "oneshot/roundtrip_priv.h"

#include "base/arena.h"
#include "base/num.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "mail/when.h"

#include <string.h>

#define NAMES_MAX (64u << 10)
#define FIELDS_MAX 500u

const char *const roundtrip_body_name[] = { "exact", "line-ends", "encoding", "blanks", "from",
	"different" };
const char *const roundtrip_body_text[] = {
	"the body came octet by octet as it was sent",
	"the body is the same but for its line ends",
	"the transfer encoding was changed; decoded, the body is the same",
	"blanks at the ends of lines, or empty lines at the end, were changed",
	"a line that begins with \"From \" was quoted (\">From \"), as mbox files have it",
	"the body is another one",
};

void
roundtrip_found_init(struct roundtrip_found *f)
{
	*f = (struct roundtrip_found){ 0 };
	buf_init(&f->added, NAMES_MAX);
	buf_init(&f->lost, NAMES_MAX);
	buf_init(&f->changed, NAMES_MAX);
}

void
roundtrip_found_done(struct roundtrip_found *f)
{
	buf_done(&f->added);
	buf_done(&f->lost);
	buf_done(&f->changed);
}

/* --- the header --- */

static struct str
body_of(struct str letter)
{
	for (size_t i = 0; i < letter.len; i++) {
		struct str rest = str_skip(letter, i);
		if (str_starts(rest, STR("\n\r\n")))
			return str_skip(rest, 3);
		if (str_starts(rest, STR("\n\n")))
			return str_skip(rest, 2);
	}
	return STR_NULL;
}

static bool
same_value(struct str a, struct str b)
{
	struct buf x = BUF_INIT(NAMES_MAX), y = BUF_INIT(NAMES_MAX);
	header_unfold(&x, a);
	header_unfold(&y, b);
	bool same = str_eq(str_trim(buf_str(&x)), str_trim(buf_str(&y)));
	buf_done(&x);
	buf_done(&y);
	return same;
}

static bool
field_find(struct str letter, struct str name, struct header_field *ret)
{
	while (header_next(&letter, ret))
		if (str_ieq(ret->name, name))
			return true;
	return false;
}

static void
put_line(struct buf *b, struct str s)
{
	buf_puts(b, s);
	buf_putc(b, '\n');
}

/* "Received: from a by b with ESMTP id c; Fri, 25 Sep 2009 14:27:48 +0200" */
static void
hop(struct roundtrip_found *f, struct str value)
{
	if (f->n_hops == ROUNDTRIP_HOPS_MAX)
		return;
	struct roundtrip_hop *h = &f->hops[f->n_hops++];
	size_t semicolon = str_rfind(value, ';');
	struct str rest = str_first(value, semicolon);
	h->dated = when_header(str_trim(str_skip(value, semicolon + 1)), &h->at);
	while (rest.len) {
		rest = str_trim(rest);
		struct str word = str_first(rest, str_find_any(rest, " \t\r\n"));
		rest = str_trim(str_skip(rest, word.len));
		if (str_ieq(word, STR("by"))) {
			h->by = str_first(rest, str_find_any(rest, " \t\r\n;"));
			return;
		}
	}
}

static void
hops_in_order(struct roundtrip_found *f, int64_t sent_at)
{
	for (size_t i = 0; i < f->n_hops / 2; i++) {
		struct roundtrip_hop h = f->hops[i];
		f->hops[i] = f->hops[f->n_hops - 1 - i];
		f->hops[f->n_hops - 1 - i] = h;
	}
	int64_t last = sent_at;
	for (size_t i = 0; i < f->n_hops; i++) {
		if (!f->hops[i].dated)
			continue;
		f->hops[i].took = f->hops[i].at - last;
		last = f->hops[i].at;
	}
}

static void
header(struct str sent, struct str came, struct roundtrip_found *f)
{
	struct header_field field, mine;
	struct str left = came;
	for (unsigned n = 0; n < FIELDS_MAX && header_next(&left, &field); n++) {
		if (str_ieq(field.name, STR("Received")))
			hop(f, field.value);
		else if (str_ieq(field.name, STR("Return-Path")))
			f->return_path = field.value;
		if (!field_find(sent, field.name, &mine))
			put_line(&f->added, field.name);
		else if (!same_value(field.value, mine.value))
			put_line(&f->changed, field.name);
	}
	left = sent;
	while (header_next(&left, &mine))
		if (!field_find(came, mine.name, &field))
			put_line(&f->lost, mine.name);
}

/* --- the body --- */

enum { NO_CR = 1, NO_BLANKS = 2, NO_QUOTE = 4 };

static void
normal(struct str s, unsigned how, struct buf *out)
{
	while (s.p && s.len) {
		struct str line = str_cut(&s, '\n');
		while (line.len && line.p[line.len - 1] == '\r')
			line.len--;
		if (how & NO_BLANKS)
			line = str_rtrim(line);
		if (how & NO_QUOTE && str_starts(line, STR(">From ")))
			line = str_skip(line, 1);
		put_line(out, line);
	}
	while (how & NO_BLANKS && out->len >= 2 && out->p[out->len - 2] == '\n')
		out->len--;
}

static bool
same_but(struct str a, struct str b, unsigned how)
{
	struct buf x = BUF_INIT(SIZE_MAX / 2), y = BUF_INIT(SIZE_MAX / 2);
	normal(a, how, &x);
	normal(b, how, &y);
	bool same = str_eq(buf_str(&x), buf_str(&y));
	buf_done(&x);
	buf_done(&y);
	return same;
}

static void
decoded(struct str letter, struct buf *out)
{
	struct header_field f;
	struct mime_decoder d;
	bool there = field_find(letter, STR("Content-Transfer-Encoding"), &f);
	mime_decode_init(&d, there ? mime_encoding_of(str_trim(f.value)) : MIME_7BIT);
	mime_decode(&d, body_of(letter), out);
	mime_decode_end(&d, out);
}

static bool
same_decoded(struct str sent, struct str came)
{
	struct buf x = BUF_INIT(SIZE_MAX / 2), y = BUF_INIT(SIZE_MAX / 2);
	decoded(sent, &x);
	decoded(came, &y);
	bool same = same_but(buf_str(&x), buf_str(&y), NO_CR);
	buf_done(&x);
	buf_done(&y);
	return same;
}

static void
first_difference(struct str a, struct str b, struct roundtrip_found *f)
{
	for (size_t n = 1; a.len || b.len; n++) {
		struct str x = str_rtrim(str_cut(&a, '\n')), y = str_rtrim(str_cut(&b, '\n'));
		if (str_eq(x, y))
			continue;
		f->line = n;
		f->line_sent = x;
		f->line_came = y;
		return;
	}
}

void
roundtrip_compare(struct str sent, struct str came, int64_t sent_at, struct roundtrip_found *ret)
{
	struct str a = body_of(sent), b = body_of(came);
	header(sent, came, ret);
	hops_in_order(ret, sent_at);
	if (str_eq(a, b))
		ret->body = ROUNDTRIP_EXACT;
	else if (same_but(a, b, NO_CR))
		ret->body = ROUNDTRIP_LINE_ENDS;
	else if (same_decoded(sent, came))
		ret->body = ROUNDTRIP_ENCODING;
	else if (same_but(a, b, NO_CR | NO_BLANKS))
		ret->body = ROUNDTRIP_BLANKS;
	else if (same_but(a, b, NO_CR | NO_BLANKS | NO_QUOTE))
		ret->body = ROUNDTRIP_FROM;
	else
		ret->body = ROUNDTRIP_DIFFERENT;
	if (ret->body == ROUNDTRIP_DIFFERENT)
		first_difference(a, b, ret);
}

/* --- where it is read --- */

void
roundtrip_url_init(struct roundtrip_url *u)
{
	*u = (struct roundtrip_url){ 0 };
	buf_init(&u->user, 1024);
	buf_init(&u->host, 1024);
	buf_init(&u->mailbox, 1024);
}

void
roundtrip_url_done(struct roundtrip_url *u)
{
	buf_done(&u->user);
	buf_done(&u->host);
	buf_done(&u->mailbox);
}

/* RFC 3986 2.1 */
static bool
unescape(struct str s, struct buf *out)
{
	while (s.len) {
		uint64_t c = (unsigned char)s.p[0];
		size_t n = 1;
		if (c == '%') {
			if (s.len < 3 || !num_hex(str_n(s.p + 1, 2), &c))
				return false;
			n = 3;
		}
		if (c < 0x20 || c == 0x7f)
			return false;
		buf_putc(out, (char)c);
		s = str_skip(s, n);
	}
	return !out->failed;
}

const char *
roundtrip_url_read(struct str text, struct roundtrip_url *ret)
{
	static const struct {
		const char *name;
		bool imap, tls;
		uint16_t port;
	} schemes[] = { { "imap", true, false, 143 }, { "imaps", true, true, 993 },
		{ "pop3", false, false, 110 }, { "pop3s", false, true, 995 },
		{ "pop", false, false, 110 } };
	size_t colon = str_find_str(text, STR("://")), i = 0;
	struct str scheme = str_first(text, colon), rest = str_skip(text, colon + 3);
	while (i < sizeof(schemes) / sizeof(schemes[0]) &&
	       !str_ieq(scheme, str_of(schemes[i].name)))
		i++;
	if (colon == text.len || i == sizeof(schemes) / sizeof(schemes[0]))
		return "it begins with imap://, imaps://, pop3:// or pop3s://";
	ret->imap = schemes[i].imap;
	ret->tls = schemes[i].tls;
	ret->port = schemes[i].port;
	size_t slash = str_find(rest, '/');
	struct str place = str_first(rest, slash), path = str_skip(rest, slash + 1);
	size_t at = str_rfind(place, '@');
	if (at == place.len || at == 0)
		return "it names the user: imaps://USER@HOST/MAILBOX";
	struct str host = str_skip(place, at + 1);
	size_t bracket = str_find(host, ']'), from = bracket < host.len ? bracket : 0;
	size_t port_at = from + str_find(str_skip(host, from), ':');
	uint64_t port;
	if (port_at < host.len) {
		if (!num_u64(str_skip(host, port_at + 1), 65535, &port) || port == 0)
			return "its port is no number from 1 to 65535";
		ret->port = (uint16_t)port;
		host = str_first(host, port_at);
	}
	if (host.len == 0)
		return "it names no host";
	buf_puts(&ret->host, host);
	if (!unescape(str_first(place, at), &ret->user) || !unescape(path, &ret->mailbox))
		return "a % in it is followed by two hexadecimal digits";
	if (ret->mailbox.len == 0)
		buf_putz(&ret->mailbox, "INBOX");
	return NULL;
}
