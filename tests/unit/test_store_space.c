/* Space: what letters that are gone have taken comes back, and nothing else goes. Letters come
 * and go in a random order of a fixed seed; after each step of compaction and checkpoint an image
 * of the directory is what a crash would leave there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/emb.h"
#include "store/fsck.h"
#include "store/logread.h"
#include "store/record.h"
#include "store/resolve.h"
#include "store_kit.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define BOXES 3
#define SEGMENT (256u << 10)
#define SEED 20261122u

static uint64_t seed;

static uint32_t
chance(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

/* PENNYPOST_SPACE in the environment: longer, for those who change the engine. */
static bool
long_form(void)
{
	return getenv("PENNYPOST_SPACE") != NULL;
}

static int
set_up(void **state)
{
	seed = SEED;
	*state = kit_dir();
	return 0;
}

static int
tear_down(void **state)
{
	kit_dir_done(*state);
	return 0;
}

static struct store *
open_with(const char *dir, bool rebuild)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	o.segment_bytes = SEGMENT;
	o.rebuild_index = rebuild;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	struct store *s = kit_open_with(uri, o);
	free(uri);
	return s;
}

/* --- what there should be --- */

struct kept {
	uint64_t id;
	size_t n;
	uint32_t uid;
};

struct world {
	struct kept *box[BOXES + 1];
	size_t n[BOXES + 1], cap[BOXES + 1];
	uint32_t next_uid[BOXES + 1];
	uint64_t last;
	uint64_t live; /* octets of bodies, each once; blobs included */
};

static void
world_done(struct world *w)
{
	for (size_t b = 0; b <= BOXES; b++)
		free(w->box[b]);
}

static void
deliver(struct store *s, struct world *w, size_t n)
{
	uint64_t id = ++w->last, first = 1 + chance(BOXES), count = 1 + chance(BOXES);
	if (first + count > BOXES + 1)
		count = BOXES + 1 - first;
	struct kit_letter l = { .id = id, .first = first, .count = count, .n = n };
	assert_int_equal(kit_accept(s, l), 0);
	for (uint64_t b = first; b < first + count; b++) {
		if (w->n[b] == w->cap[b]) {
			w->cap[b] = w->cap[b] ? w->cap[b] * 2 : 64;
			w->box[b] = xrealloc(w->box[b], w->cap[b] * sizeof(struct kept));
		}
		w->box[b][w->n[b]++] = (struct kept){ id, n, ++w->next_uid[b] };
	}
}

static void
expunge(struct store *s, struct world *w, size_t b, size_t i)
{
	struct store_dom d = store_dom_mailbox(b, MAILBOX_INBOX);
	struct store_batch *batch = store_batch_new(s, &d);
	mailbox_expunge(batch, w->box[b][i].uid);
	assert_int_equal(kit_commit(s, batch).rc, 0);
	memmove(&w->box[b][i], &w->box[b][i + 1], (--w->n[b] - i) * sizeof(struct kept));
}

static void
verify(struct store *s, const struct world *w)
{
	for (size_t b = 1; b <= BOXES; b++) {
		struct store_dom d = store_dom_mailbox(b, MAILBOX_INBOX);
		struct store_snap *sn;
		struct mailbox_letter l;
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		for (size_t i = 0; i < w->n[b]; i++) {
			const struct kept *k = &w->box[b][i];
			assert_int_equal(mailbox_find(sn, k->uid, &l), 0);
			assert_int_equal(l.letter, k->id);
			assert_true(kit_whole(s, &l, k->n, false));
		}
		struct mailbox_head h;
		int r = mailbox_head_read(sn, &h);
		assert_true(r == 0 ? h.messages == w->n[b] : w->n[b] == 0);
		store_snap_close(sn);
	}
}

static uint64_t
live_octets(const struct world *w)
{
	uint64_t sum = 0;
	for (uint64_t id = 1; id <= w->last; id++) {
		bool found = false;
		for (size_t b = 1; b <= BOXES && !found; b++)
			for (size_t i = 0; i < w->n[b] && !found; i++)
				if (w->box[b][i].id == id) {
					found = true;
					sum += w->box[b][i].n;
				}
	}
	return sum;
}

static uint64_t
octets_in(const char *dir, const char *sub)
{
	char *path = kit_path(dir, sub);
	DIR *d = opendir(path);
	uint64_t sum = 0;
	struct stat st;
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, 0) == 0)
			sum += (uint64_t)st.st_size;
	closedir(d);
	free(path);
	return sum;
}

