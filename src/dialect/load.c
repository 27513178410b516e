#include "dialect/text_priv.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/num.h"

#include <stdlib.h>

#define WORDING_MAX (1u << 20)
#define LIMIT_MAX 1000000u

enum section { HEADER, EHLO, REPLIES, QUIRKS, IMAP, POP3, SECTIONS };

/* One file being read. The wording is shared with the files it is based on. */
struct source {
	struct smtp_wording *w;
	dialect_find_fn *find;
	void *arg;
	struct buf *err;
	struct str name;
	unsigned line, depth, errors;
	enum section section;
};

static void PRINTF(2, 3) wrong(struct source *src, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	src->errors++;
	if (src->line)
		buf_putf(src->err, STR_FMT ".dialect:%u: ", STR_ARG(src->name), src->line);
	else
		buf_putf(src->err, STR_FMT ".dialect: ", STR_ARG(src->name));
	buf_vputf(src->err, fmt, ap);
	buf_putc(src->err, '\n');
	va_end(ap);
}

static struct str
keep(struct source *src, struct str text, bool notation)
{
	struct str s = dialect_text_keep(src->w, text, notation);
	if (!s.p)
		wrong(src, "the texts are too long altogether; shorten them");
	return s;
}

static unsigned source_load(const struct source *from, struct str name);

static void
take_header(struct source *src, struct str key, struct str value)
{
	if (str_eq(key, STR("dialect"))) {
		if (!str_eq(value, src->name))
			wrong(src,
			    "dialect is " STR_FMT ", but the file is called " STR_FMT
			    "; make them the same",
			    STR_ARG(value), STR_ARG(src->name));
	} else if (str_eq(key, STR("label"))) {
		src->w->label = keep(src, value, false);
	} else if (!str_eq(key, STR("base"))) {
		wrong(src,
		    "unknown key " STR_FMT "; before the first section stand dialect, base "
		    "and label",
		    STR_ARG(key));
	} else if (src->depth >= DIALECT_DEPTH_MAX) {
		wrong(src, "base goes deeper than %d files, or in a circle", DIALECT_DEPTH_MAX);
	} else {
		src->errors += source_load(src, value);
	}
}

static bool
take_cond(struct source *src, struct str *value, struct smtp_cap *cap)
{
	*value = str_skip(*value, 1);
	cap->negate = value->len && value->p[0] == '!';
	if (cap->negate)
		*value = str_skip(*value, 1);
	struct str word = str_cut(value, ' ');
	for (int i = 0; i < SMTP_COND_COUNT; i++) {
		if (str_eq(word, str_of(smtp_cond_name[i]))) {
			cap->cond = i;
			return true;
		}
	}
	wrong(src, "unknown condition " STR_FMT, STR_ARG(word));
	return false;
}

static void
take_ehlo(struct source *src, struct str key, struct str value)
{
	struct smtp_wording *w = src->w;
	struct smtp_cap cap = { .cond = -1 };
	bool first = str_eq(key, STR("first"));
	if (!first && !str_eq(key, STR("cap"))) {
		wrong(src, "unknown key " STR_FMT "; in [ehlo] stand first and cap", STR_ARG(key));
		return;
	}
	if (!first && value.len && value.p[0] == '?' && !take_cond(src, &value, &cap))
		return;
	const char *why = dialect_template_check(value);
	if (value.len == 0)
		why = "no text";
	else if (value.len + 4 > SMTP_REPLY_LINE_MAX)
		why = "the line is longer than 510 octets";
	else if (!first && w->n_cap == SMTP_CAP_MAX)
		why = "too many cap lines";
	if (why) {
		wrong(src, STR_FMT ": %s", STR_ARG(key), why);
		return;
	}
	cap.text = keep(src, value, false);
	if (first)
		w->ehlo_first = cap.text;
	else
		w->cap[w->n_cap++] = cap;
}

