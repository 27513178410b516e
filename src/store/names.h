/*
 * names: changes of an account's names. Each is one batch of A, planned over a snapshot and refused
 * when anything in A has changed since; then it is planned again.
 */
#pragma once

#include "store/mail_priv.h"

#define INBOX STR("INBOX")

struct naming;
/* Adds to the batch what there is to do. 1: commit it; 0: there is nothing to do; or -errno. */
typedef int plan_fn(struct naming *w, struct store_snap *sn, struct store_batch *b);
typedef void then_fn(struct naming *w);

struct naming {
	struct store *s;
	mail_fn *fn;
	void *arg;
	struct mail_result res;
	uint64_t account;
	struct store_dom dom;
	struct buf name, to;
	uint32_t number, special;
	bool on;
	plan_fn *plan;
	then_fn *then; /* when it is committed, or there was nothing to do; NULL: that was all */
	unsigned attempts;
	int rc;
};
struct naming *naming_new(struct store *s, uint64_t account, struct str name, plan_fn *plan,
    mail_fn *fn, void *arg);
void naming_go(struct naming *w);
void naming_finish(struct naming *w, int rc);
void naming_refuse(struct naming *w, int rc); /* the same, from store_run() */

int name_fits(struct str name); /* 0, -EINVAL or -E2BIG */
bool name_is_inbox(struct str name);
/* kind, '|' and a name, in a buffer of the caller's. */
struct str name_key(char out[STORE_KEY_MAX + 2], char kind, struct str name);
/* 1: the name is there and *ret its number, 0 or -errno. */
int name_look_up(struct store_snap *sn, struct str name, uint32_t *ret);
int names_below(struct store_snap *sn, struct str name, store_scan_fn *fn, void *arg);
/* kind: N or S. 0, -E2BIG: there are as many as there may be, or -errno. */
int names_room(struct store_snap *sn, char kind);
/* 1: there are names below it, other than `but` (or empty) and those below that. */
int name_has_children(struct store_snap *sn, struct str name, struct str but);
void name_put(struct store_batch *b, struct str name, uint32_t number);
void name_del(struct store_batch *b, struct str name);
/* Parents that are missing become names that cannot be selected. */
int parents_put(struct store_snap *sn, struct store_batch *b, struct str name);
/* Parents of `name` that cannot be selected go when nothing else is below them, and `kept` (or
 * empty) will not be either. */
int parents_del(struct store_snap *sn, struct store_batch *b, struct str name, struct str kept);
/* A new mailbox; w->on: the name is taken. 1, 0 or -errno. */
int mailbox_put(struct naming *w, struct store_snap *sn, struct store_batch *b, struct str name);
