#include "work.h"

#include "letter.h"
#include "post.h"
#include "queue.h"

#include "base/check.h"
#include "base/wire.h"
#include "store/emb.h"
#include "store/fsck.h"
#include "store/mailbox.h"
#include "store/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAP_BYTES (64u << 20)
#define WINDOW 24 /* under way at most */

bool
work_say(struct work *w, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!w->says[0])
		vsnprintf(w->says, sizeof(w->says), fmt, ap);
	va_end(ap);
	return false;
}

void
work_tell(struct work *w, enum note what, uint32_t a, uint64_t b)
{
	facts_note(&w->facts, what, a, b);
	if (w->note)
		w->note(what, a, b);
}

bool
work_right_failure(const struct work *w, int rc)
{
	return w->may_fail && (rc == -EIO || rc == -ENOSPC);
}

/* --- opening --- */

static bool
open_store(struct work *w)
{
	char *uri = NULL;
	struct buf err = BUF_INIT(4096);
	struct store_options o = STORE_OPTIONS_DEFAULT;
	o.segment_bytes = w->plan.segment_bytes;
	o.map_bytes = MAP_BYTES;
	o.gather = w->plan.seed & 1;
	check(asprintf(&uri, "emb:%s", w->dir) > 0);
	int r = store_open(&w->s, uri, &o, &err);
	if (r < 0) {
		w->s = NULL;
		w->dead = true;
		if (!w->may_fail)
			work_say(w, "it does not open: %s", buf_cstr(&err));
	}
	buf_done(&err);
	free(uri);
	return r == 0;
}

static void
close_store(struct work *w)
{
	w->s = store_close(w->s);
}

/* --- questions and answers --- */

struct ask {
	struct work *w;
	enum plan_kind kind;
	uint32_t a;
	uint64_t b;
};

static struct ask *
ask_new(struct work *w, enum plan_kind kind, uint32_t a, uint64_t b)
{
	struct ask *k = xalloc(sizeof(*k));
	*k = (struct ask){ w, kind, a, b };
	w->under_way++;
	return k;
}

static void
answer_letter(struct ask *k, int rc)
{
	struct work *w = k->w;
	if (rc == 0)
		work_tell(w, NOTE_ACCEPTED, k->a, 0);
	else if (rc == -EIO && w->may_fail)
		w->dead = true; /* nobody knows */
	else if (rc == -ENOSPC && w->may_fail && k->kind == PLAN_LETTER)
		work_tell(w, NOTE_REFUSED, k->a, 0);
	else if (rc == -ENOSPC && w->may_fail)
		return; /* a repeat: what was accepted stays accepted */
	else
		work_say(w, "letter %u is refused: %s", k->a, strerror(-rc));
}

static void
answered(void *arg, const struct store_res *res)
{
	struct ask *k = arg;
	struct work *w = k->w;
	w->under_way--;
	if (k->kind == PLAN_LETTER || k->kind == PLAN_REPEAT)
		answer_letter(k, res->rc);
	else if (res->rc == 0 && k->kind == PLAN_DELETE)
		work_tell(w, NOTE_DELETED, k->a, k->b);
	else if (res->rc == 0 && k->kind == PLAN_BATCH)
		work_tell(w, NOTE_PUT, k->a, res->slot[0]);
	else if (work_right_failure(w, res->rc))
		w->dead |= res->rc == -EIO;
	else if (res->rc < 0)
		work_say(w, "operation of kind %u fails: %s", k->kind, strerror(-res->rc));
	free(k);
}

static void
do_letter(struct work *w, const struct plan_op *op)
{
	uint32_t i = plan_index(op->letter);
	work_tell(w, NOTE_ASKED, i, 0);
	letter_hand_in(w->s, op, answered, ask_new(w, PLAN_LETTER, i, 0));
}

