/*
 * Random operations on mem:, on emb: and on a model (store_model.h), side by side: what is
 * answered, what snapshots show, what bodies say and what mailboxes count must be the same.
 * emb: is closed and opened, loses its index, and is killed at work in a process of its own, of
 * which a whole number of operations must be left, and all that were acknowledged.
 *
 * PENNYPOST_SEED sets the seed, PENNYPOST_OPS the number of operations; a difference prints the
 * last of them and the seed that makes them again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/map.h"
#include "store/fsck.h"
#include "store/record.h"
#include "store_ops.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#define OPS 4000
#define OPS_SLOW 1500
#define WINDOW_MAX 600 /* operations between two comparisons */
#define TAIL 24
#define KILLED_MAX 300
#define START_MS 1000000

struct watcher {
	struct store_watch *w;
	uint64_t since, last;
	bool back; /* an older version came after a newer one */
};
struct holder {
	struct store_lease *l;
	unsigned lost;
};
struct side {
	struct store *s;
	struct store_res res[WINDOW_MAX];
	struct store_snap *snap[SNAPS];
	struct watcher watch[WATCHES];
	struct holder lease[LEASES];
	uint64_t last_epoch;
};
struct model_lease {
	bool there, current;
	unsigned lost;
	int64_t granted;
};

static struct {
	char *dir;
	struct side side[2]; /* mem, emb */
	struct model_dom dom[DOMS];
	struct model_box box[BOXES];
	struct model_queue queue;
	struct map accepted;
	struct store_res want[WINDOW_MAX]; /* rc 1: not foretold */
	bool written[WINDOW_MAX];
	size_t n; /* since the last comparison */
	struct model_lease lease[LEASES];
	unsigned snap_dom[SNAPS], watch_dom[WATCHES];
	struct buf snap_text[SNAPS];
	uint64_t number, first_seed;
	struct op tail[TAIL];
	unsigned reopened, rebuilt, killed, survived, stale, conflicts, deliveries;
} t;

/* --- a difference --- */

