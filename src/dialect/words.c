/* The words of IMAP and POP3: taken from a file, and put into a reply. */
#include "dialect/access_words.h"
#include "dialect/text_priv.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/utf8.h"

#define LIST_MAX 900 /* octets; with the untagged CAPABILITY it stays a line that clients take */
#define CMD_MAX 64

static const char *const imap_says_key[IMAP_SAYS_COUNT] = {
#define X(e, k) k,
	IMAP_SAYS(X)
#undef X
};
static const char *const imap_shown_key[IMAP_SHOWN_COUNT] = {
#define X(e, k) k,
	IMAP_SHOWN(X)
#undef X
};
static const char *const imap_command[IMAP_OK_COUNT] = {
#define X(c) #c,
	IMAP_COMMANDS(X)
#undef X
};
static const char *const pop3_says_key[POP3_SAYS_COUNT] = {
#define X(e, k) k,
	POP3_SAYS(X)
#undef X
};
static const char *const pop3_command[POP3_OK_COUNT] = {
#define X(c) #c,
	POP3_COMMANDS(X)
#undef X
};

/* One kind of text in a section: the keys, and where their values are. */
struct words {
	const char *const *key;
	size_t n;
	struct str *at;
	bool list; /* capabilities, or nothing */
	bool ok;   /* may be missing, and has no response code of its own */
};

#define SETS_MAX 4

static size_t
words_of(struct access_words *w, enum dialect_access which, struct words ret[SETS_MAX])
{
	if (which == DIALECT_POP3) {
		ret[0] = (struct words){ pop3_says_key, POP3_SAYS_COUNT, w->pop3.says };
		ret[1] = (struct words){ pop3_command, POP3_OK_COUNT, w->pop3.ok, .ok = true };
		return 2;
	}
	ret[0] = (struct words){ imap_says_key, IMAP_SAYS_COUNT, w->imap.says };
	ret[1] = (struct words){ imap_command, IMAP_OK_COUNT, w->imap.ok, .ok = true };
	ret[2] = (struct words){ imap_shown_key, IMAP_SHOWN_COUNT, w->imap.shown, .list = true };
	return 3;
}

/* A list of IMAP capabilities: NULL, or what is wrong. Empty is good. */
static const char *
capability_check(struct str list)
{
	bool imap = list.len == 0;
	for (size_t i = 0; i < list.len; i++)
		if (list.p[i] < ' ' || list.p[i] >= 0x7f || strchr("(){%*\"\\]$", list.p[i]))
			return "a list of capabilities is words parted by blanks";
	if (list.len > LIST_MAX)
		return "the list is longer than 900 octets";
	for (struct str word; (word = str_word(&list)).len;)
		imap = imap || str_istarts(word, STR("IMAP4"));
	return imap ? NULL : "a list of capabilities names IMAP4rev1 or IMAP4rev2 (RFC 9051 6.1.1)";
}

static const char *
text_check(const struct words *set, struct str key, struct str text)
{
	if (set->list)
		return capability_check(text);
	if (!utf8_is_ascii(text))
		return "here a text is ASCII (RFC 3501 9, RFC 1939 3)";
	if (text.len == 0)
		return "no text; write ${empty} for none";
	if (text.len > SMTP_REPLY_LINE_MAX)
		return "the line is longer than 510 octets";
	if (text.p[0] == '[' && (set->ok || str_eq(key, STR("ok"))))
		return "the response code of an OK is not for a dialect to say";
	if (text.p[0] == '[' && str_find(text, ']') == text.len)
		return "[ without ]";
	return dialect_template_check(text);
}

/* Where the value of a key goes; NULL: there is no such key. */
static struct str *
find(struct access_words *w, enum dialect_access which, struct str key, struct words *ret)
{
	struct words set[SETS_MAX];
	size_t n = words_of(w, which, set);
	for (size_t s = 0; s < n; s++) {
		struct str name = key;
		if (set[s].ok && !str_starts(key, STR("ok.")))
			continue;
		if (set[s].ok)
			name = str_skip(key, 3);
		for (size_t i = 0; i < set[s].n; i++) {
			if (str_eq(name, str_of(set[s].key[i]))) {
				*ret = set[s];
				return &set[s].at[i];
			}
		}
	}
	return NULL;
}

