/*
 * letters: walks a mailbox in batches. The records of a batch are copied out of one snapshot,
 * which is closed before anything is made of them, however slow the asker reads.
 */
#pragma once

#include "base/buf.h"
#include "roles/store/reader_priv.h"
#include "store/mailbox.h"

#define LETTER_BATCH 100
#define LETTER_OCTETS (1u << 20) /* of prefixes and pieces; one letter may have more */
#define LETTER_CHUNK (64u << 10)
#define LETTER_FIELD_MAX (8u << 10)   /* of a header value that is shown */
#define LETTER_HEADER_MAX (64u << 10) /* octets of a header that are looked at for it */

struct letter {
	struct mailbox_letter meta; /* prefix points to the copy */
	char *prefix; /* and behind it the pieces of a mail merge */
};

struct job_batch *reader_letters_new(void);
void reader_letters_free(struct job_batch *b); /* NULL is allowed */
/* The first letter from j->next_uid on, or the one behind the last; -ENOENT at the end. */
int reader_letters_next(struct store *s, struct job *j, struct letter **ret);
struct letter *reader_letters_at(
    struct job_batch *b); /* the last one that reader_letters_next() gave, or NULL */
void reader_letters_over(struct job_batch *b); /* that one is done with */

/* Reads the record of l again, because its body is no longer where it said: 0, -ENOENT (the
 * letter was expunged), -EBADMSG (it still says the same: the body is lost) or -errno. */
int reader_letter_again(struct store *s, struct job *j, struct letter *l);

struct letter_facts {
	struct buf from, subject; /* unfolded */
};
int reader_letter_facts(struct store *s, const struct mailbox_letter *l, struct letter_facts *ret);
/* Between the <> of the prefix's Return-Path. */
struct str reader_return_path(const struct mailbox_letter *l);
