/*
 * crash: a store's promises against power cuts, failing system calls and sudden ends.
 *
 *   crash sim --seed N [--rounds N | --seconds N] [--states N] [--ops N] [--dir D] [--keep D]
 *	    [--findings N]
 *	Rounds of: record a workload of one to three lives (the last ones begin where a kill
 *	ended the one before), then check N states in which a power cut could have left the disk;
 *stop at so many findings. crash faults --seed N [--stride N] [--ops N] [--seconds N] [--dir D]
 *[--keep D] The same workload again and again; each time another system call fails, with EIO, with
 *	ENOSPC, once or for good, or writes less than it was asked to.
 *   crash replay TRACE RECORD SEED DIR
 *	Makes the state of a finding again, for looking at, and checks a copy of it.
 *   crash run DIR NOTES SEED OPS
 *   crash check DIR NOTES OCTETS
 *	A life on a real disk; each question and answer goes to the file NOTES. The check takes
 *	answers for given that stood in the first OCTETS of it.
 *
 * Exit status: 0, 1 with findings, 2 when the test itself does not work.
 */
#include "disk.h"
#include "work.h"

#include "base/check.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK_SECONDS 60
#define LIVES_MAX 3
#define OPENING 60 /* records in which a store is opened */

static struct {
	uint64_t seed, rounds, seconds, states, ops, stride, findings;
	const char *dir, *keep;
} o = { .seed = 1, .rounds = 1, .states = 300, .ops = 150, .stride = 1, .findings = 20 };

static struct {
	uint64_t rounds, states, records, syncs, accepted, lives, kills, positions, findings, freed;
} sum;

/* What a child has to say; shared. */
static struct {
	char says[WORK_SAYS];
	uint64_t accepted;
} * told;

static char live[PATH_MAX - 64], state[PATH_MAX - 64], other[PATH_MAX - 64];
static struct timespec began;

static double
elapsed(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - began.tv_sec) + (double)(now.tv_nsec - began.tv_nsec) / 1e9;
}

static _Noreturn void broken(const char *fmt, ...) PRINTF(1, 2);

