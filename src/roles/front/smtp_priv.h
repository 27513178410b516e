/* Inside front: what only SMTP and LMTP connections have. */
#pragma once

#include "roles/front/front_priv.h"

#include "mail/fields.h"
#include "mail/outline.h"
#include "smtp/session.h"

#define HISTORY_MAX (64u << 10) /* octets of one letter's conversation */

/* A letter between DATA and its answer. It lives in front->letters under its id until it is
 * answered or dropped; the connection may die earlier. */
enum letter_state {
	LETTER_OPEN,   /* octets go to store */
	LETTER_LOST,   /* store went away with what it had: to be refused at its end */
	LETTER_ASKED,  /* ACCEPT (or ACCEPT_ASK) is under way */
};
struct letter {
	uint64_t id;
	struct conn *conn; /* NULL: nobody waits any more */
	enum letter_state state;
	bool opened; /* store knows of it */
	uint32_t ask_no;
	uint64_t size, rcpts;
	int64_t asked_at;
	struct handin *handin; /* or NULL: taken as it comes */
	struct outline_builder *outline; /* or NULL: none is made */
	struct merge_job *merge; /* of a mail merge: while its views are sent */
	struct qid_facts facts;
	char qid[128];
};

/* What route said about one accepted recipient; in the transaction's arena. */
struct rcpt_route {
	bool limited; /* the one mailbox has a quota of its own */
	size_t n;
	uint64_t account[];
};

enum room { ROOM_UNKNOWN, ROOM_YES, ROOM_NO };

struct smtp_part {
	struct smtp_session session;
	struct buf history;
	uint64_t reported;     /* session.refused as of the last report ... */
	size_t reported_at;    /* ... and where the history ended then */
	struct letter *letter;
	uint64_t mailboxes;    /* of the letter under way */
	uint64_t merge_octets; /* that a mail merge holds: counted in front->octets */
	enum room room;        /* for the recipient that is asked about */
	bool relay;            /* its address is in relay_ip */
};

/* smtp_host.c */
void answer_give(struct conn *c, const struct smtp_answer *a); /* then drive on */
/* A decision for the letter's history. */
void letter_note(struct conn *c, const char *fmt, ...) PRINTF(2, 3);

/* answer.c: true when the question was answered at once; false: it waits. */
bool answer_question(struct conn *c, struct smtp_answer *a);

/* guest.c */
bool answer_xclient(struct conn *c, struct smtp_answer *a);

/* report.c: logs the refusals since the last call. */
void report_refusals(struct conn *c);

/* fault.c */
bool fault_strikes(struct conn *c, struct smtp_answer *a); /* the open question */

/* submit.c: letters that our own users hand in */
struct handin; /* what is done with one while it arrives */
bool submit_may_relay(const struct conn *c);
enum smtp_situation submit_sender(struct conn *c); /* MAIL: NONE or a refusal */
bool submit_over_rate(struct conn *c);
void submit_count(struct conn *c);
struct handin *handin_new(const struct conn *c);   /* or NULL */
struct handin *handin_free(struct handin *h);
struct str handin_feed(struct handin *h, struct str octets); /* what stays; good until the next */
struct str handin_end(struct handin *h);
/* Behind the end. ret_reason: of a refusal. */
enum smtp_situation handin_verdict(struct handin *h, struct conn *c, struct str *ret_reason);
const struct scan *handin_scan(const struct handin *h); /* of what stays */

/* merge.c: as letter_commit, for a mail merge; it is asked again until all its views are sent. */
struct merge_job;
bool merge_commit(struct conn *c, struct smtp_answer *a);
struct merge_job *merge_job_free(struct merge_job *job);
void merge_weigh(struct conn *c); /* counts what its merge holds now */

/* letter.c */
bool letter_begin(struct conn *c);                     /* false: store is away */
void letter_body(struct conn *c, struct str octets);
bool letter_must_wait(const struct conn *c);           /* the way to store is full */
void letter_drop(struct conn *c);
bool letter_commit(struct conn *c, struct smtp_answer *a); /* as answer_question */
void letter_name(struct conn *c, struct letter *l);
void letter_open(struct front *f, struct letter *l);
void letter_put_missing(const struct conn *c, const struct scan *scan, struct str id,
    struct buf *b);
void letter_ask(struct conn *c, struct letter *l, struct msg_accept *m, struct str extra);
