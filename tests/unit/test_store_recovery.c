/* Crashes, as far as a test can make them: images of a running store, tails torn at every octet,
 * killed processes. Nothing acknowledged may be lost, nothing may come twice or by half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/segment.h"
#include "store_kit.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static struct store *
open_small(const char *dir, uint64_t segment)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	o.segment_bytes = segment;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	struct store *s = kit_open_with(uri, o);
	free(uri);
	return s;
}

static int
set_up(void **state)
{
	*state = kit_dir();
	return 0;
}

static int
tear_down(void **state)
{
	kit_dir_done(*state);
	return 0;
}

static size_t
count_files(const char *dir, const char *sub)
{
	char *path = kit_path(dir, sub);
	DIR *d = opendir(path);
	assert_non_null(d);
	size_t n = 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	free(path);
	return n;
}

static uint64_t
durable(struct store *s)
{
	struct store_stats st;
	store_stats(s, &st);
	return st.durable_lsn;
}

static void
reopen_finds_everything(void **state)
{
	const char *dir = *state;
	uint64_t id = 0;
	for (int round = 0; round < 4; round++) {
		struct store *s = kit_open(dir);
		assert_non_null(s);
		assert_int_equal(kit_letters(s, 1, 700, NULL), id);
		for (int i = 0; i < 20; i++)
			assert_int_equal(kit_accept(s,
					     (struct kit_letter){
						 .id = ++id, .first = 1, .count = 2, .n = 700 }),
			    0);
		assert_int_equal(kit_put(s, store_dom_account(1), "k", "v").ver,
		    (uint64_t)round + 1);
		assert_int_equal(store_accepted(s, id), 1);
		store_close(s);
	}
	/* A store that is not there is not made unless asked. */
	struct store_options o = kit_options();
	o.create = false;
	char *other = kit_path(dir, "other"), *uri = NULL;
	check(asprintf(&uri, "emb:%s", other) > 0);
	assert_null(kit_open_with(uri, o));
	free(uri);
	free(other);
}

static void
a_lost_log_is_not_replaced(void **state)
{
	const char *dir = *state;
	char *log = kit_path(dir, "log"), *index = kit_path(dir, "index");
	struct store *s = kit_open(dir);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 1, .first = 1, .count = 1, .n = 400000 }),
	    0);
	store_close(s);
	kit_remove(log);
	assert_null(kit_open(dir));
	kit_remove(index);
	assert_null(kit_open(dir));
	assert_int_equal(count_files(dir, "blob"), 1);
	free(log);
	free(index);
}

/* A log from a backup beside the index of today: nothing is written behind the gap. */
static void
an_index_ahead_of_its_log(void **state)
{
	const char *dir = *state;
	char *log = kit_path(dir, "log"), *index = kit_path(dir, "index"),
	     *old = kit_path(dir, "../old");
	struct kit_letter l = { .first = 1, .count = 1, .n = 700 };
	struct store *s = kit_open(dir);
	for (l.id = 1; l.id <= 10; l.id++)
		assert_int_equal(kit_accept(s, l), 0);
	store_close(s);
	kit_copy(log, old);
	s = kit_open(dir);
	for (; l.id <= 20; l.id++)
		assert_int_equal(kit_accept(s, l), 0);
	store_close(s);
	kit_remove(log);
	assert_int_equal(rename(old, log), 0);
	assert_null(kit_open(dir));
	kit_remove(index);
	s = kit_open(dir);
	assert_non_null(s);
	assert_int_equal(kit_letters(s, 1, 700, NULL), 10);
	assert_int_equal(kit_accept(s, l), 0);
	store_close(s);
	free(log);
	free(index);
	free(old);
}

static void
one_writer_only(void **state)
{
	struct store *s = kit_open(*state);
	assert_non_null(s);
	assert_null(kit_open(*state));
	store_close(s);
}

/* --- a torn tail --- */

struct tear {
	char *base, *dir, *image;
	char *seg; /* contents of the segment with the last group */
	size_t seg_len;
	uint64_t from, to; /* the last group */
};