static void
differ(const char *what, const char *file, int line)
{
	uint64_t from = t.number > TAIL ? t.number - TAIL : 0;
	fprintf(stderr, "# %s (%s:%d)\n", what, file, line);
	for (uint64_t i = from; i < t.number; i++)
		op_say(&t.tail[i % TAIL], i);
	fprintf(stderr, "# again: PENNYPOST_SEED=%llu PENNYPOST_OPS=%llu\n",
	    (unsigned long long)t.first_seed, (unsigned long long)t.number + 1);
	fail();
}
#define must(expr)                                                                                 \
	do {                                                                                       \
		if (!(expr))                                                                       \
			differ(#expr, __FILE__, __LINE__);                                         \
	} while (0)

/* --- the clock of leases stands still but for OP_LEASE --- */

static int64_t now;

static int64_t
clock_ms(void)
{
	return __atomic_load_n(&now, __ATOMIC_SEQ_CST);
}

/* gather: letters wait for store_go(), which comes now and then. */
static struct store *
open_side(int k, bool gather)
{
	struct store_options o = kit_options();
	char uri[4200];
	o.clock_ms = clock_ms;
	o.gather = gather;
	snprintf(uri, sizeof(uri), k ? "emb:%s" : "mem:", t.dir);
	struct store *s = kit_open_with(uri, o);
	/* Compaction would raise versions at times of its own. */
	if (s)
		store_pin(s);
	return s;
}

/* --- what a domain holds, as text --- */

struct walk {
	struct buf text;
	struct store *s;
	bool box;
};

static void
put_letter(struct walk *w, struct str value)
{
	struct mailbox_letter l;
	must(mailbox_letter_get(value, &l));
	/* Places differ; what stands there must not. */
	char *p = xalloc(l.size + 1);
	must(mailbox_letter_read(w->s, &l, 0, p, l.size) == (ssize_t)l.size);
	buf_putf(&w->text, "%u %llu %llu %llx %llu %x ", l.uid, (unsigned long long)l.modseq,
	    (unsigned long long)l.letter, (unsigned long long)l.flags,
	    (unsigned long long)l.time_ms, l.ref.crc);
	buf_put(&w->text, p, l.size);
	free(p);
}

static void
put_entry(struct walk *w, struct str value)
{
	struct store_queued q;
	struct store_place place;
	must(queued_get(value, &q, &place));
	char *p = xalloc(q.size + 1);
	must(store_queue_read(w->s, &q, 0, p, q.size) == (ssize_t)q.size);
	buf_putf(&w->text, "%llu %x " STR_FMT " ", (unsigned long long)q.size, q.ref.crc,
	    STR_ARG(q.value));
	buf_put(&w->text, p, q.size);
	free(p);
}

static bool
walk_one(void *arg, struct str key, struct str value)
{
	struct walk *w = arg;
	buf_puts(&w->text, key);
	buf_putz(&w->text, "=");
	if (w->box && key.p[0] == 'R')
		put_letter(w, value);
	else if (key.p[0] == 't' && key.len == QUEUED_KEY_LEN)
		put_entry(w, value);
	else
		buf_puts(&w->text, value);
	buf_putz(&w->text, "\n");
	return true;
}

/* Number of all domains: the plain ones, the mailboxes, the queue. */
#define ALL_DOMS (DOMS + BOXES + 1)

static struct store_dom
any_dom(unsigned i)
{
	return i < DOMS ? plain_dom(i) : i < DOMS + BOXES ? box_dom(i - DOMS) : store_dom_queue(0);
}

static struct buf
snap_text(struct store *s, struct store_snap *sn, unsigned dom, uint64_t ver)
{
	struct walk w = {
		.text = BUF_INIT(SIZE_MAX / 2), .s = s, .box = dom >= DOMS && dom < DOMS + BOXES
	};
	static const struct {
		const char *from, *to;
		uint32_t limit;
		bool reverse;
	} scans[] = { { NULL, NULL, 0, false }, { NULL, NULL, 5, true }, { "k1", "k6", 3, true },
		{ "k1", "k6", 0, false }, { "C", "D", 4, true }, { "R|", "R}", 2, false },
		{ "t|", "t}", 3, true } };
	buf_putf(&w.text, "%llu\n", (unsigned long long)ver);
	for (size_t i = 0; i < ARRAY_LEN(scans); i++)
		must(store_scan(sn, str_of(scans[i].from), str_of(scans[i].to), scans[i].limit,
			 scans[i].reverse, walk_one, &w) == 0);
	return w.text;
}

static struct buf
text_of(int k, unsigned dom)
{
	struct store_dom d = any_dom(dom);
	struct store_snap *sn = NULL;
	uint64_t ver;
	must(store_snap_open(t.side[k].s, &d, &sn, &ver) == 0);
	struct buf b = snap_text(t.side[k].s, sn, dom, ver);
	store_snap_close(sn);
	return b;
}

static bool
same_dom(unsigned dom)
{
	struct buf a = text_of(0, dom), b = text_of(1, dom);
	bool same = str_eq(buf_str(&a), buf_str(&b));
	buf_done(&a);
	buf_done(&b);
	return same;
}

/* --- mem against the model --- */

struct modelled {
	const struct model_dom *d;
	size_t n;
};

static bool
item_is(void *arg, struct str key, struct str value)
{
	struct modelled *m = arg;
	must(m->n < m->d->n);
	const struct model_item *i = &m->d->item[m->n++];
	must(str_eq(key, str_n(i->key, i->key_len)));
	must(str_eq(value, str_n(i->value, i->value_len)));
	return true;
}

static void
plain_is(int k, unsigned dom)
{
	struct store_dom d = plain_dom(dom);
	struct modelled m = { &t.dom[dom], 0 };
	struct store_snap *sn = NULL;
	uint64_t ver;
	must(store_snap_open(t.side[k].s, &d, &sn, &ver) == 0);
	must(ver == m.d->ver);
	must(store_scan(sn, STR_NULL, STR_NULL, 0, false, item_is, &m) == 0);
	must(m.n == m.d->n);
	store_snap_close(sn);
}

struct counted {
	struct store *s;
	const struct model_box *b;
	uint64_t n, bytes;
	uint32_t uid;
	bool whole;
};

static bool
letter_is(void *arg, const struct mailbox_letter *l)
{
	struct counted *c = arg;
	must(l->uid > c->uid && l->uid <= c->b->n);
	while (++c->uid < l->uid)
		must(c->b->letter[c->uid - 1].gone);
	const struct model_letter *m = &c->b->letter[l->uid - 1];
	must(!m->gone && m->id == l->letter && m->size == l->size && m->modseq == l->modseq);
	must(!c->whole || kit_whole(c->s, l, m->body, m->blank));
	c->n++;
	c->bytes += l->size;
	return true;
}

/* The counters of the header against what is counted, and all of it against the model. */
static void
box_is(int k, unsigned box, bool whole)
{
	struct store_dom d = box_dom(box);
	struct counted c = { .s = t.side[k].s, .b = &t.box[box], .whole = whole };
	struct store_snap *sn = NULL;
	struct mailbox_head h = { 0 };
	uint64_t ver;
	must(store_snap_open(c.s, &d, &sn, &ver) == 0);
	must(ver == c.b->ver);
	must(mailbox_each(sn, 1, letter_is, &c) == 0);
	while (c.uid++ < c.b->n)
		must(c.b->letter[c.uid - 1].gone);
	int r = mailbox_head_read(sn, &h);
	must(r == 0 || (r == -ENOENT && c.b->n == 0));
	if (r == 0)
		must(h.messages == c.n && h.bytes == c.bytes && h.uidnext == c.b->n + 1 &&
		     h.modseq == c.b->modseq);
	store_snap_close(sn);
}

struct queued {
	size_t n;
	uint64_t letters, octets, last;
};

static bool
entry_is(void *arg, const struct store_queued *q)
{
	struct queued *x = arg;
	const struct model_entry *m = model_entry(&t.queue, q->letter, q->part);
	char state[8];
	must(m != NULL);
	snprintf(state, sizeof(state), "s%d", m->state);
	must(m->state < 0 ? q->state.p == NULL : str_eq(q->state, str_of(state)));
	x->n++;
	x->letters += q->letter != x->last;
	x->octets += q->letter != x->last ? q->ref.len : 0;
	x->last = q->letter;
	return true;
}

static void
queue_is(int k)
{
	struct store_dom d = store_dom_queue(0);
	struct store_snap *sn = NULL;
	struct queued x = { 0 };
	struct store_stats st;
	uint64_t ver;
	must(store_snap_open(t.side[k].s, &d, &sn, &ver) == 0);
	must(ver == t.queue.ver);
	must(store_queue_scan(sn, 0, 0, 0, entry_is, &x) == 0);
	store_snap_close(sn);
	must(x.n == t.queue.n);
	store_stats(t.side[k].s, &st);
	must(st.queue_entries == x.n && st.queue_letters == x.letters &&
	     st.queue_bytes == x.octets);
}

static bool
was_accepted(uint64_t id)
{
	return map_get(&t.accepted, str_n(&id, sizeof(id))) != NULL;
}

static void
compare_all(bool whole)
{
	for (unsigned i = 0; i < ALL_DOMS; i++)
		must(same_dom(i));
	for (unsigned i = 0; i < DOMS; i++)
		plain_is(1, i);
	for (unsigned i = 0; i < BOXES; i++)
		box_is(1, i, whole);
	queue_is(0);
	queue_is(1);
	for (int i = 0; i < 20; i++) {
		uint64_t id = 1 + draw(t.number / 6 + 60);
		for (int k = 0; k < 2; k++)
			must(store_accepted(t.side[k].s, id) == was_accepted(id));
	}
}

/* --- comparing what was answered --- */

static void
compare_answers(void)
{
	for (size_t i = 0; i < t.n; i++) {
		const struct store_res *a = &t.side[0].res[i], *b = &t.side[1].res[i];
		const struct store_res *want = &t.want[i];
		must(a->rc == b->rc && a->ver == b->ver);
		must(memcmp(a->slot, b->slot, sizeof(a->slot)) == 0);
		if (!t.written[i])
			continue;
		must(a->rc == want->rc && a->ver == want->ver);
		must(memcmp(a->slot, want->slot, sizeof(a->slot)) == 0);
		t.stale += a->rc == -ESTALE;
		t.conflicts += a->rc == -EAGAIN;
	}
	t.n = 0;
}

static void
compare_watches(void)
{
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < WATCHES; i++) {
			const struct watcher *w = &t.side[k].watch[i];
			unsigned dom = t.watch_dom[i];
			if (!w->w)
				continue;
			uint64_t ver = dom < DOMS ? t.dom[dom].ver : t.box[dom - DOMS].ver;
			must(!w->back);
			must(w->last == (ver > w->since ? ver : 0));
		}
}

