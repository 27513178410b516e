/* when: dates as they stand in letters and in mbox files, read leniently; those of RFC 3339, strictly. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* A date-time of RFC 5322 3.3 and 4.3: "[Fri, ]25 Sep [20]09 14:27[:48] [+0200 | EST] [(...)]".
 * Without a zone, or with one that is not known, it is taken for UTC. Unix time. */
bool when_header(struct str s, int64_t *ret);
/* The same, and the day as it is written, without regard to the zone: days since 1970-01-01. */
bool when_header_day(struct str s, int64_t *ret, int64_t *ret_day);
/*
 * What stands behind "From " in a From_ line: a sender, then "Fri Sep 25 12:27:48 2009" (RFC
 * 4155), seconds or not, a zone in front of the year or behind it or none (then it is UTC).
 * False: there is no date in it.
 */
bool when_from_line(struct str s, int64_t *ret);
/* A date-time of RFC 3339 5.6, from 1970 on: "2026-11-22T07:30:00Z", "...T08:30:00.5+01:00". */
bool when_rfc3339(struct str s, int64_t *ret);