/* --- the whole index, but for its own record --- */

struct dump {
	struct buf keys;
	size_t n;
};

static void
dump_index(struct store *s, struct dump *ret)
{
	struct emb *e = s->impl;
	MDB_txn *txn;
	MDB_cursor *c;
	MDB_val k, v;
	*ret = (struct dump){ .keys = BUF_INIT(SIZE_MAX / 2) };
	assert_int_equal(applied_wait(e), 0);
	assert_int_equal(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, e->ix.dbi, &c), 0);
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		if (k.mv_size < 16)
			continue;
		put_str(&ret->keys, str_n(k.mv_data, k.mv_size));
		put_str(&ret->keys, str_n(v.mv_data, v.mv_size));
		ret->n++;
	}
	mdb_cursor_close(c);
	mdb_txn_abort(txn);
	assert_false(ret->keys.failed);
}

static void
show_difference(struct str a, struct str b)
{
	struct wire x = wire_of(a), y = wire_of(b);
	while (x.left && y.left) {
		struct str k = get_str(&x, SIZE_MAX), v = get_str(&x, SIZE_MAX);
		struct str k2 = get_str(&y, SIZE_MAX), v2 = get_str(&y, SIZE_MAX);
		if (str_eq(k, k2) && str_eq(v, v2))
			continue;
		print_message("%c %.2s (%zu octets) against %c %.2s (%zu octets)\n", k.p[0],
		    k.len > 17 ? k.p + 16 : "", v.len, k2.p[0], k2.len > 17 ? k2.p + 16 : "",
		    v2.len);
		return;
	}
}

/* An index made anew from what is in dir equals the one that grew. */
static void
same_again(const char *dir, const struct world *w)
{
	struct dump was, is;
	struct fsck_report report;
	struct store *s = open_with(dir, false);
	assert_non_null(s);
	dump_index(s, &was);
	store_close(s);
	s = open_with(dir, true);
	assert_non_null(s);
	dump_index(s, &is);
	if (!str_eq(buf_str(&was.keys), buf_str(&is.keys)))
		show_difference(buf_str(&was.keys), buf_str(&is.keys));
	assert_int_equal(was.n, is.n);
	assert_true(str_eq(buf_str(&was.keys), buf_str(&is.keys)));
	if (w)
		verify(s, w);
	store_close(s);
	buf_done(&was.keys);
	buf_done(&is.keys);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fsck_run(dir, &report, NULL, NULL), 0);
		/* The accounts have no addresses here. */
		struct str text = buf_str(&report.text);
		while (text.p && text.len) {
			struct str line = str_cut(&text, '\n');
			if (str_find_str(line, STR("no address leads to it")) == line.len)
				print_message("%.*s\n", (int)line.len, line.p);
			assert_true(str_find_str(line, STR("no address leads to it")) < line.len);
		}
		fsck_report_done(&report);
	}
}

/* --- letters come and go --- */

static size_t
some_size(void)
{
	switch (chance(40)) {
	case 0:
		return 300000; /* a blob */
	case 1:
	case 2:
		return 30000 + chance(60000);
	default:
		return 200 + chance(6000);
	}
}

static void
churn(struct store *s, struct world *w, size_t deliveries, uint32_t per_letter)
{
	for (size_t i = 0; i < deliveries; i++) {
		deliver(s, w, some_size());
		for (uint32_t j = 0; j < per_letter; j++) {
			size_t b = 1 + chance(BOXES);
			if (w->n[b] > 5 && chance(10) < 9)
				expunge(s, w, b, chance((uint32_t)w->n[b]));
		}
	}
}

static void
check_space(struct store *s, const char *dir, const struct world *w)
{
	struct store_stats st;
	emb_tidy(s);
	store_stats(s, &st);
	uint64_t live = MAX(live_octets(w), st.bytes_live);
	uint64_t all = octets_in(dir, "log") + octets_in(dir, "blob");
	if (all > 2 * live + 8 * SEGMENT)
		print_message("log and blobs %llu, live %llu\n", (unsigned long long)all,
		    (unsigned long long)live);
	assert_true(all <= 2 * live + 8 * SEGMENT);
}