static void
settle(void)
{
	for (int k = 0; k < 2; k++) {
		must(store_wait(t.side[k].s) == 0);
		store_run(t.side[k].s);
	}
	compare_answers();
	compare_watches();
}

/* --- those that write --- */

static struct store_res
foretell(const struct op *op)
{
	struct store_res res = { 0 };
	if (op->kind == OP_BATCH) {
		const struct model_lease *l = op->fence < 0 ? NULL : &t.lease[op->fence];
		return model_batch(&t.dom[op->dom], op, l && l->there && !l->current);
	}
	if (op->kind == OP_EXPUNGE)
		return model_expunge(&t.box[op->dom], op);
	if (op->kind == OP_QUEUE)
		return model_change(&t.queue, op);
	if (op->kind == OP_ACCEPT && !was_accepted(op->letter.id)) {
		uint64_t id = op->letter.id;
		static char yes;
		map_put(&t.accepted, str_n(&id, sizeof(id)), &yes);
		for (uint64_t i = 0; i < op->letter.count; i++)
			model_deliver(&t.box[op->letter.first - FIRST_BOX + i], &op->letter);
		t.deliveries += (unsigned)op->letter.count;
		model_enqueue(&t.queue, &op->letter, op->merge);
	}
	return res;
}

static void
do_written(const struct op *op)
{
	size_t i = t.n++;
	t.want[i] = foretell(op);
	t.written[i] = op->kind != OP_SYNC;
	for (int k = 0; k < 2; k++) {
		const struct side *side = &t.side[k];
		t.side[k].res[i] = (struct store_res){ .rc = 1 };
		do_write(side->s, op, op->fence >= 0 ? side->lease[op->fence].l : NULL, kit_take,
		    &t.side[k].res[i]);
		if (op->a % 3 == 0)
			store_go(side->s);
	}
	if (op->fence >= 0 && t.lease[op->fence].there)
		for (int k = 0; k < 2; k++)
			must(t.side[k].lease[op->fence].l != NULL);
}

