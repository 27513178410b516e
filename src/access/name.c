#include "access/name_priv.h"

#include "access/access.h"
#include "base/check.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <uninorm.h>

#define WIRE_MAX (4 * ACCESS_NAME_MAX) /* longer, and no encoding makes a good name of it */
#define INBOX_LEN 5

static const char too_long[] = "the mailbox name is too long";
static const char no_utf8[] = "the mailbox name is not UTF-8";

/* Appends s, which is UTF-8, in NFC. False: no memory, or out is full. */
static bool
put_nfc(struct str s, struct buf *out)
{
	uint8_t near[1024], *nfc;
	size_t n = sizeof(near);
	if (utf8_is_ascii(s)) {
		buf_puts(out, s);
		return !out->failed;
	}
	nfc = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.len, near, &n);
	if (!nfc)
		return false;
	buf_put(out, nfc, n);
	if (nfc != near)
		free(nfc);
	return !out->failed;
}

static bool
is_nfc(struct str s)
{
	struct buf b = BUF_INIT(WIRE_MAX);
	bool same = utf8_is_ascii(s) || (put_nfc(s, &b) && str_eq(buf_str(&b), s));
	buf_done(&b);
	return same;
}

/* RFC 6855 3: C0, DEL, C1, LINE SEPARATOR, PARAGRAPH SEPARATOR; s is UTF-8. */
static bool
has_controls(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		struct str at = str_skip(s, i);
		if (c < 0x20 || c == 0x7f)
			return true;
		if (c == 0xc2 && at.len > 1 && (unsigned char)at.p[1] < 0xa0)
			return true;
		if (str_starts(at, STR("\xe2\x80\xa8")) || str_starts(at, STR("\xe2\x80\xa9")))
			return true;
	}
	return false;
}

static bool
begins_with_inbox(struct str name)
{
	return str_istarts(name, STR("INBOX")) &&
	       (name.len == INBOX_LEN || name.p[INBOX_LEN] == '/');
}

static const char *
level_check(struct str level)
{
	if (level.len == 0)
		return "a level of the mailbox name is empty";
	if (str_eq(level, STR(".")) || str_eq(level, STR("..")))
		return "no level of a mailbox name may be . or ..";
	if (level.len > NAME_COMPONENT_MAX)
		return "a level of the mailbox name is longer than 255 octets";
	return NULL;
}

static const char *
levels_check(struct str name)
{
	unsigned levels = 0;
	for (struct str rest = name; rest.p;) {
		const char *why = level_check(str_cut(&rest, '/'));
		if (why)
			return why;
		if (++levels > NAME_LEVELS_MAX)
			return "the mailbox name has more than 32 levels";
	}
	return NULL;
}

const char *
name_check(struct str name)
{
	if (name.len == 0)
		return "the mailbox name is empty";
	if (name.len > ACCESS_NAME_MAX)
		return too_long;
	if (!utf8_valid(name))
		return no_utf8;
	if (has_controls(name))
		return "a mailbox name has no control characters";
	if (name.p[0] == '/')
		return "a mailbox name does not begin with the separator";
	if (name.p[0] == '~')
		return "a mailbox name does not begin with ~";
	const char *why = levels_check(name);
	if (why)
		return why;
	if (name.len > NAME_STORED_MAX)
		return too_long;
	if (begins_with_inbox(name) && !str_starts(name, STR("INBOX")))
		return "INBOX is written in capitals";
	return is_nfc(name) ? NULL : "the mailbox name is not in normal form C";
}

/* From the wire to UTF-8 in NFC, still with the separator of the wire. */
static const char *
decode(struct str wire, bool utf8, struct buf *out)
{
	struct buf raw = BUF_INIT(WIRE_MAX);
	const char *why = NULL;
	if (wire.len > WIRE_MAX)
		return too_long;
	if (utf8)
		buf_puts(&raw, wire);
	else
		why = utf7_decode(wire, &raw);
	if (!why && raw.failed)
		why = too_long;
	if (!why && !utf8_valid(buf_str(&raw)))
		why = no_utf8;
	if (!why && !put_nfc(buf_str(&raw), out))
		why = too_long;
	buf_done(&raw);
	return why;
}

