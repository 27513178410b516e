/* The grammar of RFC 9051 9: sets of numbers, dates. */
#include "imap/imap_priv.h"

#include "base/date.h"

/* --- sequence sets --- */

static bool
seq_number(struct imap_lex *x, uint32_t *ret)
{
	if (imap_lex_try(x, '*')) {
		*ret = 0;
		return true;
	}
	if (!imap_lex_number(x, ret))
		return false;
	return *ret != 0 || imap_lex_fail(x, "0 is not the number of a letter");
}

/* How many ranges there can be: commas and one. */
static size_t
ranges_of(struct str s)
{
	size_t n = 1;
	for (size_t i = 0; i < s.len && n <= IMAP_SET_MAX; i++) {
		char c = s.p[i];
		if (c != ',' && c != ':' && c != '*' && (c < '0' || c > '9'))
			break;
		n += c == ',';
	}
	return n;
}

bool
imap_lex_set(struct imap_lex *x, struct arena *a, struct imap_set *ret)
{
	struct imap_set set = { 0 };
	if (x->bad)
		return false;
	if (imap_lex_try(x, '$')) {
		set.saved = true;
		*ret = set;
		return true;
	}
	size_t max = ranges_of(x->rest);
	if (max > IMAP_SET_MAX)
		return imap_lex_fail(x, "more than 10000 ranges in a set");
	set.r = arena_alloc(a, max * sizeof(*set.r));
	if (!set.r)
		return imap_lex_fail(x, "the command is too long");
	do {
		struct imap_span *r = &set.r[set.n];
		if (set.n == max || !seq_number(x, &r->a))
			return imap_lex_fail(x, "not a set of numbers");
		r->b = r->a;
		if (imap_lex_try(x, ':') && !seq_number(x, &r->b))
			return false;
		set.n++;
	} while (imap_lex_try(x, ','));
	*ret = set;
	return true;
}

/* --- dates --- */

/* Days since 1970-01-01 (proleptic Gregorian). */
static int64_t
days_from(int year, int mon, int day)
{
	int y = mon <= 2 ? year - 1 : year;
	int era = (y >= 0 ? y : y - 399) / 400;
	int yoe = y - era * 400;
	int doy = (153 * (mon + (mon > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return (int64_t)era * 146097 + doe - 719468;
}

static int
days_in(int year, int mon)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[mon - 1] + (mon == 2 && leap);
}

/* At least min and at most max digits. */
static bool
digits(struct imap_lex *x, size_t min, size_t max, int *ret)
{
	size_t n = 0;
	int v = 0;
	while (n < max && n < x->rest.len && x->rest.p[n] >= '0' && x->rest.p[n] <= '9')
		v = v * 10 + (x->rest.p[n++] - '0');
	if (x->bad || n < min)
		return imap_lex_fail(x, "not a date");
	x->rest = str_skip(x->rest, n);
	*ret = v;
	return true;
}

static bool
month(struct imap_lex *x, int *ret)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct str name = str_first(x->rest, 3);
	for (int i = 0; i < 12 && !x->bad && name.len == 3; i++) {
		if (!str_ieq(name, str_n(names + 3 * i, 3)))
			continue;
		x->rest = str_skip(x->rest, 3);
		*ret = i + 1;
		return true;
	}
	return imap_lex_fail(x, "not a month; write as in 1-Feb-2026");
}

static bool
date_text(struct imap_lex *x, int64_t *ret)
{
	int day = 0, mon = 0, year = 0;
	if (!digits(x, 1, 2, &day) || !imap_lex_char(x, '-') || !month(x, &mon) ||
	    !imap_lex_char(x, '-') || !digits(x, 4, 4, &year))
		return imap_lex_fail(x, "not a date; write as in 1-Feb-2026");
	if (day < 1 || day > days_in(year, mon))
		return imap_lex_fail(x, "a day that its month does not have");
	*ret = days_from(year, mon, day);
	return true;
}

bool
imap_lex_date(struct imap_lex *x, int64_t *ret_day)
{
	int64_t day;
	bool quoted = imap_lex_try(x, '"');
	if (!date_text(x, &day) || (quoted && !imap_lex_char(x, '"')))
		return false;
	*ret_day = day;
	return true;
}

/* "+0130" in seconds. */
static bool
zone(struct imap_lex *x, int64_t *ret)
{
	int hours = 0, minutes = 0;
	bool west = imap_lex_try(x, '-');
	if (!west && !imap_lex_char(x, '+'))
		return imap_lex_fail(x, "a zone as +0000 is missing");
	if (!digits(x, 2, 2, &hours) || !digits(x, 2, 2, &minutes))
		return false;
	if (minutes > 59 || hours > 23)
		return imap_lex_fail(x, "a zone that there is not");
	*ret = (hours * 60 + minutes) * (west ? -60 : 60);
	return true;
}

static bool
time_of_day(struct imap_lex *x, int64_t *ret)
{
	int hour = 0, min = 0, sec = 0;
	if (!digits(x, 2, 2, &hour) || !imap_lex_char(x, ':') || !digits(x, 2, 2, &min) ||
	    !imap_lex_char(x, ':') || !digits(x, 2, 2, &sec))
		return imap_lex_fail(x, "not a time; write as in 23:59:59");
	if (hour > 23 || min > 59 || sec > 60)
		return imap_lex_fail(x, "a time that there is not");
	*ret = (hour * 60 + min) * 60 + sec;
	return true;
}

bool
imap_lex_date_time(struct imap_lex *x, int64_t *ret_seconds)
{
	int64_t day = 0, time = 0, east = 0;
	if (!imap_lex_char(x, '"'))
		return false;
	(void)imap_lex_try(x, ' '); /* date-day-fixed */
	if (!date_text(x, &day) || !imap_lex_sp(x) || !time_of_day(x, &time) || !imap_lex_sp(x) ||
	    !zone(x, &east) || !imap_lex_char(x, '"'))
		return false;
	*ret_seconds = day * 86400 + time - east;
	return true;
}
