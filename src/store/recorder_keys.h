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

/* A text as it is compared: small letters, brackets taken off; octets of out that it takes. */
size_t trace_key_fold(char out[TRACE_KEY_MAX], struct str s);
uint64_t trace_key_digest(const unsigned char id[STORE_ID_LEN], struct str s);

typedef bool trace_key_fn(void *arg, struct str key); /* not folded; false: stop */
void trace_keys_each(const struct trace_payload *t, trace_key_fn *fn, void *arg);

/* Which letters is it about? */
typedef void trace_letter_fn(void *arg, uint64_t letter);
void trace_letters_each(const struct trace_payload *t, trace_letter_fn *fn, void *arg);

bool trace_is_about(const struct trace_payload *t, uint64_t letter);
bool trace_matches(const struct trace_payload *t, const struct trace_query *q);
/* The text to look up first: the one that fewest letters have; p NULL: there is only the time. */
struct str trace_query_key(const struct trace_query *q);
