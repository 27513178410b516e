/* clock: the one place that reads the time. */
#pragma once

#include <stdint.h>

int64_t sys_mono_ms(void);
int64_t sys_mono_us(void);
int64_t sys_wall_ms(void);
/* Local zone at that time, minutes east of UTC; needs tzset() before a sandbox. */
int sys_zone_minutes(int64_t sec);