/* A letter that is gone again comes not back either, so such a one is looked for first. */
static void
do_repeat(struct work *w, const struct plan_op *op)
{
	enum { TRIES = 48, SETTLE = 24 };
	for (uint32_t tries = 0; w->facts.next > 1 && tries < TRIES; tries++) {
		uint32_t i = (uint32_t)((op->r + tries * 7919u) % (w->facts.next - 1));
		struct plan_op old = plan_op(&w->plan, i);
		bool gone = w->facts.deleted[i][old.first] == 2;
		if (w->facts.letter[i] != FACT_ACCEPTED || (!gone && tries < SETTLE))
			continue;
		letter_hand_in(w->s, &old, answered, ask_new(w, PLAN_REPEAT, i, 0));
		return;
	}
}

struct find {
	uint64_t letter;
	uint32_t uid;
};

static bool
find_one(void *arg, const struct mailbox_letter *l)
{
	struct find *f = arg;
	if (l->letter != f->letter)
		return true;
	f->uid = l->uid;
	return false;
}

static void
delete_letter(struct work *w, uint32_t i, uint32_t account)
{
	struct store_dom d = store_dom_mailbox(account, MAILBOX_INBOX);
	struct plan_op op = plan_op(&w->plan, i);
	struct find f = { .letter = op.letter };
	struct store_snap *sn = NULL;
	int r = store_snap_open(w->s, &d, &sn, NULL);
	if (r < 0) {
		w->dead = w->may_fail || !work_say(w, "a snapshot does not open: %s", strerror(-r));
		return;
	}
	r = mailbox_each(sn, 1, find_one, &f);
	store_snap_close(sn);
	if (r < 0 || !f.uid) {
		work_say(w, "letter %u of account %u is gone before it is deleted", i, account);
		return;
	}
	struct store_batch *b = store_batch_new(w->s, &d);
	mailbox_expunge(b, f.uid);
	if (i % 2) {
		char mark[DEDUP_KEY_MAX];
		store_del(b, letter_mark(mark, &op, account));
	}
	work_tell(w, NOTE_DELETING, i, account);
	store_commit(b, STORE_DURABLE, answered, ask_new(w, PLAN_DELETE, i, account));
}

/* One letter, or so many that space is worth getting back. */
static void
do_delete(struct work *w, const struct plan_op *op)
{
	uint32_t left = (op->r >> 20) % 4 ? 1 : 20;
	for (uint32_t tries = 0; left && w->facts.next > 1 && tries < 16 + left * 2; tries++) {
		uint32_t i = (uint32_t)((op->r + tries * 7919u) % (w->facts.next - 1));
		struct plan_op old = plan_op(&w->plan, i);
		uint32_t account = old.first + (uint32_t)((op->r >> 40) + tries) % old.count;
		if (w->facts.letter[i] != FACT_ACCEPTED || w->facts.deleted[i][account])
			continue;
		delete_letter(w, i, account);
		left--;
	}
}

/* A sum and two keys that must always agree with it. */
static void
do_batch(struct work *w, const struct plan_op *op)
{
	uint32_t account = 1 + (uint32_t)(op->r % FACTS_ACCOUNTS);
	struct store_dom d = store_dom_account(account);
	struct store_batch *b = store_batch_new(w->s, &d);
	unsigned char marker[8];
	store_slot_marker(marker, 0);
	store_add(b, STR("c|sum"), 1, 0);
	store_put(b, STR("c|x"), str_n(marker, sizeof(marker)), 1);
	store_put(b, STR("c|y"), str_n(marker, sizeof(marker)), 1);
	work_tell(w, NOTE_PUTTING, account, w->facts.putting[account] + 1);
	store_commit(b, op->r >> 32 & 1 ? STORE_APPLIED : STORE_DURABLE, answered,
	    ask_new(w, PLAN_BATCH, account, 0));
}

static void
do_abandon(struct work *w, const struct plan_op *op)
{
	struct store_body *b = store_body_new(w->s, op->letter);
	(void)store_body_write(b, STR("half a letter"));
	(void)store_body_spill(b);
	store_body_free(b);
}

