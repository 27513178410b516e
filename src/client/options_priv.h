/* options_priv: what the files of the options share. */
#pragma once

#include "client/options.h"

enum option_kind {
	OPTION_FLAG,   /* a bool */
	OPTION_TEXT,   /* a const char * */
	OPTION_LIST,   /* a struct cli_words */
	OPTION_NUMBER, /* a uint64_t, from min to max */
	OPTION_CHOICE, /* an enum: which of `choices` */
	OPTION_WORD,   /* a const char *: one of `choices` */
	OPTION_SET,    /* set() with a value */
	OPTION_MAYBE,  /* set() with a value behind '=', or NULL */
	OPTION_DO,     /* set() with NULL */
	OPTION_SKIP,   /* of s_client: no effect here */
	OPTION_SKIP_VALUE,
};
struct option {
	const char *name;
	unsigned groups;
	enum option_kind kind;
	size_t at; /* where in struct client_options */
	/* False after a message of options_complain(). */
	bool (*set)(struct client_options *o, const char *name, const char *value);
	const char *const *choices; /* ends with NULL */
	uint64_t min, max;
};
extern const struct option option_rows[]; /* ends with name NULL */

struct options_memory {
	void **v;
	size_t n;
	const char *where; /* "client.conf:3", while the profile is read */
	bool verify;       /* something says that certificates matter */
	const struct cli_opt *extra; /* of the command alone, or NULL */
};
/* Memory until options_done(). */
const char *options_keep(struct client_options *o, struct str text);
/* A usage error that names the option; returns false. */
bool options_complain(const struct client_options *o, const char *fmt, ...) PRINTF(2, 3);
bool options_take(struct client_options *o, const struct option *row, const char *value);
void options_push(struct cli_words *w, const char *text);

/* options.c: whether certificates are to be refused, by what is known so far. */
void options_settle_trust(struct client_options *o);

/* options_profile.c: the defaults of the profile file. False after a message. */
bool options_profile(struct client_options *o, unsigned groups, const char *profile);

/* options_value.c */
bool options_set_bind(struct client_options *o, const char *name, const char *value);
bool options_set_family(struct client_options *o, const char *name, const char *value);
bool options_set_port(struct client_options *o, const char *name, const char *value);
bool options_set_proto(struct client_options *o, const char *name, const char *value);
bool options_set_timeout(struct client_options *o, const char *name, const char *value);
bool options_set_resolve(struct client_options *o, const char *name, const char *value);
bool options_set_proxy(struct client_options *o, const char *name, const char *value);
bool options_set_tls(struct client_options *o, const char *name, const char *value);
bool options_set_starttls(struct client_options *o, const char *name, const char *value);
bool options_set_version(struct client_options *o, const char *name, const char *value);
bool options_set_verify(struct client_options *o, const char *name, const char *value);
bool options_set_pin(struct client_options *o, const char *name, const char *value);
bool options_set_auth(struct client_options *o, const char *name, const char *value);
bool options_set_token(struct client_options *o, const char *name, const char *value);
bool options_set_password(struct client_options *o, const char *name, const char *value);
bool options_set_dsn(struct client_options *o, const char *name, const char *value);
bool options_set_by(struct client_options *o, const char *name, const char *value);
bool options_set_priority(struct client_options *o, const char *name, const char *value);
bool options_set_hold(struct client_options *o, const char *name, const char *value);
bool options_set_pipeline(struct client_options *o, const char *name, const char *value);
bool options_set_chunking(struct client_options *o, const char *name, const char *value);
bool options_set_param(struct client_options *o, const char *name, const char *value);
bool options_set_segments(struct client_options *o, const char *name, const char *value);
bool options_set_color(struct client_options *o, const char *name, const char *value);
bool options_set_labels(struct client_options *o, const char *name, const char *value);
bool options_set_format(struct client_options *o, const char *name, const char *value);