/* --- snapshots --- */

static void
snap_end(size_t i)
{
	for (int k = 0; k < 2; k++) {
		struct side *side = &t.side[k];
		struct buf b = snap_text(side->s, side->snap[i], t.snap_dom[i], 0);
		must(str_eq(buf_str(&b), buf_str(&t.snap_text[i])));
		buf_done(&b);
		side->snap[i] = store_snap_close(side->snap[i]);
	}
	buf_done(&t.snap_text[i]);
}

static void
do_snap(const struct op *op)
{
	size_t i = op->a % SNAPS;
	uint64_t ver[2] = { 0 };
	if (t.side[0].snap[i])
		return snap_end(i);
	settle();
	t.snap_dom[i] = (unsigned)(op->b % ALL_DOMS);
	struct store_dom d = any_dom(t.snap_dom[i]);
	for (int k = 0; k < 2; k++)
		must(store_snap_open(t.side[k].s, &d, &t.side[k].snap[i], &ver[k]) == 0);
	must(ver[0] == ver[1]);
	t.snap_text[i] = snap_text(t.side[0].s, t.side[0].snap[i], t.snap_dom[i], 0);
}

/* --- watches --- */

static void
on_change(void *arg, const struct store_dom *d, uint64_t ver)
{
	struct watcher *w = arg;
	w->back = w->back || ver <= w->last || ver <= w->since;
	w->last = ver;
}

