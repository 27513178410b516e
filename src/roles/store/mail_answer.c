/* What a change of mail came to, told to its front. */
#include "roles/store/mail_change.h"

#include "log/log.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
	int rc;
	enum access_status status;
} statuses[] = {
	{ 0, ACCESS_OK },
	{ -ENOENT, ACCESS_NOT_FOUND },
	{ -EEXIST, ACCESS_EXISTS },
	{ -EINVAL, ACCESS_CANNOT },
	{ -EPERM, ACCESS_CANNOT },
	{ -EISDIR, ACCESS_CANNOT },
	{ -ENOTEMPTY, ACCESS_CANNOT },
	{ -E2BIG, ACCESS_LIMIT },
	{ -ENOSPC, ACCESS_FULL },
	{ -EDQUOT, ACCESS_FULL },
};

static enum access_status
status_of(const struct mail_change *m, int rc)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i].rc == rc)
			return statuses[i].status;
	LOG(LOG_ERROR, 0, "mail-not-changed", LOGN("account", m->who), LOGN("change", m->c.kind),
	    LOGZ("error", strerror(-rc)));
	return ACCESS_FAILED;
}

/* --- the answer --- */

static struct str
put_ranges(struct buf *b, const struct mail_range *r, size_t n)
{
	size_t at = b->len;
	for (size_t i = 0; i < n; i++) {
		put_u32(b, r[i].first);
		put_u32(b, r[i].last);
	}
	/* The buffer does not move: all its room was taken at once. */
	return str_n(b->p + at, b->len - at);
}

/* Sets of more ranges than a message holds are left out: a client finds out by looking. */
static void
put_result(struct buf *b, const struct mail_result *res)
{
	size_t octets = (res->n_uids + res->n_to + res->n_failed) * 8;
	struct buf sets = BUF_INIT(MSG_CHANGE_MAX);
	struct access_changed c = {
		.modseq = res->modseq, .uidvalidity = res->uidvalidity, .mailbox = res->mailbox
	};
	if (octets && octets < MSG_CHANGE_MAX - 64 && buf_reserve(&sets, octets)) {
		c.uids = put_ranges(&sets, res->uids, res->n_uids);
		c.to_uids = put_ranges(&sets, res->to, res->n_to);
		c.failed = put_ranges(&sets, res->failed, res->n_failed);
	}
	access_changed_put(b, &c);
	buf_done(&sets);
}

static void
answer(struct mail_change *m, enum access_status status, const struct mail_result *res)
{
	struct front_peer *f = m->front;
	struct buf octets = BUF_INIT(MSG_CHANGE_MAX), b = BUF_INIT(MSG_CHANGE_MAX + 64);
	if (!f->chan || f->life != m->life)
		return;
	f->n_changes--;
	if (status == ACCESS_OK && res)
		put_result(&octets, res);
	const struct msg_access_done done = { .status = (uint8_t)status,
		.octets = buf_str(&octets) };
	msg_access_done_put(&b, &done);
	check(!b.failed);
	writer_front_send(f, IPC_CHANGE_DONE, m->id, buf_str(&b), -1);
	buf_done(&octets);
	buf_done(&b);
}

void
mail_change_end(struct mail_change *m, enum access_status status, const struct mail_result *res)
{
	m->role->body_memory -= m->memory;
	list_del(&m->node);
	answer(m, status, res);
	free(m);
}

/* --- the end, by kind --- */

/* Names may have changed even when it failed. */
static void
forget_names(struct mail_change *m)
{
	entries_forget(&m->role->entries, m->account);
}

/* A new mailbox's uidvalidity is in its header. */
static uint32_t
uidvalidity_of(struct mail_change *m, uint32_t mailbox)
{
	const struct store_dom dom = store_dom_mailbox(m->account, mailbox);
	struct mailbox_head h;
	struct store_snap *sn;
	int rc = store_snap_open(m->role->store, &dom, &sn, NULL);
	writer_check(rc);
	if (rc < 0)
		return 0;
	rc = mailbox_head_read(sn, &h);
	store_snap_close(sn);
	return rc == 0 ? h.uidvalidity : 0;
}

void
mail_changed(void *arg, const struct mail_result *res)
{
	struct mail_change *m = arg;
	struct mail_result r = *res;
	writer_check(r.rc);
	switch ((enum access_change_kind)m->c.kind) {
	case ACCESS_CREATE:
		forget_names(m);
		if (r.rc == 0)
			r.uidvalidity = uidvalidity_of(m, r.mailbox);
		break;
	case ACCESS_DELETE:
	case ACCESS_RENAME:
		forget_names(m);
		break;
	case ACCESS_COPY:
	case ACCESS_MOVE:
	case ACCESS_APPEND:
		r.mailbox = m->to.mailbox;
		break;
	case ACCESS_FLAGS:
	case ACCESS_EXPUNGE:
	case ACCESS_SUBSCRIBE:
	case ACCESS_UNSUBSCRIBE:
	case ACCESS_OUTLINES:
	case ACCESS_KEY:
	case ACCESS_CHANGE_COUNT:
		break;
	}
	/* A quota is looked at anew: letters went, or more came than was counted. */
	writer_usage_add(m->role, m->who, 0);
	mail_change_end(m, status_of(m, r.rc), &r);
}
