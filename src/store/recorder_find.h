/*
 * Inside the search for histories: recorder_log.c looks in the log, recorder_look.c in the tables
 * of files, recorder_find.c leads both and reads what they found.
 *
 * Files are taken some at a time, first few and then more, newest first. Of all of them the parts
 * that will be needed are asked for at once before the first is read, so that a cold disk has much
 * to do at a time and is waited for three times a window, not three times a file. No step has to
 * do with more than one file, so that whoever searches can do other things in between.
 */
#pragma once

#include "store/recorder.h"
#include "store/recorder_file.h"

#define LOOK_MOST 32u
#define AHEAD_PLACES 64u /* records that are asked for at a time */
#define AHEAD_RANGES 8u

/* What is looked for: what a query says, or all about some letters. */
struct sought {
	struct trace_query q;
	struct trace_wanted wanted[TRACE_WANTED_MAX];
	size_t n_wanted;
	const uint64_t *letters; /* NULL: the query counts; else ascending */
	size_t n_letters;
	bool *arrived; /* NULL: all; else how they came, where that is not found yet */
};
bool sought_matches(const struct sought *s, const struct trace_payload *t);

struct finding {
	trace_found_fn *fn;
	void *arg;
	const struct sought *s; /* NULL: everything is told */
	bool stopped;
};
void find_tell(struct finding *w, struct str payload, uint64_t lsn);

/* --- recorder_log.c --- */
int find_dir(const char *dir, const char *name); /* fd or -errno */
/* Where what is not followed yet begins. */
uint64_t find_behind_files(const char *dir);
/* From *lsn on at most max octets. 1: there may be more; 0: the end of the log; or -errno. */
int find_in_log(int log, uint64_t *lsn, uint64_t max, struct finding *w);

/* --- recorder_look.c --- */
struct range {
	uint64_t from, to;
};
/* A file of the window: records that may be meant, by their places, or parts to be read through.
 * What is left of either is the first n. */
struct look {
	struct table table;
	bool useful; /* there may be something in it, the table says */
	struct trcread file;
	struct places places;
	struct range *ranges;
	size_t n_ranges;
	size_t asked; /* places or ranges from here on were asked for */
};
struct window {
	struct look *look; /* LOOK_MOST */
	size_t most;       /* files that it will have */
	size_t n;          /* of them their tables are open, */
	size_t loaded;     /* were read, */
	size_t ready;      /* and say where to look */
	size_t at;         /* the file that is looked at */
	size_t width;      /* of the next window */
	unsigned char id[STORE_ID_LEN];
	bool have_id;
};
void look_files_init(struct window *w);
void look_files_done(struct window *w);
static inline bool
look_files_filling(const struct window *w)
{
	return w->ready < w->most;
}
/* Takes files from the end of numbers: the next step of one file. 0 or -errno. */
int look_files_fill(struct window *w, int dir, const uint64_t *numbers, size_t *n,
    const struct sought *s);
/* What comes next of it will be read soon. */
void look_file_ahead(struct look *l);
void look_file_done(struct look *l);