static void
watch_begin(int k, size_t i, uint64_t since)
{
	struct watcher *w = &t.side[k].watch[i];
	struct store_dom d = any_dom(t.watch_dom[i]);
	*w = (struct watcher){ .since = since };
	w->w = store_watch_new(t.side[k].s, &d, since, on_change, w);
}

static void
do_watch(const struct op *op)
{
	size_t i = op->a % WATCHES;
	if (t.side[0].watch[i].w) {
		for (int k = 0; k < 2; k++)
			t.side[k].watch[i].w = store_watch_free(t.side[k].watch[i].w);
		return;
	}
	unsigned dom = t.watch_dom[i] = (unsigned)(op->b % (DOMS + BOXES));
	/* What is there, with what is under way; or less. */
	uint64_t ver = dom < DOMS ? t.dom[dom].ver : t.box[dom - DOMS].ver;
	uint64_t since = op->b % 5 == 0 ? 0 : op->b % 5 == 1 ? ver / 2 : ver;
	for (int k = 0; k < 2; k++)
		watch_begin(k, i, since);
}

/* --- leases --- */

static void
on_lost(void *arg, struct store_lease *l)
{
	((struct holder *)arg)->lost++;
}

static struct store_dom
lease_dom(size_t i)
{
	return plain_dom(i % 2);
}

/* What each holder does once time has passed: renews, or has lost it. */
static void
leases_come_to(void)
{
	for (size_t i = 0; i < LEASES; i++) {
		struct model_lease *m = &t.lease[i];
		int64_t age = now - m->granted;
		if (!m->there || m->lost)
			continue;
		if (!m->current || age >= LEASE_TTL - LEASE_TTL / 3) {
			m->current = false;
			m->lost++;
		} else if (age >= LEASE_TTL / 3) {
			m->granted = now;
		}
	}
	for (int k = 0; k < 2; k++) {
		store_run(t.side[k].s);
		for (size_t i = 0; i < LEASES; i++)
			if (t.lease[i].there)
				must(t.side[k].lease[i].lost == t.lease[i].lost);
	}
}

static void
lease_put(size_t i)
{
	for (int k = 0; k < 2; k++)
		t.side[k].lease[i].l = store_lease_put(t.side[k].lease[i].l);
	t.lease[i] = (struct model_lease){ 0 };
}

static void
lease_get(size_t i)
{
	struct store_dom d = lease_dom(i);
	int want = 0;
	for (size_t n = 0; n < LEASES; n++) {
		struct model_lease *m = &t.lease[n];
		if (n % 2 != i % 2 || !m->there || m->lost)
			continue;
		if (m->current && now - m->granted < LEASE_TTL)
			want = -EBUSY;
	}
	for (int k = 0; k < 2; k++) {
		struct side *side = &t.side[k];
		struct holder *h = &side->lease[i];
		*h = (struct holder){ 0 };
		must(store_lease_get(side->s, &d, LEASE_TTL, on_lost, h, &h->l) == want);
		if (want < 0)
			continue;
		must(store_lease_epoch(h->l) > side->last_epoch);
		side->last_epoch = store_lease_epoch(h->l);
	}
	if (want < 0)
		return;
	for (size_t n = 0; n < LEASES; n++)
		if (n % 2 == i % 2)
			t.lease[n].current = false;
	t.lease[i] = (struct model_lease){ .there = true, .current = true, .granted = now };
}

