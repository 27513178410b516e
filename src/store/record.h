/*
 * record: what stands in the payloads of the log's frames. Pure: octets in, values out.
 *
 * Each record has put and get side by side; a get checks everything, down to the last
 * recipient or operation, so that walking it afterwards cannot fail. Numbers are big-endian,
 * strings have a 32-bit length in front. Views point into the payload. docs/format.md shows
 * the layouts octet by octet.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "base/wire.h"
#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define RECORD_VERSION 1
#define RECORD_RCPT_MAX 4096            /* octets of one recipient */
#define RECORD_PREFIX_MAX (64u << 10)   /* octets in front of one mailbox's copy */
#define RECORD_TEXT_MAX (64u << 10)     /* reverse-path, envelope id, queue id, trace header */
#define RECORD_HISTORY_MAX (1u << 20)
#define RECORD_RCPTS_MAX 20000
#define RECORD_ONWARD_MAX (16u << 20)   /* lines of recipients elsewhere */
/* A letter's record may have pieces and a prefix, or an entry's value; other values come from
 * store_put(). */
#define RECORD_VALUE_MAX (STORE_VALUE_MAX + STORE_ENTRY_MAX + 1024u)
_Static_assert(STORE_VIEW_MAX <= STORE_VALUE_MAX, "a view fits into its record");
_Static_assert(RECORD_PREFIX_MAX <= STORE_ENTRY_MAX, "so does a prefix");

/* --- a reference to a body: lsn, blob, len, crc; 28 octets --- */
#define RECORD_REF_LEN 28
void ref_put(struct buf *b, const struct store_ref *r);
struct store_ref ref_get(struct wire *w);

/* What a letter's frames are, besides its reference; 12 octets. */
struct store_place {
	uint64_t trace; /* lsn of its TRACE frame, 0: unknown or none */
	uint32_t keep;  /* octets that the frames of body and trace take in the log */
};
void place_put(struct buf *b, const struct store_place *p);
struct store_place place_get(struct wire *w);

/* --- BATCH: one domain's puts and deletes, as resolved --- */
struct batch_record {
	struct store_dom dom;
	uint64_t ver;
	uint32_t n;
	struct wire ops; /* walk with batch_record_next */
};
struct batch_op {
	bool del;
	struct str key, value;
};
size_t batch_record_begin(struct buf *b, const struct store_dom *d, uint64_t ver);
void batch_record_put(struct buf *b, struct str key, struct str value);
void batch_record_del(struct buf *b, struct str key);
/* A put whose value is appended by the caller in between. */
size_t batch_record_put_begin(struct buf *b, struct str key);
void batch_record_put_end(struct buf *b, size_t at);
void batch_record_end(struct buf *b, size_t begin, uint32_t n);
bool batch_record_get(struct str payload, struct batch_record *ret);
bool batch_record_next(struct batch_record *r, struct batch_op *ret);

/* --- INTENT: a letter and every mailbox it goes to --- */
#define INTENT_VERSION 2 /* 1 had no place */
#define INTENT_MERGE 3   /* has views instead of recipients */
#define INTENT_ENTRIES 4 /* as 2, and entries of the queue behind the recipients */
#define INTENT_REF_AT 17 /* where reference and place stand: filled in when the body has them */
#define INTENT_VIEWS_AT (INTENT_REF_AT + RECORD_REF_LEN + 12) /* of a merge: the views' reference */
#define INTENT_KEY_LEN (16 + DONE_KEY_LEN) /* of a merge, at the end: domain and key in the index */
struct intent {
	uint64_t letter, time_ms;
	struct store_ref ref;
	struct store_place place;
	uint32_t trace_len, header_len;
	bool insert_blank;
	struct str from, envid, ret;
	uint32_t n_rcpt;
	struct wire rcpts; /* walk with intent_next */
	uint32_t n_entries;
	struct wire entries; /* walk with intent_entry_next */
	/* of a merge */
	uint32_t n_views; /* 0: it is none */
	struct store_ref views;
	struct str prefix;
	struct str outline; /* the caller's to set: it is not in the payload */
};
/* Appends; the reference is zero until intent_set_ref(). */
void intent_put(struct buf *b, const struct store_letter *l);
void intent_set_ref(char *payload, const struct store_ref *r);
void intent_set_place(char *payload, const struct store_place *p);
void intent_put_merge(struct buf *b, const struct store_letter *l, uint32_t n_views);
void intent_set_views(char *payload, const struct store_ref *r);
bool intent_get(struct str payload, struct intent *ret);
bool intent_next(struct intent *in, struct store_rcpt *ret);
bool intent_entry_next(struct intent *in, struct store_entry *ret);

