/*
 * conf: the configuration, one table of keys over libconfig.
 *
 * Every key is one row of conf_keys[] (conf/keys.c): name, type, scope, range, default, doc.
 * The same table checks files, --set, reload, prints `config check` and feeds pennypost.conf(5).
 * All mistakes are reported at once, each as "file:line: what is wrong; what to write instead".
 *
 * A listener key may stand at the top level (default for all listeners) or in a listener's
 * group; a listener has its own copy of every listener key. parent loads, then hands the roles
 * conf_dump() text in a sealed memfd; roles read it with conf_undump(), which re-validates.
 */
#pragma once

#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "ipc/msg.h"

#include <stdbool.h>
#include <stdint.h>

#define CONF_OFF UINT64_MAX /* a limit that is "off" */
#define CONF_TEXT_MAX 4096
#define CONF_PATH_MAX 1024           /* of a file that parent opens for a role */
#define CONF_IP_MAX 46
#define CONF_SPARE_FILES 200    /* a process's descriptors beside its connections */
#define CONF_CONNS_SANE 1000000 /* no front makes room for more */

/* One listener: a socket and how its sessions behave. */
struct conf_listener {
	char *address; /* "127.0.0.1", "::1", "*", "unix:PATH" */
	uint64_t port;
	uint64_t
	    stands_for; /* the well-known port this one stands for (lab: N+25 for 25); 0: its own */
	char *protocol; /* "smtp", "lmtp", "imap", "pop3" */
	char *socket_mode, *socket_user, *socket_group; /* of a unix socket */
	char *dialect;  /* "rfc" */
	char *host, *ehlo_host, *hub_host;
	char *client_ip, *client_name; /* lab only */
	uint64_t max_size;
	char *starttls;     /* yes no auto advertise-refuse */
	char *tls_implicit; /* yes no auto; ask conf_tls_implicit() */
	bool tls_broken;    /* tls.broken; lab only */
	bool tls_required;
	char *tls_required_senders;
	bool tls_legacy;
	char *tls_client_ca;        /* a file; its text: conf_text_of() */
	char *auth, *auth_required; /* yes no auto; ask conf_auth(), conf_auth_required() */
	char *auth_cleartext;    /* allow deny */
	char *auth_unadvertised; /* accept refuse dialect */
	char *mechs;
	bool ehlo;
	char *require_helo;   /* yes no dialect */
	char *helo_arg;       /* required optional dialect */
	char *helo_check;     /* lenient syntax fqdn dns */
	char *angle_brackets; /* required optional dialect */
	char *dot_space;      /* strict end */
	bool line_editing;
	char *bare_lf;  /* session reject auto; ask conf_bare_lf_session() */
	char *atrn;                 /* yes no auto; ask conf_atrn() */
	char *submission;           /* yes no auto; ask conf_submission() */
	bool own_sender, own_from;  /* of a submission: they belong to the account */
	char *proxy_peers, *xclient_peers, *xforward_peers; /* CIDR lists */
	char *relay_ip;             /* CIDR list */
	char *relay_sender;
	bool etrn, verp, prdr;
	char *no_soliciting;       /* classes, or "" */
	char *ipmm;        /* yes no dialect */
	char *ipmm_subst;  /* entities brackets dialect */
	char *quit_silent; /* yes no dialect */
	bool vrfy, expn;
	char *add_missing_headers; /* never auto */
	bool two_from;             /* accept more than one From */
	uint64_t counter, err_no;  /* lab only: counter, errno */
	char *imap_separator;                           /* / . */
	char *imap_capability_pre, *imap_capability_tls; /* lists, or "": what works */
	bool pop3_apop;
	uint64_t pop3_login_delay; /* seconds */
	uint64_t pop3_expire;      /* days that are promised; CONF_OFF: never */
	char *service_disabled;
	uint64_t limit_conns_listener, limit_msgs_per_session, limit_rcpts_per_msg,
	    limit_rcpts_per_hour, limit_rcpts_per_hour_account;
	uint64_t limit_header_lines, limit_header_bytes, limit_inject_seconds, limit_conn_seconds;
	uint64_t limit_idle_seconds; /* ask conf_idle_seconds() */
	uint64_t limit_data_seconds, limit_data_rate;
	uint64_t limit_command_line, limit_bad_commands, limit_hops, limit_tls, limit_ipmm_parts,
	    limit_ipmm_rcpts;
	uint64_t limit_hold_seconds;
	bool lab;           /* conf's, copied */
	struct map replies; /* reply.SITUATION -> char * text (owned) */
};