/* A fenced batch before the holder has looked at the clock. */
static void
write_late(size_t i)
{
	const struct model_lease *m = &t.lease[i];
	bool stale = !m->current || now - m->granted >= LEASE_TTL - LEASE_TTL / 3;
	struct op op = { .kind = OP_BATCH, .dom = (unsigned)draw(DOMS), .fence = -1 };
	struct store_res want = model_batch(&t.dom[op.dom], &op, stale);
	for (int k = 0; k < 2; k++) {
		struct store_dom d = plain_dom(op.dom);
		struct store_batch *b = store_batch_new(t.side[k].s, &d);
		store_fence(b, t.side[k].lease[i].l);
		struct store_res res = kit_commit(t.side[k].s, b);
		must(res.rc == want.rc && res.ver == want.ver);
	}
}

static void
do_lease(const struct op *op)
{
	static const int64_t steps[] = { 0, 1, LEASE_TTL / 3 - 1, LEASE_TTL / 3, LEASE_TTL / 2,
		LEASE_TTL * 2 / 3 - 1, LEASE_TTL * 2 / 3, LEASE_TTL - 1, LEASE_TTL, 3 * LEASE_TTL };
	size_t i = op->a % LEASES, n = op->a / LEASES % LEASES;
	settle();
	__atomic_add_fetch(&now, steps[op->b % ARRAY_LEN(steps)], __ATOMIC_SEQ_CST);
	if (!t.lease[i].there)
		lease_get(i); /* before those who paused have run */
	else if (op->b % 7 == 0)
		lease_put(i);
	if (op->b % 3 == 0 && t.lease[n].there)
		write_late(n);
	leases_come_to();
	for (i = 0; i < LEASES; i++)
		if (t.lease[i].lost && op->b % 4 == 0)
			lease_put(i);
	settle();
}

/* --- emb ends and begins --- */

static void
drop_all(void)
{
	settle();
	for (size_t i = 0; i < SNAPS; i++)
		if (t.side[0].snap[i])
			snap_end(i);
	for (size_t i = 0; i < LEASES; i++)
		if (t.lease[i].there)
			lease_put(i);
	for (size_t i = 0; i < WATCHES; i++)
		t.side[1].watch[i].w = store_watch_free(t.side[1].watch[i].w);
}

static void
begin_again(void)
{
	t.side[1].s = open_side(1, (t.reopened + t.killed) % 2);
	must(t.side[1].s != NULL);
	/* Whoever watched says what it saw last, and hears of the rest. */
	for (size_t i = 0; i < WATCHES; i++) {
		struct watcher *w = &t.side[0].watch[i];
		if (!w->w)
			continue;
		watch_begin(1, i, w->since);
	}
}

static void
lose_index(void)
{
	char *index = kit_path(t.dir, "index");
	kit_remove(index);
	free(index);
	t.rebuilt++;
}

static void
find_no_fault(void)
{
	struct fsck_report r = { .text = BUF_INIT(1u << 20) };
	must(fsck_run(t.dir, &r, NULL, NULL) == 0);
	if (r.problems)
		fprintf(stderr, "# %s\n", buf_cstr(&r.text));
	must(r.problems == 0);
	fsck_report_done(&r);
}

static void
do_reopen(const struct op *op)
{
	drop_all();
	t.side[1].s = store_close(t.side[1].s);
	t.reopened++;
	if (op->a % 8 == 1)
		find_no_fault();
	if (op->a % 4 == 0)
		lose_index();
	begin_again();
	settle();
	compare_all(op->a % 8 == 0);
}

/* --- emb is killed at its work --- */

static const char *self;

static void
told(void *arg, const struct store_res *res)
{
	uint32_t number = (uint32_t)(uintptr_t)arg;
	check(res->rc != -EIO && write(STDOUT_FILENO, &number, sizeof(number)) == sizeof(number));
}

