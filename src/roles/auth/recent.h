/*
 * recent: when accounts last logged in over POP3, for pop3_login_delay (RFC 2449 6.5, 8.1.1).
 *
 * A keyed table of RECENT_SLOTS places. When those for a key are taken, the oldest login in them
 * is forgotten, and who it was of may log in a little too soon: nothing here grows.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define RECENT_SLOTS 16384u /* power of two */

struct recent;
struct recent *recent_new(const unsigned char key[16]); /* key: random octets */
struct recent *recent_free(struct recent *r);
/* Was the account's last login at least delay_ms ago? Then this is its last one. */
bool recent_login(struct recent *r, struct str account, int64_t delay_ms, int64_t now_ms);
