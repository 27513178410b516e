/* date: RFC 5322 3.3 date-time and RFC 3339 for logs. Pure: the time and the zone come in. */
#pragma once

#include "base/buf.h"

#include <stdint.h>

/* "Fri, 25 Sep 2009 14:27:48 +0200": sec is Unix time, zone minutes east of UTC. */
void date_rfc5322(struct buf *b, int64_t sec, int zone);
/* "2009-09-25T12:27:48.123Z": ms is Unix time in milliseconds. */
void date_rfc3339(struct buf *b, int64_t ms);
/* "Fri Sep 25 12:27:48 2009" in UTC, as the From_ line of an mbox wants it (RFC 4155). */
void date_asctime(struct buf *b, int64_t sec);

struct date {
	int year, mon, day;   /* mon 1..12 */
	int hour, min, sec;
	int wday;             /* 0 = Sunday */
};
/* Civil date of sec shifted by zone minutes (proleptic Gregorian, any year 0..9999). */
struct date date_of(int64_t sec, int zone);
