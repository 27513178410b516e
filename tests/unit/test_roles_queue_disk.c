/* The queue's host when the disk is slow, or full, or cannot be read. What the store asks of it
 * passes through here. */
#include "roles_queue_kit.h"

#include "base/num.h"

#include <dlfcn.h>
#include <lmdb.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LETTERS 300 /* their histories, with all recipients, are too many for one batch */
#define RCPTS 100
#define LOCAL 320

/* Shared with the store. */
struct shared {
	int stall, stalled; /* atomic */
	ino_t index;        /* its file is never slow: whoever looks at the queue waits for it */
	int unreadable;     /* atomic: the queue, in the index, by the thread that looks at it */
	uint64_t letter;    /* only what there is of this one; 0: all */
	int full;           /* atomic: there is no room for another segment */
	int instant;        /* atomic: it takes no time */
};
static struct shared *disk;

static bool
is_slow(int fd)
{
	struct stat st;
	return disk && __atomic_load_n(&disk->stall, __ATOMIC_SEQ_CST) && fstat(fd, &st) == 0 &&
	       st.st_ino != disk->index;
}

int
fdatasync(int fd)
{
	if (disk && __atomic_load_n(&disk->instant, __ATOMIC_SEQ_CST))
		return 0;
	while (is_slow(fd)) {
		__atomic_store_n(&disk->stalled, 1, __ATOMIC_SEQ_CST);
		poll(NULL, 0, 5);
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t off)
{
	static const char zeros[4096];
	if (disk && __atomic_load_n(&disk->full, __ATOMIC_SEQ_CST) && n > sizeof(zeros) &&
	    memcmp(p, zeros, sizeof(zeros)) == 0) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, off);
}

static bool
is_unreadable(const MDB_val *key)
{
	const unsigned char *k = key->mv_data;
	return gettid() == getpid() && disk &&
	       __atomic_load_n(&disk->unreadable, __ATOMIC_SEQ_CST) && key->mv_size > 18 + 8 &&
	       k[0] == 'Q' && memcmp(k + 16, "t|", 2) == 0 &&
	       (disk->letter == 0 || be64_get(k + 18) == disk->letter);
}

int
mdb_cursor_get(MDB_cursor *c, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
	static int (*real)(MDB_cursor *, MDB_val *, MDB_val *, MDB_cursor_op);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "mdb_cursor_get");
	return op == MDB_SET_RANGE && is_unreadable(key) ? ENOSPC : real(c, key, value, op);
}

int
mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	static int (*real)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "mdb_get");
	return is_unreadable(key) ? ENOSPC : real(txn, dbi, key, value);
}

static int
set_up(void **state)
{
	void *p =
	    mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	disk = p;
	return town_setup(state);
}

static int
tear_down(void **state)
{
	munmap(disk, sizeof(*disk));
	disk = NULL;
	return town_teardown(state);
}

static void
stall(bool yes)
{
	char path[256];
	struct stat st;
	snprintf(path, sizeof(path), "%s/store/index/data.mdb", kit_dir);
	assert_int_equal(stat(path, &st), 0);
	disk->index = st.st_ino;
	__atomic_store_n(&disk->stall, yes, __ATOMIC_SEQ_CST);
}

static void
wait_stalled(void)
{
	for (int i = 0; i < 1000 && !__atomic_load_n(&disk->stalled, __ATOMIC_SEQ_CST); i++)
		usleep(20000);
	assert_true(__atomic_load_n(&disk->stalled, __ATOMIC_SEQ_CST));
}

/* Results that are here, as the store counts them. */
static void
wait_results(struct town *t, const char *totals)
{
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(KIT_ASK(&t->store, &t->out, "queue.totals"), CTL_OK);
		if (str_starts(buf_str(&t->out), str_of(totals)))
			return;
		usleep(20000);
	}
	fail_msg("%s instead of %s", buf_cstr(&t->out), totals);
}

/* All of them are with a relay. */
static void
hand_in_many(struct town *t, struct fake *r)
{
	static char text[RCPTS][LOCAL + 32];
	static struct msg_lease lease[LETTERS];
	const char *to[RCPTS + 1] = { NULL };
	for (size_t i = 0; i < RCPTS; i++) {
		snprintf(text[i], sizeof(text[i]), "%0*zu@example.net", LOCAL, i);
		to[i] = text[i];
	}
	for (size_t i = 0; i < LETTERS; i++)
		lease[i] = (struct msg_lease){ i + 1, hand_in(t, "alice@example.com", to, ""), 0 };
	hello(r, t, lease, LETTERS);
	wait_results(t, "300|0|0|300|0|0|0|0|");
}

static int
ask_later(struct town *t, const char *op)
{
	int fd = kit_ctl(&t->store);
	kit_send_ask(fd, (const char *const[]){ op, "all=1", NULL });
	return fd;
}

