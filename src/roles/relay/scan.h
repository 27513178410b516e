/*
 * scan: what there is in a letter that another server may not take: 8-bit octets, NUL, long lines,
 * line ends that are none. Pure; fed in any pieces.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define SCAN_LINE_MAX 998 /* RFC 5321 4.5.3.1.6, without CRLF */

struct letter_scan {
	bool eight_header, eight_body; /* octets above 127 */
	bool nul, bare;                /* NUL; CR or LF alone */
	bool long_line;
	uint64_t size;                 /* as it is sent: every line end is CRLF, not dot-stuffed */
	/* private */
	bool body, cr, bol;
	uint64_t line;
};
void letter_scan_feed(struct letter_scan *s, struct str octets);
void letter_scan_end(struct letter_scan *s);
