#include "mail/scan.h"

enum { IN_HEADER, IN_DOUBT, IN_BODY };
enum {
	LINE_START, /* nothing yet */
	LINE_CR,    /* one CR so far: empty if LF follows */
	LINE_NAME,  /* octets of a field name */
	LINE_GAP,   /* blanks behind a field name */
	LINE_FIELD, /* the colon was seen */
	LINE_FOLD,  /* begins with a blank */
	LINE_OTHER
};

static const char *const field_name[SCAN_FIELD_COUNT] = {
	[SCAN_RECEIVED] = "Received",
	[SCAN_FROM] = "From",
	[SCAN_SENDER] = "Sender",
	[SCAN_DATE] = "Date",
	[SCAN_MESSAGE_ID] = "Message-ID",
	[SCAN_TO] = "To",
	[SCAN_CC] = "Cc",
	[SCAN_BCC] = "Bcc",
	[SCAN_SUBJECT] = "Subject",
	[SCAN_RETURN_PATH] = "Return-Path",
	[SCAN_DELIVERED_TO] = "Delivered-To",
};

void
scan_init(struct scan *s, const struct scan_limits *limits)
{
	*s = (struct scan){ .limits = *limits };
}

static void
count_field(struct scan *s)
{
	s->fields += s->fields < UINT32_MAX;
	if (s->name_len > SCAN_NAME_MAX)
		return;
	for (int i = 0; i < SCAN_FIELD_COUNT; i++)
		if (str_ieq(str_n(s->name, s->name_len), str_of(field_name[i])))
			s->count[i] += s->count[i] < UINT32_MAX;
}

static void
end_header(struct scan *s, bool insert_blank)
{
	s->state = IN_BODY;
	s->insert_blank = insert_blank;
	s->doubt_lines = 0;
}

/* A line, and with it all undecided ones, belongs to the header that ends at `end` now. */
static void
take_line(struct scan *s, uint64_t end)
{
	if (s->line == LINE_FIELD)
		count_field(s);
	s->repaired |= s->state == IN_DOUBT;
	s->header_lines += s->doubt_lines + 1;
	s->doubt_lines = 0;
	s->header_len = end;
	s->state = IN_HEADER;
	if (s->header_lines > s->limits.max_lines || end > s->limits.max_bytes) {
		s->header_too_big = true;
		end_header(s, false);
	}
}

static void
doubt_line(struct scan *s, uint64_t end)
{
	s->state = IN_DOUBT;
	s->doubt_lines++;
	if (s->fields == 0 || end > s->limits.max_bytes ||
	    s->header_lines + s->doubt_lines > s->limits.max_lines)
		end_header(s, true);
}

/* The line at hand ends before octet `end`. */
static void
end_line(struct scan *s, uint64_t end)
{
	bool in_doubt = s->state == IN_DOUBT;
	if (s->line == LINE_START || s->line == LINE_CR)
		end_header(s, in_doubt);
	else if (s->line == LINE_FIELD || (s->line == LINE_FOLD && !in_doubt && s->fields))
		take_line(s, end);
	else
		doubt_line(s, end);
	s->line = LINE_START;
	s->name_len = 0;
}

static void
name_octet(struct scan *s, unsigned char c)
{
	bool blank = c == ' ' || c == '\t';
	if (c == ':')
		s->line = LINE_FIELD;
	else if (blank)
		s->line = LINE_GAP;
	else if (s->line == LINE_GAP || c < 0x21 || c > 0x7e)
		s->line = LINE_OTHER;
	else if (s->name_len < SCAN_NAME_MAX)
		s->name[s->name_len++] = (char)c;
	else
		s->name_len = SCAN_NAME_MAX + 1;
}

static void
first_octet(struct scan *s, unsigned char c)
{
	if (c == '\r') {
		s->line = LINE_CR;
	} else if (c == ' ' || c == '\t') {
		s->line = LINE_FOLD;
	} else if (c == ':') {
		s->line = LINE_OTHER;
	} else {
		s->line = LINE_NAME;
		name_octet(s, c);
	}
}