static char *
slurp(const char *path, size_t *ret_len)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	char *p = xalloc((size_t)st.st_size + 1);
	assert_int_equal(pread_all(fd, p, (size_t)st.st_size, 0), 0);
	close(fd);
	*ret_len = (size_t)st.st_size;
	return p;
}

static void
spit(const char *path, const char *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite_all(fd, p, n, 0), 0);
	close(fd);
}

#define TEAR_BEFORE 5
#define TEAR_BODY 60

/* Five letters acknowledged and applied, a sixth in the log that the index knows nothing of. */
static void
tear_make(struct tear *t, const char *dir)
{
	struct store *s = open_small(dir, SEG_SIZE_MIN);
	assert_non_null(s);
	for (uint64_t i = 1; i <= TEAR_BEFORE; i++)
		assert_int_equal(kit_accept(s,
				     (struct kit_letter){
					 .id = i, .first = 1, .count = 2, .n = TEAR_BODY }),
		    0);
	kit_get(s, store_dom_account(1), "k");
	t->from = lsn_off(durable(s));
	/* With all spares, so that each open is quick. */
	char *spare = kit_path(dir, "log/00000003.seg");
	for (int i = 0; i < 200 && access(spare, F_OK) != 0; i++)
		usleep(5000);
	free(spare);
	/* In memory where there is such a place: what is torn is the same, and a thousand stores
	 * need not wait for a disk. */
	char base[] = "/dev/shm/pennypost-test-XXXXXX";
	t->base = mkdtemp(base) ? xmemdup(base, sizeof(base)) : kit_path(dir, "../tears");
	check(access(t->base, F_OK) == 0 || mkdir(t->base, 0700) == 0);
	t->image = kit_path(t->base, "before");
	kit_copy(dir, t->image);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){
				 .id = 6, .first = 1, .count = 2, .n = TEAR_BODY }),
	    0);
	t->to = lsn_off(durable(s));
	store_close(s);
	char *seg = kit_path(dir, "log/00000001.seg");
	t->seg = slurp(seg, &t->seg_len);
	free(seg);
	t->dir = kit_path(t->base, "torn");
}

static void
tear_done(struct tear *t)
{
	kit_remove(t->base);
	free(t->base);
	free(t->dir);
	free(t->image);
	free(t->seg);
}

/* Opens the image with this segment; true when the sixth letter is there. */
static bool
tear_try(struct tear *t, const char *seg, bool again)
{
	char *path = kit_path(t->dir, "log/00000001.seg");
	kit_remove(t->dir);
	kit_copy(t->image, t->dir);
	spit(path, seg, t->seg_len);
	free(path);
	struct store *s = open_small(t->dir, SEG_SIZE_MIN);
	assert_non_null(s);
	uint64_t one = kit_letters(s, 1, TEAR_BODY, NULL), two = kit_letters(s, 2, TEAR_BODY, NULL);
	assert_true(one == TEAR_BEFORE || one == TEAR_BEFORE + 1);
	assert_int_equal(one, two);
	assert_int_equal(store_accepted(s, 6), one == TEAR_BEFORE + 1);
	for (uint64_t i = 1; i <= TEAR_BEFORE; i++)
		assert_int_equal(store_accepted(s, i), 1);
	if (again) {
		/* The client comes again; then everything is there once, also after another start.
		 */
		assert_int_equal(kit_accept(s,
				     (struct kit_letter){
					 .id = 6, .first = 1, .count = 2, .n = TEAR_BODY }),
		    0);
		store_close(s);
		s = open_small(t->dir, SEG_SIZE_MIN);
		assert_non_null(s);
		assert_int_equal(kit_letters(s, 1, TEAR_BODY, NULL), TEAR_BEFORE + 1);
		assert_int_equal(kit_letters(s, 2, TEAR_BODY, NULL), TEAR_BEFORE + 1);
	}
	store_close(s);
	return one == TEAR_BEFORE + 1;
}

