/* Inside front: what only SMTP and LMTP connections have. */
#pragma once

#include "roles/front/front_priv.h"

#include "mail/fields.h"
#include "mail/outline.h"
#include "mail/srs.h"
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
	int64_t asked_at, asked_us;
	struct handin *handin; /* or NULL: taken as it comes */
	struct glance *glance; /* or NULL: a mail merge */
	struct outline_builder *outline; /* or NULL: none is made */
	struct merge_job *merge; /* of a mail merge: while its views are sent */
	struct qid_facts facts;
	char qid[128];
};

/* What route said about one accepted recipient; in the transaction's arena, in one piece that a
 * mail merge may copy. */
struct rcpt_route {
	bool limited;  /* the one mailbox has a quota of its own */
	bool alias, expanded; /* expanded: an alias of several */
	uint32_t n_onward, onward_len; /* recipients elsewhere, encoded behind the accounts */
	size_t n;
	uint64_t account[];
};

enum room { ROOM_UNKNOWN, ROOM_YES, ROOM_NO };

/* An address that auth has made or read for the transaction at hand. */
#define SRS_KNOWN_MAX 16
struct srs_known {
	bool reverse;
	enum srs_verdict verdict;
	char *asked, *told; /* told empty: there is none */
};

struct smtp_part {
	struct smtp_session session;
	struct buf history;
	uint64_t reported;     /* session.refused as of the last report ... */
	size_t reported_at;    /* ... and where the history ended then */
	struct letter *letter;
	uint64_t mailboxes;    /* of the letter under way */
	uint64_t etrn_id;      /* of a queue run that is asked for, or 0 */
	int64_t etrn_minute;   /* and how many were, in which minute */
	unsigned etrn_count;
	uint64_t srs_id;       /* of the question to auth that is open, or 0 */
	bool srs_reverse;      /* what it is ... */
	char *srs_asked;       /* ... owned */
	struct srs_known srs[SRS_KNOWN_MAX];
	size_t n_srs;
	uint64_t merge_octets; /* that a mail merge holds: counted in front->octets */
	struct burl *burl;     /* or NULL: no URL has been fetched */
	enum room room;        /* for the recipient that is asked about */
	bool relay;            /* its address is in relay_ip */
	char *only_domains;    /* a guest of turn.c: what it may bring; or NULL */
	char *only_tls;        /* and how it is secured */
};

/* smtp_host.c */
void answer_give(struct conn *c, const struct smtp_answer *a); /* then drive on */
/* A decision for the letter's history. */
void letter_note(struct conn *c, const char *fmt, ...) PRINTF(2, 3);

/* answer.c: true when the question was answered at once; false: it waits. */
bool answer_question(struct conn *c, struct smtp_answer *a);

/* turn.c */
bool turn_ask(struct conn *c, struct smtp_answer *a); /* as answer_question */
void turn_begin(struct conn *c);                      /* the 250 is in out */
void turn_guest_init(struct conn *c, const struct guest *g);
bool turn_refuses(const struct conn *c, const struct addr *to); /* a guest may not bring that */

/* guest.c */
bool answer_xclient(struct conn *c, struct smtp_answer *a);

/* report.c: logs the refusals since the last call. */
void report_refusals(struct conn *c);

/* fault.c */
bool fault_strikes(struct conn *c, struct smtp_answer *a); /* the open question */

/* onward.c: recipients elsewhere */
struct onward_way {
	struct str via;  /* the alias of ours that leads there, or empty */
	struct str from; /* reverse-path of its own, or empty */
	bool expanded;
};
bool onward_backs_up(const struct conf *conf, struct str domain); /* in relay_domains */
/* An address at a number of this server: the one in a domain of ours that is meant. */
bool onward_is_here(const struct conn *c, const struct addr *a, char dst[ADDR_PATH_MAX],
    struct addr *ret);
/* May this session name a recipient elsewhere? SMTP_NONE or a refusal. */
enum smtp_situation onward_allows(struct conn *c, const struct addr *to, struct str *ret_why);
/* Appends a msg_onward for address, to which rcpt leads; else says why not. */
enum smtp_situation onward_put(struct conn *c, const struct smtp_rcpt *rcpt,
    const struct onward_way *way, struct str address, struct buf *out, struct str *ret_why);
struct str onward_notify(const struct smtp_rcpt *r, bool expanded, char dst[64]);
/* All of a transaction, each address once; and the aliases that a report tells of. */
void onward_put_all(const struct smtp_txn *t, struct buf *out, uint32_t *ret_n);
void onward_put_expanded(const struct smtp_txn *t, struct buf *out);
struct msg_onward_facts onward_facts(const struct conn *c, bool eight_bit, uint64_t now_ms);

/* etrn.c: as answer_question */
bool etrn_ask(struct conn *c, struct smtp_answer *a);
void etrn_drop(struct conn *c);

/* srs.c: SRS_WAIT: auth was asked, and the question of the session will be looked at again. With
 * SRS_NO_WORD *ret is status and words of a refusal; empty: too many were asked for. */
enum srs_word { SRS_WORD, SRS_NO_WORD, SRS_WAIT };
enum srs_word srs_make_for(struct conn *c, struct str domain, struct str *ret); /* of its sender */
enum srs_word srs_leads_to(struct conn *c, struct str address, struct str *ret);
void srs_forget(struct conn *c); /* the transaction is over */
void srs_drop(struct conn *c);   /* the connection is */

/* glance.c: what front itself must know of a header; it looks while the letter arrives. */
struct glance;
struct glance *glance_new(void);
struct glance *glance_again(struct glance *g); /* ready for another letter, and returned */
void glance_feed(struct glance *g, struct str octets);
void glance_end(struct glance *g);
struct str glance_message_id(const struct glance *g);         /* with brackets, or empty */
struct str glance_message_id_of(struct str fields);           /* the same, of fields that we add */
bool glance_delivered_to(const struct glance *g, struct str address);
bool glance_tls_optional(const struct glance *g);             /* TLS-Required: No (RFC 8689 5) */
/* Does a Solicitation field (RFC 3865 2.5) name a class that is refused? *ret is it. */
bool glance_solicits(const struct glance *g, struct str refused, struct str *ret);

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

/* burl.c */
struct burl;
bool burl_ask(struct conn *c, struct smtp_answer *a); /* as answer_question */
void burl_told(struct conn *c, enum access_status status, struct str octets);
struct str burl_input(const struct conn *c);          /* what the session is fed with */
void burl_eat(struct conn *c, size_t n);
void burl_drop(struct conn *c);                       /* the URL under way, if there is one */
struct burl *burl_free(struct burl *b);

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