static void
space_comes_back(void **state)
{
	const char *dir = *state;
	struct world w = { 0 };
	struct store *s = open_with(dir, false);
	struct store_stats st;
	uint64_t compactions = 0;
	assert_non_null(s);
	for (int phase = 0; phase < (long_form() ? 6 : 3); phase++) {
		churn(s, &w, 150, (uint32_t)(phase % 3) + 1);
		check_space(s, dir, &w);
		verify(s, &w);
		store_stats(s, &st);
		compactions += st.compactions;
		if (phase % 2) {
			store_close(s);
			same_again(dir, &w);
			s = open_with(dir, false);
			assert_non_null(s);
		}
	}
	/* All of them go. */
	for (size_t b = 1; b <= BOXES; b++)
		while (w.n[b])
			expunge(s, &w, b, w.n[b] - 1);
	check_space(s, dir, &w);
	assert_int_equal(octets_in(dir, "blob"), 0);
	assert_true(octets_in(dir, "log") <= 8 * SEGMENT);
	assert_true(compactions > (long_form() ? 10 : 4));
	store_close(s);
	same_again(dir, &w);
	world_done(&w);
}

/* --- a store that must come to rest --- */

static void
small_letters_and_records_rest(void **state)
{
	const char *dir = *state;
	struct store *s = open_with(dir, false);
	struct store_stats a, b;
	char key[32], value[2000];
	memset(value, 'v', sizeof(value));
	for (uint64_t i = 1; i <= 600; i++) {
		assert_int_equal(kit_accept(s,
				     (struct kit_letter){
					 .id = i, .first = 1, .count = 1, .n = 0 }),
		    0);
		struct store_dom d = store_dom_account(i % 7 + 1);
		struct store_batch *batch = store_batch_new(s, &d);
		snprintf(key, sizeof(key), "k%llu", (unsigned long long)i % 150);
		store_put(batch, str_of(key), str_n(value, sizeof(value)), 0);
		assert_int_equal(kit_commit(s, batch).rc, 0);
	}
	emb_tidy(s);
	store_stats(s, &a);
	for (int i = 0; i < 5; i++)
		emb_tidy(s);
	store_stats(s, &b);
	assert_int_equal(a.durable_lsn, b.durable_lsn);
	assert_int_equal(a.compactions, b.compactions);
	assert_int_equal(kit_letters(s, 1, 0, NULL), 600);
	store_close(s);
}

/* --- crashes --- */

/* As kit_copy(), while a spare segment may change its name. */
static void
image_of(const char *from, const char *to)
{
	DIR *d = opendir(from);
	assert_non_null(d);
	assert_int_equal(mkdir(to, 0700), 0);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		static char p[1 << 16];
		struct stat st;
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st, 0) < 0)
			continue;
		char *a = kit_path(from, e->d_name), *b = kit_path(to, e->d_name);
		if (S_ISDIR(st.st_mode)) {
			image_of(a, b);
		} else {
			int in = open(a, O_RDONLY), out = open(b, O_WRONLY | O_CREAT, 0600);
			for (ssize_t n; in >= 0 && (n = read(in, p, sizeof(p))) > 0;)
				assert_int_equal(write(out, p, (size_t)n), n);
			if (in >= 0)
				close(in);
			else
				unlink(b);
			close(out);
		}
		free(a);
		free(b);
	}
	closedir(d);
}

struct steps {
	const char *dir;
	char *images;
	unsigned n, seen, every;
};

static void
keep_image(void *arg, const char *what)
{
	struct steps *st = arg;
	char name[64];
	if (st->seen++ % st->every || st->n >= 60)
		return;
	snprintf(name, sizeof(name), "%03u-%s", st->n++, what);
	char *to = kit_path(st->images, name);
	image_of(st->dir, to);
	free(to);
}

