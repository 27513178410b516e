/*
 * change: one change of domains, users or aliases, asked for on the command line.
 *
 * Changes run one after the other, so what one has checked still holds when it commits. A
 * change is answered when it is applied and the directory that shows it went to every front.
 */
#pragma once

#include "roles/store/names.h"
#include "roles/store/store_priv.h"

struct change;

struct change_kind {
	/* Looks for conflicts in a snapshot of the directory domain; false after
	 * writer_change_refuse(). */
	bool (*allow)(struct change *c, struct store_snap *sn);
	/* Hands the change to the engine, with writer_change_committed() as its end. */
	void (*commit)(struct change *c);
};

struct change {
	struct list node; /* role->changes */
	struct store_role *role;
	struct desk_ask *ask;
	const struct change_kind *kind;
	char name[NAME_MAX_FOLDED]; /* folded */
	char *members;              /* of an alias, one a line; names of mailboxes; or NULL */
	uint64_t account, number;   /* of a user; what its op takes besides */
};

/* Queues it. Takes members over. */
struct change *writer_change_new(struct store_role *r, struct desk_ask *a, const struct change_kind *kind,
    const char *name, char *members);
/* Ends without a change; c is gone afterwards. */
void writer_change_refuse(struct change *c, enum ctl_code code, const char *fmt, ...) PRINTF(3, 4);
/* store_fn of a commit that is the change. */
void writer_change_committed(void *arg, const struct store_res *res);

/* A batch of one put (or, value p NULL, one del) in the directory domain. */
void writer_change_commit_record(struct change *c, char kind, struct str value);

/* users.c, domains.c, aliases.c, lists.c, name_op.c, delete_op.c, backup_op.c, queue_op.c: the ops. */
void writer_op_user_add(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_user_remove(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_user_list(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_domain_add(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_domain_remove(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_import_open(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_import_marks(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_import_forget(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_import_letters(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_domain_list(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_alias_add(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_alias_remove(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_alias_list(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_mailbox_create(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_mailbox_rename(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_mailbox_subscribe(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_user_quota(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_mailbox_delete(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_backup_begin(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_backup_hold(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_backup_end(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_list(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_count(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_show(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_why(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_retry(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_hold(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_release(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_bounce(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_delete(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_flush(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_targets(void *arg, struct desk_ask *a, const struct msg_ask *m);
void writer_op_queue_totals(void *arg, struct desk_ask *a, const struct msg_ask *m);