const char *
name_from_wire(struct str wire, char separator, bool utf8, bool trailing, struct buf *out)
{
	struct buf name = BUF_INIT(WIRE_MAX);
	const char *why = decode(wire, utf8, &name);
	if (trailing && name.len > 1 && name.p[name.len - 1] == separator)
		buf_trunc(&name, name.len - 1);
	for (size_t i = 0; i < name.len && !why; i++) {
		if (name.p[i] == '/' && separator != '/')
			why = "a mailbox name cannot hold / where another separator is in use";
		else if (name.p[i] == separator)
			name.p[i] = '/';
	}
	if (!why && begins_with_inbox(buf_str(&name)))
		memcpy(name.p, "INBOX", INBOX_LEN);
	if (!why)
		why = name_check(buf_str(&name));
	size_t was = out->len;
	if (!why)
		buf_puts(out, buf_str(&name));
	if (!why && out->len != was + name.len)
		why = too_long;
	buf_done(&name);
	return why;
}

void
name_to_wire(struct str name, char separator, bool utf8, struct buf *out)
{
	struct buf text = BUF_INIT(SIZE_MAX);
	buf_puts(&text, name);
	/* A name may be older than the separator: the two change places, so that none looks like
	 * another one. */
	for (size_t i = 0; i < text.len && separator != '/'; i++)
		text.p[i] = text.p[i] == '/' ? separator : text.p[i] == separator ? '/' : text.p[i];
	if (text.failed)
		out->failed = true;
	else if (utf8)
		buf_puts(out, buf_str(&text));
	else
		utf7_encode(buf_str(&text), out);
	buf_done(&text);
}

bool
name_pattern_from_wire(struct str wire, char separator, bool utf8, struct buf *out)
{
	struct buf pattern = BUF_INIT(WIRE_MAX);
	bool good = decode(wire, utf8, &pattern) == NULL;
	for (size_t i = 0; i < pattern.len && separator != '/'; i++) {
		char c = pattern.p[i];
		pattern.p[i] = c == '/' ? separator : c == separator ? '/' : c;
	}
	if (good)
		buf_puts(out, buf_str(&pattern));
	buf_done(&pattern);
	return good;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 0x20) : c;
}

/* Does the octet at i of the name equal c? */
static bool
octet_is(struct str name, size_t i, bool inbox, char c)
{
	return name.p[i] == c || (inbox && i < INBOX_LEN && lower(name.p[i]) == lower(c));
}

/* reach[i]: the pattern so far matches the first i octets of the name. */
static void
reach_further(bool *reach, struct str name, bool inbox, char c)
{
	if (c == '*' || c == '%') {
		for (size_t i = 1; i <= name.len; i++)
			reach[i] = reach[i] || (reach[i - 1] && (c == '*' || name.p[i - 1] != '/'));
		return;
	}
	for (size_t i = name.len; i > 0; i--)
		reach[i] = reach[i - 1] && octet_is(name, i - 1, inbox, c);
	reach[0] = false;
}

bool
name_matches(struct str name, struct str pattern)
{
	bool reach[ACCESS_NAME_MAX + 1];
	bool inbox = begins_with_inbox(name);
	size_t same = 0;
	if (name.len > ACCESS_NAME_MAX)
		return false;
	/* Most patterns are a name, or a beginning and one wildcard. */
	for (; same < pattern.len && pattern.p[same] != '*' && pattern.p[same] != '%'; same++)
		if (same == name.len || !octet_is(name, same, inbox, pattern.p[same]))
			return false;
	struct str rest = str_skip(pattern, same);
	if (rest.len == 0)
		return same == name.len;
	if (rest.len == 1)
		return rest.p[0] == '*' || str_find(str_skip(name, same), '/') == name.len - same;
	memset(reach, 0, (name.len + 1) * sizeof(reach[0]));
	reach[same] = true;
	for (size_t i = 0; i < rest.len; i++)
		reach_further(reach, name, inbox, rest.p[i]);
	return reach[name.len];
}
