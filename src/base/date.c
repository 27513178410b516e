#include "base/date.h"

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

#define DAY 86400

/* Days to civil date after Howard Hinnant's well-known derivation of the Gregorian cycle. */
struct date
date_of(int64_t sec, int zone)
{
	sec += (int64_t)zone * 60;
	int64_t day = sec / DAY, rest = sec % DAY;
	if (rest < 0) {
		rest += DAY;
		day--;
	}
	int64_t z = day + 719468; /* from 0000-03-01 */
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	int mon = (int)(mp < 10 ? mp + 3 : mp - 9);
	int64_t wday = (day % 7 + 11) % 7; /* 1970-01-01 was a Thursday */
	return (struct date){
		.year = (int)(yoe + era * 400 + (mon <= 2)),
		.mon = mon,
		.day = (int)(doy - (153 * mp + 2) / 5 + 1),
		.hour = (int)(rest / 3600),
		.min = (int)(rest / 60 % 60),
		.sec = (int)(rest % 60),
		.wday = (int)wday,
	};
}

void
date_rfc5322(struct buf *b, int64_t sec, int zone)
{
	struct date d = date_of(sec, zone);
	int abs = zone < 0 ? -zone : zone;
	buf_putf(b, "%.3s, %d %.3s %04d %02d:%02d:%02d %c%02d%02d", days + (ptrdiff_t)d.wday * 3,
	    d.day, months + (ptrdiff_t)(d.mon - 1) * 3, d.year, d.hour, d.min, d.sec,
	    zone < 0 ? '-' : '+', abs / 60, abs % 60);
}

void
date_rfc3339(struct buf *b, int64_t ms)
{
	int64_t sec = ms / 1000, frac = ms % 1000;
	if (frac < 0) {
		frac += 1000;
		sec--;
	}
	struct date d = date_of(sec, 0);
	buf_putf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", d.year, d.mon, d.day, d.hour, d.min,
	    d.sec, (int)frac);
}

void
date_asctime(struct buf *b, int64_t sec)
{
	struct date d = date_of(sec, 0);
	buf_putf(b, "%.3s %.3s %2d %02d:%02d:%02d %04d", days + (ptrdiff_t)d.wday * 3,
	    months + (ptrdiff_t)(d.mon - 1) * 3, d.day, d.hour, d.min, d.sec, d.year);
}