static void
crash_at_every_step(void **state)
{
	const char *dir = *state;
	struct world w = { 0 };
	struct steps st = {
		.dir = dir, .images = kit_path(dir, "../images"), .every = long_form() ? 1 : 2
	};
	struct store *s = open_with(dir, false);
	assert_non_null(s);
	assert_int_equal(mkdir(st.images, 0700), 0);
	churn(s, &w, 260, 0);
	for (int i = 0; i < 400; i++) {
		size_t b = 1 + chance(BOXES);
		if (w.n[b] > 3)
			expunge(s, &w, b, chance((uint32_t)w.n[b]));
	}
	struct emb *e = s->impl;
	mutex_lock(&e->m);
	e->step_arg = &st;
	e->step = keep_image;
	mutex_unlock(&e->m);
	emb_tidy(s);
	mutex_lock(&e->m);
	e->step = NULL;
	mutex_unlock(&e->m);
	verify(s, &w);
	store_close(s);
	assert_true(st.n >= (long_form() ? 8 : 4));
	DIR *d = opendir(st.images);
	for (struct dirent *x; (x = readdir(d)) != NULL;) {
		if (x->d_name[0] == '.')
			continue;
		char *image = kit_path(st.images, x->d_name);
		same_again(image, &w);
		s = open_with(image, false);
		assert_non_null(s);
		emb_tidy(s);
		verify(s, &w);
		store_close(s);
		same_again(image, &w);
		kit_remove(image);
		free(image);
	}
	closedir(d);
	free(st.images);
	world_done(&w);
}

/* A child delivers and expunges while it compacts, and is killed in the middle. What it has said
 * it did is there; what it was doing may be. */
static void
killed_child(const char *dir, int fd, uint64_t from)
{
	struct store *s = open_with(dir, false);
	check(s != NULL);
	struct emb *e = s->impl;
	seed = SEED + from;
	for (uint64_t id = from;; id++) {
		check(kit_accept(s,
			  (struct kit_letter){ .id = id, .first = 1, .count = 1, .n = 3000 }) == 0);
		check(write(fd, &id, sizeof(id)) == sizeof(id));
		if (id % 4 != 0) {
			struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
			struct store_batch *b = store_batch_new(s, &d);
			mailbox_expunge(b, (uint32_t)id); /* uid and id are the same here */
			check(kit_commit(s, b).rc == 0);
		}
		mutex_lock(&e->m);
		e->compact_now = true;
		cond_broadcast(&e->compact_cond);
		mutex_unlock(&e->m);
	}
}

struct survivors {
	struct store *s;
	uint64_t n, last;
};

static bool
is_whole(void *arg, const struct mailbox_letter *l)
{
	struct survivors *v = arg;
	assert_int_equal(l->uid, l->letter);
	assert_true(kit_whole(v->s, l, 3000, false));
	v->n += l->letter % 4 == 0;
	v->last = l->uid;
	return true;
}

static void
killed_while_it_compacts(void **state)
{
	const char *dir = *state;
	uint64_t next = 1;
	for (int round = 0; round < (long_form() ? 8 : 4); round++) {
		int fds[2];
		uint64_t id, acked = next - 1;
		assert_int_equal(pipe(fds), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			killed_child(dir, fds[1], next);
		}
		close(fds[1]);
		for (unsigned i = 0; i < 150 + (unsigned)round * 23; i++)
			if (read(fds[0], &id, sizeof(id)) == sizeof(id))
				acked = id;
		kill(pid, SIGKILL);
		while (read(fds[0], &id, sizeof(id)) == sizeof(id))
			acked = id;
		close(fds[0]);
		waitpid(pid, NULL, 0);
		struct store_snap *sn;
		struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
		struct store *s = open_with(dir, round % 2);
		struct mailbox_head h;
		assert_non_null(s);
		struct survivors v = { .s = s };
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(mailbox_head_read(sn, &h), 0);
		assert_int_equal(mailbox_each(sn, 1, is_whole, &v), 0);
		store_snap_close(sn);
		/* Every fourth stays. */
		assert_in_range(v.n, acked / 4, acked / 4 + 1);
		assert_true(h.uidnext > acked);
		next = h.uidnext;
		store_close(s);
		same_again(dir, NULL);
	}
}

/* --- readers --- */

/* Reads letters piece by piece from records that are old by then. 0: never anything but the
 * letter or -ESTALE. */
