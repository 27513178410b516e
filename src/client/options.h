/*
 * options: the options that the client's commands share (ledger of the manual pennypost-talk(1)),
 * by groups, so that each command takes those that make sense for it and names the nearest one when
 * somebody mistypes. openssl s_client's forms (-connect HOST:PORT, -starttls PROTO, -crlf, -debug,
 * -showcerts, -servername, -CAfile, -cert, -key, -quiet, -tls1_2, ...) are taken where OPTIONS_TALK is.
 *
 * Every string is a view of argv or of static text; options_done() frees the lists.
 */
#pragma once

#include "cli/cli.h"
#include "client/event.h"
#include "client/link.h"
#include "client/secret.h"
#include "client/show.h"
#include "client/transcript.h"
#include "client/vouch.h"

#include <stdbool.h>
#include <stdint.h>

enum options_group {
	OPTIONS_CONNECT = 1u << 0,  /* Connection, TLS */
	OPTIONS_HELLO = 1u << 1,    /* --hello --ehlo --source-ehlo */
	OPTIONS_AUTH = 1u << 2,
	OPTIONS_ENVELOPE = 1u << 3,
	OPTIONS_MESSAGE = 1u << 4,
	OPTIONS_WIRE = 1u << 5,
	OPTIONS_OUTPUT = 1u << 6,
	OPTIONS_PROBE = 1u << 7,
	OPTIONS_FLOW = 1u << 8,
	OPTIONS_TALK = 1u << 9,     /* s_client's, --strict-typing, --print-manual, --record */
	OPTIONS_SCLIENT = 1u << 10, /* s_client's forms only */
	OPTIONS_CERT = 1u << 11,
};

enum client_proto { PROTO_SMTP, PROTO_LMTP, PROTO_IMAP, PROTO_POP3, PROTO_SIEVE, PROTO_RAW, PROTO_COUNT };
extern const char *const client_proto_name[PROTO_COUNT]; /* "smtp", ... */
enum client_tls { CLIENT_TLS_MAY, CLIENT_TLS_MUST, CLIENT_TLS_NEVER, CLIENT_TLS_IMPLICIT };
enum client_hello { HELLO_AUTO, HELLO_EHLO, HELLO_HELO, HELLO_LHLO, HELLO_NONE };
enum client_lint { CLIENT_LINT_WARN, CLIENT_LINT_ERROR, CLIENT_LINT_OFF };

struct client_options {
	const struct cli_cmd *cmd;
	struct cli_words words;      /* what is no option */
	struct link_conf link;       /* host and port: by options_server() */
	enum client_proto proto;
	bool proto_given, mx;
	enum client_tls tls;
	bool tls_given, show_certs;
	struct vouch vouch;          /* --dane, --mta-sts; what was found by them */
	bool known_port;             /* of a protocol (options_server()) */
	bool starttls;               /* --starttls: never TLS from the start, whatever the port */
	bool insecure;               /* --insecure; link.insecure is true, too, when TLS is a MAY */
	uint16_t port;               /* --port; 0: not given */
	const char *connect;         /* -connect HOST:PORT, -host */
	const char *server;          /* of the profile or the environment */
	uint64_t delay_ms;           /* --delay, of segments (link.delay_ms) and of probes */
	const char *source_ehlo;
	const char *dns;             /* --dns HOST[:PORT] (OPTIONS_CONNECT): the name server to ask
	                              * (client/dns.h) instead of the system's, or NULL */
	/* Greeting */
	enum client_hello hello;
	const char *ehlo;            /* NULL: the rule of client/name.h */
	/* Auth */
	bool auth, force_auth, no_initial_response, allow_cleartext;
	const char *mechs;           /* "PLAIN,LOGIN" in the order they are tried; NULL: the strongest */
	const char *user, *authzid;
	struct secret_from secret;
	bool oauth;                  /* --token-cmd was given */
	/* Envelope */
	const char *from;
	struct cli_words to;         /* each may hold several, parted by commas */
	bool null_sender, no_size, size, smtputf8, verp, pipeline, pipeline_force, chunking;
	uint64_t chunk;              /* octets; 0: the letter in one */
	const char *xclient;         /* "ADDR=... NAME=...", or NULL */
	const char *body;            /* "7bit", "8bit", "binary" or NULL */
	const char *dsn_notify, *dsn_ret, *dsn_envid, *by;
	const char *priority, *hold_for, *hold_until;
	bool requiretls;
	uint64_t max_rcpt;           /* recipients of one transaction; 0: as the server says */
	struct cli_words params;     /* --mail-param, --rcpt-param: "mail:X=Y", "rcpt:X=Y" */
	/* Message */
	const char *subject, *text, *text_file, *html, *data;
	struct cli_words headers, attach;
	bool eicar, gtube, no_date, no_message_id;
	enum client_lint lint;
	/* Wire */
	bool raw;
	/* Output */
	const char *theme;           /* "seed", the only one: blue transmit, red receive */
	enum show_color color;
	bool labels;                 /* --labels was given: transcripts have them, too */
	struct show show;
	bool json;
	const char *transcript;      /* file, or NULL */
	enum transcript_format format;
	bool format_given;
	/* Probe */
	const char *method;          /* "rcpt", "vrfy", "expn" */
	bool catchall_test, retry;
	uint64_t parallel;
	/* Cert */
	bool all_versions, all_ciphers, pem;
	uint64_t warn_days;          /* UINT64_MAX: not given */
	/* Flow */
	const char *quit_after, *drop_after;
	uint64_t repeat;
	bool temp_exit;
	/* Talk */
	bool strict_typing, print_manual;
	const char *record;          /* --record FILE: a transcript of format conv */
	const volatile sig_atomic_t *stop; /* set by SIGINT, SIGTERM, SIGHUP; NULL with OPTIONS_TALK,
	                              * which sets link.stop itself */
	/* What the commands share while they run */
	struct events events;
	struct transcript kept, recorded;
	void *memory;                /* what the parser allocated */
};

/* Parses the groups' options; CLIENT_OK, or CLIENT_USAGE after a message. Defaults from
 * $PENNYPOST_SERVER, $REMOTE_SRV and the profile file (~/.config/pennypost/client.conf:
 * "name.option = value" lines, chosen by --profile NAME) fill what is not given. Sets up the sinks. */
int options_parse(struct client_options *o, const struct cli_cmd *cmd, unsigned groups, int argc,
    char **argv);
/* The same with options of this command alone beside those of the groups; extra ends with name NULL. */
int options_parse_with(struct client_options *o, const struct cli_cmd *cmd, unsigned groups,
    const struct cli_opt *extra, int argc, char **argv);
/* Takes "HOST", "HOST PORT", "HOST:PORT", "[::1]:25", "-connect HOST:PORT" from the words from
 * `first` on: host, port, protocol and TLS by port (465, 993, 995 imply implicit TLS).
 * `at` is the default port. CLIENT_OK or CLIENT_USAGE. */
int options_server(struct client_options *o, size_t first, uint16_t at);
/* CLIENT_OK, or CLIENT_USAGE after a message about --mx: for commands that it has no meaning for. */
int options_one_server(const struct client_options *o);
/* Closes transcripts (their errors become CLIENT_IO), frees. Returns the status to exit with. */
int options_done(struct client_options *o, int status);
/* client/options_text.h: OPTIONS_HELP_CONNECT, ... (lines of --help) and OPTIONS_WORDS_CONNECT, ...
 * (for completion) as string literals to be put together in a command's row. */
/* The ports a protocol is known by: "smtp" 25, ... 0 when the text is neither name nor number. */
uint16_t options_port(struct str text);
