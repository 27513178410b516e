/*
 * Inside FETCH: what was asked for, and how it is got.
 *
 * The items are put in two rows: those of the index (META, OUTLINE), then those that need octets.
 * From the second row comes the plan: nothing to read; one range that streams from the window to
 * the peer; headers only, kept whole one by one; or mixed: the beginning of each letter is read
 * together with its outline, and what is not in it is asked for item by item (fetch_held.c).
 */
#pragma once

#include "imap/walk_priv.h"

#include "mail/mime.h"

#define FETCH_ITEMS_MAX 256
#define FETCH_PATH_MAX MIME_DEPTH_MAX
#define FETCH_FIELDS_MAX 256
#define FETCH_FIRST (64u << 10)  /* octets of each letter that a mixed plan reads at once */
#define FETCH_FEW 4              /* letters up to which it reads none ahead */
#define FETCH_FLAGS_CACHED 16
#define FETCH_FLAGS_TEXT 192

enum fetch_section {
	FETCH_ALL, FETCH_HEADER, FETCH_TEXT, FETCH_MIME, FETCH_FIELDS, FETCH_FIELDS_NOT,
	FETCH_SECTIONS
};
enum fetch_form { FETCH_BODY, FETCH_BINARY, FETCH_BINARY_SIZE };

struct fetch;
struct fetch_item;
typedef void fetch_put_fn(
    struct imap_session *s, struct fetch *f, const struct walk_letter *l, const struct fetch_item *i);

struct fetch_item {
	fetch_put_fn *put;      /* of the index; NULL: octets */
	struct str echo;        /* "BODY[TEXT]<0>" */
	bool outline, lazy;
	bool seen;              /* sets \Seen */
	enum fetch_form form;
	enum fetch_section section;
	uint32_t *path;
	size_t n_path;
	bool partial;
	uint64_t off, len;
	struct str *fields;
	size_t n_fields;
};

struct fetch_range {
	uint64_t off, len; /* of the whole letter */
};

/* An octet item of a letter: one or two passes over a range. */
struct fetch_job {
	const struct fetch_item *item;
	enum { JOB_PLAIN, JOB_FIELDS, JOB_DECODE } how;
	struct fetch_range range;
	uint64_t left;          /* of this pass */
	bool head_said, raw, second, nul;
	struct mime_decoder decoder;
	uint64_t size, skip, take; /* decoded */
};

enum fetch_plan { PLAN_INDEX, PLAN_STREAM, PLAN_HEADER, PLAN_MIXED };

struct fetch {
	struct imap_walk walk;  /* first */
	bool uid;
	struct fetch_item *items; /* n_index of the index, then the others; arena */
	size_t n_index, n_items;
	bool flags, modseq;     /* FLAGS, MODSEQ are among them */
	enum fetch_plan plan;
	uint64_t since;
	bool vanished;
	struct imap_set set;
	struct uidset wanted, changed, gone;
	size_t chunk;           /* ranges of wanted whose \Seen is set */
	struct buf octets;      /* of an ask or a change */
	bool see_later;         /* wanted collects those that are given, \Seen comes behind */
	uint64_t changed_modseq;
	enum imap_run (*next)(struct imap_session *); /* behind fetch_before() */

	/* a letter at hand */
	struct access_letter row;
	struct buf record;
	struct outline outline;
	struct walk_letter letter;
	size_t at_item;
	struct fetch_job job;
	struct buf gather;      /* header fields, decoded text */

	uint32_t damaged_uid;   /* the first one */
	unsigned damaged, unknown_cte;
	bool cut_off;           /* a letter that streamed cannot be read on */

	/* formatting */
	int64_t day;
	char day_text[12];
	struct fetch_flags_text {
		uint64_t flags;
		unsigned len;   /* 0: free */
		char text[FETCH_FLAGS_TEXT];
	} cached[FETCH_FLAGS_CACHED];
};
static inline struct fetch *
fetch_of(struct imap_session *s)
{
	return s->cmd->data;
}

/* fetch_parse.c: items and modifiers. False: lex.bad, or said already (*ret_run). */
bool fetch_parse(struct imap_session *s, struct fetch *f);
/* fetch_section.c: what stands in "[...]"; its answer's form is appended to echo. */
bool fetch_section_read(
    struct imap_lex *x, struct arena *arena, struct fetch_item *i, struct buf *echo);
/* "[...]<...>" behind BODY, BODY.PEEK, BINARY, ... */
bool fetch_section_parse(struct imap_session *s, struct fetch_item *i, const char *name);

/* fetch_put.c */
void fetch_begin(struct imap_session *s, struct fetch *f, const struct walk_letter *l);
static inline void
fetch_close(struct imap_session *s)
{
	buf_put(s->cmd->out, ")\r\n", 3);
}
fetch_put_fn fetch_put_flags, fetch_put_uid, fetch_put_internaldate, fetch_put_size,
    fetch_put_envelope, fetch_put_body, fetch_put_bodystructure, fetch_put_modseq,
    fetch_put_emailid, fetch_put_threadid, fetch_put_savedate, fetch_put_preview;

/* fetch_job.c: begin says whether octets are wanted: those of job.range, in order; end, whether
 * the same once more. nil: they cannot be had. */
bool fetch_job_begin(struct imap_session *s, struct fetch *f, const struct fetch_item *i);
void fetch_job_feed(struct imap_session *s, struct fetch *f, struct str octets);
bool fetch_job_end(struct imap_session *s, struct fetch *f);
void fetch_job_nil(struct imap_session *s, struct fetch *f);
void fetch_literal_head(
    struct buf *out, const struct fetch_item *i, bool eight, uint64_t len);
void fetch_octets_put(struct buf *out, struct str octets, bool raw);
extern const enum outline_what fetch_outline_what[FETCH_SECTIONS];
/* fetch_fields.c: those of a header that an item wants, and the empty line. */
void fetch_fields_filter(const struct fetch_item *i, struct str header, struct buf *out);

/* fetch_held.c: octet items of f->letter from at_item on. hand: its first octets. True: all done;
 * false: the job wants octets that are not at hand. */
bool fetch_items(struct imap_session *s, struct fetch *f, struct str hand);
void fetch_hold(struct fetch *f, const struct walk_letter *l);
enum imap_run fetch_held(struct imap_session *s);
void fetch_damaged(struct fetch *f, uint32_t uid);
enum imap_run fetch_lost(struct imap_session *s);

/* urlread.c: the section of a URL. False: it is none. */
bool fetch_section_of_url(struct str section, struct arena *arena, struct fetch_item *ret);

/* fetch_before.c: what comes before the letters: VANISHED (EARLIER), \Seen; then next. */
enum imap_run fetch_before(struct imap_session *s, enum imap_run (*next)(struct imap_session *));
/* f->wanted becomes \Seen, what was not goes into f->changed; then next. */
enum imap_run fetch_see(struct imap_session *s, enum imap_run (*next)(struct imap_session *));