/* The end of the last group never reached the disk. */
static void
torn_at_every_octet(void **state)
{
	struct tear t;
	tear_make(&t, *state);
	assert_true(t.to - t.from > 500 && t.to < t.seg_len);
	size_t whole = 0;
	char *seg = xmemdup(t.seg, t.seg_len);
	for (uint64_t at = t.to; at-- > t.from;) {
		seg[at] = 0;
		whole += tear_try(&t, seg, at % 61 == 0);
	}
	/* An intent that is whole is carried out, so some tears lose nothing; most lose the letter.
	 */
	assert_true(whole > 0 && whole < t.to - t.from);
	free(seg);
	tear_done(&t);
}

/* One octet, or one sector, of the last group is wrong while later ones are right. */
static void
torn_inside(void **state)
{
	struct tear t;
	tear_make(&t, *state);
	char *seg = xalloc(t.seg_len);
	for (uint64_t at = t.from; at < t.to; at += 17) {
		memcpy(seg, t.seg, t.seg_len);
		seg[at] ^= 0x20;
		tear_try(&t, seg, at % 5 == 0);
	}
	for (uint64_t at = t.from & ~(uint64_t)511; at < t.to; at += 512) {
		memcpy(seg, t.seg, t.seg_len);
		uint64_t low = at > t.from ? at : t.from;
		memset(seg + low, 0, at + 512 - low);
		tear_try(&t, seg, true);
	}
	free(seg);
	tear_done(&t);
}

/* The same octet is wrong, but a later group proves that the damaged one had been synced. */
static void
damage_is_not_a_torn_tail(void **state)
{
	struct tear t;
	tear_make(&t, *state);
	char *path = kit_path(t.dir, "log/00000001.seg"), *index = kit_path(t.dir, "index");
	static const struct {
		size_t at; /* in the first group: body, then the rest */
		bool opens;
	} rows[] = { { SEG_HEAD + 1, false }, { SEG_HEAD + FRAME_HEAD + 5, true } };
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		kit_remove(t.dir);
		kit_copy(t.image, t.dir);
		kit_remove(index);
		char *seg = xmemdup(t.seg, t.seg_len);
		seg[rows[i].at] ^= 1;
		spit(path, seg, t.seg_len);
		struct store *s = open_small(t.dir, SEG_SIZE_MIN);
		assert_int_equal(s != NULL, rows[i].opens);
		if (s) {
			/* One letter's body is damaged, and reading it says so. */
			assert_int_equal(kit_letters(s, 1, 0, NULL), TEAR_BEFORE + 1);
			struct store_dom d = store_dom_mailbox(1, MAILBOX_INBOX);
			struct store_snap *sn;
			struct mailbox_letter l;
			char text[512];
			assert_int_equal(store_snap_open(s, &d, &sn, NULL), 0);
			assert_int_equal(mailbox_find(sn, 1, &l), 0);
			assert_int_equal(mailbox_letter_read(s, &l, 0, text, sizeof(text)),
			    -EBADMSG);
			assert_int_equal(store_ref_check(s, &l.ref), -EBADMSG);
			assert_int_equal(mailbox_find(sn, 2, &l), 0);
			assert_true(kit_whole(s, &l, TEAR_BODY, false));
			store_snap_close(sn);
			store_close(s);
		}
		free(seg);
	}
	free(path);
	free(index);
	tear_done(&t);
}

/* --- the index --- */