struct conf_alias {
	char *address;  /* "staff@example.com", or "@example.com" for a catch-all */
	char **members; /* addresses */
	size_t n_members;
};

/* Mail for other domains: the route whose match is longest; without one: by MX records. */
#define CONF_ROUTES_MAX 10000
struct conf_route {
	char *match;       /* "example.net", "*.example.net", "*", "[192.0.2.1]"; lower case */
	char *via;         /* "mx", or what queue/target.h says */
	char *tls;         /* auto never may must verify */
	char *login, *secret_file, *mechs; /* a smarthost's; the secret is auth's alone */
	char *auth_cleartext;              /* allow deny */
	char *certificate; /* shown to servers that ask: a name in one of ours, or "" */
	char *source;      /* addresses of ours, parted by blanks or commas; empty: relay.source */
	uint64_t max_connections, max_letters; /* 0: as for everybody */
	char *atrn;        /* accounts that may fetch the mail of this domain (RFC 2645), or "" */
	char *fetch_by_atrn; /* domains whose mail is fetched at this route's host, or "" */
	uint64_t fetch_every; /* seconds; 0: only when told */
};

struct conf_text { /* a file that a key names, with what it held */
	char *path, *text;
};

struct conf_cert { /* files of PEM text */
	char *cert, *key;
};

struct conf {
	char *hostname;
	char *data_dir;
	char *user;      /* account the roles run as when started as root */
	uint64_t fronts; /* 0: one per core */
	uint64_t readers;
	uint64_t relays; /* 0: one per core */
	bool lab;
	char *log_level, *log_file; /* log_file empty: standard error */
	char *postmaster;           /* address; empty: first user */
	char *plus_separator;       /* "+"; empty: none */
	char *dns;                  /* "" none, "system", else conf_dns_server() reads it */
	char *dns_trust_anchor;     /* this and what follows: files, or "" */
	char *oauth_keys, *oauth_issuer, *oauth_audience, *oauth_claim;
	char *oauth_introspect_url, *oauth_introspect_client, *oauth_introspect_secret_file,
	    *oauth_introspect_ca;
	char *gssapi_keytab, *gssapi_client_keytab, *gssapi_krb5_conf;
	char *relay_host, *relay_source, *relay_tls, *relay_authorities, *relay_long_lines;
	uint64_t relay_port, relay_letters, relay_session_seconds, relay_idle_seconds,
	    relay_connect_seconds, relay_reply_seconds;
	bool relay_ipv6;
	uint64_t sts_port, sts_refresh; /* seconds */
	bool tlsrpt;
	char *tlsrpt_organization, *tlsrpt_contact;
	uint64_t tlsrpt_period; /* seconds */
	uint64_t queue_lifetime, queue_warn, queue_retry_first, queue_retry_most; /* seconds */
	uint64_t queue_window_first, queue_window_most, queue_jobs, queue_bounce_full;
	bool queue_bounce_copies;
	struct conf_cert *certs; /* tls.certificates; not in the dump: no role opens them */
	size_t n_certs;
	uint64_t limit_conns_total, limit_conns_per_ip;
	uint64_t limit_queue_messages, limit_queue_bytes, limit_disk_low, limit_mem_high;
	char *relay_domains; /* patterns; backup MX */
	char *relay_recipients; /* a file, or ""; its text: conf_text_of() */
	bool srs;
	uint64_t quota; /* octets of an account that has no quota of its own; 0: no quota */
	uint64_t store_segment_bytes, store_group_letters, store_group_bytes, store_body_memory;
	uint64_t trace_days, trace_size; /* size 0: histories stay in the log alone */
	char **domains;
	size_t n_domains;
	struct conf_alias *aliases;
	size_t n_aliases;
	struct conf_route *routes;
	size_t n_routes;
	struct map route_at;             /* match -> its place in routes, from 1 on */
	struct conf_listener *listeners; /* at most LISTENER_MAX */
	size_t n_listeners;
	struct conf_listener defaults; /* listener keys at the top level */
	struct {
		char *name;
		char *text;
	} * dialects; /* dialect_dir's files, read by parent */
	size_t n_dialects;
	struct conf_text *texts; /* files that keys name, read by parent for those who cannot */
	size_t n_texts;
	bool unread; /* conf_load() found no text it could take apart: nothing else is worth saying */
};

struct conf *conf_new(void); /* all defaults, no listener */
struct conf *conf_free(struct conf *c);

/* Reads a file into c. Appends one line per mistake to err; true when there was none.
 * Reads alias member files and dialect files that the configuration names. */
