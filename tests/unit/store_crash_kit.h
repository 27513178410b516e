/* What tests of crashes and of space share: a log that ends early, fsck's opinion, and so much
 * coming and going that compaction has work. For the engine with files. */
#pragma once

#include "store/emb.h"
#include "store/fsck.h"
#include "store/logread.h"
#include "store_kit.h"

static inline void
clean(const char *dir, uint64_t problems, const char *what)
{
	struct fsck_report report;
	assert_int_equal(fsck_run(dir, &report, NULL, NULL), 0);
	if (report.problems != problems || (what && !strstr(buf_cstr(&report.text), what)))
		print_message("%s", buf_cstr(&report.text));
	assert_int_equal(report.problems, problems);
	if (what)
		assert_non_null(strstr(buf_cstr(&report.text), what));
	fsck_report_done(&report);
}

#define CHURNED 5000 /* an account */

/* Fsck wants every account to have an address. */
static inline int
set_up_people(void **state)
{
	struct store_dom g = store_dom_directory();
	int r = kit_set_up_emb(state);
	if (r < 0)
		return r;
	struct store_batch *b = store_batch_new(kit_store(state), &g);
	for (uint64_t i = 0; i <= 800; i++) {
		char key[32];
		unsigned char account[8];
		snprintf(key, sizeof(key), "u|r%u@example.com", (unsigned)i);
		be64_put(account, i ? i : CHURNED);
		store_put(b, str_of(key), str_n(account, sizeof(account)), 0);
	}
	return kit_commit(kit_store(state), b).rc;
}

struct cuts {
	uint64_t at[4000]; /* offsets of frames in segment 1, behind those of other letters */
	enum frame_type type[4000];
	size_t n, intent; /* which one is the intent */
};

static inline void
find_cuts(const char *dir, uint64_t letter, struct cuts *c)
{
	char *path = kit_path(dir, "log");
	int log = open(path, O_RDONLY | O_DIRECTORY);
	struct logread r;
	*c = (struct cuts){ 0 };
	assert_int_equal(logread_open(&r, log, 1, 0), 0);
	for (;;) {
		struct frame f;
		enum frame_state state;
		assert_int_equal(logread_head(&r, &f, &state), 0);
		if (state != FRAME_OK)
			break;
		if (f.id == letter) {
			if (f.type == FRAME_INTENT)
				c->intent = c->n;
			assert_true(c->n < ARRAY_LEN(c->at));
			c->type[c->n] = f.type;
			c->at[c->n++] = r.off;
		}
		logread_next(&r, &f);
	}
	logread_close(&r);
	close(log);
	free(path);
}

/* The directory as a crash would leave it: the log ends at off, and there is no index. */
static inline char *
cut_copy(const char *dir, const char *name, uint64_t off)
{
	char *to = kit_path(dir, "../"), *copy = kit_path(to, name);
	char *seg = kit_path(copy, "log/00000001.seg"), *index = kit_path(copy, "index");
	static char zeros[1 << 16];
	kit_copy(dir, copy);
	kit_remove(index);
	int fd = open(seg, O_WRONLY);
	struct stat st;
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	for (off_t at = (off_t)off; at < st.st_size; at += (off_t)sizeof(zeros))
		assert_true(pwrite(fd, zeros, (size_t)MIN((off_t)sizeof(zeros), st.st_size - at),
				at) > 0);
	close(fd);
	free(to);
	free(seg);
	free(index);
	return copy;
}

static inline size_t
blobs_of(const char *dir)
{
	char *path = kit_path(dir, "blob");
	DIR *d = opendir(path);
	size_t n = 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	free(path);
	return n;
}

static inline void
churn(struct store *s, uint64_t account, uint64_t from)
{
	struct store_dom d = store_dom_mailbox(account, MAILBOX_INBOX);
	for (uint64_t i = 1; i <= 1500; i++) {
		kit_accept_async(s,
		    (struct kit_letter){ .id = from + i, .first = account, .count = 1, .n = 4000 },
		    NULL, NULL);
		struct store_batch *b = store_batch_new(s, &d);
		mailbox_expunge(b, (uint32_t)i);
		store_commit(b, STORE_DURABLE, NULL, NULL);
		if (i % 100 == 0)
			store_wait(s);
	}
	store_wait(s);
}