static int
slow_reader(const char *dir, int go)
{
	struct store_options o = kit_options();
	struct store *s = NULL;
	char *uri = NULL, c, got[512], want[512], *whole = xalloc(4096);
	struct buf err = BUF_INIT(1000);
	uint64_t stale = 0, read_ok = 0;
	o.read_only = true;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	if (read(go, &c, 1) != 1 || store_open(&s, uri, &o, &err) < 0)
		return 1;
	fcntl(go, F_SETFL, O_NONBLOCK);
	while (read(go, &c, 1) < 0) {
		struct mailbox_letter l[16], x;
		struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
		struct store_snap *sn;
		size_t n = 0;
		if (store_snap_open(s, &d, &sn, NULL) < 0)
			return 2;
		for (uint32_t uid = 1; uid <= 400 && n < ARRAY_LEN(l); uid++)
			if (mailbox_find(sn, uid * 4, &x) == 0)
				l[n++] = x;
		store_snap_close(sn);
		usleep(3000);
		for (size_t i = 0; i < n; i++) {
			char trace[64];
			l[i].prefix = STR_NULL;
			size_t head = (size_t)snprintf(trace, sizeof(trace), KIT_TRACE,
			    (unsigned long long)l[i].letter);
			kit_fill(whole, 3000, l[i].letter);
			for (uint64_t off = head; off + sizeof(got) < l[i].ref.len; off += 701) {
				ssize_t r = store_read(s, &l[i].ref, off, got, sizeof(got));
				memcpy(want, whole + off - head, sizeof(want));
				if (r == -ESTALE) {
					stale++;
					continue;
				}
				if (r != (ssize_t)sizeof(got))
					return 3;
				if (memcmp(got, want, sizeof(got)) != 0)
					return 4;
				read_ok++;
			}
		}
	}
	store_close(s);
	free(whole);
	free(uri);
	return read_ok ? 0 : 5;
}

static void
readers_never_see_another_letter(void **state)
{
	const char *dir = *state;
	int go[2], status;
	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		_exit(slow_reader(dir, go[0]));
	}
	struct store *s = open_with(dir, false);
	assert_non_null(s);
	struct store_stats st;
	for (uint64_t id = 1; id <= 1200; id++) {
		assert_int_equal(kit_accept(s,
				     (struct kit_letter){
					 .id = id, .first = 1, .count = 1, .n = 3000 }),
		    0);
		if (id == 20)
			assert_int_equal(write(go[1], "g", 1), 1);
		struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
		struct store_batch *b = store_batch_new(s, &d);
		/* Three of four go at once, the fourth lives for a while. */
		mailbox_expunge(b, (uint32_t)(id % 4 ? id : id > 200 ? id - 200 : 0));
		assert_int_equal(kit_commit(s, b).rc, 0);
		if (id % 40 == 0)
			emb_tidy(s);
	}
	store_stats(s, &st);
	assert_true(st.compactions > 5);
	assert_int_equal(write(go[1], "e", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	store_close(s);
	close(go[0]);
	close(go[1]);
}

static void
old_records_are_stale(void **state)
{
	const char *dir = *state;
	struct world w = { 0 };
	struct store *s = open_with(dir, false);
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	struct store_snap *sn;
	struct mailbox_letter old[2], now;
	char octets[100];
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 1, .first = 1, .count = 1, .n = 2000 }),
	    0);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 2, .first = 1, .count = 1, .n = 300000 }),
	    0);
	w.last = 2;
	w.next_uid[1] = 2;
	assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
	assert_int_equal(mailbox_find(sn, 1, &old[0]), 0);
	assert_int_equal(mailbox_find(sn, 2, &old[1]), 0);
	old[0].prefix = old[1].prefix = STR("Return-Path: <a@b>\r\nDelivered-To: c@d\r\n");
	store_snap_close(sn);
	assert_int_equal(store_read(s, &old[0].ref, 60, octets, 100), 100);
	for (int i = 0; i < 4; i++) {
		size_t n = w.n[1] + 8;
		churn(s, &w, 80, 0);
		for (size_t b = 1; b <= BOXES; b++)
			for (size_t j = b == 1 ? n : 0; w.n[b] > (b == 1 ? n : 0);)
				expunge(s, &w, b, j);
	}
	emb_tidy(s);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_read(s, &old[i].ref, 60, octets, 100), -ESTALE);
		assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
		assert_int_equal(mailbox_find(sn, old[i].uid, &now), 0);
		assert_int_equal(now.letter, old[i].letter);
		assert_int_equal(now.modseq, old[i].modseq);
		assert_true(now.ref.lsn != old[i].ref.lsn);
		assert_true(kit_whole(s, &now, i ? 300000 : 2000, false));
		/* Who would put the old record back comes too late. */
		struct buf b = BUF_INIT(4096);
		char key[6];
		mailbox_letter_put(&b, &old[i]);
		struct store_batch *batch = store_batch_new(s, &d);
		store_put(batch, str_n(key, letter_key(key, 77)), buf_str(&b), 0);
		store_snap_close(sn);
		buf_done(&b);
		if (i == 0)
			assert_int_equal(kit_commit(s, batch).rc, -EAGAIN);
		else
			store_batch_free(batch);
	}
	store_close(s);
	world_done(&w);
}