static void
do_read(struct work *w, const struct plan_op *op)
{
	struct store_dom d = store_dom_mailbox(1 + op->r % FACTS_ACCOUNTS, MAILBOX_INBOX);
	struct store_snap *sn = NULL;
	struct mailbox_head h;
	int r = store_snap_open(w->s, &d, &sn, NULL);
	if (r < 0) {
		w->dead = w->may_fail || !work_say(w, "a snapshot does not open: %s", strerror(-r));
		return;
	}
	(void)mailbox_head_read(sn, &h);
	store_snap_close(sn);
}

static void
do_keep(struct work *w, const struct plan_op *op)
{
	if (op->r >> 30 & 1)
		post_do(w, op); /* while space is got back */
	if (op->r % 2)
		store_sync(w->s, answered, ask_new(w, PLAN_KEEP, 0, 0));
	else
		emb_tidy(w->s);
	store_retry(w->s);
}

static void
do_wait(struct work *w, const struct plan_op *op)
{
	store_wait(w->s);
}

static void
do_run(struct work *w, const struct plan_op *op)
{
	store_run(w->s);
	if (op->r % 4 == 0)
		usleep((useconds_t)(op->r >> 8) % 3000);
}

static void (*const doers[])(struct work *, const struct plan_op *) = {
	[PLAN_LETTER] = do_letter,
	[PLAN_REPEAT] = do_repeat,
	[PLAN_DELETE] = do_delete,
	[PLAN_BATCH] = do_batch,
	[PLAN_ABANDON] = do_abandon,
	[PLAN_WAIT] = do_wait,
	[PLAN_RUN] = do_run,
	[PLAN_READ] = do_read,
	[PLAN_KEEP] = do_keep,
	[PLAN_POST] = post_do,
	[PLAN_QUEUE] = queue_do,
};

/* --- a life --- */

static void
take_res(void *arg, const struct store_res *res)
{
	*(struct store_res *)arg = *res;
}

static void
make_accounts(struct work *w)
{
	for (uint32_t i = 1; i <= FACTS_POST && !w->dead; i++) {
		char address[8] = { 'u', (char)('0' + i) };
		struct store_res res = { .rc = 1 };
		if (w->facts.account[i])
			continue;
		account_create(w->s, str_of(address), take_res, &res);
		store_wait(w->s);
		if (res.rc == 0 || res.rc == -EEXIST)
			work_tell(w, NOTE_ACCOUNT, i, 0);
		else if (work_right_failure(w, res.rc))
			w->dead = true;
		else
			work_say(w, "account %u is not made: %s", i, strerror(-res.rc));
	}
}

/* As front does after a restart: what was not answered is asked for, and answered now. */
static void
ask_again(struct work *w)
{
	for (uint32_t i = 0; i < w->facts.n; i++) {
		if (w->facts.letter[i] != FACT_ASKED)
			continue;
		int r = store_accepted(w->s, plan_op(&w->plan, i).letter);
		if (r == -EAGAIN && w->may_fail)
			continue; /* a merge waits for room: it is asked for in the next life */
		if (r < 0)
			w->dead = w->may_fail || !work_say(w, "letter %u: %s", i, strerror(-r));
		else
			work_tell(w, r == 1 ? NOTE_ACCEPTED : NOTE_REFUSED, i, 0);
	}
}

static void
sweep(struct work *w)
{
	struct store_res res = { .rc = 1 };
	account_sweep(w->s, take_res, &res);
	store_wait(w->s);
	if (res.rc < 0 && !work_right_failure(w, res.rc))
		work_say(w, "account_sweep: %s", strerror(-res.rc));
}

bool
work_live(struct work *w, uint32_t until)
{
	if (!open_store(w))
		return !w->says[0];
	sweep(w);
	ask_again(w);
	(void)(post_sweep(w) && post_judge(w));
	make_accounts(w);
	for (uint32_t i = w->facts.next; i < until && !w->says[0] && !w->dead; i++) {
		struct plan_op op = plan_op(&w->plan, i);
		work_tell(w, NOTE_STEP, i, 0);
		doers[op.kind](w, &op);
		if (op.r >> 50 & 1 || w->under_way >= WINDOW)
			store_go(w->s);
		if (w->under_way >= 1 + op.r % WINDOW)
			store_run(w->s);
		if (w->under_way >= WINDOW)
			store_wait(w->s);
	}
	store_wait(w->s);
	store_retry(w->s);
	store_wait(w->s);
	close_store(w);
	return !w->says[0];
}