static void
index_is_made_again(void **state)
{
	const char *dir = *state;
	struct store *s = kit_open(dir);
	struct store_dom d = store_dom_account(1);
	for (uint64_t i = 1; i <= 300; i++)
		kit_accept_async(s,
		    (struct kit_letter){
			.id = i, .first = 1, .count = 2, .n = 9000, .spill = i % 50 == 0 },
		    NULL, NULL);
	store_wait(s);
	kit_put(s, d, "a", "1");
	kit_put(s, d, "b", "1");
	struct store_batch *b = store_batch_new(s, &d);
	store_del(b, STR("a"));
	kit_commit(s, b);
	store_close(s);

	char *index = kit_path(dir, "index"), *data = kit_path(dir, "index/data.mdb");
	for (int how = 0; how < 4; how++) {
		char junk[8192];
		memset(junk, how, sizeof(junk));
		if (how == 0)
			kit_remove(index);
		else if (how == 1)
			spit(data, junk, sizeof(junk)); /* not LMDB at all */
		else if (how == 2)
			spit(data, junk, 0);
		else {
			/* Another store's. */
			char *other = kit_path(dir, "../other"),
			     *from = kit_path(other, "index/data.mdb");
			store_close(kit_open(other));
			kit_copy_file(from, data);
			free(other);
			free(from);
		}
		s = kit_open(dir);
		assert_non_null(s);
		assert_int_equal(kit_letters(s, 1, 9000, NULL), 300);
		assert_int_equal(kit_letters(s, 2, 9000, NULL), 300);
		assert_string_equal(kit_get(s, d, "a"), "-");
		assert_string_equal(kit_get(s, d, "b"), "1");
		assert_int_equal(store_accepted(s, 300), 1);
		assert_int_equal(kit_put(s, d, "c", "1").ver, 4 + (uint64_t)how);
		store_close(s);
	}
	free(index);
	free(data);
}

/* --- segments and blobs --- */

static void
segments_roll_over(void **state)
{
	const char *dir = *state;
	struct store *s = open_small(dir, 128u << 10);
	uint64_t id = 0;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 120; i++)
			kit_accept_async(s,
			    (struct kit_letter){ .id = ++id, .first = 1, .count = 1, .n = 5000 },
			    NULL, NULL);
		store_wait(s);
		assert_int_equal(kit_letters(s, 1, 5000, NULL), id);
		struct store_stats st;
		store_stats(s, &st);
		assert_true(st.segments >= id * 5000 / (128u << 10));
		store_close(s);
		s = open_small(dir, 128u << 10);
		assert_non_null(s);
	}
	assert_int_equal(kit_letters(s, 1, 5000, NULL), id);
	/* What no segment can hold is refused and harms nothing. */
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){
				 .id = 9999, .first = 1, .count = 1, .n = 200000 }),
	    -E2BIG);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = ++id, .first = 1, .count = 1, .n = 5000 }),
	    0);
	assert_int_equal(kit_letters(s, 1, 5000, NULL), id);
	store_close(s);
}

static void
blobs_without_letters_go(void **state)
{
	const char *dir = *state;
	struct store *s = kit_open(dir);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 1, .first = 1, .count = 1, .n = 400000 }),
	    0);
	struct store_body *b = store_body_new(s, 2);
	assert_int_equal(store_body_write(b, STR("half a letter")), 0);
	assert_int_equal(store_body_spill(b), 0);
	assert_int_equal(count_files(dir, "blob"), 2);
	char *image = kit_path(dir, "../image");
	kit_copy(dir, image);
	store_body_free(b);
	assert_int_equal(count_files(dir, "blob"), 1);
	/* A letter accepted twice leaves one. */
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 1, .first = 1, .count = 1, .n = 400000 }),
	    0);
	assert_int_equal(count_files(dir, "blob"), 1);
	store_close(s);
	s = kit_open(image);
	assert_non_null(s);
	assert_int_equal(count_files(image, "blob"), 1);
	assert_int_equal(kit_letters(s, 1, 400000, NULL), 1);
	assert_int_equal(kit_accept(s,
			     (struct kit_letter){ .id = 2, .first = 1, .count = 1, .n = 400000 }),
	    0);
	assert_int_equal(kit_letters(s, 1, 400000, NULL), 2);
	store_close(s);
	free(image);
}

/* --- a process that is killed --- */

static void
tell(void *arg, const struct store_res *res)
{
	uint64_t *msg = arg;
	if (res->rc == 0)
		check(write((int)msg[1], &msg[0], sizeof(msg[0])) == sizeof(msg[0]));
	free(msg);
}

