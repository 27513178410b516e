/*
 * ctl_priv: what the commands of the administration share: exit statuses, the server, and output.
 *
 * A command that asks is a table of struct ctl_sub; ctl_subs_run() parses, finds the server (or
 * starts one of its own for maintenance when none runs), calls the sub-command and cleans up.
 */
#pragma once

#include "base/buf.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "ipc/msg.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define EXIT_REFUSED 2 /* the server said no, or there is no such thing */
#define EXIT_REACH 3   /* no server to ask, and none could be started */

#define CONF_PATH_DEFAULT "/etc/pennypost/pennypost.conf"

/* --- target.c: which server --- */
/* The configuration that --config or --dir or the defaults lead to; NULL after a message. */
struct conf *target_conf(const char *config, const char *dir);
char *target_lab_dir(void); /* default directory of a lab, malloc()ed */
/* Everything `config check` checks; lines in err and warnings. */
bool target_check(struct conf *c, struct buf *err, struct buf *warnings);
/* circles.c */
void circles_find(const struct conf *c, struct buf *warnings);
/* The file, and what is set behind it, loaded and checked; or NULL. */
struct conf *target_load(const char *path, const struct cli_words *set, struct buf *err,
    struct buf *warnings);

/* --- server.c: asking --- */
struct server {
	struct conf *conf; /* owned */
	int sock[ROLE_COUNT];
	pid_t helper; /* the parent we started for maintenance, or 0 */
	pid_t only;   /* nobody but this parent is asked; 0: whoever serves the directory */
	uint64_t next_id;
	struct buf frame;
	bool quiet;         /* say nothing; the text is in `said` */
	enum ctl_code code; /* of the last answer */
	struct buf said;
};
typedef void server_row_fn(void *arg, const struct msg_row *row);
void server_init(struct server *s, struct conf *c); /* takes c over; connects when it is asked */
/* The same, and looks whether a server answers. Exit status; not EXIT_DONE: a message was printed.
 */
enum server_need {
	NEED_NOTHING, /* a store is made where there is none */
	NEED_STORE,   /* processes are started where none run */
	NEED_SERVER,
};
int server_open(struct server *s, struct conf *c, enum server_need need);
/* Exit status. `text` of a good answer, if there is one, is printed to standard error. */
int server_ask(struct server *s, const char *op, const struct str *args, size_t n,
    server_row_fn *fn, void *arg);
/* The same in two steps, for work between them; nothing else is asked of that role meanwhile.
 * fd -1: none; it stays the caller's. */
int server_ask_send(struct server *s, const char *op, const struct str *args, size_t n, int fd);
int server_ask_wait(struct server *s, const char *op, server_row_fn *fn, void *arg);
void server_close(struct server *s);
struct str row_field(const struct msg_row *row, size_t i); /* empty when there is no such field */
uint64_t row_number(const struct msg_row *row, size_t i);
/* True when every role of the running server is ready and every front knows the directory. */
bool server_ready(struct server *s, int *ret_status);

/* --- sub.c: commands with sub-commands --- */
enum { /* options beyond --config, --dir, --json */
	SUB_MAILBOX = 1u << 0,
	SUB_FORMAT = 1u << 1,
	SUB_TO = 1u << 2,
	SUB_FILE = 1u << 3,
	SUB_PASSWORD = 1u << 4,
	SUB_YES = 1u << 5,
	SUB_MDOC = 1u << 6,
	SUB_ALL = 1u << 7,
	SUB_NO_SERVER = 1u << 8, /* does its work without asking */
	SUB_NO_START = 1u << 9,  /* makes sense only with a running server */
	SUB_SET = 1u << 10,
	SUB_LEARN = 1u << 11,
	SUB_SPECIAL = 1u << 12,
	SUB_QUEUE = 1u << 13, /* which entries */
	SUB_REASON = 1u << 14,
	SUB_TOP = 1u << 15,
	SUB_IMPORT = 1u << 16,
	SUB_TRACE = 1u << 17,
	SUB_MAKES = 1u << 18,    /* makes a store where there is none */
	SUB_SENDS = 1u << 19,    /* what it does shows only while a server runs */
	SUB_BEFORE = 1u << 20,
	SUB_VERIFY = 1u << 21,
	SUB_FORCE = 1u << 22,
	SUB_SECRET = 1u << 25, /* what of a password is kept */
	SUB_USERS = 1u << 26,  /* import of users */
	SUB_REBUILD = 1u << 30,
};
struct ctl_call {
	const struct cli_cmd *cmd;
	const char *config, *dir, *mailbox, *format, *to, *file, *password_fd, *before, *max_size;
	const char *special;
	bool json, password_stdin, yes, mdoc, all, verify, force, rebuild;
	bool recursive, create, again, dry_run;
	const char *hash, *domain;
	const char *from, *older, *newer, *error, *state, *limit, *reason; /* of the queue */
	const char *interval, *count;
	const char *peer, *message_id, *since, *until, *attempt; /* of trace */
	bool follow;
	bool recoverable;
	struct cli_words words; /* behind the sub-command */
	struct cli_words set;   /* --set, as often as it stands there */
	const char *name, *session;
	struct server server;
};
struct ctl_sub {
	const char *name;
	size_t min, max; /* words */
	unsigned opts;
	int (*run)(struct ctl_call *call);
};
int ctl_subs_run(
    const struct cli_cmd *cmd, const struct ctl_sub *subs, size_t n, int argc, char **argv);