/* --- a check --- */

struct box {
	struct work *w;
	uint32_t account;
	uint8_t *seen; /* by letter */
	uint64_t letters, bytes;
	uint32_t uid;
};

static bool
box_letter(void *arg, const struct mailbox_letter *l)
{
	struct box *b = arg;
	struct work *w = b->w;
	uint32_t i = plan_index(l->letter), a = b->account;
	struct plan_op op = plan_op(&w->plan, i);
	if (i >= w->facts.n || op.letter != l->letter)
		return work_say(w, "account %u has a letter that nobody sent", a);
	if (w->facts.letter[i] == FACT_NONE)
		return work_say(w, "account %u has letter %u, which was never sent", a, i);
	if (a < op.first || a >= op.first + op.count)
		return work_say(w, "account %u has letter %u, which is not for it", a, i);
	if (l->uid <= b->uid)
		return work_say(w, "account %u: the uids do not rise", a);
	if (b->seen[i]++)
		return work_say(w, "account %u has letter %u twice", a, i);
	if (!letter_is_whole(w->s, &op, a, l))
		return work_say(w, "account %u: letter %u is damaged", a, i);
	b->uid = l->uid;
	b->letters++;
	b->bytes += l->size;
	return true;
}

/* seen: what the mailbox has. */
static bool
read_box(struct work *w, uint32_t account, uint8_t *seen)
{
	struct store_dom d = store_dom_mailbox(account, MAILBOX_INBOX);
	struct store_snap *sn = NULL;
	struct mailbox_head h = { 0 };
	struct box b = { .w = w, .account = account, .seen = seen };
	int r = store_snap_open(w->s, &d, &sn, NULL);
	if (r < 0)
		return work_say(w, "account %u: %s", account, strerror(-r));
	r = mailbox_each(sn, 1, box_letter, &b);
	int head = mailbox_head_read(sn, &h);
	store_snap_close(sn);
	if (r < 0)
		return work_say(w, "account %u: its letters: %s", account, strerror(-r));
	if (b.letters && (head < 0 || h.messages != b.letters || h.bytes != b.bytes))
		return work_say(w, "account %u: its header does not count its letters", account);
	return !w->says[0];
}

static bool
judge_letter(struct work *w, uint32_t i, uint8_t *const *seen, uint8_t (*queued)[FACTS_PARTS])
{
	struct plan_op op = plan_op(&w->plan, i);
	enum fact fact = w->facts.letter[i];
	uint32_t there = 0;
	bool deleting =
	    false; /* perhaps it was accepted, seen and deleted, and no answer was noted */
	for (uint32_t a = op.first; a < op.first + op.count; a++) {
		uint8_t deleted = w->facts.deleted[i][a];
		bool here = seen[a][i];
		there += here;
		deleting |= deleted != 0;
		if (here && fact == FACT_NONE)
			return work_say(w, "letter %u is there and was never sent", i);
		if (here && fact == FACT_REFUSED)
			return work_say(w, "letter %u is there and was refused", i);
		if (here && deleted == 2)
			return work_say(w, "letter %u is there again, deleted from account %u", i,
			    a);
		if (!here && fact == FACT_ACCEPTED && deleted == 0)
			return work_say(w, "letter %u was acknowledged and account %u has lost it",
			    i, a);
	}
	if (!queue_judge(w, i, queued[i], &there, &deleting))
		return false;
	if (fact == FACT_ASKED && there != 0 && there != op.count + op.parts && !deleting)
		return work_say(w, "letter %u is in %u of %u mailboxes and entries", i, there,
		    op.count + op.parts);
	int r = store_accepted(w->s, op.letter);
	if (r < 0)
		return work_say(w, "letter %u: %s", i, strerror(-r));
	bool must = fact == FACT_ACCEPTED || there != 0, may = must || deleting;
	if (r ? !may : must)
		return work_say(w, "letter %u: the store says %s", i, r ? "accepted" : "unknown");
	return true;
}

