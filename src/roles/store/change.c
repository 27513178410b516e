#include "roles/store/change.h"

#include "log/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const struct desk_op writer_ops[] = {
	{ "domain.add", writer_op_domain_add, false },
	{ "domain.remove", writer_op_domain_remove, false },
	{ "domain.list", writer_op_domain_list, false },
	{ "user.add", writer_op_user_add, false },
	{ "user.remove", writer_op_user_remove, false },
	{ "user.list", writer_op_user_list, false },
	{ "user.quota", writer_op_user_quota, false },
	{ "alias.add", writer_op_alias_add, false },
	{ "alias.remove", writer_op_alias_remove, false },
	{ "alias.list", writer_op_alias_list, false },
	{ "mailbox.create", writer_op_mailbox_create, false },
	{ "mailbox.rename", writer_op_mailbox_rename, false },
	{ "mailbox.subscribe", writer_op_mailbox_subscribe, false },
	{ "mailbox.delete", writer_op_mailbox_delete, false },
	{ "backup.begin", writer_op_backup_begin, false },
	{ "backup.hold", writer_op_backup_hold, false },
	{ "backup.end", writer_op_backup_end, false },
	{ "import.open", writer_op_import_open, false },
	{ "import.marks", writer_op_import_marks, false },
	{ "import.forget", writer_op_import_forget, false },
	{ "import.letters", writer_op_import_letters, false },
	{ "queue.list", writer_op_queue_list, false },
	{ "queue.count", writer_op_queue_count, false },
	{ "queue.show", writer_op_queue_show, false },
	{ "queue.why", writer_op_queue_why, false },
	{ "queue.retry", writer_op_queue_retry, false },
	{ "queue.hold", writer_op_queue_hold, false },
	{ "queue.release", writer_op_queue_release, false },
	{ "queue.bounce", writer_op_queue_bounce, false },
	{ "queue.delete", writer_op_queue_delete, false },
	{ "queue.flush", writer_op_queue_flush, false },
	{ "queue.targets", writer_op_queue_targets, false },
	{ "queue.totals", writer_op_queue_totals, false },
	{ NULL, NULL, false },
};

static void
run_next(void *arg)
{
	struct store_role *r = arg;
	const struct store_dom dom = store_dom_directory();
	struct store_snap *sn;
	uint64_t ver;
	if (r->changing || list_empty(&r->changes))
		return;
	struct change *c = list_entry(r->changes.next, struct change, node);
	r->changing = true;
	int rc = store_snap_open(r->store, &dom, &sn, &ver);
	writer_check(rc);
	if (rc < 0) {
		writer_change_refuse(c, CTL_FAILED, "the directory cannot be read: %s",
		    strerror(-rc));
		return;
	}
	bool fine = c->kind->allow(c, sn);
	store_snap_close(sn);
	if (fine)
		c->kind->commit(c);
}

void
writer_changes_init(struct store_role *r)
{
	list_init(&r->changes);
	loop_defer_init(&r->change_next, run_next, r);
}

void
writer_changes_done(struct store_role *r)
{
	loop_defer_del(&r->change_next);
	list_each(n, &r->changes)
	{
		struct change *c = list_entry(n, struct change, node);
		desk_done(c->ask, CTL_FAILED,
		    "%s was not changed: the server stops; try again when it runs", c->name);
		list_del(&c->node);
		free(c->members);
		free(c);
	}
}

struct change *
writer_change_new(struct store_role *r, struct desk_ask *a, const struct change_kind *kind,
    const char *name, char *members)
{
	struct change *c = xalloc(sizeof(*c));
	*c = (struct change){ .role = r, .ask = a, .kind = kind, .members = members };
	check(str_copy(c->name, sizeof(c->name), str_of(name)));
	list_add_tail(&r->changes, &c->node);
	loop_defer_add(r->loop, &r->change_next);
	return c;
}

/* Its answer is sent. */
static void
change_free(struct change *c)
{
	struct store_role *r = c->role;
	list_del(&c->node);
	free(c->members);
	free(c);
	r->changing = false;
	loop_defer_add(r->loop, &r->change_next);
}

void
writer_change_refuse(struct change *c, enum ctl_code code, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	desk_done(c->ask, code, "%s", text);
	change_free(c);
}

void
writer_change_committed(void *arg, const struct store_res *res)
{
	struct change *c = arg;
	writer_check(res->rc);
	if (res->rc == -ENOSPC) {
		writer_change_refuse(c, CTL_FAILED,
		    "%s was not changed: the disk is full; make room and try again", c->name);
		return;
	}
	if (res->rc == -EEXIST) {
		writer_change_refuse(c, CTL_EXISTS, "%s exists", c->name);
		return;
	}
	if (res->rc == -ENOENT) {
		writer_change_refuse(c, CTL_NOT_FOUND, "there is no %s", c->name);
		return;
	}
	if (res->rc < 0) {
		writer_change_refuse(c, CTL_FAILED, "%s was not changed: %s", c->name,
		    strerror(-res->rc));
		return;
	}
	if (writer_directory_publish(c->role)) {
		desk_done(c->ask, CTL_OK, "%s", "");
		change_free(c);
	} else {
		writer_change_refuse(c, CTL_FAILED,
		    "%s is changed, but the directory for the fronts cannot be made; the log says "
		    "why",
		    c->name);
	}
}

void
writer_change_commit_record(struct change *c, char kind, struct str value)
{
	const struct store_dom dom = store_dom_directory();
	struct buf key = BUF_INIT(STORE_KEY_MAX);
	check(names_key(&key, kind, str_of(c->name)));
	struct store_batch *b = store_batch_new(c->role->store, &dom);
	if (value.p)
		store_put(b, buf_str(&key), value, 0);
	else
		store_del(b, buf_str(&key));
	buf_done(&key);
	store_commit(b, STORE_APPLIED, writer_change_committed, c);
}