/* In the process that is killed: does n operations, and dies amid the answers. */
static int
work_and_die(char **argv)
{
	struct op op;
	t.dir = argv[0];
	seed = strtoull(argv[1], NULL, 0);
	uint64_t number = strtoull(argv[2], NULL, 0), n = strtoull(argv[3], NULL, 0);
	struct store *s = open_side(1, seed % 2);
	check(s != NULL);
	for (uint64_t i = 0; i < n; i++) {
		op = draw_op(true, number + i);
		/* A sync tells nothing of what is still under way. */
		do_write(s, &op, NULL, op.kind == OP_SYNC ? NULL : told,
		    (void *)(uintptr_t)(i + 1));
		if (op.a % 3 == 0)
			store_go(s);
		if (i % 16 == 15 || op.a % 29 == 0)
			store_run(s);
		if (op.a % 61 == 0)
			store_wait(s);
	}
	kill(getpid(), SIGKILL);
	return 1;
}

/* How many of its operations are known to be durable. */
static uint64_t
spawn_and_wait(const char *state, const char *number, const char *n)
{
	extern char **environ;
	char verb[] = "--killed", *name = xstrdup(self), *a = xstrdup(state), *b = xstrdup(number),
	     *c = xstrdup(n);
	char *argv[] = { name, verb, t.dir, a, b, c, NULL };
	posix_spawn_file_actions_t fa;
	int fd[2], status;
	pid_t pid;
	uint32_t got;
	uint64_t most = 0;
	check(pipe(fd) == 0 && posix_spawn_file_actions_init(&fa) == 0);
	posix_spawn_file_actions_adddup2(&fa, fd[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&fa, fd[0]);
	must(posix_spawn(&pid, "/proc/self/exe", &fa, NULL, argv, environ) == 0);
	posix_spawn_file_actions_destroy(&fa);
	close(fd[1]);
	while (read(fd[0], &got, sizeof(got)) == sizeof(got))
		most = MAX(most, got);
	close(fd[0]);
	must(waitpid(pid, &status, 0) == pid);
	must(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (size_t i = 0; i < ARRAY_LEN(argv); i++)
		if (argv[i] != verb && argv[i] != t.dir)
			free(argv[i]);
	return most;
}

static bool
all_same(void)
{
	for (unsigned i = 0; i < ALL_DOMS; i++)
		if (!same_dom(i))
			return false;
	return true;
}

/* One after another on mem, until both hold the same. */
static void
find_survivors(uint64_t number, uint64_t n, uint64_t acknowledged)
{
	for (uint64_t i = 0;; i++) {
		if (i >= acknowledged && all_same()) {
			t.survived += (unsigned)(i - acknowledged);
			return;
		}
		must(i < n);
		struct op op = draw_op(true, number + i);
		struct store_res want = foretell(&op), res = { .rc = 1 };
		do_write(t.side[0].s, &op, NULL, kit_take, &res);
		must(store_wait(t.side[0].s) == 0);
		must(op.kind == OP_SYNC || (res.rc == want.rc && res.ver == want.ver));
	}
}

static void
do_kill(const struct op *op)
{
	char state[32], number[32], count[32];
	uint64_t n = op->b % KILLED_MAX + 1, here = seed;
	drop_all();
	t.side[1].s = store_close(t.side[1].s);
	snprintf(state, sizeof(state), "%llu", (unsigned long long)op->a + 1);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)t.number);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)n);
	uint64_t acknowledged = spawn_and_wait(state, number, count);
	t.killed++;
	if (op->a % 4 == 0)
		lose_index();
	begin_again();
	seed = op->a + 1;
	find_survivors(t.number, n, acknowledged);
	seed = here;
	settle();
	compare_all(false);
}

/* --- all of it --- */

