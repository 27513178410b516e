/*
 * recorder_keys: by what a history is found. Pure.
 *
 * A key is a text: an id of 13 characters (of the letter, of each letter that a mailbox event
 * names, of the session), the queue id, the Message-ID without its brackets, the reverse-path,
 * the address of each recipient, the peer's address. All in small letters (ASCII), at most
 * TRACE_KEY_MAX octets of each. Its digest is SipHash-2-4 under the store's id.
 *
 * Recipients are lines: of a letter "account mailbox address", of a mailbox event "account mailbox
 * letter uid", else "address" or the first form.
 */
#pragma once

#include "store/frame.h"
#include "store/record.h"

#define TRACE_KEY_MAX 1024u

/* What is asked for; empty fields ask for nothing. */
struct trace_query {
	struct str key; /* anything of the above, an IMAP EMAILID, a Message-ID with its brackets */
	struct str from, to, peer, message_id;
	uint64_t since_ms, until_ms; /* until_ms 0: no end */
};

/* What a key is in its history; 0: an id, or the queue id. */
enum trace_key_kind {
	TRACE_KEY_FROM = 1,
	TRACE_KEY_TO = 2,
	TRACE_KEY_PEER = 4,
	TRACE_KEY_MESSAGE_ID = 8,
	TRACE_KEY_ANY = 15,
};

/* The letter that a key names: by its id, IMAP's EMAILID (RFC 8474), an entry of the queue
 * "LETTER.PART". */
bool trace_key_letter(struct str key, uint64_t *ret);
uint64_t trace_key_digest(const unsigned char id[STORE_ID_LEN], struct str s);

typedef bool trace_key_fn(void *arg, struct str key, unsigned kind); /* not folded; false: stop */
void trace_keys_each(const struct trace_payload *t, trace_key_fn *fn, void *arg);

/* Which letters is it about? */
typedef void trace_letter_fn(void *arg, uint64_t letter);
void trace_letters_each(const struct trace_payload *t, trace_letter_fn *fn, void *arg);

bool trace_is_about(const struct trace_payload *t, uint64_t letter);
bool trace_matches(const struct trace_payload *t, const struct trace_query *q);
/* What a history must have for it; none: there is only the time. */
struct trace_wanted {
	struct str key;
	unsigned kind; /* TRACE_KEY_ANY: whatever it is */
};
#define TRACE_WANTED_MAX 5u
size_t trace_query_wanted(const struct trace_query *q, struct trace_wanted ret[TRACE_WANTED_MAX]);