/* --- pins --- */

static void
a_pin_keeps_everything(void **state)
{
	const char *dir = *state;
	struct world w = { 0 };
	struct store_cut cut;
	struct store_stats a, b;
	struct store *s = open_with(dir, false);
	churn(s, &w, 150, 0);
	uint64_t pin = store_pin(s);
	assert_true(pin != 0);
	assert_int_equal(store_cut(s, &cut), 0);
	store_stats(s, &a);
	assert_int_equal(cut.lsn, a.durable_lsn);
	uint64_t blobs = octets_in(dir, "blob");
	for (size_t x = 1; x <= BOXES; x++)
		while (w.n[x])
			expunge(s, &w, x, 0);
	emb_tidy(s);
	store_stats(s, &b);
	assert_int_equal(b.compactions, a.compactions);
	assert_int_equal(octets_in(dir, "blob"), blobs);
	store_unpin(s, pin);
	emb_tidy(s);
	store_stats(s, &b);
	assert_true(b.compactions > a.compactions);
	assert_int_equal(octets_in(dir, "blob"), 0);
	store_close(s);
	world_done(&w);
}

/* --- intents --- */

/* The intent of a letter, as it stands in the first segment. */
static struct buf
intent_of(struct emb *e, uint64_t letter)
{
	struct logread r;
	struct frame f;
	enum frame_state state;
	struct str payload = STR_NULL;
	struct buf b = BUF_INIT(1u << 20);
	assert_int_equal(logread_open(&r, e->log, 1, 0), 0);
	for (;; logread_next(&r, &f)) {
		assert_int_equal(logread_head(&r, &f, &state), 0);
		assert_int_equal(state, FRAME_OK);
		if (f.type == FRAME_INTENT && f.id == letter)
			break;
	}
	assert_int_equal(logread_payload(&r, &f, &payload), 0);
	buf_puts(&b, payload);
	logread_close(&r);
	return b;
}

