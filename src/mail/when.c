#include "mail/when.h"

#include "base/check.h"
#include "base/date.h"
#include "base/num.h"

#define DAY 86400
#define WORDS_MAX 64 /* of a From_ line */

/* --- words --- */

static int
name_at(struct str names, struct str s)
{
	for (size_t i = 0; s.len >= 3 && i + 3 <= names.len; i += 3)
		if (str_ieq(str_first(str_skip(names, i), 3), str_first(s, 3)))
			return (int)(i / 3);
	return -1;
}

static int
month_of(struct str s)
{
	return name_at(STR("JanFebMarAprMayJunJulAugSepOctNovDec"), s) + 1;
}

static bool
is_weekday(struct str s)
{
	return s.len == 3 && name_at(STR("SunMonTueWedThuFriSat"), s) >= 0;
}

static bool
number(struct str s, size_t least, size_t most, uint64_t max, int *ret)
{
	uint64_t v;
	if (s.len < least || s.len > most || !num_u64(s, max, &v))
		return false;
	*ret = (int)v;
	return true;
}

/* "14:27" or "14:27:48"; a leap second counts as the one before. */
static bool
clock_of(struct str s, int *ret_sec)
{
	int h, m, sec = 0;
	struct str hour = str_cut(&s, ':'), min = str_cut(&s, ':');
	if (!number(hour, 1, 2, 23, &h) || !number(min, 2, 2, 59, &m) ||
	    (s.p && !number(s, 2, 2, 60, &sec)))
		return false;
	*ret_sec = h * 3600 + m * 60 + MIN(sec, 59);
	return true;
}

/* RFC 5322 4.3; the letters of the military zones are of no use, as it says itself. */
static bool
zone_of(struct str s, int *ret_min)
{
	static const struct {
		const char *name;
		int hours;
	} zones[] = { { "UT", 0 }, { "UTC", 0 }, { "GMT", 0 }, { "Z", 0 }, { "EST", -5 },
		{ "EDT", -4 }, { "CST", -6 }, { "CDT", -5 }, { "MST", -7 }, { "MDT", -6 },
		{ "PST", -8 }, { "PDT", -7 }, { "CET", 1 }, { "CEST", 2 }, { "MET", 1 },
		{ "MEST", 2 }, { "WET", 0 }, { "WEST", 1 }, { "EET", 2 }, { "EEST", 3 },
		{ "BST", 1 } };
	int v;
	if (s.len == 5 && (s.p[0] == '+' || s.p[0] == '-') &&
	    number(str_skip(s, 1), 4, 4, 9959, &v) && v % 100 < 60) {
		*ret_min = (v / 100 * 60 + v % 100) * (s.p[0] == '-' ? -1 : 1);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
		if (!str_ieq(s, str_of(zones[i].name)))
			continue;
		*ret_min = zones[i].hours * 60;
		return true;
	}
	return false;
}

