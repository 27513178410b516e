#include "mail/report.h"

#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"
#include "mail/compose.h"
#include "mail/header.h"
#include "mail/report_priv.h"
#include "mail/scan.h"

#define HEADER_MAX (64u << 10) /* octets of a header that are enclosed */
#define LINE_LONGEST 998u      /* RFC 5322 2.1.1 */
#define TRIES 16
#define PART_MAX (8u << 20) /* octets of what is said of all recipients */
#define BOUNDARY_MAX 70u    /* RFC 2046 5.1.1 */

/* What is enclosed, and how it has to be named. */
struct enclosed {
	struct str letter;
	bool full, utf8_header, eight_bit;
};

static bool
eight_bit(struct str s)
{
	return !utf8_is_ascii(s);
}

/* No line too long, no CR or LF alone, no NUL: what may stand in a part as it is. */
static bool
is_plain(struct str s)
{
	size_t line = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (c == '\r' && i + 1 < s.len && s.p[i + 1] == '\n') {
			line = 0;
			i++;
		} else if (c == '\r' || c == '\n' || c == '\0' || ++line > LINE_LONGEST) {
			return false;
		}
	}
	return true;
}

static size_t
header_len(struct str letter)
{
	const struct scan_limits limits = { UINT64_MAX, HEADER_MAX };
	struct scan s;
	scan_init(&s, &limits);
	scan_feed(&s, str_first(letter, 2 * HEADER_MAX));
	scan_end(&s);
	return MIN((size_t)s.header_len, letter.len);
}

static struct enclosed
enclose(const struct report *r, size_t others)
{
	size_t header = header_len(r->letter);
	bool full = r->full && others < REPORT_MAX && r->letter.len <= REPORT_MAX - others &&
	            is_plain(r->letter);
	struct str what = full ? r->letter : str_first(r->letter, header);
	struct str head = str_first(what, header);
	return (struct enclosed){ what, full, eight_bit(head) && utf8_valid(head),
		eight_bit(what) };
}

/* --- the header of the report --- */

/* The Message-IDs a reply would name (RFC 3834 3.1.5). */
static void
put_references(struct buf *out, struct str letter)
{
	struct buf id = BUF_INIT(4096);
	report_field_put(&id, letter, STR("Message-ID"));
	struct str s = buf_str(&id);
	if (s.len > 2 && s.p[0] == '<' && str_find(s, '>') == s.len - 1 &&
	    str_find_any(s, " \t") == s.len && utf8_is_ascii(s))
		buf_putf(out, "In-Reply-To: " STR_FMT "\r\nReferences: " STR_FMT "\r\n", STR_ARG(s),
		    STR_ARG(s));
	buf_done(&id);
}

static void
put_subject(struct buf *out, const struct report *r, bool utf8)
{
	struct buf subject = BUF_INIT(4096);
	buf_putz(&subject, report_subject(r));
	size_t before = subject.len + 2;
	buf_putz(&subject, ": ");
	report_field_put(&subject, r->letter, STR("Subject"));
	if (subject.len == before)
		buf_putz(&subject, "your letter");
	if (!compose_field(out, STR("Subject"), buf_str(&subject), utf8))
		buf_putz(out, "\r\n");
	buf_done(&subject);
}

