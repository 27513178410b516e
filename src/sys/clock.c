#include "sys/clock.h"

#include "base/check.h"

#include <time.h>

static int64_t
read_ms(clockid_t id)
{
	struct timespec ts;
	check(clock_gettime(id, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
sys_mono_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t
sys_mono_us(void)
{
	struct timespec ts;
	check(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
sys_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int
sys_zone_minutes(int64_t sec)
{
	time_t t = (time_t)sec;
	struct tm tm;
	if (!localtime_r(&t, &tm))
		return 0;
	return (int)(tm.tm_gmtoff / 60);
}