static void
take_reply(struct source *src, struct str key, struct str value)
{
	enum smtp_situation s;
	if (!smtp_situation_find(key, &s)) {
		wrong(src, "unknown situation " STR_FMT "; `pennypost dialect show rfc` lists them",
		    STR_ARG(key));
		return;
	}
	struct str text = keep(src, value, true);
	if (!text.p)
		return;
	const char *why = dialect_reply_check(s, text);
	if (why)
		wrong(src, STR_FMT ": %s", STR_ARG(key), why);
	else
		src->w->reply[s] = text;
}

/* The words of a quirk in the order of their values 0, 1, ... */
struct quirk {
	const char *name;
	size_t at;
	const char *word[5];
	bool weakens; /* all but the first word: only behind a ! */
};
#define AT(field) offsetof(struct smtp_quirks, field)
static const struct quirk quirks[] = {
	{ "require_helo", AT(require_helo), { "no", "yes" } },
	{ "helo_arg", AT(helo_arg_optional), { "required", "optional" } },
	{ "angle_brackets", AT(angle_brackets_required), { "optional", "required" } },
	{ "tls_advert", AT(tls_advert), { "real", "always", "never", "advertise-refuse" } },
	{ "auth_unadvertised", AT(auth_unadvertised), { "refuse", "accept" } },
	{ "quit_silent", AT(quit_silent), { "no", "yes" } },
	{ "ipmm", AT(ipmm), { "no", "yes" } },
	{ "ipmm_subst", AT(ipmm_brackets), { "entities", "brackets" } },
	{ "echo_case", AT(echo_case), { "no", "yes" } },
	{ "bare_lf", AT(bare_lf), { "reject", "session" }, .weakens = true },
};
#undef AT

static bool
take_quirk_word(struct source *src, const struct quirk *q, struct str value)
{
	for (int i = 0; i < (int)ARRAY_LEN(q->word) && q->word[i]; i++) {
		if (str_eq(value, str_of(q->word[i]))) {
			*(int *)(void *)((char *)&src->w->quirks + q->at) = i;
			return true;
		}
	}
	return false;
}

static bool
take_qid_style(struct source *src, struct str value)
{
	for (int i = 0; i < QID_STYLE_COUNT; i++) {
		if (str_eq(value, str_of(smtp_qid_style_name[i]))) {
			src->w->quirks.qid_style = (enum smtp_qid_style)i;
			return true;
		}
	}
	return false;
}

static bool
take_bad_cmd_limit(struct source *src, struct str value)
{
	uint64_t limit;
	if (!num_u64(value, LIMIT_MAX, &limit))
		return false;
	src->w->quirks.bad_cmd_limit = (int)limit;
	return true;
}

static bool
take_mechs(struct source *src, struct str value)
{
	src->w->quirks.mechs = keep(src, value, false);
	return dialect_template_check(value) == NULL && str_find(value, '$') == value.len;
}

/* The words that a quirk can be, or the names of all quirks. */
static void
put_choices(struct buf *out, const struct quirk *q, struct str key, bool known)
{
	for (size_t i = 0; q && i < ARRAY_LEN(q->word) && q->word[i]; i++)
		buf_putf(out, " %s", q->word[i]);
	for (size_t i = 0; !known && i < ARRAY_LEN(quirks); i++)
		buf_putf(out, " %s", quirks[i].name);
	if (!known)
		buf_putz(out, " qid_style bad_cmd_limit mechs");
	for (int i = 0; str_eq(key, STR("qid_style")) && i < QID_STYLE_COUNT; i++)
		buf_putf(out, " %s", smtp_qid_style_name[i]);
	if (str_eq(key, STR("bad_cmd_limit")))
		buf_putz(out, " a number");
	if (str_eq(key, STR("mechs")))
		buf_putz(out, " names of SASL mechanisms");
}