static _Noreturn void
broken(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

static uint64_t
chance_next(uint64_t *s)
{
	*s = *s * 6364136223846793005u + 1442695040888963407u;
	uint64_t z = *s ^ *s >> 33;
	return z * 0xff51afd7ed558ccdu >> 20;
}

/* --- files --- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void
remove_tree(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
store_in(char ret[PATH_MAX], const char *root)
{
	check(snprintf(ret, PATH_MAX, "%s/store", root) < PATH_MAX);
}

/* Memory shared with a process that is gone means nothing; whatever stands in it. */
static void
soil_lock(const char *root, uint64_t seed)
{
	char path[PATH_MAX], junk[8192];
	check(snprintf(path, sizeof(path), "%s/store/index/lock.mdb", root) < PATH_MAX);
	int fd = seed % 4 ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return;
	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (char)chance_next(&seed);
	check(write(fd, junk, sizeof(junk)) == sizeof(junk));
	close(fd);
}

/* --- children --- */

static void
be_quiet(void)
{
	int fd = open("/dev/null", O_WRONLY);
	if (fd >= 0 && !getenv("CRASH_LOUD"))
		dup2(fd, STDERR_FILENO);
}

/* Runs fn in a child; its exit status, or 128 + the signal that ended it. */
static int
in_child(void (*fn)(void *), void *arg)
{
	int status;
	fflush(NULL);
	told->says[0] = '\0';
	pid_t pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		be_quiet();
		alarm(CHECK_SECONDS);
		fn(arg);
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

struct job {
	struct plan plan;
	const struct facts *facts;
	const char *root;
	struct rec_shared *rec;
	uint32_t until;
	bool may_fail;
};

static void
job_work(const struct job *j, struct work *w, char dir[PATH_MAX])
{
	store_in(dir, j->root);
	*w = (struct work){
		.plan = j->plan, .facts = *j->facts, .dir = dir, .may_fail = j->may_fail
	};
}

static void
child_live(void *arg)
{
	struct job *j = arg;
	struct work w;
	char dir[PATH_MAX];
	job_work(j, &w, dir);
	w.note = rec_note;
	rec_begin(j->rec);
	if (!work_live(&w, j->until)) {
		memcpy(told->says, w.says, sizeof(told->says));
		_exit(1);
	}
}

static void
child_check(void *arg)
{
	struct job *j = arg;
	struct work w;
	char dir[PATH_MAX];
	job_work(j, &w, dir);
	if (!work_check(&w)) {
		memcpy(told->says, w.says, sizeof(told->says));
		_exit(1);
	}
}

/* --- findings --- */

static void
keep_trace(const char *path, const struct plan *p, const struct rec_shared *r)
{
	FILE *f = fopen(path, "wb");
	bool good = f && fwrite(p, sizeof(*p), 1, f) == 1 &&
	            (r->tail == 0 || fwrite(rec_trace(r), r->tail, 1, f) == 1);
	if (f)
		good = fclose(f) == 0 && good;
	if (!good)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
}

static void
finding(const struct plan *p, const struct rec_shared *r, uint64_t record, uint64_t seed,
    const char *what, int status)
{
	char path[PATH_MAX] = "";
	sum.findings++;
	printf("FINDING seed %llu record %llu state %llu (%s): ", (unsigned long long)p->seed,
	    (unsigned long long)record, (unsigned long long)seed, what);
	if (status > 128)
		printf("ended by signal %d; ", status - 128);
	printf("%s\n", told->says[0] ? told->says : status == 1 ? "no word" : "it died");
	if (o.keep && sum.findings <= o.findings) {
		check(snprintf(path, sizeof(path), "%s/seed-%llu-%llu-%llu.trace", o.keep,
			  (unsigned long long)p->seed, (unsigned long long)record,
			  (unsigned long long)seed) < PATH_MAX);
		keep_trace(path, p, r);
		printf("  look at it: crash replay %s %llu %llu DIR\n", path,
		    (unsigned long long)record, (unsigned long long)seed);
	}
	fflush(stdout);
}

/* --- playing a trace --- */

struct play {
	const char *trace;
	uint64_t n, *at; /* places of the records */
	struct disk *disk;
	struct facts facts;
	uint64_t next;
};

static void
play_open(struct play *p, const struct plan *plan, const char *trace, uint64_t tail)
{
	*p = (struct play){ .trace = trace, .disk = disk_new() };
	uint64_t cap = 0;
	for (uint64_t at = 0; at < tail; at += rec_size(rec_at(trace, at))) {
		if (p->n == cap) {
			cap = cap ? cap * 2 : 1024;
			p->at = xrealloc(p->at, (cap + 1) * sizeof(*p->at));
		}
		p->at[p->n++] = at;
	}
	p->at = xrealloc(p->at, (p->n + 1) * sizeof(*p->at));
	p->at[p->n] = tail;
	facts_init(&p->facts, plan->n + 1);
}

static void
play_close(struct play *p)
{
	disk_free(p->disk);
	facts_done(&p->facts);
	free(p->at);
}

static void
play_to(struct play *p, uint64_t record)
{
	for (; p->next < record; p->next++) {
		const struct rec *r = rec_at(p->trace, p->at[p->next]);
		if (r->kind == REC_NOTE)
			facts_note(&p->facts, r->node, r->node2, r->off);
		disk_play(p->disk, r, p->at[p->next]);
	}
}

static const char *
play_crash(struct play *p, uint64_t seed, const char *to)
{
	const struct rec *begun = p->next < p->n ? rec_at(p->trace, p->at[p->next]) : NULL;
	const char *how = disk_crash(p->disk, begun, p->at[p->next], seed, to);
	soil_lock(to, seed);
	return how;
}

/* Did the recorder see everything? */
static void
compare(struct play *p)
{
	int status;
	play_to(p, p->n);
	remove_tree(other);
	disk_whole(p->disk, other);
	pid_t pid = fork();
	check(pid >= 0);
	if (pid == 0) {
		execlp("diff", "diff", "-rq", "-x", "lock.mdb", live, other, (char *)NULL);
		_exit(127);
	}
	check(waitpid(pid, &status, 0) == pid);
	if (status != 0)
		broken("the trace does not lead to what is in %s: something was written past "
		       "the recorder",
		    live);
}

/* --- sim --- */

static struct rec_shared *
fresh(void)
{
	remove_tree(live);
	check(mkdir(live, 0700) == 0);
	return rec_new(live);
}

/* The facts of all that was noted so far. */
static void
refold(struct facts *f, const struct plan *plan, const struct rec_shared *r)
{
	facts_init(f, plan->n + 1);
	for (uint64_t at = 0; at < r->tail;) {
		const struct rec *x = rec_at(rec_trace(r), at);
		if (x->kind == REC_NOTE)
			facts_note(f, x->node, x->node2, x->off);
		at += rec_size(x);
	}
}

/* One process; false when it found something. */
static bool
one_life(const struct plan *plan, struct rec_shared *r, uint32_t until, bool may_fail,
    const char *what)
{
	struct facts f;
	refold(&f, plan, r);
	struct job j = { *plan, &f, live, r, until, may_fail };
	int status = in_child(child_live, &j);
	facts_done(&f);
	sum.lives++;
	sum.kills += status == 137;
	if (status == 0 || (status == 137 && r->kill_at))
		return true;
	finding(plan, r, r->n, 0, what, status);
	return false;
}

static bool
record_lives(const struct plan *plan, struct rec_shared *r, uint64_t *chance)
{
	uint64_t lives = MIN(1 + chance_next(chance) % (LIVES_MAX + 1), (uint64_t)LIVES_MAX);
	r->sync_us = chance_next(chance) % 3 ? 300 : 0;
	for (uint64_t i = 1; i <= lives; i++) {
		bool last = i == lives;
		r->kill_at = last ? 0 : r->n + 20 + chance_next(chance) % (2 * o.ops);
		if (!one_life(plan, r, (uint32_t)(plan->n * i / lives), false, "the workload"))
			return false;
	}
	return true;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* The records of one kind of moment. */
struct moments {
	uint64_t *at, n;
};

static void
find_moments(const struct play *p, struct moments *syncs, struct moments *lives)
{
	*syncs = *lives = (struct moments){ 0 };
	syncs->at = xalloc((p->n + 1) * sizeof(*syncs->at));
	lives->at = xalloc((p->n + 1) * sizeof(*lives->at));
	for (uint64_t i = 0; i < p->n; i++) {
		const struct rec *r = rec_at(p->trace, p->at[i]);
		bool sync = r->kind == REC_SYNC || r->kind == REC_SYNCED ||
		            (r->kind == REC_WRITE && r->flags & REC_DURABLE);
		bool name = r->kind >= REC_MAKE && r->kind <= REC_RENAME;
		sum.syncs += sync;
		sum.freed += (r->kind == REC_RENAME || r->kind == REC_UNLINK) &&
		             str_ends(str_n(rec_name(r), r->name_len), STR(".seg"));
		if (sync || name)
			syncs->at[syncs->n++] = i;
		if (r->kind == REC_LIFE)
			lives->at[lives->n++] = i;
	}
}

/* Where the power goes: at, just before and just after every sync and every change of a name,
 * while a store is opened, and anywhere. */
static uint64_t *
choose_cuts(const struct play *p, uint64_t *chance)
{
	struct moments syncs, lives;
	uint64_t *cuts = xalloc(o.states * sizeof(*cuts));
	find_moments(p, &syncs, &lives);
	for (uint64_t i = 0; i < o.states; i++) {
		uint64_t r = chance_next(chance) % 100, x = chance_next(chance);
		cuts[i] = x % (p->n + 1);
		if (syncs.n && r < 60)
			cuts[i] = syncs.at[x % syncs.n] + chance_next(chance) % 3;
		else if (lives.n && r < 80)
			cuts[i] = lives.at[x % lives.n] + chance_next(chance) % OPENING;
		cuts[i] = MIN(cuts[i], p->n);
	}
	qsort(cuts, o.states, sizeof(*cuts), by_number);
	free(syncs.at);
	free(lives.at);
	return cuts;
}

static bool
time_is_up(void)
{
	return o.seconds && elapsed() >= (double)o.seconds;
}

static void
check_state(const struct plan *plan, const struct rec_shared *r, struct play *p, uint64_t seed,
    bool may_fail)
{
	remove_tree(state);
	const char *how = play_crash(p, seed, state);
	struct job j = { .plan = *plan, .facts = &p->facts, .root = state };
	int status = in_child(child_check, &j);
	sum.states++;
	if (status != 0)
		finding(plan, r, p->next, seed, how, status);
}

static void
check_states(const struct plan *plan, const struct rec_shared *r, uint64_t *chance)
{
	struct play p;
	play_open(&p, plan, rec_trace(r), r->tail);
	compare(&p);
	play_close(&p);
	play_open(&p, plan, rec_trace(r), r->tail);
	uint64_t *cuts = choose_cuts(&p, chance);
	for (uint64_t i = 0; i < o.states && sum.findings < o.findings; i++) {
		/* Whole rounds, unless the time is long up. */
		if (time_is_up() && sum.rounds > 0)
			break;
		play_to(&p, cuts[i]);
		check_state(plan, r, &p, chance_next(chance), false);
	}
	play_to(&p, p.n);
	sum.accepted += p.facts.accepted;
	sum.records += p.n;
	free(cuts);
	play_close(&p);
}

static void
sim(void)
{
	for (uint64_t i = 0; i < o.rounds || o.seconds; i++) {
		uint64_t seed = o.seed + i, chance = seed;
		struct plan plan = plan_of(seed, (uint32_t)o.ops);
		struct rec_shared *r = fresh();
		if (record_lives(&plan, r, &chance))
			check_states(&plan, r, &chance);
		rec_free(r);
		sum.rounds++;
		if (time_is_up() || sum.findings >= o.findings)
			break;
	}
}

/* --- faults --- */

struct fault {
	enum rec_call call;
	int error; /* 0: a short write */
	uint64_t in_a_row;
	const char *name;
};
static const struct fault faults[] = {
	{ CALL_SYNC, EIO, 1, "sync EIO" },
	{ CALL_SYNC, ENOSPC, 1, "sync ENOSPC" },
	{ CALL_SYNC, EIO, UINT64_MAX, "sync EIO for good" },
	{ CALL_WRITE, EIO, 1, "write EIO" },
	{ CALL_WRITE, ENOSPC, 1, "write ENOSPC" },
	{ CALL_WRITE, ENOSPC, UINT64_MAX, "write ENOSPC for good" },
	{ CALL_WRITE, 0, 1, "short write" },
	{ CALL_WRITE, 0, UINT64_MAX, "short writes" },
	{ CALL_SIZE, EIO, 1, "fallocate, ftruncate EIO" },
	{ CALL_SIZE, ENOSPC, UINT64_MAX, "fallocate, ftruncate ENOSPC for good" },
	{ CALL_RENAME, EIO, 1, "rename EIO" },
	{ CALL_RENAME, ENOSPC, UINT64_MAX, "rename ENOSPC for good" },
	{ CALL_UNLINK, EIO, 1, "unlink EIO" },
	{ CALL_OPEN, EIO, 1, "open EIO" },
	{ CALL_OPEN, ENOSPC, UINT64_MAX, "open ENOSPC for good" },
};

/* The directory as the process left it, then as a power cut at its end would have. */
static void
check_fault(const struct plan *plan, const struct rec_shared *r, const char *name, uint64_t seed)
{
	struct play p;
	play_open(&p, plan, rec_trace(r), r->tail);
	play_to(&p, p.n);
	struct job j = { .plan = *plan, .facts = &p.facts, .root = live };
	int status = in_child(child_check, &j);
	if (status != 0)
		finding(plan, r, p.n, 0, name, status);
	else
		check_state(plan, r, &p, seed, true);
	sum.accepted += p.facts.accepted;
	play_close(&p);
}

/* The N-th call of a kind fails; false: there were not so many. */
static bool
one_fault(const struct plan *plan, const struct fault *f, uint64_t n)
{
	struct rec_shared *r = fresh();
	char name[100];
	snprintf(name, sizeof(name), "%s, call %llu", f->name, (unsigned long long)n);
	r->fail_call = f->call;
	r->fail_at = n;
	r->fail_for = f->in_a_row;
	r->fail_errno = f->error;
	bool lived = one_life(plan, r, plan->n, true, name);
	bool failed = r->failed > 0;
	sum.positions += failed;
	if (lived && failed)
		check_fault(plan, r, name, n);
	rec_free(r);
	return failed;
}

static void
try_faults(void)
{
	struct plan plan = plan_of(o.seed, (uint32_t)o.ops);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		uint64_t n = 1 + (o.seed + i) % o.stride;
		while (sum.findings < o.findings && !time_is_up() &&
		       one_fault(&plan, &faults[i], n))
			n += o.stride;
	}
	sum.rounds++;
}

/* --- a finding again --- */

static int
replay(char **argv)
{
	struct stat st;
	uint64_t record, seed;
	int fd = open(argv[0], O_RDONLY);
	if (fd < 0 || fstat(fd, &st) < 0 || (size_t)st.st_size < sizeof(struct plan))
		broken("%s: %s", argv[0], strerror(errno));
	char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	check(p != MAP_FAILED && num_u64(str_of(argv[1]), UINT64_MAX, &record) &&
	      num_u64(str_of(argv[2]), UINT64_MAX, &seed));
	struct plan plan;
	struct play play;
	memcpy(&plan, p, sizeof(plan));
	play_open(&play, &plan, p + sizeof(plan), (uint64_t)st.st_size - sizeof(plan));
	play_to(&play, MIN(record, play.n));
	const char *how = play_crash(&play, seed, argv[3]);
	check(snprintf(state, sizeof(state), "%s.checked", argv[3]) < (int)sizeof(state));
	remove_tree(state);
	(void)play_crash(&play, seed, state);
	struct job j = { .plan = plan, .facts = &play.facts, .root = state };
	int status = in_child(child_check, &j);
	printf("%s is as found (%s), %s.checked is a copy that was checked: %s\n", argv[3], how,
	    argv[3], status == 0 ? "good" : told->says);
	play_close(&play);
	return status != 0;
}

/* --- a real disk --- */

struct real_note {
	uint32_t what, a;
	uint64_t b;
};
static int notes_fd;

static void
note_real(uint32_t what, uint32_t a, uint64_t b)
{
	struct real_note n = { what, a, b };
	check(write(notes_fd, &n, sizeof(n)) == sizeof(n));
}

static void
read_notes(const char *path, uint64_t answers_until, struct plan *plan, struct facts *f)
{
	struct real_note n;
	FILE *in = fopen(path, "rb");
	if (!in || fread(plan, sizeof(*plan), 1, in) != 1)
		broken("%s: no notes", path);
	facts_init(f, plan->n + 1);
	struct real_note late = { 0 };
	for (uint64_t at = sizeof(*plan); fread(&n, sizeof(n), 1, in) == 1; at += sizeof(n)) {
		bool question = n.what == NOTE_ASKED || n.what == NOTE_DELETING ||
		                n.what == NOTE_PUTTING || n.what == NOTE_STEP ||
		                n.what == NOTE_POST_ASKED || n.what == NOTE_ENTRY_GOING ||
		                n.what == NOTE_STATE_PUTTING;
		bool in_time = at + sizeof(n) <= answers_until;
		/* Operations on mailboxes are done one behind the other: only the last may be open.
		 */
		if (n.what == NOTE_POST_ASKED && late.what)
			facts_note(f, late.what, late.a, late.b);
		if (n.what == NOTE_POST_DONE)
			late = in_time ? (struct real_note){ 0 } : n;
		if (question || in_time)
			facts_note(f, n.what, n.a, n.b);
	}
	fclose(in);
}

static int
run_real(char **argv)
{
	uint64_t seed, n;
	struct work w = { .dir = argv[0], .note = note_real };
	if (!num_u64(str_of(argv[2]), UINT64_MAX, &seed) || !num_u64(str_of(argv[3]), 10000000, &n))
		broken("run: SEED and OPS are numbers");
	w.plan = plan_of(seed, (uint32_t)n);
	w.may_fail = true; /* the disk goes away */
	notes_fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	if (notes_fd < 0 || write(notes_fd, &w.plan, sizeof(w.plan)) != sizeof(w.plan))
		broken("%s: %s", argv[1], strerror(errno));
	facts_init(&w.facts, w.plan.n + 1);
	bool good = work_live(&w, w.plan.n);
	if (!good)
		printf("%s\n", w.says);
	facts_done(&w.facts);
	return !good;
}

static int
check_real(char **argv)
{
	uint64_t until;
	struct work w = { .dir = argv[0] };
	if (!num_u64(str_of(argv[2]), UINT64_MAX, &until))
		broken("check: OCTETS is a number");
	read_notes(argv[1], until, &w.plan, &w.facts);
	bool good = work_check(&w);
	printf("%s%llu letters acknowledged\n", good ? "good: " : "",
	    (unsigned long long)w.facts.accepted);
	if (!good)
		printf("FINDING %s\n", w.says);
	facts_done(&w.facts);
	return !good;
}

/* --- the command line --- */

static void
options(char **argv)
{
	static const struct {
		const char *name;
		uint64_t *number;
		const char **text;
	} table[] = {
		{ "--seed", &o.seed, NULL },
		{ "--rounds", &o.rounds, NULL },
		{ "--seconds", &o.seconds, NULL },
		{ "--states", &o.states, NULL },
		{ "--ops", &o.ops, NULL },
		{ "--stride", &o.stride, NULL },
		{ "--findings", &o.findings, NULL },
		{ "--dir", NULL, &o.dir },
		{ "--keep", NULL, &o.keep },
	};
	for (; argv[0] && argv[1]; argv += 2) {
		size_t i = 0;
		while (i < ARRAY_LEN(table) && strcmp(table[i].name, argv[0]) != 0)
			i++;
		if (i == ARRAY_LEN(table))
			broken("%s: no such option", argv[0]);
		if (table[i].text)
			*table[i].text = argv[1];
		else if (!num_u64(str_of(argv[1]), 1ull << 40, table[i].number))
			broken("%s: a number, not %s", argv[0], argv[1]);
	}
	if (argv[0] || o.stride == 0 || o.ops == 0 || o.ops > 100000 || o.states > 1000000)
		broken("wrong options");
}

static int
in_scratch(void (*fn)(void))
{
	char base[PATH_MAX - 128];
	struct stat st;
	const char *in = o.dir ? o.dir : stat("/dev/shm", &st) == 0 ? "/dev/shm" : "/tmp";
	check(snprintf(base, sizeof(base), "%s/pennypost-crash-XXXXXX", in) < (int)sizeof(base));
	if (!mkdtemp(base))
		broken("%s: %s", base, strerror(errno));
	check(snprintf(live, sizeof(live), "%s/live", base) < (int)sizeof(live));
	check(snprintf(state, sizeof(state), "%s/state", base) < (int)sizeof(state));
	check(snprintf(other, sizeof(other), "%s/other", base) < (int)sizeof(other));
	fn();
	remove_tree(base);
	printf("%llu rounds, %llu lives (%llu killed), %llu records, %llu syncs, %llu segments "
	       "freed, "
	       "%llu states, "
	       "%llu fault positions, %llu letters acknowledged, %llu findings, %.1f s\n",
	    (unsigned long long)sum.rounds, (unsigned long long)sum.lives,
	    (unsigned long long)sum.kills, (unsigned long long)sum.records,
	    (unsigned long long)sum.syncs, (unsigned long long)sum.freed,
	    (unsigned long long)sum.states, (unsigned long long)sum.positions,
	    (unsigned long long)sum.accepted, (unsigned long long)sum.findings, elapsed());
	return sum.findings > 0;
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	clock_gettime(CLOCK_MONOTONIC, &began);
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(told != MAP_FAILED);
	if (strcmp(what, "replay") == 0 && argc == 6)
		return replay(argv + 2);
	if (strcmp(what, "run") == 0 && argc == 6)
		return run_real(argv + 2);
	if (strcmp(what, "check") == 0 && argc == 5)
		return check_real(argv + 2);
	bool faulty = strcmp(what, "faults") == 0;
	if (!faulty && strcmp(what, "sim") != 0)
		broken("usage: crash sim | faults | replay | run | check; the head of "
		       "tests/crash/crash.c says more");
	options(argv + 2);
	return in_scratch(faulty ? try_faults : sim);
}