/* As an intent stands in the index until its letter is in every mailbox. payload NULL: done. */
static void
note_intent(struct emb *e, uint64_t letter, const struct buf *payload)
{
	struct store_dom q = store_dom_queue(0);
	struct index_write w;
	struct index_meta m;
	MDB_txn *txn;
	char key[DONE_KEY_LEN] = "q|";
	be64_put((unsigned char *)key + 2, letter);
	assert_int_equal(applied_wait(e), 0);
	assert_int_equal(mdb_txn_begin(e->ix.env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(index_meta_get(&e->ix, txn, &m), 0);
	mdb_txn_abort(txn);
	assert_int_equal(index_begin(&e->ix, &w), 0);
	if (payload)
		assert_int_equal(index_put(&w, q.b, str_n(key, sizeof(key)), buf_str(payload)), 0);
	else
		assert_int_equal(index_del(&w, q.b, str_n(key, sizeof(key))), 0);
	assert_int_equal(index_commit(&w, &m), 0);
}

static void
an_open_intent_keeps_its_body(void **state)
{
	const char *dir = *state;
	struct world w = { 0 };
	struct store *s = open_with(dir, false);
	struct emb *e = s->impl;
	struct buf intent[2];
	for (uint64_t id = 1; id <= 2; id++) {
		struct kit_letter l = {
			.id = id, .first = 1, .count = 1, .n = id == 1 ? 2000 : 300000
		};
		assert_int_equal(kit_accept(s, l), 0);
		intent[id - 1] = intent_of(e, id);
		note_intent(e, id, &intent[id - 1]);
	}
	uint64_t blobs = octets_in(dir, "blob");
	w.last = 2;
	w.next_uid[1] = 2;
	w.n[1] = w.cap[1] = 2;
	w.box[1] = xalloc(2 * sizeof(struct kept));
	w.box[1][0] = (struct kept){ 1, 2000, 1 };
	w.box[1][1] = (struct kept){ 2, 300000, 2 };
	for (int i = 0; i < 3; i++) {
		churn(s, &w, 60, 0);
		for (size_t b = 1; b <= BOXES; b++)
			while (w.n[b])
				expunge(s, &w, b, 0);
		emb_tidy(s);
	}
	/* All else that stood below the last checkpoint is gone. */
	struct store_stats st;
	store_stats(s, &st);
	assert_true(st.compactions > 1);
	assert_true(segs_have(e, 1));
	assert_false(segs_have(e, 2));
	assert_int_equal(octets_in(dir, "blob"), blobs);
	for (uint64_t id = 1; id <= 2; id++) {
		note_intent(e, id, NULL);
		buf_done(&intent[id - 1]);
	}
	emb_tidy(s);
	assert_false(segs_have(e, 1));
	store_close(s);
	/* A blob that was spared goes at the next start at the latest. */
	s = open_with(dir, false);
	assert_non_null(s);
	assert_int_equal(octets_in(dir, "blob"), 0);
	store_close(s);
	world_done(&w);
}

/* --- a disk that is full --- */

/* In a namespace of its own, where it is permitted. */
static bool
small_disk(const char *dir)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	return mkdir(dir, 0700) == 0 && mount("none", dir, "tmpfs", 0, "size=6m") == 0;
}

static int
fill_and_recover(const char *dir)
{
	if (!small_disk(dir))
		return 77;
	struct store *s = open_with(dir, false);
	check(s != NULL);
	emb_tidy(s); /* the reserve is made */
	struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
	uint64_t id = 0, last = 0;
	for (int round = 0; round < 3; round++) {
		int rc = 0;
		while (rc == 0 && id < last + 5000)
			rc = kit_accept(s,
			    (struct kit_letter){ .id = ++id, .first = 1, .count = 1, .n = 2000 });
		if (rc != -ENOSPC)
			return 10 + round;
		(void)kit_letters(s, 1, 2000, NULL); /* what is durable is applied */
		/* Not even a page is left. */
		char *path = kit_path(dir, "ballast"), *reserve = kit_path(dir, "reserve");
		int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
		static const char page[4096] = { 1 };
		/* Who takes what the reserve has given up is beyond our help. */
		while (access(reserve, F_OK) == 0 && write(fd, page, sizeof(page)) > 0)
			;
		free(reserve);
		close(fd);
		/* A start with nothing left. */
		store_close(s);
		s = open_with(dir, false);
		if (!s)
			return 20 + round;
		uint64_t there = kit_letters(s, 1, 2000, NULL);
		if (there == UINT64_MAX || there + 1 < id - last)
			return 30 + round;
		struct store_snap *sn;
		struct mailbox_head h;
		if (store_snap_open(s, &d, &sn, NULL) < 0 || mailbox_head_read(sn, &h) < 0)
			return 40 + round;
		store_snap_close(sn);
		for (uint32_t uid = 1; uid < h.uidnext; uid += 8) {
			struct store_batch *b = store_batch_new(s, &d);
			for (uint32_t i = uid; i < uid + 8 && i < h.uidnext; i++)
				mailbox_expunge(b, i);
			rc = kit_commit(s, b).rc;
			if (rc < 0) {
				struct store_stats st;
				store_stats(s, &st);
				fprintf(stderr, "# expunge: %s; free %llu, reserve %d\n",
				    strerror(-rc), (unsigned long long)st.bytes_free, st.reserve);
				return 50 + round;
			}
		}
		last = id;
		rc = -ENOSPC;
		for (int i = 0; rc == -ENOSPC && i < 600; i++) {
			emb_tidy(s);
			rc = kit_accept(s,
			    (struct kit_letter){ .id = ++id, .first = 1, .count = 1, .n = 2000 });
			usleep(10000);
		}
		unlink(path);
		free(path);
		if (rc < 0)
			return 60 + round;
		last = id - 1;
	}
	store_close(s);
	return 0;
}

static void
a_full_disk_recovers(void **state)
{
	const char *dir = *state;
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fill_and_recover(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# no mount is permitted here: skipped\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(killed_while_it_compacts), /* first: it forks, and there is no thread yet */
		TEST(readers_never_see_another_letter),
		TEST(a_full_disk_recovers),
		TEST(space_comes_back),
		TEST(small_letters_and_records_rest),
		TEST(crash_at_every_step),
		TEST(old_records_are_stale),
		TEST(a_pin_keeps_everything),
		TEST(an_open_intent_keeps_its_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