static void
put_header(struct buf *out, const struct report *r, struct str boundary, bool eight)
{
	bool utf8 = r->utf8;
	buf_putz(out, "Date: ");
	date_rfc5322(out, r->now, r->zone);
	buf_putz(out, "\r\nFrom: Mail Delivery <");
	report_clean(out, r->postmaster, !utf8);
	buf_putz(out, ">\r\nTo: <");
	report_clean(out, r->to, !utf8);
	buf_putz(out, ">\r\n");
	put_subject(out, r, false);
	buf_putz(out, "Message-ID: <");
	report_clean(out, r->id, true);
	buf_putz(out, ".report@");
	report_clean(out, r->host, true);
	buf_putz(out, ">\r\n");
	put_references(out, r->letter);
	/* RFC 3834 5: whoever answers letters by itself answers none like this one. */
	buf_putz(out,
	    "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	buf_puts(out, boundary);
	buf_putf(out, "\"\r\n%s\r\n", eight ? "Content-Transfer-Encoding: 8bit\r\n" : "");
}

/* --- its parts --- */

static void
put_part(struct buf *out, struct str boundary, const char *type, bool eight, struct str body)
{
	buf_putf(out, "--" STR_FMT "\r\nContent-Type: %s\r\n%s\r\n", STR_ARG(boundary), type,
	    eight ? "Content-Transfer-Encoding: 8bit\r\n" : "");
	buf_puts(out, body);
	buf_putz(out, "\r\n"); /* it belongs to the boundary: what is enclosed keeps its own */
}

/* A header that is no clean text: line by line, as far as it is one. */
static void
put_header_lines(struct buf *out, struct str header)
{
	while (header.p) {
		struct str line = str_rtrim(str_cut(&header, '\n'));
		if (line.len == 0)
			continue;
		size_t n = MIN(line.len, LINE_LONGEST);
		for (size_t i = 0; i < n; i++)
			buf_putc(out, line.p[i] == '\r' || line.p[i] == '\0' ? ' ' : line.p[i]);
		buf_putz(out, "\r\n");
	}
}

static void
put_enclosed(struct buf *out, struct str boundary, const struct enclosed *e, bool utf8)
{
	static const char *const types[2][2] = {
		{ "text/rfc822-headers", "message/rfc822" },
		{ "message/global-headers", "message/global" },
	};
	const char *type = types[utf8 && e->utf8_header][e->full];
	struct buf lines = BUF_INIT(2 * HEADER_MAX);
	if (e->full) {
		put_part(out, boundary, type, e->eight_bit, e->letter);
	} else {
		put_header_lines(&lines, e->letter);
		put_part(out, boundary, type, e->eight_bit, buf_str(&lines));
	}
	buf_done(&lines);
}

/* One that occurs nowhere; false: all that were tried do. */
static bool
choose_boundary(struct buf *b, struct str id, struct str a, struct str c, struct str d)
{
	for (unsigned i = 0; i < TRIES; i++) {
		buf_reset(b);
		buf_putf(b, "=_%x", i); /* '=' and '_' never meet in base64 or quoted-printable */
		for (size_t j = 0; j < id.len && b->len < BOUNDARY_MAX; j++)
			if (id.p[j] >= '0' && id.p[j] <= 'z' && !strchr(":;<=>?@[\\]^`", id.p[j]))
				buf_putc(b, id.p[j]);
		struct str s = buf_str(b);
		if (str_find_str(a, s) == a.len && str_find_str(c, s) == c.len &&
		    str_find_str(d, s) == d.len)
			return true;
	}
	return false;
}

static bool
needs_global(const struct report *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (eight_bit(r->rcpt[i].final) || eight_bit(r->rcpt[i].orcpt))
			return r->utf8;
	return false;
}

bool
report_put(struct buf *out, const struct report *r)
{
	struct buf words = BUF_INIT(PART_MAX), status = BUF_INIT(PART_MAX),
		   boundary = BUF_INIT(128);
	bool global = needs_global(r);
	struct report told = *r;
	report_status_put(&status, r, global);
	struct enclosed e = enclose(r, 2 * status.len + (64u << 10));
	told.full = e.full;
	told.letter = str_first(r->letter, header_len(r->letter));
	report_words_put(&words, &told);
	if (!choose_boundary(&boundary, r->id, buf_str(&words), buf_str(&status), e.letter))
		e.letter = STR_NULL;
	struct str b = buf_str(&boundary);
	bool eight_words = eight_bit(buf_str(&words)), eight_status = eight_bit(buf_str(&status));
	bool whole = e.letter.len > 0;
	put_header(out, &told, b, eight_words || eight_status || (whole && e.eight_bit));
	put_part(out, b, eight_words ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
	    eight_words, buf_str(&words));
	put_part(out, b, global ? "message/global-delivery-status" : "message/delivery-status",
	    eight_status, buf_str(&status));
	if (whole)
		put_enclosed(out, b, &e, r->utf8);
	buf_putf(out, "--" STR_FMT "--\r\n", STR_ARG(b));
	bool good = !out->failed && !words.failed && !status.failed;
	buf_done(&words);
	buf_done(&status);
	buf_done(&boundary);
	out->failed |= !good;
	return good;
}
