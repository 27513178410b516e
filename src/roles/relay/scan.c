#include "roles/relay/scan.h"

#include "base/check.h"

#include <string.h>

static void
line_end(struct letter_scan *s)
{
	if (s->line == 0)
		s->body = true;
	if (s->line > SCAN_LINE_MAX)
		s->long_line = true;
	s->line = 0;
	s->size += 2;
}

static void
feed_one(struct letter_scan *s, unsigned char ch)
{
	if (s->cr && ch != '\n') {
		s->bare = true;
		line_end(s);
	}
	if (ch == '\n') {
		s->bare = s->bare || !s->cr;
		line_end(s);
	}
	s->cr = ch == '\r';
	if (s->cr || ch == '\n')
		return;
	s->line++;
	s->size++;
	if (ch >= 0x80 && s->body)
		s->eight_body = true;
	else if (ch >= 0x80)
		s->eight_header = true;
	else if (ch == 0)
		s->nul = true;
}

static bool
has_octet(uint64_t v, unsigned char of)
{
	uint64_t x = v ^ (0x0101010101010101ull * of);
	return ((x - 0x0101010101010101ull) & ~x & 0x8080808080808080ull) != 0;
}

/* Eight octets at a time where none of them ends a line or is other than plain text. */
static size_t
feed_plain(struct letter_scan *s, struct str octets)
{
	size_t n = 0;
	for (uint64_t v; n + sizeof(v) <= octets.len; n += sizeof(v)) {
		memcpy(&v, octets.p + n, sizeof(v));
		if ((v & 0x8080808080808080ull) || has_octet(v, '\r') || has_octet(v, '\n') ||
		    has_octet(v, 0))
			break;
	}
	s->line += n;
	s->size += n;
	return n;
}

void
letter_scan_feed(struct letter_scan *s, struct str octets)
{
	while (octets.len) {
		if (!s->cr)
			octets = str_skip(octets, feed_plain(s, octets));
		for (size_t i = MIN(octets.len, (size_t)8); i > 0;
		     i--, octets = str_skip(octets, 1))
			feed_one(s, (unsigned char)octets.p[0]);
	}
}

void
letter_scan_end(struct letter_scan *s)
{
	if (s->cr)
		s->bare = true;
	if (s->cr || s->line > 0)
		line_end(s);
	s->cr = false;
}