static void
answered(struct town *t, int fd, const char *row)
{
	buf_reset(&t->out);
	assert_int_equal(kit_answer(fd, &t->out), CTL_OK);
	assert_string_equal(buf_cstr(&t->out), row);
	close(fd);
}

/* Wishes that do not fit into one batch are written again one by one; the result of an attempt that
 * came meanwhile stays. */
static void
test_result_meanwhile(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	hand_in_many(&t, &r);
	answered(&t, ask_later(&t, "queue.hold"), "0|300|0|0|0|0|0|0|0\n");

	stall(true);
	say(&r, 1, RCPTS, JOB_LATER, 451, false);
	wait_stalled();
	int fd = ask_later(&t, "queue.release");
	wait_results(&t, "300|0|0|300|0|0|0|100|"); /* it has seen that, too */
	say(&r, 2, RCPTS, JOB_LATER, 451, false);
	wait_results(&t, "300|0|0|300|0|0|0|200|");
	stall(false);
	answered(&t, fd, "300|0|0|0|0|0|0|0|0\n");

	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.count", "error=451"), CTL_OK);
	assert_true(str_starts(buf_str(&t.out), STR("2|2|200|")));
	bye(&r);
	town_close(&t);
}

static void
wait_tried(struct town *t)
{
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(KIT_ASK(&t->store, &t->out, "queue.count", "error=451"), CTL_OK);
		if (str_starts(buf_str(&t->out), STR("300|")))
			return;
		usleep(20000);
	}
	fail_msg("%s", buf_cstr(&t->out));
}

/* Being held is written, too. */
static void
wait_some_held(struct town *t)
{
	uint64_t n = 0;
	for (int i = 0; i < 500 && n == 0; i++) {
		usleep(20000);
		assert_int_equal(KIT_ASK(&t->store, &t->out, "queue.count", "state=held"), CTL_OK);
		assert_true(num_u64(str_first(buf_str(&t->out), str_find(buf_str(&t->out), '|')),
		    LETTERS, &n));
	}
	assert_true(n > 0);
}

/* What is prepared already may be room enough for once. */
static void
release_in_vain(struct town *t)
{
	for (int i = 0; i < 10; i++) {
		__atomic_store_n(&disk->full, 1, __ATOMIC_SEQ_CST);
		int code = KIT_ASK(&t->store, &t->out, "queue.release", "all=1");
		__atomic_store_n(&disk->full, 0, __ATOMIC_SEQ_CST);
		if (code == CTL_FAILED)
			return;
		assert_int_equal(code, CTL_OK);
		answered(t, ask_later(t, "queue.hold"), "0|300|0|0|0|0|0|0|0\n");
	}
	fail_msg("there was always room");
}

/* A wish that found no room leaves the one before it as it was. */
static void
test_no_room_for_wishes(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	hand_in_many(&t, &r);
	answered(&t, ask_later(&t, "queue.hold"), "0|300|0|0|0|0|0|0|0\n");
	release_in_vain(&t);
	for (uint64_t i = 1; i <= LETTERS; i++)
		say(&r, i, RCPTS, JOB_LATER, 451, false);
	wait_tried(&t);
	wait_some_held(&t);
	bye(&r);
	town_close(&t);
}

/* The store starts again; what it logs goes to the file. */
static void
start_again(struct town *t, int log)
{
	struct conf *c = kit_conf(NULL);
	int was = dup(2);
	assert_true(was >= 0 && dup2(log, 2) == 2);
	kit_start(&t->store, store_main, c, ROLE_STORE, 0);
	assert_int_equal(dup2(was, 2), 2);
	close(was);
	conf_free(c);
}

static size_t
times(int log, const char *event)
{
	struct buf b = BUF_INIT(1u << 20);
	size_t n = 0;
	lseek(log, 0, SEEK_SET);
	assert_int_equal(file_read_fd(log, 1u << 20, &b), 0);
	for (struct str s = buf_str(&b); s.len; n++) {
		size_t at = str_find_str(s, str_of(event));
		if (at == s.len)
			break;
		s = str_skip(s, at + strlen(event));
	}
	buf_done(&b);
	return n;
}

static uint32_t
etrn(int front, const char *domain)
{
	struct ipc_frame m;
	struct buf store = BUF_INIT(1u << 20);
	uint32_t n;
	assert_int_equal(chan_sync_send(front, IPC_ETRN, 7, str_of(domain), -1), 0);
	do
		assert_int_equal(kit_recv(front, &m, &store), 0);
	while (m.type != IPC_ETRN_DONE);
	assert_true(m.id == 7 && msg_u32_get(m.body, &n));
	buf_done(&store);
	return n;
}

/* A relay that tells of what it had in hand waits until the store knows its entries: what became of
 * them is not lost, and nobody gets them anew. */
