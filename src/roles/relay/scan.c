#include "roles/relay/scan.h"

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

void
letter_scan_feed(struct letter_scan *s, struct str octets)
{
	for (size_t i = 0; i < octets.len; i++) {
		unsigned char ch = (unsigned char)octets.p[i];
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
			continue;
		s->line++;
		s->size++;
		if (ch >= 0x80 && s->body)
			s->eight_body = true;
		else if (ch >= 0x80)
			s->eight_header = true;
		else if (ch == 0)
			s->nul = true;
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
