#include "mail/charset.h"

#include "base/check.h"
#include "mail/utf.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>

#define HOLD_MAX 16 /* octets of one character, escapes of ISO 2022 with it */

/* Keys are names in lower case without anything but letters and digits. */
static const struct row {
	const char *key;
	const char *iconv; /* NULL: as the row before */
	bool single;       /* one octet per character, ASCII below 0x80 */
} rows[] = {
	{ "iso88592", "ISO-8859-2", true },
	{ "latin2", NULL, true },
	{ "l2", NULL, true },
	{ "iso88593", "ISO-8859-3", true },
	{ "latin3", NULL, true },
	{ "iso88594", "ISO-8859-4", true },
	{ "latin4", NULL, true },
	{ "iso88595", "ISO-8859-5", true },
	{ "cyrillic", NULL, true },
	{ "iso88596", "ISO-8859-6", true },
	{ "arabic", NULL, true },
	{ "iso88596i", NULL, true },
	{ "iso88596e", NULL, true },
	{ "iso88597", "ISO-8859-7", true },
	{ "greek", NULL, true },
	{ "iso88598", "ISO-8859-8", true },
	{ "hebrew", NULL, true },
	{ "iso88598i", NULL, true },
	{ "iso88598e", NULL, true },
	{ "iso88599", "ISO-8859-9", true },
	{ "latin5", NULL, true },
	{ "iso885910", "ISO-8859-10", true },
	{ "latin6", NULL, true },
	{ "iso885911", "ISO-8859-11", true },
	{ "iso885913", "ISO-8859-13", true },
	{ "latin7", NULL, true },
	{ "iso885914", "ISO-8859-14", true },
	{ "latin8", NULL, true },
	{ "iso885915", "ISO-8859-15", true },
	{ "latin9", NULL, true },
	{ "iso885916", "ISO-8859-16", true },
	{ "latin10", NULL, true },
	{ "windows1250", "CP1250", true },
	{ "cp1250", NULL, true },
	{ "windows1251", "CP1251", true },
	{ "cp1251", NULL, true },
	{ "windows1252", "CP1252", true },
	{ "cp1252", NULL, true },
	{ "xansi", NULL, true },
	{ "windows1253", "CP1253", true },
	{ "cp1253", NULL, true },
	{ "windows1254", "CP1254", true },
	{ "cp1254", NULL, true },
	{ "windows1255", "CP1255", true },
	{ "cp1255", NULL, true },
	{ "windows1256", "CP1256", true },
	{ "cp1256", NULL, true },
	{ "windows1257", "CP1257", true },
	{ "cp1257", NULL, true },
	{ "windows1258", "CP1258", true },
	{ "cp1258", NULL, true },
	{ "koi8r", "KOI8-R", true },
	{ "koi8", NULL, true },
	{ "koi8u", "KOI8-U", true },
	{ "tis620", "TIS-620", true },
	{ "windows874", "CP874", true },
	{ "cp874", NULL, true },
	{ "macintosh", "MACINTOSH", true },
	{ "macroman", NULL, true },
	{ "xmacroman", NULL, true },
	{ "cp437", "CP437", true },
	{ "ibm437", NULL, true },
	{ "cp850", "CP850", true },
	{ "ibm850", NULL, true },
	{ "cp852", "CP852", true },
	{ "ibm852", NULL, true },
	{ "cp866", "CP866", true },
	{ "ibm866", NULL, true },
	{ "gb2312", "GB18030", false },
	{ "gbk", NULL, false },
	{ "gb18030", NULL, false },
	{ "cp936", NULL, false },
	{ "xgbk", NULL, false },
	{ "euccn", NULL, false },
	{ "iso2022cn", "ISO-2022-CN-EXT", false },
	{ "big5", "BIG5-HKSCS", false },
	{ "big5hkscs", NULL, false },
	{ "cp950", NULL, false },
	{ "euctw", "EUC-TW", false },
	{ "iso2022jp", "ISO-2022-JP-2", false },
	{ "iso2022jp1", NULL, false },
	{ "iso2022jp2", NULL, false },
	{ "csiso2022jp", NULL, false },
	{ "shiftjis", "CP932", false },
	{ "sjis", NULL, false },
	{ "cp932", NULL, false },
	{ "windows31j", NULL, false },
	{ "xsjis", NULL, false },
	{ "mskanji", NULL, false },
	{ "eucjp", "EUC-JP-MS", false },
	{ "xeucjp", NULL, false },
	{ "euckr", "UHC", false },
	{ "ksc56011987", NULL, false },
	{ "ksc5601", NULL, false },
	{ "cp949", NULL, false },
	{ "uhc", NULL, false },
	{ "ksx1001", NULL, false },
	{ "iso2022kr", "ISO-2022-KR", false },
	{ "utf7", "UTF-7", false },
	{ "unicode11utf7", NULL, false },
	{ "utf16", "UTF-16", false },
	{ "utf16le", "UTF-16LE", false },
	{ "utf16be", "UTF-16BE", false },
	{ "ucs2", NULL, false },
	{ "utf32", "UTF-32", false },
	{ "utf32le", "UTF-32LE", false },
	{ "utf32be", "UTF-32BE", false },
};