static void
killed_child(const char *dir, int fd, uint64_t base)
{
	struct store *s = open_small(dir, 256u << 10);
	check(s != NULL);
	for (uint64_t i = 0;; i++) {
		uint64_t *msg = xalloc(2 * sizeof(*msg));
		msg[0] = base + i;
		msg[1] = (uint64_t)fd;
		kit_accept_async(s,
		    (struct kit_letter){
			.id = base + i, .first = 1, .count = 2, .n = 2000, .spill = i % 20 == 7 },
		    tell, msg);
		store_run(s);
		if (i % 64 == 63)
			store_wait(s);
	}
}

static void
killed_processes(void **state)
{
	const char *dir = *state;
	static uint64_t acked[1 << 20], there[1 << 20];
	size_t n = 0;
	for (uint64_t round = 0; round < 6; round++) {
		int fds[2];
		assert_int_equal(pipe(fds), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			killed_child(dir, fds[1], (round + 1) * 1000000);
		}
		close(fds[1]);
		size_t before = n;
		uint64_t msg, want = 5 + round * 37;
		while (n - before < want && read(fds[0], &msg, sizeof(msg)) == sizeof(msg))
			acked[n++] = msg;
		kill(pid, SIGKILL);
		while (read(fds[0], &msg, sizeof(msg)) == sizeof(msg))
			acked[n++] = msg;
		close(fds[0]);
		waitpid(pid, NULL, 0);
		struct store *s = open_small(dir, 256u << 10);
		assert_non_null(s);
		for (uint64_t a = 1; a <= 2; a++) {
			uint64_t count = kit_letters(s, a, 2000, there);
			assert_true(count != UINT64_MAX && count >= n);
			/* Within a round letters come in order, so one walk finds all acknowledged
			 * ones. */
			size_t j = 0;
			for (size_t i = 0; i < n; i++, j++) {
				while (j < count && there[j] != acked[i])
					j++;
				assert_true(j < count);
			}
			for (size_t i = 1; i < count; i++)
				assert_true(there[i] > there[i - 1]); /* none twice */
		}
		store_close(s);
	}
}