static void
refuse_quirk(struct source *src, const struct quirk *q, struct str key, struct str value,
    bool known)
{
	struct buf choices = BUF_INIT(1024);
	put_choices(&choices, q, key, known);
	if (known)
		wrong(src, STR_FMT " cannot be \"" STR_FMT "\"; it can be:" STR_FMT, STR_ARG(key),
		    STR_ARG(value), STR_ARG(buf_str(&choices)));
	else
		wrong(src, "unknown quirk " STR_FMT "; there are:" STR_FMT, STR_ARG(key),
		    STR_ARG(buf_str(&choices)));
	buf_done(&choices);
}

static void
take_quirk(struct source *src, struct str key, struct str value)
{
	bool known = true, good, marked = key.p[0] == '!';
	value = str_trim(str_first(value, str_find(value, ';')));
	if (marked) {
		key = str_ltrim(str_skip(key, 1));
		src->w->quirks.lab_only = true;
	}
	const struct quirk *q = NULL;
	for (size_t i = 0; i < ARRAY_LEN(quirks); i++)
		if (str_eq(key, str_of(quirks[i].name)))
			q = &quirks[i];
	if (q && q->weakens && !marked && !str_eq(value, str_of(q->word[0]))) {
		wrong(src,
		    "%s = " STR_FMT " weakens security; write !%s, which works in a lab only",
		    q->name, STR_ARG(value), q->name);
		return;
	}
	if (q)
		good = take_quirk_word(src, q, value);
	else if (str_eq(key, STR("qid_style")))
		good = take_qid_style(src, value);
	else if (str_eq(key, STR("bad_cmd_limit")))
		good = take_bad_cmd_limit(src, value);
	else if (str_eq(key, STR("mechs")))
		good = take_mechs(src, value);
	else
		known = good = false;
	if (!good)
		refuse_quirk(src, q, key, value, known);
}

static void
take_access(struct source *src, struct str key, struct str value)
{
	enum dialect_access which = src->section == IMAP ? DIALECT_IMAP : DIALECT_POP3;
	const char *why = dialect_words_take(src->w, which, key, value);
	if (why)
		wrong(src, STR_FMT ": %s", STR_ARG(key), why);
}

static void
enter_section(struct source *src, struct str line)
{
	static const struct {
		const char *name;
		enum section section;
	} names[] = { { "[ehlo]", EHLO }, { "[replies]", REPLIES }, { "[quirks]", QUIRKS },
		{ "[imap]", IMAP }, { "[pop3]", POP3 } };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!str_eq(line, str_of(names[i].name)))
			continue;
		src->section = names[i].section;
		if (src->section == EHLO)
			src->w->n_cap = 0; /* a list replaces the base's whole list */
		return;
	}
	wrong(src,
	    "unknown section " STR_FMT "; write [ehlo], [replies], [quirks], [imap] or [pop3]",
	    STR_ARG(line));
}

static void
take_line(struct source *src, struct str line)
{
	static void (*const take[SECTIONS])(struct source *, struct str key, struct str value) = {
		[HEADER] = take_header,
		[EHLO] = take_ehlo,
		[REPLIES] = take_reply,
		[QUIRKS] = take_quirk,
		[IMAP] = take_access,
		[POP3] = take_access,
	};
	struct str bare = str_trim(line);
	if (bare.len == 0 || bare.p[0] == '#')
		return;
	if (bare.p[0] == '[') {
		enter_section(src, bare);
		return;
	}
	struct str value = line, key = str_trim(str_cut(&value, '='));
	if (!value.p || key.len == 0) {
		wrong(src, "neither a comment nor a section nor key = value");
		return;
	}
	if (value.len && value.p[0] == ' ')
		value = str_skip(value, 1);
	take[src->section](src, key, src->section == HEADER ? str_trim(value) : value);
}

