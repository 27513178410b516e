/*
 * facts: what the store was asked and what it answered, and the seeded plan of the questions.
 *
 * A workload notes each question before it asks and each answer when the completion has run. A
 * check folds the notes up to the power cut: what was answered must be there, what was asked may
 * be there, whole, and what was never asked or was refused must not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FACTS_ACCOUNTS 4 /* their numbers are 1 to 4 */
#define FACTS_POST 5     /* the account whose mail is copied, moved and so on (post.h) */
#define FACTS_PARTS 3    /* entries of a letter in the queue, at most */
#define FACTS_BOXES 64   /* numbers of its mailboxes that are followed */

struct plan {
	uint64_t seed;
	uint32_t n; /* operations */
	uint64_t segment_bytes;
};
enum plan_kind {
	PLAN_LETTER,
	PLAN_REPEAT, /* an accepted letter is handed in again */
	PLAN_DELETE,
	PLAN_BATCH,
	PLAN_ABANDON, /* a body that is never accepted */
	PLAN_WAIT,
	PLAN_RUN,
	PLAN_READ,
	PLAN_KEEP, /* maintenance: whatever the store has */
	PLAN_POST, /* a change of an account's mail */
	PLAN_QUEUE, /* of an entry in the queue */
};
struct plan_op {
	enum plan_kind kind;
	uint64_t letter;       /* its id */
	uint32_t first, count; /* accounts */
	size_t size;
	bool spill, blank;
	uint32_t parts; /* entries in the queue */
	bool merge; /* each account gets pieces of its own */
	uint64_t r; /* chance left over */
};
struct plan plan_of(uint64_t seed, uint32_t n);
struct plan_op plan_op(const struct plan *p, uint32_t i);
uint32_t plan_index(uint64_t letter); /* of a letter's id */
void plan_fill(char *p, size_t n, uint64_t letter);

enum note {
	NOTE_ASKED = 1, /* letter a */
	NOTE_ACCEPTED,
	NOTE_REFUSED,  /* the answer was: nothing of it is here */
	NOTE_DELETING, /* letter a of account b */
	NOTE_DELETED,
	NOTE_PUTTING, /* number b into account a */
	NOTE_PUT,
	NOTE_ACCOUNT, /* account a is there */
	NOTE_STEP,    /* operation a is begun */
	NOTE_POST_ASKED, /* operation a */
	NOTE_POST_DONE,  /* operation a, for b letters */
	NOTE_POST_TORN,  /* operation a failed and may have been done for some letters */
	/* letter a, entry b, and in b's octets above: the state's number */
	NOTE_ENTRY_GOING,
	NOTE_ENTRY_GONE,
	NOTE_STATE_PUTTING,
	NOTE_STATE_PUT,
	NOTE_POST_TOP,   /* mailbox a: of its UIDs and modseqs, 32 bits each, these were given */
};
enum fact { FACT_NONE, FACT_ASKED, FACT_ACCEPTED, FACT_REFUSED };
enum fact_post { POST_NONE, POST_ASKED, POST_TORN, POST_DONE };
#define POST_ALL UINT32_MAX

struct fact_entry {
	uint8_t gone; /* 1 asked, 2 answered */
	uint8_t putting, put; /* numbers of its state */
};
struct facts {
	uint32_t n;
	uint8_t *letter;                        /* enum fact */
	uint8_t (*deleted)[FACTS_ACCOUNTS + 1]; /* 0, 1 asked, 2 answered */
	struct fact_entry (*entry)[FACTS_PARTS];
	uint64_t putting[FACTS_ACCOUNTS + 1], put[FACTS_ACCOUNTS + 1];
	bool account[FACTS_POST + 1];
	uint8_t *post;      /* enum fact_post, by operation */
	uint32_t *post_n;   /* for how many letters it was done */
	uint32_t top_uid[FACTS_BOXES], top_modseq[FACTS_BOXES];
	uint32_t next; /* the first operation that was not begun */
	uint64_t accepted;
};
void facts_init(struct facts *f, uint32_t n);
void facts_done(struct facts *f);
void facts_note(struct facts *f, enum note what, uint32_t a, uint64_t b);
