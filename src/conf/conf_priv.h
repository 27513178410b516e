/*
 * conf_priv: the key table and the parts of conf that work on it.
 *
 * A key's value lives at `offset` in struct conf (global) or struct conf_listener: char * for
 * text and choices, bool for yes/no, uint64_t for everything that counts. One parser and one
 * printer per type, so files, --set and the dump can never disagree.
 */
#pragma once

#include "conf/conf.h"

#define CONF_FILE_MAX (4u << 20) /* a configuration file */
#define CONF_MEMBERS_FILE_MAX (16u << 20)
#define CONF_MEMBERS_MAX 10000 /* of one alias */
#define CONF_ALIASES_MAX 20000
#define CONF_DOMAINS_MAX 10000
#define CONF_DIALECTS_MAX 256         /* files in dialect_dir */
#define CONF_DIALECT_MAX (256u << 10) /* octets of one of them */
#define CONF_TEXT_FILE_MAX (16u << 20)  /* octets of a file that a key names */
#define CONF_CA_FILE_MAX (256u << 10)   /* of one of certificates */
#define CONF_TEXTS_MAX 256
#define CONF_DEPTH_MAX 8              /* groups in groups */
#define CONF_ADDRESS_MAX 320
#define CONF_LMTP_PORT 24
#define CONF_METRICS_PORT 9325
#define CONF_IMAP_IDLE 1800 /* RFC 9051 5.4 */
#define CONF_POP3_IDLE 600  /* RFC 1939 3 */

enum conf_type {
	CONF_TEXT,
	CONF_BOOL, /* yes no */
	CONF_NUMBER,
	CONF_SIZE,    /* octets; K M G */
	CONF_SECONDS, /* s m h d */
	CONF_CHOICE,  /* one of `choices` */
};

enum {
	CONF_LISTENER = 1u << 0, /* a listener has its own; else one for the whole server */
	CONF_LAB = 1u << 1,      /* only with lab = yes */
	CONF_CAN_OFF = 1u << 2,  /* "off": no limit */
	CONF_PLACE = 1u << 3,    /* names the socket: only inside a listener's group */
	/* What it is a key of; none of these: of all protocols. */
	CONF_OF_SMTP = 1u << 4, /* and of LMTP, which looks at few of them */
	CONF_OF_IMAP = 1u << 5,
	CONF_OF_POP3 = 1u << 6,
	CONF_OF_METRICS = 1u << 15,
	CONF_OF_ANY = CONF_OF_SMTP | CONF_OF_IMAP | CONF_OF_POP3 | CONF_OF_METRICS,
};

struct conf_key {
	const char *name;
	enum conf_type type;
	unsigned flags;
	size_t offset;
	uint64_t min, max;
	const char *choices; /* space-separated */
	const char *def;     /* as it would be written */
	bool (*good)(
	    struct str v, const char **ret_want); /* texts: beyond the length; may be NULL */
	void (*fold)(char *v);                    /* texts: into the form that is kept; may be NULL */
	const char *doc;                          /* sentences for the manual */
};

extern const struct conf_key conf_keys[]; /* ends with name NULL */
const struct conf_key *conf_key_find(struct str name);
/* The name a writer may have meant, or NULL. listener: names a listener may have. */
const char *conf_key_nearest(struct str name, bool listener);

/* base: the struct conf or struct conf_listener. On a mistake nothing changes, false is
 * returned and err gets "NAME ...; write ..." without an end of line. */
bool conf_value_set(const struct conf_key *k, void *base, struct str text, struct buf *err);
void conf_value_put(const struct conf_key *k, const void *base, struct buf *out);
bool conf_value_is_default(const struct conf_key *k, const void *base);
bool conf_value_same(const struct conf_key *k, const void *a, const void *b);
/* "a number from 1 to 65535, or off" */
void conf_value_want(const struct conf_key *k, struct buf *out);