static bool
number_at(struct store_snap *sn, const char *key, uint64_t *ret)
{
	struct str v;
	int r = store_get(sn, str_of(key), &v);
	*ret = r == 0 && v.len == 8 ? be64_get((const unsigned char *)v.p) : 0;
	return r == -ENOENT || (r == 0 && v.len == 8);
}

static bool
judge_account(struct work *w, uint32_t a)
{
	struct store_dom d = store_dom_account(a), g = store_dom_directory();
	struct store_snap *sn = NULL;
	uint64_t sum, x, y, number;
	char key[] = { 'u', '|', 'u', (char)('0' + a), '\0' };
	if (store_snap_open(w->s, &d, &sn, NULL) < 0)
		return work_say(w, "account %u: no snapshot", a);
	bool good =
	    number_at(sn, "c|sum", &sum) && number_at(sn, "c|x", &x) && number_at(sn, "c|y", &y);
	store_snap_close(sn);
	if (!good || x != sum || y != sum)
		return work_say(w, "account %u: half a batch", a);
	if (sum < w->facts.put[a] || sum > w->facts.putting[a])
		return work_say(w, "account %u: %llu batches, %llu were acknowledged of %llu", a,
		    (unsigned long long)sum, (unsigned long long)w->facts.put[a],
		    (unsigned long long)w->facts.putting[a]);
	if (!w->facts.account[a])
		return true;
	if (store_snap_open(w->s, &g, &sn, NULL) < 0)
		return work_say(w, "no snapshot of the directory");
	good = number_at(sn, key, &number) && number == a;
	store_snap_close(sn);
	return good || work_say(w, "account %u is gone", a);
}

static bool
judge(struct work *w)
{
	uint8_t *seen[FACTS_ACCOUNTS + 1] = { NULL };
	uint8_t(*queued)[FACTS_PARTS] = xalloc((w->facts.n + 2) * sizeof(*queued));
	bool good = queue_read(w, queued);
	for (uint32_t a = 1; a <= FACTS_ACCOUNTS; a++) {
		seen[a] = xalloc(w->facts.n + 2);
		good = good && read_box(w, a, seen[a]) && judge_account(w, a);
	}
	for (uint32_t i = 0; good && i < w->facts.n; i++)
		if (i == w->plan.n ||
		    (i < w->facts.next && plan_op(&w->plan, i).kind == PLAN_LETTER))
			good = judge_letter(w, i, seen, queued);
	for (uint32_t a = 1; a <= FACTS_ACCOUNTS; a++)
		free(seen[a]);
	free(queued);
	return good;
}

static bool
fsck(struct work *w)
{
	struct fsck_report f = { 0 };
	int r = fsck_run(w->dir, &f, NULL, NULL);
	bool clean = r == 0 && f.problems == 0;
	if (r < 0)
		work_say(w, "fsck cannot look: %s", strerror(-r));
	else if (!clean)
		work_say(w, "fsck: " STR_FMT, STR_ARG(buf_str(&f.text)));
	fsck_report_done(&f);
	return clean;
}

/* A client that has no answer sends the letter again; each must come once. */
static void
send_again(struct work *w)
{
	for (uint32_t i = 0; i < w->plan.n; i++) {
		struct plan_op op = plan_op(&w->plan, i);
		if (w->facts.letter[i] == FACT_ASKED && op.r % 4)
			do_letter(w, &op);
	}
	struct plan_op new = plan_op(&w->plan, w->plan.n);
	do_letter(w, &new);
	store_wait(w->s);
}

bool
work_check(struct work *w)
{
	if (!open_store(w))
		return false;
	sweep(w);
	bool good = judge(w) && post_sweep(w) && post_judge(w);
	if (good) {
		make_accounts(w);
		send_again(w);
	}
	close_store(w);
	if (!good || w->says[0] || !fsck(w) || !open_store(w))
		return false;
	good = judge(w) && post_judge(w);
	close_store(w);
	return good && !w->says[0];
}
