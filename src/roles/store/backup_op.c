/*
 * backup.begin, backup.hold, backup.end: what `pennypost backup` cannot do alone. The command
 * reads the store's files itself; here it learns how far they are consistent (the cut), and the
 * engine keeps every file where it is (a pin).
 *
 * A pin lives no longer than the channel it was asked on, and ends when nothing was heard there
 * for HOLD_MS, so a command that hangs does not keep space from being freed for ever. A command
 * whose last backup.hold was answered knows that the pin held all the time.
 */
#include "roles/store/change.h"

#include "log/log.h"
#include "roles/store/text.h"
#include "sys/clock.h"

#include <stdlib.h>

#define BACKUPS_MAX 4
#define HOLD_MS 120000

struct backup {
	struct list node; /* role->backups */
	struct store_role *role;
	uint64_t asker, pin;
	int64_t until; /* of the steady clock, unless something is heard before */
};

static void
backup_free(struct backup *b)
{
	store_unpin(b->role->store, b->pin);
	list_del(&b->node);
	free(b);
}

static struct backup *
find(struct store_role *r, uint64_t asker)
{
	list_each(n, &r->backups)
	{
		struct backup *b = list_entry(n, struct backup, node);
		if (b->asker == asker)
			return b;
	}
	return NULL;
}

static size_t
count(const struct store_role *r)
{
	size_t n = 0;
	list_each(node, &r->backups) n++;
	return n;
}

static void
put_cut(struct desk_ask *a, const struct store_cut *cut)
{
	static const char hex[] = "0123456789abcdef";
	char id[2 * sizeof(cut->id)], num[TEXT_NUM];
	for (size_t i = 0; i < sizeof(cut->id); i++) {
		id[2 * i] = hex[cut->id[i] >> 4];
		id[2 * i + 1] = hex[cut->id[i] & 15];
	}
	const struct str row[] = { str_n(id, sizeof(id)), text_u64(num, cut->lsn) };
	desk_row(a, row, ARRAY_LEN(row));
}

void
writer_op_backup_begin(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct store_role *r = arg;
	struct store_cut cut;
	if (find(r, desk_asker(a))) {
		desk_done(a, CTL_EXISTS, "a backup is under way on this connection");
		return;
	}
	if (count(r) >= BACKUPS_MAX) {
		desk_done(a, CTL_REFUSED,
		    "%d backups are under way; wait for one of them to end, then try again",
		    BACKUPS_MAX);
		return;
	}
	struct backup *b = xalloc(sizeof(*b));
	*b = (struct backup){ .role = r,
		.asker = desk_asker(a),
		.pin = store_pin(r->store),
		.until = sys_mono_ms() + HOLD_MS };
	list_add_tail(&r->backups, &b->node);
	int rc = store_cut(r->store, &cut);
	writer_check(rc);
	if (rc < 0) {
		desk_done(a, CTL_FAILED, "the store's position cannot be told: %s", strerror(-rc));
		backup_free(b);
		return;
	}
	put_cut(a, &cut);
	desk_done(a, CTL_OK, "%s", "");
}

void
writer_op_backup_hold(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct backup *b = find(arg, desk_asker(a));
	char num[TEXT_NUM];
	if (!b) {
		desk_done(a, CTL_NOT_FOUND,
		    "the backup took a pause that was too long for the server; run it again");
		return;
	}
	b->until = sys_mono_ms() + HOLD_MS;
	const struct str row[] = { text_u64(num, HOLD_MS / 1000) };
	desk_row(a, row, ARRAY_LEN(row));
	desk_done(a, CTL_OK, "%s", "");
}

void
writer_op_backup_end(void *arg, struct desk_ask *a, const struct msg_ask *m)
{
	struct backup *b = find(arg, desk_asker(a));
	if (b)
		backup_free(b);
	desk_done(a, CTL_OK, "%s", "");
}

void
writer_backups_tick(struct store_role *r)
{
	int64_t now = sys_mono_ms();
	list_each(n, &r->backups)
	{
		struct backup *b = list_entry(n, struct backup, node);
		bool late = now >= b->until;
		if (!late && desk_asker_here(r->life.desk, b->asker))
			continue;
		if (late)
			LOG(LOG_WARN, 0, "backup-given-up", LOGZ("why", "nothing was heard of it"),
			    LOGN("seconds", HOLD_MS / 1000));
		backup_free(b);
	}
}

void
writer_backups_done(struct store_role *r)
{
	list_each(n, &r->backups) backup_free(list_entry(n, struct backup, node));
}
