/*
 * pass: how a login gives a front one account's mail and no other.
 *
 * parent makes a key at its start and hands it to those who let people in (auth, gssapi) and to
 * those who have the mail (store, readers); no front ever sees it. A ticket says: this front has
 * shown that it talks to the owner of this address, then. A reader takes it for TICKET_MS and
 * gives a pass for it, which says: this front may ask for this account. It is good as long as
 * parent lives; what it opens ends with the account. Neither is of use to another front.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define PASS_KEY_LEN 32
#define PASS_MAC_LEN 32
#define TICKET_MS 60000
#define TICKET_AHEAD_MS 5000 /* the clock may have been set back a little meanwhile */

struct pass_key {
	bool known; /* false: nobody gets in */
	unsigned char octets[PASS_KEY_LEN];
};
/* From the sealed memfd that parent handed over. False: it is none of that length. */
bool pass_key_read(struct pass_key *k, int fd);
void pass_key_done(struct pass_key *k); /* overwrites it */

/* False: there is no key, or the address is too long. */
bool ticket_make(const struct pass_key *k, uint16_t front, struct str address, uint64_t time_ms,
    unsigned char ret_mac[PASS_MAC_LEN]);
bool ticket_good(const struct pass_key *k, uint16_t front, struct str address, uint64_t time_ms,
    struct str mac, uint64_t now_ms);
bool pass_make(const struct pass_key *k, uint16_t front, uint64_t account,
    unsigned char ret_mac[PASS_MAC_LEN]);
bool pass_good(const struct pass_key *k, uint16_t front, uint64_t account, struct str mac);