struct charsets {
	iconv_t held[ARRAY_LEN(rows)];     /* (iconv_t)-1: none */
	uint16_t (*tables)[128];           /* of the single ones; 0: no character */
	int16_t table_of[ARRAY_LEN(rows)]; /* -1: none */
};

static const iconv_t none = (iconv_t)-1;

/* --- the ones of one octet --- */

static void
fill_table(iconv_t cd, uint16_t table[128])
{
	for (unsigned i = 0; i < 128; i++) {
		char in = (char)(i + 128), o[8], *ip = &in, *op = o;
		size_t in_left = 1, out_left = sizeof(o);
		uint32_t c = 0;
		(void)iconv(cd, NULL, NULL, NULL, NULL);
		if (iconv(cd, &ip, &in_left, &op, &out_left) == 0 &&
		    iconv(cd, NULL, NULL, &op, &out_left) == 0 && op > o &&
		    utf_next(str_n(o, (size_t)(op - o)), &c) > 0 && c <= UINT16_MAX)
			table[i] = (uint16_t)c;
	}
}

static void
open_row(struct charsets *cs, size_t i, size_t *tables)
{
	const struct row *r = &rows[i];
	cs->held[i] = none;
	cs->table_of[i] = -1;
	if (!r->iconv) {
		cs->table_of[i] = cs->table_of[i - 1];
		return;
	}
	iconv_t cd = iconv_open("UTF-8", r->iconv);
	if (cd == none)
		return;
	if (!r->single) {
		cs->held[i] = cd;
		return;
	}
	cs->table_of[i] = (int16_t)*tables;
	fill_table(cd, cs->tables[(*tables)++]);
	(void)iconv_close(cd);
}

struct charsets *
charsets_open(void)
{
	struct charsets *cs = xalloc(sizeof(*cs));
	size_t tables = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		tables += rows[i].single && rows[i].iconv;
	cs->tables = xalloc(tables * sizeof(*cs->tables));
	tables = 0;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		open_row(cs, i, &tables);
	return cs;
}

struct charsets *
charsets_close(struct charsets *cs)
{
	if (!cs)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (cs->held[i] != none)
			(void)iconv_close(cs->held[i]);
	free(cs->tables);
	free(cs);
	return NULL;
}

/* --- names --- */

enum builtin { NOT_BUILTIN, AS_UTF8, AS_LATIN1 };

/* Writes the key of a name; an empty one where it is too long. */
static struct str
key_of(struct str name, char key[CHARSET_NAME_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < name.len; i++) {
		int c = (unsigned char)name.p[i];
		if (!isascii(c) || !isalnum(c))
			continue;
		if (n == CHARSET_NAME_MAX)
			return str_n(key, 0);
		key[n++] = (char)tolower(c);
	}
	return str_n(key, n);
}

static enum builtin
builtin_of(struct str name, struct str key)
{
	static const struct {
		const char *key;
		enum builtin as;
	} builtin[] = { { "utf8", AS_UTF8 }, { "usascii", AS_UTF8 }, { "ascii", AS_UTF8 },
		{ "ansix341968", AS_UTF8 }, { "iso88591", AS_LATIN1 }, { "latin1", AS_LATIN1 },
		{ "l1", AS_LATIN1 } };
	if (name.len == 0)
		return AS_UTF8;
	for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
		if (str_eq(key, str_of(builtin[i].key)))
			return builtin[i].as;
	return NOT_BUILTIN;
}

/* The row of a charset that is open, or -1. */
static int
row_of(const struct charsets *cs, struct str key)
{
	size_t i = 0, first;
	while (i < ARRAY_LEN(rows) && !str_eq(key, str_of(rows[i].key)))
		i++;
	if (!cs || i == ARRAY_LEN(rows))
		return -1;
	for (first = i; !rows[first].iconv;)
		first--;
	return cs->table_of[first] >= 0 || cs->held[first] != none ? (int)first : -1;
}

bool
charset_known(const struct charsets *cs, struct str name)
{
	char buf[CHARSET_NAME_MAX];
	struct str key = key_of(name, buf);
	return builtin_of(name, key) != NOT_BUILTIN || row_of(cs, key) >= 0;
}

/* --- converting --- */

struct charset {
	enum builtin as;
	const uint16_t *table; /* or NULL */
	iconv_t cd;            /* or none */
	uint8_t held;
	char hold[HOLD_MAX]; /* an incomplete character */
};

struct charset *
charset_new(const struct charsets *cs, struct str name)
{
	char buf[CHARSET_NAME_MAX];
	struct str key = key_of(name, buf);
	struct charset c = { .as = builtin_of(name, key), .cd = none };
	int row = c.as == NOT_BUILTIN ? row_of(cs, key) : -1;
	if (c.as == NOT_BUILTIN && row < 0)
		return NULL;
	if (row >= 0 && cs->table_of[row] >= 0)
		c.table = cs->tables[cs->table_of[row]];
	else if (row >= 0)
		c.cd = iconv_open("UTF-8", rows[row].iconv);
	if (row >= 0 && !c.table && c.cd == none)
		return NULL;
	return xmemdup(&c, sizeof(c));
}

