/* roundtrip_priv: what the files of `roundtrip` share. */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "client/exit.h"
#include "client/mailread.h"
#include "client/options.h"

#include <stdbool.h>
#include <stdint.h>

/* What became of a letter on its way. */
enum roundtrip_body {
	ROUNDTRIP_EXACT,     /* octet by octet */
	ROUNDTRIP_LINE_ENDS, /* the same but for CRLF, LF */
	ROUNDTRIP_ENCODING,  /* another Content-Transfer-Encoding; decoded it is the same */
	ROUNDTRIP_BLANKS,    /* blanks at the ends of lines, or lines at the end, are others */
	ROUNDTRIP_FROM,      /* "From " at the start of a line became ">From " (mbox) */
	ROUNDTRIP_DIFFERENT,
};
extern const char *const roundtrip_body_name[]; /* "exact", "line-ends", ... */
extern const char *const roundtrip_body_text[]; /* a sentence */

#define ROUNDTRIP_HOPS_MAX 50
struct roundtrip_hop {
	struct str by;    /* view of the letter that came */
	bool dated;
	int64_t at, took; /* Unix time; seconds since the hop before, or since it was sent */
};
struct roundtrip_found {
	enum roundtrip_body body;
	size_t line;             /* DIFFERENT: the first line that differs, from 1 on */
	struct str line_sent, line_came;
	struct str return_path;  /* empty: there is none */
	struct roundtrip_hop hops[ROUNDTRIP_HOPS_MAX]; /* the oldest first */
	size_t n_hops;
	struct buf added, lost, changed; /* names of header fields, one a line */
};
void roundtrip_found_init(struct roundtrip_found *f);
void roundtrip_found_done(struct roundtrip_found *f);
/* Pure. sent_at: Unix time. Views are of the two letters. */
void roundtrip_compare(struct str sent, struct str came, int64_t sent_at, struct roundtrip_found *ret);

/* "imaps://USER@HOST[:PORT][/MAILBOX]"; %40 and the like are decoded. */
struct roundtrip_url {
	bool imap, tls;
	uint16_t port;
	struct buf user, host, mailbox;
};
void roundtrip_url_init(struct roundtrip_url *u);
void roundtrip_url_done(struct roundtrip_url *u);
/* NULL, or what is wrong with it. */
const char *roundtrip_url_read(struct str text, struct roundtrip_url *ret);

/* --- the command --- */

struct roundtrip {
	struct client_options *o;
	/* Options of its own. */
	const char *read, *read_password_file, *read_password_fd, *wait, *times;
	bool keep, delete;
	uint64_t wait_s;
	struct roundtrip_url url;
	struct buf read_secret;
	const char *to;
	/* One round. */
	char token[36];
	struct buf letter, came, message_id;
	struct link_conf conf;
	struct link link;
	struct mailread m;
	bool open;
	const char *step;
	struct buf why;
	int64_t start_us, accepted_us, found_us, fetched_us, sent_at;
	uint64_t id, octets;
	bool deleted, temporary;
	struct roundtrip_found found;
};

void roundtrip_tell_json(const struct roundtrip *r, int status);
void roundtrip_tell(const struct roundtrip *r, int status);
/* What went wrong; the conversation is shown only with --verbose, this always. */
void roundtrip_tell_trouble(const struct roundtrip *r, int status);