static void
test_unreadable(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	hello(&r, &t, NULL, 0);
	uint64_t id = HAND_IN(&t, "alice@example.com", "joe@example.net");
	next_job(&r);
	const struct msg_lease lease = { r.f.id, id, r.job.part };
	bye(&r);

	assert_int_equal(kit_kill(&t.store), -9);
	__atomic_store_n(&disk->unreadable, 1, __ATOMIC_SEQ_CST);
	int log = memfd_create("log", 0);
	start_again(&t, log);
	close(t.front);
	t.front = -1;
	hello(&r, &t, &lease, 1);
	say(&r, lease.lease, 1, JOB_SENT, 250, false);
	assert_false(kit_readable(r.fd, 2500));
	static const char *const ops[] = { "queue.list", "queue.count", "queue.totals",
		"queue.targets", "queue.flush" };
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		assert_int_equal(KIT_ASK(&t.store, &t.out, ops[i]), CTL_FAILED);
		assert_true(str_starts(buf_str(&t.out),
		    STR("!the queue cannot be read: No space left on device;")));
	}

	t.front = connect_front(&t, 0);
	assert_int_equal(etrn(t.front, "example.net"), MSG_COUNT_NOT_YET);

	__atomic_store_n(&disk->unreadable, 0, __ATOMIC_SEQ_CST);
	taken(&r, lease.lease);
	wait_count(&t, "0|");
	assert_int_equal(etrn(t.front, "example.net"), 0);
	assert_int_equal(times(log, "event=queue-not-read "), 1); /* it was tried every second */
	close(log);
	bye(&r);
	town_close(&t);
}

/* An entry that cannot be read though its time is over stops nobody else, and comes back later. */
static void
test_late_unreadable(void **state)
{
	static const char *const sets[] = { "queue.lifetime=3s", "queue.retry_first=300s", NULL };
	struct town t;
	struct fake r;
	town_open(&t, sets);
	town_people(&t);
	hello(&r, &t, NULL, 0);
	disk->letter = HAND_IN(&t, "alice@example.com", "joe@example.net");
	next_job(&r);
	say(&r, r.f.id, 1, JOB_LATER, 451, false);
	taken(&r, r.f.id);
	sleep(2); /* the index has it by then */
	__atomic_store_n(&disk->unreadable, 1, __ATOMIC_SEQ_CST);
	sleep(2);
	HAND_IN(&t, "alice@example.com", "ann@example.org");
	next_job(&r);
	assert_true(str_eq(r.entry.domain, STR("example.org")));
	say(&r, r.f.id, 1, JOB_SENT, 250, false);
	taken(&r, r.f.id);
	__atomic_store_n(&disk->unreadable, 0, __ATOMIC_SEQ_CST);
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.retry", "all=1"), CTL_OK);
	next_job(&r);
	assert_true(str_eq(r.entry.domain, STR("example.net")));
	say(&r, r.f.id, 1, JOB_LATER, 451, false);
	wait_count(&t, "0|");
	wait_messages(&t, "alice@example.com", 1);
	bye(&r);
	town_close(&t);
}

/* What was wished of an entry is done, though it could not be read when its attempt was over. */
static void
test_wish_unreadable(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	hello(&r, &t, NULL, 0);
	HAND_IN(&t, "alice@example.com", "joe@example.net");
	next_job(&r);
	uint64_t lease = r.f.id;
	assert_int_equal(KIT_ASK(&t.store, &t.out, "queue.hold", "all=1"), CTL_OK);
	assert_string_equal(buf_cstr(&t.out), "0|1|0|0|0|0|0|0|0\n");
	sleep(2);
	__atomic_store_n(&disk->unreadable, 1, __ATOMIC_SEQ_CST);
	say(&r, lease, 1, JOB_LATER, 451, false);
	taken(&r, lease);
	sleep(2);
	__atomic_store_n(&disk->unreadable, 0, __ATOMIC_SEQ_CST);
	wait_some_held(&t);
	bye(&r);
	town_close(&t);
}

/* The queue is looked at while letters come whose commit takes no time: none of them is forgotten.
 */
static void
test_looked_at_meanwhile(void **state)
{
	struct town t;
	struct fake r;
	town_open(&t, NULL);
	town_people(&t);
	ids_behind_ms = 3600000; /* what came before the start is read from the store again */
	hello(&r, &t, NULL, 0);
	__atomic_store_n(&disk->instant, 1, __ATOMIC_SEQ_CST);
	int fd = kit_ctl(&t.store);
	pid_t looker = fork();
	if (looker == 0) {
		struct buf out = BUF_INIT(64u << 20);
		for (;;) {
			kit_send_ask(fd, (const char *const[]){ "queue.list", NULL });
			buf_reset(&out);
			(void)kit_answer(fd, &out);
		}
	}
	close(fd);
	for (int i = 0; i < LETTERS; i++)
		HAND_IN(&t, "alice@example.com", "joe@example.net");
	wait_results(&t, "300|");
	kill(looker, SIGKILL);
	waitpid(looker, NULL, 0);
	ids_behind_ms = 0;
	bye(&r);
	town_close(&t);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_result_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_room_for_wishes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_wish_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_looked_at_meanwhile, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