struct charset *
charset_free(struct charset *c)
{
	if (c && c->cd != none)
		(void)iconv_close(c->cd);
	free(c);
	return NULL;
}

/* How many octets at the start of s are UTF-8. ret_next: what utf_next() says behind them. */
static size_t
valid_len(struct str s, int *ret_next)
{
	size_t i = 0;
	*ret_next = 0;
	while (i < s.len) {
		uint32_t v;
		size_t ascii = (unsigned char)s.p[i] < 0x80 ? utf_ascii(str_skip(s, i)) : 0;
		i += ascii;
		if (i == s.len)
			break;
		*ret_next = utf_next(str_skip(s, i), &v);
		if (*ret_next <= 0)
			break;
		i += (size_t)*ret_next;
	}
	return i;
}

/* What is left is an incomplete character. */
static struct str
feed_utf8(struct charset *c, struct str in, struct buf *out)
{
	while (in.len) {
		int next;
		size_t n = valid_len(in, &next);
		buf_puts(out, str_first(in, n));
		in = str_skip(in, n);
		if (in.len == 0 || next == 0)
			break;
		utf_put(out, UTF_NONE);
		in = str_skip(in, 1);
	}
	return in;
}

static void
feed_table(struct charset *c, struct str in, struct buf *out)
{
	while (in.len) {
		size_t ascii = utf_ascii(in);
		buf_puts(out, str_first(in, ascii));
		in = str_skip(in, ascii);
		for (; in.len && (unsigned char)in.p[0] >= 0x80; in = str_skip(in, 1)) {
			unsigned o = (unsigned char)in.p[0];
			uint32_t v = c->table ? c->table[o - 128] : o;
			if (v == 0)
				utf_put(out, UTF_NONE);
			else
				utf_put(out, v);
		}
	}
}

static struct str
feed_iconv(struct charset *c, struct str in, struct buf *out)
{
	while (in.len) {
		char *ip = (char *)(uintptr_t)in.p; /* iconv does not write there */
		size_t in_left = in.len;
		if (!buf_reserve(out, MIN(in.len, (size_t)4096) * 3 + 16))
			break;
		char *op = out->p + out->len;
		size_t room = MIN(out->cap, out->max) - out->len, out_left = room;
		size_t r = iconv(c->cd, &ip, &in_left, &op, &out_left);
		int e = r == (size_t)-1 ? errno : 0;
		out->len += room - out_left;
		in = str_skip(in, in.len - in_left);
		if (e && e != E2BIG && e != EILSEQ) /* EINVAL: the end of a character is missing */
			break;
		if (e == EILSEQ) {
			utf_put(out, UTF_NONE);
			in = str_skip(in, 1);
		}
	}
	return in;
}

static struct str
convert(struct charset *c, struct str in, struct buf *out)
{
	return c->as == AS_UTF8 ? feed_utf8(c, in, out) : feed_iconv(c, in, out);
}

/* Gives what is held one octet after the other until it is a character, or none. */
static struct str
feed_held(struct charset *c, struct str in, struct buf *out)
{
	while (c->held && in.len) {
		c->hold[c->held++] = in.p[0];
		in = str_skip(in, 1);
		struct str left = convert(c, str_n(c->hold, c->held), out);
		if (left.len == HOLD_MAX) {
			utf_put(out, UTF_NONE);
			left.len = 0;
		}
		memmove(c->hold, left.p, left.len);
		c->held = (uint8_t)left.len;
	}
	return in;
}

void
charset_feed(struct charset *c, struct str in, struct buf *out)
{
	if (in.len == 0)
		return;
	if (c->as == AS_LATIN1 || c->table) {
		feed_table(c, in, out);
		return;
	}
	in = feed_held(c, in, out);
	if (in.len)
		in = convert(c, in, out);
	if (out->failed)
		return;
	while (in.len > HOLD_MAX - 1) { /* nothing that anybody would write */
		utf_put(out, UTF_NONE);
		in = str_skip(in, 1);
	}
	if (in.len) {
		memcpy(c->hold, in.p, in.len);
		c->held = (uint8_t)in.len;
	}
}

void
charset_end(struct charset *c, struct buf *out)
{
	if (c->held)
		utf_put(out, UTF_NONE);
	c->held = 0;
	if (c->cd == none)
		return;
	if (buf_reserve(out, 64)) {
		char *op = out->p + out->len;
		size_t left = 64;
		(void)iconv(c->cd, NULL, NULL, &op, &left);
		out->len += 64 - left;
	}
	(void)iconv(c->cd, NULL, NULL, NULL, NULL);
}

bool
charset_to_utf8(const struct charsets *cs, struct str name, struct str in, struct buf *out)
{
	struct charset *c = charset_new(cs, name);
	if (!c)
		return false;
	charset_feed(c, in, out);
	charset_end(c, out);
	charset_free(c);
	return true;
}