bool conf_load(struct conf *c, const char *path, struct buf *err);
/* "KEY=VALUE" or "PORT:KEY=VALUE" (--set). alias.ADDR=a,b and reply.SITUATION=text too. A
 * listener key without a port goes to the defaults and to every listener there is. */
bool conf_set(struct conf *c, struct str assignment, struct buf *err);
/* Adds a listener that starts from the defaults. */
struct conf_listener *conf_listener_add(
    struct conf *c, const char *address, uint64_t port, const char *protocol);
/* The route for a domain (lower-case A-labels), or NULL: by MX. The one named so, or NULL. */
const struct conf_route *conf_route_for(const struct conf *c, struct str domain);
struct conf_route *conf_route_find(const struct conf *c, struct str match);
/* Whether a session here may end its lines in a bare LF (R-EOL): bare_lf, or by port when auto. */
bool conf_bare_lf_session(const struct conf_listener *l);

enum conf_protocol { CONF_IS_SMTP, CONF_IS_LMTP, CONF_IS_IMAP, CONF_IS_POP3, CONF_IS_METRICS };
enum conf_protocol conf_protocol(const struct conf_listener *l);
bool conf_is_lmtp(const struct conf_listener *l);
bool conf_reads_mail(const struct conf_listener *l); /* IMAP or POP3 */
/* limit.idle_seconds; with IMAP and POP3 not below what their RFCs demand, but in a lab. */
uint64_t conf_idle_seconds(const struct conf_listener *l);
/* What "auto" comes to. The port is the one that the listener stands for. */
bool conf_tls_implicit(const struct conf_listener *l);
bool conf_starttls(const struct conf_listener *l); /* if there is a certificate */
bool conf_tls_required(const struct conf_listener *l);
bool conf_auth(const struct conf_listener *l);
bool conf_auth_required(const struct conf_listener *l);
bool conf_submission(const struct conf_listener *l);
bool conf_atrn(const struct conf *c, const struct conf_listener *l);
/* Is word in a list parted by blanks or commas? Any case. */
bool conf_lists(const char *list, struct str word);
/* Is there a listener that is of little use without a certificate? */
bool conf_needs_certificate(const struct conf *c);
/* What the file held when the configuration was checked; empty: it is not one of ours. */
struct str conf_text_of(const struct conf *c, const char *path);
/* The next address in the text of relay_recipients, without its comment; line counts on. */
bool conf_recipient_next(struct str *text, struct str *ret, unsigned *line);
/* The path of a unix socket as written, or NULL: a TCP listener. */
const char *conf_unix_path(const struct conf_listener *l);
/* The same socket, as far as the text of its address tells. */
bool conf_same_place(const struct conf_listener *a, const struct conf_listener *b);
/* The name server that `dns` names; false when it names none by its address. */
bool conf_dns_server(const char *dns, char ret_ip[CONF_IP_MAX], uint16_t *ret_port);
/* All files that certificates come from: tls.certificates, then DIR/tls/NAME.crt with NAME.key,
 * "default" first, then in the order of names. The first that is good is the server's default. */
struct conf_certs {
	struct conf_cert *row;
	size_t n;
};
void conf_certs_find(const struct conf *c, struct conf_certs *ret);
void conf_certs_done(struct conf_certs *l);
/* What a file descriptor limit, which is each process's own, must allow: so that one front can hold
 * every connection, and a relay one for each letter under way, with two addresses tried at once. */
uint64_t conf_files_wanted(const struct conf *c);

/* Checks across keys (lab-only keys outside lab, no listener, ...). Whether dialects exist is
 * for the caller to check with dialect_load(): that room is below this one. */
bool conf_check(struct conf *c, struct buf *err, struct buf *warnings);

void conf_dump(const struct conf *c, struct buf *out);
struct conf *conf_undump(struct str text, struct buf *err);

/* The configuration as a file that conf_load reads back; all: keys at their default too. */
void conf_show(const struct conf *c, bool all, struct buf *out);
/* "file" or --set lists: the name and text of the i-th key; false behind the last. For JSON. */
struct conf_pair {
	const char *name;
	bool of_listener;
};
bool conf_key_at(size_t i, struct conf_pair *ret);
/* Its value as text; base: the struct conf, or a struct conf_listener for a listener's key. */
void conf_key_text(const char *name, const void *base, struct buf *out);

/* For docs and `config keys`: the table as mdoc(7) and as text. */
void conf_describe_mdoc(struct buf *out);
void conf_describe_text(struct buf *out);
