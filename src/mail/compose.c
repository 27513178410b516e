#include "mail/compose.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/date.h"
#include "base/utf8.h"

static const struct {
	const char *end, *type;
} types[] = {
	{ "7z", "application/x-7z-compressed" },
	{ "asc", "text/plain" },
	{ "avif", "image/avif" },
	{ "bmp", "image/bmp" },
	{ "bz2", "application/x-bzip2" },
	{ "css", "text/css" },
	{ "csv", "text/csv" },
	{ "doc", "application/msword" },
	{ "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
	{ "eml", "message/rfc822" },
	{ "gif", "image/gif" },
	{ "gz", "application/gzip" },
	{ "htm", "text/html" },
	{ "html", "text/html" },
	{ "ics", "text/calendar" },
	{ "jpeg", "image/jpeg" },
	{ "jpg", "image/jpeg" },
	{ "js", "text/javascript" },
	{ "json", "application/json" },
	{ "log", "text/plain" },
	{ "md", "text/markdown" },
	{ "mp3", "audio/mpeg" },
	{ "mp4", "video/mp4" },
	{ "odp", "application/vnd.oasis.opendocument.presentation" },
	{ "ods", "application/vnd.oasis.opendocument.spreadsheet" },
	{ "odt", "application/vnd.oasis.opendocument.text" },
	{ "ogg", "audio/ogg" },
	{ "patch", "text/x-diff" },
	{ "diff", "text/x-diff" },
	{ "pdf", "application/pdf" },
	{ "png", "image/png" },
	{ "ppt", "application/vnd.ms-powerpoint" },
	{ "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
	{ "rtf", "application/rtf" },
	{ "sh", "text/x-shellscript" },
	{ "svg", "image/svg+xml" },
	{ "tar", "application/x-tar" },
	{ "tgz", "application/gzip" },
	{ "tif", "image/tiff" },
	{ "tiff", "image/tiff" },
	{ "txt", "text/plain" },
	{ "vcf", "text/vcard" },
	{ "wav", "audio/wav" },
	{ "webp", "image/webp" },
	{ "xls", "application/vnd.ms-excel" },
	{ "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
	{ "xml", "application/xml" },
	{ "xz", "application/x-xz" },
	{ "yaml", "application/yaml" },
	{ "yml", "application/yaml" },
	{ "zip", "application/zip" },
	{ "zst", "application/zstd" },
};

/* "image/png" of "a.png"; "application/octet-stream" when it is not known. */
static struct str
type_of(struct str name)
{
	size_t dot = str_rfind(name, '.');
	struct str end = str_skip(name, dot + 1);
	for (size_t i = 0; dot < name.len && i < ARRAY_LEN(types); i++)
		if (str_ieq(end, str_of(types[i].end)))
			return str_of(types[i].type);
	return STR("application/octet-stream");
}

/* --- fields --- */

/* The value of the caller's field of this name, or p NULL. */
static struct str
given(const struct compose *c, const char *name)
{
	for (size_t i = 0; i < c->n_fields; i++) {
		struct str value = c->fields[i], n = str_cut(&value, ':');
		if (value.p && str_ieq(str_trim(n), str_of(name)))
			return str_trim(value);
	}
	return STR_NULL;
}

static bool
put_field(const struct compose *c, struct buf *out, const char *name, struct str value)
{
	if (value.len == 0 || given(c, name).p)
		return true;
	return compose_field(out, str_of(name), value, c->utf8);
}

static bool
put_to(const struct compose *c, struct buf *out)
{
	struct buf b = BUF_INIT(1u << 20);
	for (size_t i = 0; i < c->n_to; i++) {
		if (i > 0)
			buf_putz(&b, ", ");
		buf_puts(&b, c->to[i]);
	}
	bool ok = put_field(c, out, "To", buf_str(&b));
	buf_done(&b);
	return ok;
}

static bool
put_given(const struct compose *c, struct buf *out, struct buf *err)
{
	for (size_t i = 0; i < c->n_fields; i++) {
		struct str value = c->fields[i], name = str_cut(&value, ':');
		name = str_trim(name);
		bool good = value.p && name.len > 0 && name.len <= 70;
		for (size_t k = 0; good && k < name.len; k++)
			good = name.p[k] > ' ' && name.p[k] < 0x7f;
		if (good && str_trim(value).len == 0)
			continue; /* "Date:" alone: none is wanted */
		if (good && compose_field(out, name, str_trim(value), c->utf8))
			continue;
		buf_putz(err, "no header field, or control characters in it: ");
		utf8_escape(err, str_first(c->fields[i], 80));
		return false;
	}
	return true;
}

static bool
put_header(const struct compose *c, struct buf *out, struct buf *err)
{
	struct buf b = BUF_INIT(2000);
	bool ok = true;
	if (c->date) {
		date_rfc5322(&b, c->sec, c->zone);
		ok = put_field(c, out, "Date", buf_str(&b));
		buf_reset(&b);
	}
	if (!put_field(c, out, "From", c->from) || !put_to(c, out) ||
	    !put_field(c, out, "Subject", c->subject)) {
		buf_putz(err, "the subject or an address has control characters in it");
		ok = false;
	}
	if (c->message_id.len) {
		buf_putc(&b, '<');
		buf_puts(&b, c->message_id);
		buf_putc(&b, '>');
		ok = ok && put_field(c, out, "Message-ID", buf_str(&b));
	}
	buf_done(&b);
	return ok && put_given(c, out, err) && put_field(c, out, "MIME-Version", STR("1.0"));
}

/* --- bodies --- */

/* The text with CRLF line ends. */
static void
put_lines(struct buf *out, struct str text)
{
	while (text.len > 0) {
		size_t n = str_find_any(text, "\r\n");
		buf_puts(out, str_first(text, n));
		if (n < text.len && text.p[n] == '\r' && n + 1 < text.len && text.p[n + 1] == '\n')
			n++;
		buf_putz(out, "\r\n");
		text = str_skip(text, n + 1);
	}
}

static bool
is_plain(struct str text)
{
	if (!utf8_is_ascii(text) || str_find(text, '\0') < text.len)
		return false;
	while (text.len > 0) {
		size_t n = str_find_any(text, "\r\n");
		if (n > 900 || str_starts(text, STR("From ")))
			return false;
		text = str_skip(text, n + 1);
	}
	return true;
}

/* RFC 2045 6.7; lines are CRLF already. */
static void
put_quoted(struct buf *out, struct str text)
{
	size_t at = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char ch = (unsigned char)text.p[i];
		if (ch == '\r' && i + 1 < text.len && text.p[i + 1] == '\n') {
			buf_putz(out, "\r\n");
			at = 0;
			i++;
			continue;
		}
		bool last = i + 1 == text.len || text.p[i + 1] == '\r';
		bool plain = ch > ' ' && ch < 0x7f && ch != '=';
		plain = plain && !(at == 0 && (ch == '.' || ch == 'F'));
		plain = plain || ((ch == ' ' || ch == '\t') && !last);
		if (at + (plain ? 1 : 3) > COMPOSE_LINE - 1) {
			buf_putz(out, "=\r\n");
			at = 0;
		}
		if (plain)
			buf_putc(out, (char)ch);
		else
			buf_putf(out, "=%02X", ch);
		at += plain ? 1 : 3;
	}
}

/* alone: it is the whole letter, and what the caller's fields say of it goes before. */
static void
put_text(struct buf *out, const struct compose *c, const char *type, struct str text, bool alone)
{
	bool coded = alone && given(c, "Content-Transfer-Encoding").p, plain = is_plain(text);
	if (!alone || !given(c, "Content-Type").p)
		buf_putf(out, "Content-Type: %s; charset=%s\r\n", type,
		    utf8_is_ascii(text) ? "us-ascii" : "utf-8");
	if (!coded)
		buf_putf(out, "Content-Transfer-Encoding: %s\r\n",
		    plain ? "7bit" : "quoted-printable");
	buf_putz(out, "\r\n");
	if (plain || coded) {
		put_lines(out, text);
		return;
	}
	struct buf lines = BUF_INIT(text.len * 2 + 2);
	put_lines(&lines, text);
	put_quoted(out, buf_str(&lines));
	buf_done(&lines);
}

static void
put_base64(struct buf *out, struct str octets)
{
	while (octets.len > 0) {
		base64_enc(out, str_first(octets, COMPOSE_LINE / 4 * 3));
		buf_putz(out, "\r\n");
		octets = str_skip(octets, COMPOSE_LINE / 4 * 3);
	}
}

/* RFC 2231: what a quoted string cannot hold is told in per cent, in pieces when it is long. */
static void
put_filename(struct buf *out, struct str name)
{
	static const char hex[] = "0123456789ABCDEF";
	bool plain =
	    utf8_is_ascii(name) && name.len <= 60 && str_find_any(name, "\"\\") == name.len;
	for (size_t i = 0; i < name.len; i++)
		plain = plain && name.p[i] >= ' ' && name.p[i] != 0x7f;
	if (plain) {
		buf_putf(out, ";\r\n filename=\"" STR_FMT "\"", STR_ARG(name));
		return;
	}
	size_t at = 0, pieces = 0;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char ch = (unsigned char)name.p[i];
		bool alnum = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		             (ch >= '0' && ch <= '9');
		if (i == 0 || at > 50) {
			buf_putf(out, ";\r\n filename*%zu*=%s", pieces,
			    pieces == 0 ? "UTF-8''" : "");
			pieces++;
			at = 0;
		}
		if (alnum || ch == '.' || ch == '-' || ch == '_')
			buf_putc(out, (char)ch);
		else
			buf_put(out, (char[]){ '%', hex[ch >> 4], hex[ch & 15] }, 3);
		at += alnum ? 1 : 3;
	}
}

static bool
put_file(struct buf *out, const struct compose_file *f, struct buf *err)
{
	struct str type = f->type.len ? f->type : type_of(f->name);
	/* RFC 2046 5.2.1: a letter in a letter is not encoded. */
	bool letter = str_istarts(type, STR("message/"));
	if (letter && !is_plain(f->octets)) {
		letter = false;
		type = STR("application/octet-stream");
	}
	for (size_t i = 0; i < type.len; i++)
		if (type.p[i] <= ' ' || type.p[i] >= 0x7f || str_find(type, '/') == type.len) {
			buf_putz(err, "no type of a file: ");
			utf8_escape(err, str_first(type, 80));
			return false;
		}
	buf_putf(out, "Content-Type: " STR_FMT "\r\nContent-Disposition: attachment",
	    STR_ARG(type));
	if (f->name.len)
		put_filename(out, f->name);
	buf_putf(out, "\r\nContent-Transfer-Encoding: %s\r\n\r\n", letter ? "7bit" : "base64");
	if (letter)
		put_lines(out, f->octets);
	else
		put_base64(out, f->octets);
	return true;
}

/* The file of eicar.org, put together here so that no scanner takes this program for it. */
static void
put_eicar(struct buf *out)
{
	static const char halves[2][40] = { "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR",
		"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*" };
	struct buf b = BUF_INIT(100);
	struct buf err = BUF_INIT(100);
	buf_putz(&b, halves[0]);
	buf_putz(&b, halves[1]);
	const struct compose_file f = { .name = STR("eicar.com"),
		.type = STR("application/octet-stream"),
		.octets = buf_str(&b) };
	put_file(out, &f, &err);
	buf_done(&b);
	buf_done(&err);
}

static void
put_boundary(struct buf *out, const struct compose *c, const char *kind, const char *tail)
{
	buf_putf(out, "--=_%s_" STR_FMT "%s\r\n", kind, STR_ARG(c->seed), tail);
}

static void
put_multipart(struct buf *out, const struct compose *c, const char *kind)
{
	buf_putf(out, "Content-Type: multipart/%s;\r\n boundary=\"=_%s_" STR_FMT "\"\r\n\r\n", kind,
	    kind, STR_ARG(c->seed));
}

static void
put_words(struct buf *out, const struct compose *c, struct str text, bool mixed)
{
	bool both = text.len > 0 && c->html.len > 0, alone = !both && !mixed;
	if (both) {
		put_multipart(out, c, "alternative");
		put_boundary(out, c, "alternative", "");
	}
	if (text.len > 0 || c->html.len == 0)
		put_text(out, c, "text/plain", text, alone);
	if (both) {
		buf_putz(out, "\r\n");
		put_boundary(out, c, "alternative", "");
	}
	if (c->html.len > 0)
		put_text(out, c, "text/html", c->html, alone);
	if (both) {
		buf_putz(out, "\r\n");
		put_boundary(out, c, "alternative", "--");
	}
}

bool
compose_letter(const struct compose *c, struct buf *out, struct buf *err)
{
	static const char gtube[] = "XJS*C4JDBQADN1.NSBN3*2IDNEN*"
				    "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n";
	struct buf text = BUF_INIT(c->text.len + 200);
	bool mixed = c->n_files > 0 || c->eicar;
	bool parts = mixed || (c->html.len && (c->text.len || c->gtube));
	if (parts && (given(c, "Content-Type").p || given(c, "Content-Transfer-Encoding").p)) {
		buf_putz(err, "a letter with parts has a Content-Type and an encoding of its own; "
			      "leave those "
			      "fields out");
		return false;
	}
	bool ok = put_header(c, out, err);
	buf_puts(&text, c->text);
	if (c->gtube && text.len > 0 && text.p[text.len - 1] != '\n')
		buf_putc(&text, '\n');
	if (c->gtube)
		buf_putz(&text, gtube);
	if (mixed) {
		put_multipart(out, c, "mixed");
		put_boundary(out, c, "mixed", "");
	}
	put_words(out, c, buf_str(&text), mixed);
	for (size_t i = 0; ok && i < c->n_files; i++) {
		buf_putz(out, "\r\n");
		put_boundary(out, c, "mixed", "");
		ok = put_file(out, &c->files[i], err);
	}
	if (c->eicar) {
		buf_putz(out, "\r\n");
		put_boundary(out, c, "mixed", "");
		put_eicar(out);
	}
	if (mixed) {
		buf_putz(out, "\r\n");
		put_boundary(out, c, "mixed", "--");
	}
	buf_done(&text);
	if (ok && out->failed)
		buf_putz(err, "the letter is too large");
	return ok && !out->failed;
}