/* Returns the number of mistakes. */
static unsigned
source_load(const struct source *from, struct str name)
{
	struct source src = *from;
	struct str text;
	src.depth++;
	src.errors = 0;
	if (!src.find(src.arg, name, &text)) {
		wrong(&src, "there is no dialect called " STR_FMT, STR_ARG(name));
		return src.errors;
	}
	src.name = name;
	src.section = HEADER;
	src.line = 0;
	if (text.len > DIALECT_FILE_MAX) {
		wrong(&src, "the file is longer than %u octets", DIALECT_FILE_MAX);
		return src.errors;
	}
	while (text.p) {
		struct str line = str_cut(&text, '\n');
		src.line++;
		if (line.len && line.p[line.len - 1] == '\r')
			line.len--;
		take_line(&src, line);
	}
	return src.errors;
}

static void
missing_words(struct source *src, enum dialect_access which, const char *section)
{
	const char *key = dialect_words_missing(src->w, which);
	if (key)
		wrong(src, "no text for %s in %s, neither here nor in a base; say base = rfc", key,
		    section);
}

static unsigned
missing(struct source *src)
{
	src->line = 0;
	src->errors = 0;
	for (int i = 0; i < SMTP_SITUATION_COUNT; i++)
		if (!src->w->reply[i].p)
			wrong(src, "no text for %s, neither here nor in a base; say base = rfc",
			    smtp_situation_key[i]);
	if (!src->w->ehlo_first.p)
		wrong(src, "no first line for [ehlo], neither here nor in a base");
	missing_words(src, DIALECT_IMAP, "[imap]");
	missing_words(src, DIALECT_POP3, "[pop3]");
	return src->errors;
}

struct smtp_wording *
dialect_load(struct str name, dialect_find_fn *find, void *arg, struct buf *err)
{
	struct smtp_wording *w = xalloc(sizeof(*w));
	w->text = xalloc(sizeof(struct arena));
	arena_init(w->text, WORDING_MAX);
	w->quirks = (struct smtp_quirks){ .require_helo = -1,
		.helo_arg_optional = -1,
		.angle_brackets_required = -1,
		.tls_advert = -1,
		.auth_unadvertised = -1,
		.quit_silent = -1,
		.ipmm = -1,
		.ipmm_brackets = -1,
		.bad_cmd_limit = -1,
		.echo_case = -1,
		.bare_lf = -1 };
	struct source src = { .w = w, .find = find, .arg = arg, .err = err, .name = name };
	check(dialect_words_new(w));
	w->name = keep(&src, name, false);
	unsigned errors = src.errors + source_load(&src, name);
	if (errors == 0)
		errors = missing(&src);
	return errors ? dialect_free(w) : w;
}

struct smtp_wording *
dialect_free(struct smtp_wording *w)
{
	if (w) {
		arena_done(w->text);
		free(w->text);
		free(w);
	}
	return NULL;
}

bool
dialect_fits(const struct smtp_wording *w, bool lab, struct buf *err)
{
	if (w->quirks.lab_only && !lab)
		buf_putf(err,
		    "dialect " STR_FMT
		    " weakens security (a quirk is marked with !); it works only "
		    "with lab = yes\n",
		    STR_ARG(w->name));
	return lab || !w->quirks.lab_only;
}

static const char *
override_reply(struct smtp_wording *w, struct str key, struct str text)
{
	enum smtp_situation s;
	if (!smtp_situation_find(key, &s))
		return "there is no such situation; `pennypost dialect show rfc` lists them";
	struct str own = dialect_text_keep(w, text, true);
	if (!own.p)
		return "the texts are too long altogether";
	const char *why = dialect_reply_check(s, own);
	if (!why)
		w->reply[s] = own;
	return why;
}

bool
dialect_override(struct smtp_wording *w, struct str key, struct str text, struct buf *err)
{
	const char *why;
	if (str_starts(key, STR("imap.")))
		why = dialect_words_take(w, DIALECT_IMAP, str_skip(key, 5), text);
	else if (str_starts(key, STR("pop3.")))
		why = dialect_words_take(w, DIALECT_POP3, str_skip(key, 5), text);
	else
		why = override_reply(w, key, text);
	if (why)
		buf_putf(err, "reply." STR_FMT ": %s\n", STR_ARG(key), why);
	return why == NULL;
}