/* Octets of one line, without its LF. Past the colon nothing matters but the line's end. */
static void
line_octets(struct scan *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n && s->line < LINE_FIELD; i++) {
		unsigned char c = (unsigned char)p[i];
		if (s->line == LINE_START)
			first_octet(s, c);
		else if (s->line == LINE_CR)
			s->line = LINE_OTHER;
		else
			name_octet(s, c);
	}
}

static void
feed_header(struct scan *s, struct str chunk)
{
	uint64_t base = s->size;
	for (size_t at = 0; at < chunk.len && s->state != IN_BODY;) {
		const char *p = chunk.p + at;
		const char *lf = memchr(p, '\n', chunk.len - at);
		size_t n = lf ? (size_t)(lf - p) : chunk.len - at;
		line_octets(s, p, n);
		at += n;
		if (lf)
			end_line(s, base + ++at);
	}
}

/*
 * Line ends, NUL and the eighth bit, for the whole letter and so for every octet of a large
 * body: VEC pairs of neighbours at a time. A bare CR is one that is not followed by LF, a bare
 * LF one that does not follow CR.
 */
#define VEC 16
typedef signed char vec __attribute__((vector_size(VEC)));

struct seen {
	vec bare_cr, bare_lf, nul, eight_bit;
};

static bool
any(vec v)
{
	uint64_t half[VEC / 8];
	memcpy(half, &v, VEC);
	return half[0] | half[1];
}

/* Looks at p[1..n], each with the octet before it, as far as whole vectors go. Returns how far. */
static size_t
look_fast(struct scan *s, const char *p, size_t n)
{
	struct seen seen = { 0 };
	size_t i = 0;
	for (; i + VEC <= n; i += VEC) {
		vec a, b;
		memcpy(&a, p + i, VEC);
		memcpy(&b, p + i + 1, VEC);
		vec cr = a == '\r', lf = b == '\n';
		seen.bare_cr |= cr & ~lf;
		seen.bare_lf |= lf & ~cr;
		seen.nul |= b == 0;
		seen.eight_bit |= b < 0;
	}
	s->bare_cr |= any(seen.bare_cr);
	s->bare_lf |= any(seen.bare_lf);
	s->nul |= any(seen.nul);
	s->eight_bit |= any(seen.eight_bit);
	return i;
}

/* One octet, the one before it being CR or not. */
static void
look(struct scan *s, bool after_cr, char c)
{
	s->bare_cr |= after_cr && c != '\n';
	s->bare_lf |= !after_cr && c == '\n';
	s->nul |= c == '\0';
	s->eight_bit |= (unsigned char)c > 0x7f;
}

static void
feed_octets(struct scan *s, struct str chunk)
{
	size_t last = chunk.len - 1;
	look(s, s->after_cr, chunk.p[0]);
	for (size_t i = look_fast(s, chunk.p, last); i < last; i++)
		look(s, chunk.p[i] == '\r', chunk.p[i + 1]);
	bool before_last = last ? chunk.p[last - 1] == '\r' : s->after_cr;
	s->no_final_eol = !(before_last && chunk.p[last] == '\n');
	s->after_cr = chunk.p[last] == '\r';
}

void
scan_feed(struct scan *s, struct str chunk)
{
	if (chunk.len == 0)
		return;
	feed_header(s, chunk);
	feed_octets(s, chunk);
	s->size += chunk.len;
}

void
scan_end(struct scan *s)
{
	s->bare_cr |= s->after_cr;
	s->after_cr = false;
	if (s->line == LINE_CR)
		s->line = LINE_OTHER;
	if (s->state != IN_BODY && s->line != LINE_START)
		end_line(s, s->size);
	if (s->state != IN_BODY)
		end_header(s, s->state == IN_DOUBT);
}

bool
scan_in_body(const struct scan *s)
{
	return s->state == IN_BODY;
}

bool
scan_undecided(const struct scan *s)
{
	return s->line == LINE_CR || s->line == LINE_NAME || s->line == LINE_GAP;
}