static void
do_wait(const struct op *op)
{
	if (op->a % 3 < 2) {
		must(store_wait(t.side[op->a % 3].s) == 0);
		return;
	}
	settle();
	unsigned dom = (unsigned)(op->b % ALL_DOMS);
	must(same_dom(dom));
	if (dom < DOMS)
		plain_is(0, dom);
	else if (dom < DOMS + BOXES)
		box_is(0, dom - DOMS, false);
}

/* Its deliveries are in many groups, among those of others, so nothing else is under way. */
static void
do_merge(const struct op *op)
{
	struct op accept = *op;
	settle();
	for (int k = 0; k < 2; k++)
		must(merge_letter(t.side[k].s, &op->letter) == 0);
	accept.kind = OP_ACCEPT;
	accept.merge = true;
	(void)foretell(&accept);
}

static void
do_op(const struct op *op)
{
	static void (*const others[OP_KINDS])(const struct op *op) = { [OP_WAIT] = do_wait,
		[OP_SNAP] = do_snap,
		[OP_WATCH] = do_watch,
		[OP_LEASE] = do_lease,
		[OP_MERGE] = do_merge,
		[OP_REOPEN] = do_reopen,
		[OP_KILL] = do_kill };
	if (t.n == WINDOW_MAX)
		settle();
	if (others[op->kind])
		others[op->kind](op);
	else
		do_written(op);
}

/* fsck wants an address for each account. */
static void
name_accounts(struct store *s)
{
	struct store_dom d = store_dom_directory();
	struct store_batch *b = store_batch_new(s, &d);
	for (uint64_t i = 0; i < FIRST_BOX + BOXES; i++) {
		unsigned char value[8];
		char key[32];
		snprintf(key, sizeof(key), "u|%llu@example.com", (unsigned long long)i);
		be64_put(value, i);
		store_put(b, str_of(key), str_n(value, sizeof(value)), 0);
	}
	must(kit_commit(s, b).rc == 0);
}

static uint64_t
setting(const char *name, uint64_t otherwise)
{
	const char *given = getenv(name);
	return given && *given ? strtoull(given, NULL, 0) : otherwise;
}

static void
same_as_the_oracle(void **state)
{
	uint64_t ops = setting("PENNYPOST_OPS", getenv("PENNYPOST_SLOW") ? OPS_SLOW : OPS);
	/* xorshift has no way out of 0. */
	t.first_seed = seed = setting("PENNYPOST_SEED", 20261122) | (uint64_t)1 << 63;
	print_message("# PENNYPOST_SEED=%llu PENNYPOST_OPS=%llu\n",
	    (unsigned long long)t.first_seed, (unsigned long long)ops);
	t.dir = kit_dir();
	now = START_MS;
	t.accepted = MAP_NULL;
	for (int k = 0; k < 2; k++) {
		assert_non_null(t.side[k].s = open_side(k, false));
		name_accounts(t.side[k].s);
	}
	for (t.number = 0; t.number < ops;) {
		struct op op = draw_op(false, t.number);
		t.tail[t.number % TAIL] = op;
		t.number++;
		do_op(&op);
	}
	drop_all();
	compare_all(true);
	struct store_stats st;
	store_stats(t.side[1].s, &st);
	print_message("# %u reopened, %u without index, %u killed (%u more survived), %u stale, "
		      "%u conflicts, %u deliveries, %llu segments\n",
	    t.reopened, t.rebuilt, t.killed, t.survived, t.stale, t.conflicts, t.deliveries,
	    (unsigned long long)st.segments);
	for (size_t i = 0; i < WATCHES; i++)
		store_watch_free(t.side[0].watch[i].w);
	for (int k = 0; k < 2; k++)
		store_close(t.side[k].s);
	find_no_fault();
	for (size_t i = 0; i < BOXES; i++)
		free(t.box[i].letter);
	map_done(&t.accepted);
	kit_dir_done(t.dir);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_the_oracle),
	};
	self = argv[0];
	if (argc == 6 && strcmp(argv[1], "--killed") == 0)
		return work_and_die(argv + 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
