/*
 * window: one answer to an access_ask, written into the slot where the front reads it.
 *
 * A window shows a mailbox as one snapshot has it, and closes that before it is answered. What
 * does not fit is left for the next: then head.more is set, and head.next says where to go on. The
 * octets of letters are read into their place behind the row's head; a letter that fits into an
 * empty window is never cut.
 */
#pragma once

#include "access/access.h"
#include "conf/conf.h"
#include "roles/store/entry.h"
#include "store/mail.h"

#define WINDOW_LOOK_MAX 50000 /* records looked at for one window */

struct window {
	struct store *store;
	const struct access_ask *ask;
	uint64_t account; /* of the pass */
	const struct conf *conf;
	struct entry at;  /* the mailbox */
	uint32_t uid;     /* URL: the letter */
	struct buf out;   /* over the slot; it never grows. Rows stand behind room for the head */
	struct access_head head;
	char next_name[ACCESS_NAME_MAX]; /* what head.next.name is a view of */
};

/* Fills slot, which holds ACCESS_WINDOW octets. *ret_len is set with ACCESS_OK. */
enum access_status window_fill(struct window *w, unsigned char *slot, uint32_t *ret_len);

/* --- for its parts --- */
int window_snap(const struct window *w, struct store_snap **ret); /* of the mailbox */
/* The header; one that was never written is empty. Sets head.modseq. */
int window_head(struct window *w, struct store_snap *sn, struct mailbox_head *ret);
/* The row of a mailbox, and its keywords behind it. */
void window_put_mailbox(struct window *w, const struct mailbox_head *h, struct str name,
    unsigned attrs, uint32_t first_unseen);
int window_put_keywords(struct window *w, struct store_snap *sn);
/* What was put from mark on did not fit: it is taken back. False: it did. */
bool window_undo(struct window *w, size_t mark);
void window_more(struct window *w, uint32_t uid, uint64_t n);

int window_letters(struct window *w);   /* window_letters.c */
int window_uids(struct window *w);      /* window_uids.c */
int window_changes(struct window *w);   /* window_changes.c */
int window_mailboxes(struct window *w); /* window_names.c */
int window_token(struct window *w);     /* window_url.c */
int window_url(struct window *w);
enum access_status window_url_enter(struct window *w); /* who may, and where: w->at, w->uid */
