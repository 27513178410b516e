/*
 * dialect: wordings loaded from .dialect files (docs/rules.md 3), checked and inherited.
 *
 * The eleven built-in files are compiled in (data/dialects/); others may be read by the caller
 * and given as text. Loading resolves `base`, demands that rfc has every situation, refuses
 * unknown keys, variables and conditions, lines over 510 octets, and a reply that crosses the
 * class guard (success stays success with the same first digit, refusal stays refusal; VRFY may
 * answer 252; QUIT and closing replies keep their class). Errors carry file and line.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "smtp/reply.h"

#define DIALECT_FILE_MAX (256u << 10)
#define DIALECT_DEPTH_MAX 8

struct dialect_source {
	const char *name; /* "sendmail" */
	struct str text;
};
extern const struct dialect_source dialect_builtin[]; /* ends with name NULL; generated */

/* Finds the text of a dialect by name: built-in, or the caller's own. */
typedef bool dialect_find_fn(void *arg, struct str name, struct str *ret_text);
bool dialect_find_builtin(void *arg, struct str name, struct str *ret_text);

/* A complete wording, or NULL with one "file:line: what" per error line in err. */
struct smtp_wording *dialect_load(struct str name, dialect_find_fn *find, void *arg,
    struct buf *err);
struct smtp_wording *dialect_free(struct smtp_wording *w);
/* Whether a listener may have it: a quirk marked with ! (it weakens security) needs a lab. False
 * with a line in err. */
bool dialect_fits(const struct smtp_wording *w, bool lab, struct buf *err);
/* Replace one text (reply.SITUATION in the configuration; imap.KEY and pop3.KEY are those of the
 * sections [imap] and [pop3]); same checks. */
bool dialect_override(struct smtp_wording *w, struct str key, struct str text, struct buf *err);

enum dialect_access { DIALECT_IMAP, DIALECT_POP3 };
/* Appends the section as a file has it. */
void dialect_words_show(const struct smtp_wording *w, enum dialect_access which, struct buf *out);

/* What a listener does, whatever its dialect says. */
struct dialect_works {
	bool starttls, tls_required, auth, auth_cleartext, auth_unadvertised;
	struct str mechs;          /* that work, parted by blanks */
	struct str imap;           /* capabilities that IMAP has; empty: do not look at [imap] */
	bool vrfy, expn, ipmm, xclient, xforward, etrn, prdr, verp, no_soliciting;
	uint64_t max_size;         /* UINT64_MAX: no limit */
};
/* Appends a line for every capability that is shown and does not work, and for STARTTLS and AUTH
 * where they work and are not shown. Returns how many. */
unsigned dialect_check(const struct smtp_wording *w, const struct dialect_works *works,
    struct buf *warnings);

/* The queue id of a letter in the style asked for (docs/rules.md 3); every style is unique per
 * letter as long as ids are. counter: the letter's number since the configured start. */
struct qid_facts {
	uint64_t letter;   /* ms << 22 | front << 12 | sequence */
	uint64_t counter;
	uint32_t pid;
	unsigned char random[16];
	struct str host;   /* for iis */
};
/* The seven letters and digits of ${rand7}, the same for the same facts; NUL-terminated. */
void qid_rand7(char out[8], const struct qid_facts *f);
void qid_format(struct buf *out, enum smtp_qid_style style, const struct qid_facts *f);