/* Checks that values of text keys and lists have to pass. */
bool conf_good_host_or_empty(struct str v, const char **ret_want);
bool conf_good_ip_or_empty(struct str v, const char **ret_want);
bool conf_good_listen_address(struct str v, const char **ret_want);
bool conf_good_cidrs(struct str v, const char **ret_want);
bool conf_good_senders(struct str v, const char **ret_want);
bool conf_good_domains(struct str v, const char **ret_want);
bool conf_good_classes(struct str v, const char **ret_want);
bool conf_good_mechs(struct str v, const char **ret_want);
extern const char *const conf_mechs[]; /* the SASL mechanisms there are; ends with NULL */
bool conf_good_address_or_empty(struct str v, const char **ret_want);
bool conf_good_plus(struct str v, const char **ret_want);
bool conf_good_dialect(struct str v, const char **ret_want);
bool conf_good_account(struct str v, const char **ret_want);
bool conf_good_account_or_empty(struct str v, const char **ret_want);
bool conf_good_dns(struct str v, const char **ret_want);
bool conf_good_path_or_empty(struct str v, const char **ret_want);
bool conf_good_url_or_empty(struct str v, const char **ret_want);
bool conf_url_is_literal(const char *url); /* its host is an IP address */
bool conf_good_mode(struct str v, const char **ret_want); /* "0660" */
bool conf_good_capabilities(struct str v, const char **ret_want);
bool conf_good_alias(struct str v);  /* local@domain or @domain */
bool conf_good_member(struct str v); /* local@domain */

bool conf_good_domain(struct str v);
bool conf_good_sources(struct str v, const char **ret_want); /* IP addresses, or nothing */

/* route.c: keys of a route; base: the struct conf_route. */
extern const struct conf_key conf_route_keys[]; /* ends with name NULL; the first is "via" */
const struct conf_key *conf_route_key(struct str name);
struct conf_route *conf_route_add(struct conf *c, struct str match, struct buf *err);
bool conf_route_set(struct conf *c, struct str name, struct str value, struct buf *err);
void conf_route_clear(struct conf_route *r);
bool conf_check_routes(const struct conf *c, struct buf *err, struct buf *warnings);

/* Sets of things, shared by load, set and undump. False with "what; what instead" in err. */
bool conf_domain_add(struct conf *c, struct str name, struct buf *err);
bool conf_cert_add(struct conf *c, struct str cert, struct str key, struct buf *err);
struct conf_alias *conf_alias_add(struct conf *c, struct str address, struct buf *err);
bool conf_alias_member_add(struct conf_alias *a, struct str member, struct buf *err);
void conf_alias_clear(struct conf_alias *a);
bool conf_reply_set(
    struct conf_listener *l, struct str situation, struct str text, struct buf *err);
bool conf_dialect_add(struct conf *c, struct str name, struct str text, struct buf *err);
bool conf_dialect_dir_read(struct conf *c, const char *dir, struct buf *err);
bool conf_text_add(struct conf *c, struct str path, struct str text, struct buf *err);
/* Reads the files that keys name. A line in err for each that cannot be read, and for each line in
 * one that is wrong. */
bool conf_texts_read(struct conf *c, struct buf *err);
/* The replies of a listener by name; free() the array. */
struct conf_reply {
	struct str situation;
	const char *text;
};
struct conf_reply *conf_replies_sorted(const struct conf_listener *l, size_t *ret_n);
bool conf_check_lab(const struct conf *c, struct buf *err);
/* Keys of one protocol written for a listener of another; IMAP's and POP3's own rules. False with
 * lines in err when something is wrong; warnings may be NULL. */
bool conf_check_protocols(const struct conf *c, struct buf *err, struct buf *warnings);
/* "listener 127.0.0.1:25" or "all listeners". */
const char *conf_who(const struct conf *c, const struct conf_listener *l, char name[96]);
/* The port of a listener for which none is written, by its protocol. */
uint64_t conf_default_port(const struct conf_listener *l);
void conf_settle(struct conf *c); /* copies what listeners keep of the whole (lab) */

void conf_quote(struct buf *out, struct str v); /* "v", cut and escaped for a terminal */

/* conf_load without the file: text under the name that messages shall show. Files that the text
 * names are looked up beside that name. */
bool conf_load_text(struct conf *c, const char *name, struct str text, struct buf *err);
