/*
 * Inside auth: the loop's thread holds the accounts; threads hash passwords and write the file.
 *
 * A change of the file is made in this order: hash, write (atomically and durably), then memory,
 * then the answer; one change at a time, so the file and memory never tell different stories.
 */
#pragma once

#include "base/list.h"
#include "conf/conf.h"
#include "ipc/chan.h"
#include "ipc/desk.h"
#include "loop/loop.h"
#include "roles/auth/hash.h"
#include "roles/auth/passwd.h"
#include "roles/auth/pool.h"

struct auth {
	struct loop *loop;
	struct conf *conf;
	struct chan *parent;
	struct desk *desk;
	struct pool *pool;
	struct passwd passwd;
	char path[CONF_TEXT_MAX + 32]; /* of the file, as we may name it inside the sandbox */
	char dummy[HASH_MAX];          /* checked in place of an unknown account's */
	struct list changes;           /* the first is being written when `writing` */
	bool writing;
	struct list listings;
	uint32_t layers;
	uint64_t n_logins, n_failed;
	bool draining;
	struct loop_timer *drain;
	int exit_status;
};

/* ops.c */
extern const struct desk_op auth_ops[];
void auth_listings_done(struct auth *au); /* ends them unfinished */

/* change.c: takes a question over. hash NULL: take the account away. */
void auth_change_new(struct auth *au, struct desk_ask *a, const char *name, const char *hash);
void auth_changes_done(struct auth *au); /* ends them unfinished */