/* The same for a command without sub-commands. */
int ctl_sub_run(const struct cli_cmd *cmd, const struct ctl_sub *sub, int argc, char **argv);

/* --- out.c: tables for people, JSON for programs --- */
enum out_kind {
	OUT_TEXT,
	OUT_NUMBER,
	OUT_TIME /* ms */,
	OUT_LINES /* JSON: array */,
	OUT_YES /* "yes" or "no"; JSON: true, false */,
	OUT_HIDDEN /* JSON only */
};
struct out_column {
	const char *title; /* and, in lower case with _, the JSON name */
	enum out_kind kind;
};
struct out_list {
	const struct out_column *columns; /* one per field of the row */
	size_t n_columns;
	bool json;
	json_t *array;
	struct out_cell {
		char *text;
	} * cells;
	size_t n_cells, cap;
};
void out_list_begin(struct out_list *o, const struct out_column *columns, size_t n, bool json);
void out_list_row(void *o, const struct msg_row *row); /* a server_row_fn */
void out_list_end(struct out_list *o, bool print);
json_t *out_json_cell(enum out_kind kind, struct str v);

/* --- password.c --- */
/* From the descriptor, or asked twice at the terminal. Exit status; wipe with buf_wipe(). */
int password_get(const struct ctl_call *call, const char *address, struct buf *ret);
void password_make(char out[24]); /* "tolub-rimak-dosif" */

/* --- mbox.c: one letter after another as mboxrd, in pieces of any size --- */
struct mbox {
	FILE *to;
	bool plain;  /* Maildir: no From_ lines, no quoting, only line ends */
	size_t from; /* octets of "From " seen and held back at the start of a line */
	bool in_line, cr;
};
void mbox_letter_begin(struct mbox *m, struct str return_path, uint64_t time_ms);
void mbox_feed(struct mbox *m, struct str chunk);
/* Status and X-Status in front of a letter's header, from letters of DFRST as a Maildir has them. */
void mbox_flags(struct mbox *m, const char *flags);
void mbox_letter_end(struct mbox *m);
/* The name of a letter's file in a Maildir. */
void maildir_name(
    struct buf *out, uint64_t time_ms, uint64_t uid, pid_t pid, const char *host, uint64_t size);

int mailbox_export(struct ctl_call *call);
int mailbox_import(struct ctl_call *call);
int mailbox_delete(struct ctl_call *call);

/* --- trace_show.c: a letter's records, as the reader tells them (ipc/ops.h) --- */
enum trace_field { TRACE_LETTER, TRACE_SESSION, TRACE_TIME, TRACE_KIND, TRACE_QID, TRACE_FROM, TRACE_RCPTS,
	TRACE_MESSAGE_ID, TRACE_PEER, TRACE_LSN, TRACE_HISTORY };
struct trace_shown {
	json_t *array;   /* or NULL: for people */
	char letter[16]; /* the one at hand */
	size_t letters, attempts;
};
void trace_show_row(void *arg, const struct msg_row *row); /* struct trace_shown */
/* As it comes: one line of JSON, or a few for people. */
void trace_show_live(const struct msg_row *row, bool json);
/* The row's conversation, for `pennypost run`; false: there is none in it. */
bool trace_show_conv(const struct msg_row *row);