const char *
dialect_words_take(struct smtp_wording *w, enum dialect_access which, struct str key,
    struct str value)
{
	struct words set;
	struct str *at = find(w->access, which, key, &set);
	if (!at)
		return "there is no such key; `pennypost dialect show rfc` lists them";
	const char *why = text_check(&set, key, value);
	struct str text = why ? STR_NULL : dialect_text_keep(w, value, false);
	if (!why && !text.p)
		why = "the texts are too long altogether; shorten them";
	if (!why)
		*at = text;
	return why;
}

const char *
dialect_words_missing(const struct smtp_wording *w, enum dialect_access which)
{
	struct words set[SETS_MAX];
	size_t n = words_of(w->access, which, set);
	for (size_t s = 0; s < n; s++)
		for (size_t i = 0; i < set[s].n; i++)
			if (!set[s].at[i].p && !set[s].ok && !set[s].list)
				return set[s].key[i];
	return NULL;
}

bool
dialect_words_new(struct smtp_wording *w)
{
	w->access = arena_alloc(w->text, sizeof(*w->access));
	if (w->access)
		*w->access = (struct access_words){ 0 };
	return w->access != NULL;
}

void
dialect_words_show(const struct smtp_wording *w, enum dialect_access which, struct buf *out)
{
	struct words set[SETS_MAX];
	size_t n = words_of(w->access, which, set);
	buf_putz(out, which == DIALECT_POP3 ? "[pop3]\n" : "[imap]\n");
	for (size_t s = 0; s < n; s++)
		for (size_t i = 0; i < set[s].n; i++)
			if (set[s].at[i].p)
				buf_putf(out, "%s%-*s = " STR_FMT "\n", set[s].ok ? "ok." : "",
				    set[s].ok ? 20 : 23, set[s].key[i], STR_ARG(set[s].at[i]));
}

/* --- in a reply --- */

/* Before UTF8=ACCEPT (RFC 6855, RFC 6856) a client need not take anything but ASCII. */
static void
put(struct buf *out, struct str text, const struct smtp_vars *vars)
{
	size_t start = out->len;
	smtp_text_put(out, text, vars);
	for (size_t i = start; i < out->len; i++)
		if ((unsigned char)out->p[i] >= 0x80)
			out->p[i] = '?';
}

/* What OK says to cmd; own: the texts that commands have, by the names in key. */
static void
put_ok(struct buf *out, const struct str *own, const char *const *key, size_t n, struct str any,
    struct str cmd, const struct smtp_vars *vars)
{
	struct smtp_vars v = { 0 };
	struct str text = any, name = str_istarts(cmd, STR("UID ")) ? str_skip(cmd, 4) : cmd;
	if (vars)
		v = *vars;
	v.v[SMTP_VAR_cmd] = str_first(cmd, CMD_MAX);
	for (size_t i = 0; i < n; i++)
		if (own[i].p && str_ieq(name, str_of(key[i])))
			text = own[i];
	put(out, text, &v);
}

void
imap_says_put(struct buf *out, const struct imap_wording *w, enum imap_says what,
    const struct smtp_vars *vars)
{
	check(what < IMAP_SAYS_COUNT);
	put(out, w->says[what], vars);
}

bool
imap_says_code(const struct imap_wording *w, enum imap_says what)
{
	check(what < IMAP_SAYS_COUNT);
	return str_starts(w->says[what], STR("["));
}

void
imap_ok_put(struct buf *out, const struct imap_wording *w, struct str cmd,
    const struct smtp_vars *vars)
{
	put_ok(out, w->ok, imap_command, IMAP_OK_COUNT, w->says[IMAP_SAYS_OK], cmd, vars);
}

void
pop3_says_put(struct buf *out, const struct pop3_wording *w, enum pop3_says what,
    const struct smtp_vars *vars)
{
	check(what < POP3_SAYS_COUNT);
	put(out, w->says[what], vars);
}

bool
pop3_says_code(const struct pop3_wording *w, enum pop3_says what)
{
	check(what < POP3_SAYS_COUNT);
	return str_starts(w->says[what], STR("["));
}

void
pop3_ok_put(struct buf *out, const struct pop3_wording *w, struct str cmd,
    const struct smtp_vars *vars)
{
	put_ok(out, w->ok, pop3_command, POP3_OK_COUNT, w->says[POP3_SAYS_OK], cmd, vars);
}