/* --- an entry of the queue: Q's "t|letter8|part4"; its state stands under the same and "s" --- */
#define QUEUED_KEY_LEN 15
#define QUEUED_KEY_MAX (QUEUED_KEY_LEN + 1)
struct str queued_key(char out[QUEUED_KEY_MAX], uint64_t letter, uint32_t part);
struct str queued_state_key(char out[QUEUED_KEY_MAX], uint64_t letter, uint32_t part);
/* Is it the key of an entry, or with state of a state? */
bool queued_key_get(const struct store_dom *d, struct str key, bool state, uint64_t *ret_letter,
    uint32_t *ret_part);
/* Of q, letter, part and state are not in it. */
void queued_put(struct buf *b, const struct store_queued *q, const struct store_place *place);
bool queued_get(struct str value, struct store_queued *ret, struct store_place *ret_place);

/* --- views: the octets that the reference of a merge's views leads to are so many of them --- */
void store_view_put(struct buf *b, const struct store_view *v);
/* Advances w. body: octets that pieces may be of. */
bool store_view_get(struct wire *w, uint64_t body, struct store_view *ret);
/* What encoded pieces come to; *ret_end: the octets that the body must have for them. */
bool pieces_measure(struct str pieces, uint16_t n, uint64_t *ret_size, uint64_t *ret_end);

/* --- DONE: the letter is in every mailbox. The record is the marker itself: domain, key, value ---
 */
#define DONE_LEN 35
#define DONE_KEY_LEN 10
#define DONE_VALUE_LEN 9
void done_put(struct buf *b, uint64_t letter, uint64_t time_ms);
bool done_get(struct str payload, uint64_t *ret_letter, uint64_t *ret_time_ms);
/* The marker's key in the queue's domain, "a|letter8"; "q|letter8" names an open intent. */
void queue_key(char out[DONE_KEY_LEN], char kind, uint64_t letter);

/* --- BLOB: a body in a file of its own, and the trace header that stands in front of it --- */
struct blob_record {
	uint64_t number, len; /* of the file */
	uint32_t crc;         /* of its octets alone */
	struct str trace;
};
void blob_record_put(struct buf *b, const struct blob_record *r);
bool blob_record_get(struct str payload, struct blob_record *ret);

/* Octets that the frame of a body takes in the log. trace_len: of the trace header alone. */
uint64_t body_frame_size(const struct store_ref *r, uint32_t trace_len);

/* --- SNAP: the keys in [from, to) of a domain are these and no others --- */
struct snap_record {
	struct store_dom dom;
	uint64_t ver;
	struct str from, to; /* to empty: to the domain's end */
	uint32_t n;
	struct wire ops; /* puts, ascending; walk with snap_record_next */
};
/* puts: n of them, as batch_record_put() makes them. */
void snap_record_put(struct buf *b, const struct snap_record *r, struct str puts);
bool snap_record_get(struct str payload, struct snap_record *ret);
bool snap_record_next(struct snap_record *r, struct batch_op *ret);

/* --- CHECKPOINT: every domain that had a version at begin was snapped since --- */
struct checkpoint_record {
	uint64_t begin, octets; /* octets of the frames that snapped them */
	uint64_t blob;          /* no blob named before begin has a higher number */
};
void checkpoint_record_put(struct buf *b, const struct checkpoint_record *r);
bool checkpoint_record_get(struct str payload, struct checkpoint_record *ret);

/* --- TRACE: a history --- */
struct trace_payload {
	uint8_t kind; /* enum store_note_kind */
	uint64_t letter, session, time_ms;
	struct str qid, from, envid, ret, rcpts, message_id, peer, history;
};
void trace_payload_put(struct buf *b, const struct store_letter *l);
void trace_payload_put_note(struct buf *b, const struct store_note *n);
bool trace_payload_get(struct str payload, struct trace_payload *ret);
