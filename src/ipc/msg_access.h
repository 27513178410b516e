/*
 * msg_access: what fronts ask of the mail of an account, and what they are told; a part of
 * ipc/msg.h, which includes it and says what holds for all messages.
 *
 * What is asked and answered is access/access.h's; here it is octets.
 *
 * A front shows with each request that auth has let somebody in: the ticket of a login, once and
 * soon, and from then on the pass that it was given for it. Both are good for that front alone.
 *
 * READ answers stand in the slot that the request names. No request may name a slot that another
 * open one has; that is a breach. An answer that waits for the writer (access_ask.fresh) does not
 * hold up those that were asked for later.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define READ_SLOTS 16
#define READ_SLOT_SIZE (256u << 10)
#define READ_SLOTS_SIZE ((size_t)READ_SLOTS * READ_SLOT_SIZE)
#define MSG_MAC_LEN 32
#define MSG_ASK_MAX (64u << 10)    /* ACCESS_ASK_MAX */
#define MSG_CHANGE_MAX (1u << 20)  /* ACCESS_CHANGE_MAX */
#define MSG_ACCESS_STATUS_MAX 10   /* ACCESS_STATUS_COUNT */
#define MSG_CHANGES_MAX 4096       /* that a front may have open */
#define MSG_WATCHES_MAX 100000     /* that a front may have */

struct msg_enter {
	struct str address; /* as msg_sasl.account told it; <= 512 */
	uint64_t time_ms;   /* msg_sasl.ticket_ms */
	struct str mac;     /* 32: msg_sasl.ticket */
};
struct msg_entered {
	uint8_t status;     /* enum access_status */
	uint64_t account;   /* with ACCESS_OK */
	struct str mac;     /* 32, or empty without ACCESS_OK */
};
struct msg_pass {
	uint64_t account;
	struct str mac;     /* 32 */
};
struct msg_read {
	uint16_t slot;      /* < READ_SLOTS */
	struct msg_pass pass;
	struct str ask;     /* access_ask; <= MSG_ASK_MAX */
};
struct msg_read_done {
	uint8_t status;
	uint32_t len;       /* octets in the slot; <= READ_SLOT_SIZE */
};
struct msg_access_change {
	struct msg_pass pass;
	uint64_t session;   /* that asks, and the address that logged in: for what `trace` says */
	struct str address; /* <= 512 */
	struct str change;  /* access_change; <= MSG_CHANGE_MAX */
	struct str peer;    /* text of the address that the session comes from; <= 64 */
};
struct msg_access_done {
	uint8_t status;
	struct str octets;  /* access_changed, with ACCESS_OK; <= MSG_CHANGE_MAX */
};
struct msg_watch {
	struct msg_pass pass;
	uint32_t mailbox;   /* 0: the account itself: its mailboxes and subscriptions */
	uint64_t since;     /* modseq that front has seen; STIRRED at once if there is more */
};
struct msg_room {
	uint64_t account, octets;
};

void msg_enter_put(struct buf *b, const struct msg_enter *m);
bool msg_enter_get(struct str body, struct msg_enter *ret);
void msg_entered_put(struct buf *b, const struct msg_entered *m);
bool msg_entered_get(struct str body, struct msg_entered *ret);
void msg_read_put(struct buf *b, const struct msg_read *m);
bool msg_read_get(struct str body, struct msg_read *ret);
void msg_read_done_put(struct buf *b, const struct msg_read_done *m);
bool msg_read_done_get(struct str body, struct msg_read_done *ret);
void msg_access_change_put(struct buf *b, const struct msg_access_change *m);
bool msg_access_change_get(struct str body, struct msg_access_change *ret);
void msg_access_done_put(struct buf *b, const struct msg_access_done *m);
bool msg_access_done_get(struct str body, struct msg_access_done *ret);
void msg_watch_put(struct buf *b, const struct msg_watch *m);
bool msg_watch_get(struct str body, struct msg_watch *ret);
void msg_room_put(struct buf *b, const struct msg_room *m);
bool msg_room_get(struct str body, struct msg_room *ret);