/* A process that stands still looks on the disk as a killed one does, and can go on. */
static void
images_of_a_running_store(void **state)
{
	const char *dir = *state;
	char *image = kit_path(dir, "../image");
	int fds[2], status;
	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		killed_child(dir, fds[1], 1);
	}
	close(fds[1]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	uint64_t msg, acked = 0;
	for (int round = 0; round < 8; round++) {
		usleep(20000 + (useconds_t)round * 3700);
		assert_int_equal(kill(pid, SIGSTOP), 0);
		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		assert_true(WIFSTOPPED(status));
		while (read(fds[0], &msg, sizeof(msg)) == sizeof(msg))
			acked = msg;
		if (access(dir, F_OK) == 0)
			kit_copy(dir, image);
		struct store *s = open_small(image, 256u << 10);
		assert_non_null(s);
		for (uint64_t a = 1; a <= 2; a++) {
			uint64_t n = kit_letters(s, a, 2000, NULL);
			assert_true(n != UINT64_MAX && n >= acked);
		}
		store_close(s);
		kit_remove(image);
		/* Only now: what it writes meanwhile would only make the next image larger. */
		assert_int_equal(kill(pid, SIGCONT), 0);
	}
	assert_true(acked > 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	free(image);
}

/* --- readers --- */

static int
reader_child(const char *dir, int ask, int answer)
{
	char *uri = NULL;
	struct store_options o = kit_options();
	o.read_only = true;
	check(asprintf(&uri, "emb:%s", dir) > 0);
	char go;
	if (read(ask, &go, 1) != 1)
		return 1;
	struct store *s = kit_open_with(uri, o);
	free(uri);
	if (!s)
		return 2;
	for (uint64_t n; read(ask, &go, 1) == 1;) {
		n = kit_letters(s, 1, 3000, NULL);
		if (write(answer, &n, sizeof(n)) != sizeof(n))
			return 3;
	}
	struct store_dom d = store_dom_account(1);
	errno = 0;
	if (store_watch_new(s, &d, 0, NULL, NULL) != NULL || errno != ENOTSUP)
		return 4;
	if (kit_put(s, d, "k", "v").rc != -EROFS)
		return 5;
	store_close(s);
	return 0;
}

static void
readers_in_other_processes(void **state)
{
	const char *dir = *state;
	int ask[2], answer[2], status;
	assert_int_equal(pipe(ask) | pipe(answer), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ask[1]);
		_exit(reader_child(dir, ask[0], answer[1]));
	}
	close(ask[0]);
	struct store *s = open_small(dir, 128u << 10);
	assert_int_equal(write(ask[1], "g", 1), 1);
	uint64_t id = 0;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 30; i++)
			kit_accept_async(s,
			    (struct kit_letter){ .id = ++id, .first = 1, .count = 1, .n = 3000 },
			    NULL, NULL);
		struct store_res res = { .rc = 1 };
		store_wait(s);
		store_sync(s, kit_take, &res);
		store_wait(s);
		assert_int_equal(res.rc, 0);
		uint64_t n;
		assert_int_equal(write(ask[1], "g", 1), 1);
		assert_int_equal(read(answer[0], &n, sizeof(n)), sizeof(n));
		assert_int_equal(n, id);
		if (round == 2) {
			/* The writer goes and comes back; the reader stays. */
			store_close(s);
			s = open_small(dir, 128u << 10);
			assert_non_null(s);
		}
	}
	close(ask[1]);
	close(answer[0]);
	close(answer[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	store_close(s);
}

/* --- trace --- */

struct found {
	int n;
	uint64_t letter[8];
	char text[256];
};

static bool
found_one(void *arg, const struct trace_found *found)
{
	struct found *f = arg;
	const struct trace_payload *t = &found->t;
	if (f->n < 8)
		f->letter[f->n] = t->letter;
	f->n++;
	snprintf(f->text, sizeof(f->text), STR_FMT "|" STR_FMT "|" STR_FMT "|" STR_FMT,
	    STR_ARG(t->qid), STR_ARG(t->from), STR_ARG(t->rcpts), STR_ARG(t->history));
	return f->n < 3;
}

static void
traces_are_found(void **state)
{
	const char *dir = *state;
	struct store *s = open_small(dir, 128u << 10);
	for (uint64_t i = 1; i <= 100; i++)
		kit_accept_async(s,
		    (struct kit_letter){ .id = i, .first = 3, .count = 2, .n = 4000 }, NULL, NULL);
	store_wait(s);
	static const struct {
		const char *id;
		int n;
		uint64_t first;
	} rows[] = {
		{ "Q7", 1, 7 },
		{ "Q100", 1, 100 },
		{ "Q101", 0, 0 },
		{ "0000000000007", 1, 7 }, /* letter 7 */
		{ "000000000002d", 3, 1 }, /* session 77: all, and the search stops after three */
		{ "000000000007", 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct found f = { 0 };
		assert_int_equal(kit_trace(dir, str_of(rows[i].id), found_one, &f), 0);
		assert_int_equal(f.n, rows[i].n);
		assert_int_equal(f.letter[0], rows[i].first);
		if (i == 0)
			assert_string_equal(f.text, "Q7|a@b|3 1 c@d\n4 1 c@d\n|C: MAIL\nS: 250\n");
	}
	store_close(s);
	struct found f = { 0 };
	char *none = kit_path(dir, "none");
	assert_int_equal(kit_trace(none, STR("Q1"), found_one, &f), -ENOENT);
	free(none);
}

#define TEST(f)                                                                                    \
	{                                                                                          \
#f, f, set_up, tear_down, NULL                                                     \
	}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(killed_processes), /* first: it forks, and there is no thread yet */
		TEST(images_of_a_running_store),
		TEST(readers_in_other_processes),
		TEST(reopen_finds_everything),
		TEST(a_lost_log_is_not_replaced),
		TEST(an_index_ahead_of_its_log),
		TEST(one_writer_only),
		TEST(torn_at_every_octet),
		TEST(torn_inside),
		TEST(damage_is_not_a_torn_tail),
		TEST(index_is_made_again),
		TEST(segments_roll_over),
		TEST(blobs_without_letters_go),
		TEST(traces_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