/* Days since 1970-01-01, from the well-known derivation of the Gregorian cycle. */
static int64_t
days_of(int64_t year, int month, int day)
{
	year -= month <= 2;
	int64_t era = year / 400, yoe = year - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static int64_t
unix_time(int year, int month, int day, int sec, int zone)
{
	return days_of(year, month, day) * DAY + sec - (int64_t)zone * 60;
}

/* --- headers --- */

static bool
year_of(struct str s, int *ret)
{
	if (!number(s, 2, 4, 9999, ret))
		return false;
	/* RFC 5322 4.3. */
	if (s.len == 2)
		*ret += *ret < 50 ? 2000 : 1900;
	else if (s.len == 3)
		*ret += 1900;
	return *ret >= 1900;
}

/* Blanks and comments off the front (RFC 5322 3.2.2). */
static struct str
skip_cfws(struct str s)
{
	for (s = str_ltrim(s); s.len && s.p[0] == '('; s = str_ltrim(s)) {
		size_t i = 0, depth = 0;
		do {
			depth += s.p[i] == '(';
			depth -= s.p[i] == ')';
			i += s.p[i] == '\\' ? 2 : 1;
		} while (depth && i < s.len);
		s = str_skip(s, MIN(i, s.len));
	}
	return s;
}

/* A clock, perhaps with blanks and comments around its colons (RFC 5322 4.3). */
static bool
clock_at(struct str *s, int *ret_sec)
{
	char text[sizeof("23:59:60")];
	size_t n = 0;
	struct str rest = skip_cfws(*s);
	for (;;) {
		size_t digits = str_find_any(rest, " \t\r\n(:");
		if (digits + 1 > sizeof(text) - n)
			return false;
		memcpy(text + n, rest.p, digits);
		n += digits;
		*s = str_skip(rest, digits);
		rest = skip_cfws(*s);
		if (!rest.len || rest.p[0] != ':')
			return clock_of(str_n(text, n), ret_sec);
		text[n++] = ':';
		rest = skip_cfws(str_skip(rest, 1));
	}
}

static struct str
next_word(struct str *s)
{
	*s = skip_cfws(*s);
	size_t n = str_find_any(*s, " \t\r\n(");
	struct str word = str_first(*s, n);
	*s = str_skip(*s, n);
	return word;
}

bool
when_header_day(struct str s, int64_t *ret, int64_t *ret_day)
{
	int day, year, sec, zone = 0;
	size_t comma = str_find(s, ',');
	if (comma < s.len)
		s = str_skip(s, comma + 1);
	if (!number(next_word(&s), 1, 2, 31, &day) || day == 0)
		return false;
	int month = month_of(next_word(&s));
	if (month == 0 || !year_of(next_word(&s), &year) || !clock_at(&s, &sec))
		return false;
	(void)zone_of(next_word(&s), &zone);
	*ret_day = days_of(year, month, day);
	*ret = *ret_day * DAY + sec - (int64_t)zone * 60;
	return true;
}

bool
when_header(struct str s, int64_t *ret)
{
	int64_t local;
	return when_header_day(s, ret, &local);
}

/* --- From_ lines --- */

/* From a weekday on: "Fri Sep 25 12:27:48 [zone] 2009 [zone]". */
static bool
date_at(const struct str *w, size_t n, int64_t *ret)
{
	int day, sec, year, zone = 0;
	if (n < 5 || !is_weekday(w[0]))
		return false;
	int month = month_of(w[1]);
	if (month == 0 || w[1].len != 3 || !number(w[2], 1, 2, 31, &day) || day == 0 ||
	    !clock_of(w[3], &sec))
		return false;
	bool year_first = number(w[4], 4, 4, 9999, &year);
	if (!year_first && (n < 6 || !number(w[5], 4, 4, 9999, &year)))
		return false;
	if (!year_first)
		(void)zone_of(w[4], &zone);
	else if (n > 5)
		(void)zone_of(w[5], &zone);
	if (year < 1900)
		return false;
	*ret = unix_time(year, month, day, sec, zone);
	return true;
}

bool
when_from_line(struct str s, int64_t *ret)
{
	struct str word[WORDS_MAX];
	size_t n = 0;
	s = str_trim(s);
	while (n < WORDS_MAX && (word[n] = str_word(&s)).len)
		n++;
	/* A sender may hold blanks; the date does not begin with it. */
	for (size_t i = 0; i + 5 <= n; i++)
		if (date_at(word + i, n - i, ret))
			return true;
	return false;
}

/* --- RFC 3339 --- */

/* n digits and what must follow them ('\0': nothing). */
static bool
take_digits(struct str *s, size_t n, char behind, int *ret)
{
	if (s->len < n + (behind != '\0') || !number(str_first(*s, n), n, n, 9999, ret))
		return false;
	if (behind && s->p[n] != behind && !(behind == 'T' && s->p[n] == 't'))
		return false;
	*s = str_skip(*s, n + (behind != '\0'));
	return true;
}

/* "Z" or "+01:30": minutes east of UTC. */
static bool
take_zone(struct str s, int *ret)
{
	int hour, min;
	*ret = 0;
	if (str_ieq(s, STR("Z")))
		return true;
	if (s.len != 6 || (s.p[0] != '+' && s.p[0] != '-'))
		return false;
	bool west = s.p[0] == '-';
	s = str_skip(s, 1);
	if (!take_digits(&s, 2, ':', &hour) || !take_digits(&s, 2, '\0', &min) || hour > 23 ||
	    min > 59)
		return false;
	*ret = (hour * 60 + min) * (west ? -1 : 1);
	return true;
}

bool
when_rfc3339(struct str s, int64_t *ret)
{
	struct date d;
	int zone;
	if (!take_digits(&s, 4, '-', &d.year) || !take_digits(&s, 2, '-', &d.mon) ||
	    !take_digits(&s, 2, 'T', &d.day) || !take_digits(&s, 2, ':', &d.hour) ||
	    !take_digits(&s, 2, ':', &d.min) || !take_digits(&s, 2, '\0', &d.sec))
		return false;
	if (s.len > 1 && s.p[0] == '.')
		for (s = str_skip(s, 1); s.len && s.p[0] >= '0' && s.p[0] <= '9';)
			s = str_skip(s, 1);
	if (!take_zone(s, &zone) || d.mon < 1 || d.mon > 12 || d.year < 1970)
		return false;
	int64_t at = unix_time(d.year, d.mon, d.day, d.hour * 3600 + d.min * 60 + d.sec, 0);
	struct date same = date_of(at, 0); /* 31 April and 25 o'clock come out otherwise */
	if (same.mon != d.mon || same.day != d.day || same.hour != d.hour || same.min != d.min ||
	    same.sec != d.sec)
		return false;
	*ret = at - (int64_t)zone * 60;
	return true;
}
