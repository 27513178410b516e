#include "pop3/session_priv.h"

#include "base/utf8.h"

#define IN(state) (1u << (state))
#define STRANGER IN(POP3_STRANGER)
#define MAIL IN(POP3_TRANSACTION)

enum {
	ROW_TLS_FREE = 1u << 0, /* also where TLS is required and not there */
	ROW_UTF8 = 1u << 1,     /* arguments may be UTF-8 (RFC 6856 2.1) */
	ROW_AS_IS = 1u << 2,    /* one argument, with its blanks */
};

struct row {
	const char *name;
	unsigned states;
	unsigned flags;
	void (*run)(struct pop3_turn *t, struct str args);
};

bool
pop3_no_args(struct pop3_turn *t, struct str args)
{
	if (args.len)
		pop3_bad(t, "this command has no arguments");
	return args.len == 0;
}

static void
noop(struct pop3_turn *t, struct str args)
{
	if (pop3_no_args(t, args))
		pop3_ok(t, "NOOP", NULL);
}

/* RFC 6856 2: it lets the server send letters as they are; without it they come so, too, since
 * nobody is helped by a letter that cannot be had. */
static void
utf8(struct pop3_turn *t, struct str args)
{
	if (pop3_no_args(t, args))
		pop3_ok(t, "UTF8", NULL);
}

struct language {
	const char *tag, *name;
};
static const struct language languages[] = { { "en", "English" }, { "i-default", "English" } };

/* RFC 4647 3.4: en-GB gets en. */
static const struct language *
language_find(struct str range)
{
	for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
		struct str tag = str_of(languages[i].tag);
		if (str_ieq(range, tag) ||
		    (str_istarts(range, tag) && range.len > tag.len && range.p[tag.len] == '-'))
			return &languages[i];
	}
	return str_eq(range, STR("*")) ? &languages[0] : NULL;
}

/* RFC 6856 3 */
static void
lang(struct pop3_turn *t, struct str args)
{
	struct str range = str_word(&args);
	const struct language *found = language_find(range);
	if (str_word(&args).len) {
		pop3_bad(t, "LANG has one language at most");
	} else if (range.len == 0) {
		buf_putz(t->out, "+OK languages follow\r\n");
		for (size_t i = 0; i < ARRAY_LEN(languages); i++)
			buf_putf(t->out, "%s %s\r\n", languages[i].tag, languages[i].name);
		buf_putz(t->out, ".\r\n");
	} else if (!found) {
		pop3_err(t, NULL, "there is no such language; LANG lists them");
	} else {
		struct smtp_vars v = { .v = { [SMTP_VAR_arg] = str_of(found->tag) } };
		pop3_ok_behind(t, found->tag, "LANG", &v);
	}
}

static const struct row rows[] = {
	{ "CAPA", STRANGER | MAIL, ROW_TLS_FREE, pop3_capa },
	{ "STLS", STRANGER | MAIL, ROW_TLS_FREE, pop3_stls },
	{ "USER", STRANGER, ROW_UTF8 | ROW_AS_IS, pop3_user },
	{ "PASS", STRANGER, ROW_UTF8 | ROW_AS_IS, pop3_pass },
	{ "APOP", STRANGER, ROW_UTF8, pop3_apop },
	{ "AUTH", STRANGER, 0, pop3_auth_cmd },
	{ "STAT", MAIL, 0, pop3_stat },
	{ "LIST", MAIL, 0, pop3_list },
	{ "RETR", MAIL, 0, pop3_retr },
	{ "DELE", MAIL, 0, pop3_dele },
	{ "NOOP", MAIL, 0, noop },
	{ "RSET", MAIL, 0, pop3_rset },
	{ "TOP", MAIL, 0, pop3_top },
	{ "UIDL", MAIL, 0, pop3_uidl },
	{ "UTF8", STRANGER, 0, utf8 },
	{ "LANG", STRANGER | MAIL, ROW_TLS_FREE, lang },
	{ "QUIT", STRANGER | MAIL, ROW_TLS_FREE, pop3_quit },
};

static const struct row *
row_find(struct str verb)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_ieq(verb, str_of(rows[i].name)))
			return &rows[i];
	return NULL;
}

/* What forbids the command here, or NULL. */
static const char *
forbids(const struct pop3_session *s, const struct row *row, struct str line)
{
	if (!row)
		return "no such command";
	if (!utf8_is_ascii(line) && !((row->flags & ROW_UTF8) && utf8_valid(line)))
		return "a command is ASCII";
	if (row->states & IN(s->state))
		return NULL;
	return s->state == POP3_STRANGER ? "log in first" : "you are logged in already";
}

void
pop3_command(struct pop3_turn *t, struct str line)
{
	struct pop3_session *s = t->s;
	struct str args = str_ltrim(line), verb = str_word(&args);
	const struct row *row = row_find(verb);
	const char *why = forbids(s, row, line);
	s->commands++;
	if (why) {
		pop3_bad(t, why);
		return;
	}
	if (s->conf->tls_required && !s->tls && !(row->flags & ROW_TLS_FREE)) {
		pop3_err(t, NULL, "this needs TLS first; send STLS");
		return;
	}
	/* RFC 1939 7: blanks may belong to a password. */
	args = row->flags & ROW_AS_IS ? str_skip(args, 1) : str_trim(args);
	row->run(t, args);
}
