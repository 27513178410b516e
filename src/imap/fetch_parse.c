/* FETCH: which items, which modifiers (RFC 9051 6.4.5, RFC 7162 3.1.4, 3.2.6). */
#include "imap/fetch_priv.h"

#include "base/check.h"

static const struct row {
	const char *name;
	fetch_put_fn *put;
	bool outline;
} rows[] = {
	{ "FLAGS", fetch_put_flags, false },
	{ "UID", fetch_put_uid, false },
	{ "INTERNALDATE", fetch_put_internaldate, false },
	{ "RFC822.SIZE", fetch_put_size, false },
	{ "ENVELOPE", fetch_put_envelope, true },
	{ "BODY", fetch_put_body, true },
	{ "BODYSTRUCTURE", fetch_put_bodystructure, true },
	{ "MODSEQ", fetch_put_modseq, false },
	{ "EMAILID", fetch_put_emailid, false },
	{ "THREADID", fetch_put_threadid, true },
	{ "SAVEDATE", fetch_put_savedate, false },
	{ "PREVIEW", fetch_put_preview, true },
};

/* Items of octets, with or without a section in brackets. */
static const struct octets_row {
	const char *name, *echo;
	bool brackets, seen;
	enum fetch_form form;
	enum fetch_section section;
} octets_rows[] = {
	{ "BODY", "BODY", true, true, FETCH_BODY, FETCH_ALL },
	{ "BODY.PEEK", "BODY", true, false, FETCH_BODY, FETCH_ALL },
	{ "BINARY", "BINARY", true, true, FETCH_BINARY, FETCH_ALL },
	{ "BINARY.PEEK", "BINARY", true, false, FETCH_BINARY, FETCH_ALL },
	{ "BINARY.SIZE", "BINARY.SIZE", true, false, FETCH_BINARY_SIZE, FETCH_ALL },
	{ "RFC822", "RFC822", false, true, FETCH_BODY, FETCH_ALL },
	{ "RFC822.HEADER", "RFC822.HEADER", false, false, FETCH_BODY, FETCH_HEADER },
	{ "RFC822.TEXT", "RFC822.TEXT", false, true, FETCH_BODY, FETCH_TEXT },
};

static const struct macro {
	const char *name;
	const char *items[5];
} macros[] = {
	{ "ALL", { "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE" } },
	{ "FAST", { "FLAGS", "INTERNALDATE", "RFC822.SIZE" } },
	{ "FULL", { "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY" } },
};

static bool
fail(struct imap_session *s, const char *why)
{
	s->cmd->lex.bad = true;
	s->cmd->lex.why = why;
	return false;
}

static struct fetch_item *
item_new(struct imap_session *s, struct fetch *f)
{
	if (f->n_items == FETCH_ITEMS_MAX) {
		(void)fail(s, "too many items");
		return NULL;
	}
	struct fetch_item *i = &f->items[f->n_items++];
	*i = (struct fetch_item){ .len = UINT64_MAX };
	return i;
}

static bool
index_item(struct imap_session *s, struct fetch *f, struct str name)
{
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		if (!str_ieq(name, str_of(rows[k].name)))
			continue;
		for (size_t n = 0; n < f->n_items; n++)
			if (f->items[n].put == rows[k].put)
				return true;
		struct fetch_item *i = item_new(s, f);
		if (!i)
			return false;
		i->put = rows[k].put;
		i->outline = rows[k].outline;
		f->flags = f->flags || i->put == fetch_put_flags;
		f->modseq = f->modseq || i->put == fetch_put_modseq;
		return true;
	}
	return fail(s, "an item that FETCH does not know");
}

/* The same octets asked for twice are given once. */
static void
drop_twin(struct fetch *f)
{
	struct fetch_item *last = &f->items[f->n_items - 1];
	for (size_t n = 0; n + 1 < f->n_items; n++) {
		struct fetch_item *i = &f->items[n];
		if (i->put || !str_eq(i->echo, last->echo) || i->len != last->len)
			continue;
		i->seen = i->seen || last->seen;
		f->n_items--;
		return;
	}
}

static bool
octets_item(struct imap_session *s, struct fetch *f, const struct octets_row *row)
{
	struct fetch_item *i = item_new(s, f);
	if (!i)
		return false;
	i->seen = row->seen;
	i->form = row->form;
	i->section = row->section;
	i->echo = str_of(row->echo);
	if (row->brackets && !fetch_section_parse(s, i, row->echo))
		return false;
	i->outline = i->n_path > 0;
	drop_twin(f);
	return true;
}

/* "(LAZY)" behind PREVIEW (RFC 8970 3.1); a list of modifiers may stand there as well. */
static void
preview_lazy(struct imap_session *s, struct fetch *f)
{
	struct imap_lex *x = &s->cmd->lex;
	if (!str_istarts(x->rest, STR(" (LAZY)")))
		return;
	x->rest = str_skip(x->rest, 7);
	for (size_t n = 0; n < f->n_items; n++)
		if (f->items[n].put == fetch_put_preview)
			f->items[n].lazy = true;
}

static bool
item_parse(struct imap_session *s, struct fetch *f)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str name = imap_lex_word(x);
	if (x->bad)
		return false;
	bool brackets = imap_lex_peek(x, '[');
	for (size_t k = 0; k < ARRAY_LEN(octets_rows); k++) {
		const struct octets_row *row = &octets_rows[k];
		if (str_ieq(name, str_of(row->name)) && row->brackets == brackets)
			return octets_item(s, f, row);
	}
	if (!index_item(s, f, name))
		return false;
	if (str_ieq(name, STR("PREVIEW")))
		preview_lazy(s, f);
	return true;
}

static bool
macro_parse(struct imap_session *s, struct fetch *f)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str name = str_first(x->rest, str_find(x->rest, ' '));
	for (size_t k = 0; k < ARRAY_LEN(macros); k++) {
		if (!str_ieq(name, str_of(macros[k].name)))
			continue;
		x->rest = str_skip(x->rest, name.len);
		for (size_t n = 0; n < ARRAY_LEN(macros[k].items) && macros[k].items[n]; n++)
			if (!index_item(s, f, str_of(macros[k].items[n])))
				return false;
		return true;
	}
	return item_parse(s, f);
}

static bool
modifier_parse(struct imap_session *s, struct fetch *f)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str name = imap_lex_atom(x);
	if (x->bad)
		return false;
	if (str_ieq(name, STR("CHANGEDSINCE"))) {
		(void)imap_lex_sp(x);
		return imap_lex_number64(x, &f->since) && index_item(s, f, STR("MODSEQ"));
	}
	if (!str_ieq(name, STR("VANISHED")))
		return fail(s, "a modifier that FETCH does not know");
	f->vanished = true;
	return true;
}

static bool
modifiers_parse(struct imap_session *s, struct fetch *f)
{
	struct imap_lex *x = &s->cmd->lex;
	if (!imap_lex_try(x, ' '))
		return imap_lex_end(x);
	(void)imap_lex_char(x, '(');
	do {
		if (!modifier_parse(s, f))
			return false;
	} while (imap_lex_try(x, ' '));
	(void)imap_lex_char(x, ')');
	if (!imap_lex_end(x))
		return false;
	/* RFC 7162 3.2.6: only with UID FETCH and CHANGEDSINCE, and QRESYNC enabled. */
	if (f->vanished && (!f->uid || !f->since || !(s->enabled & IMAP_QRESYNC)))
		return fail(s, "VANISHED is for UID FETCH with CHANGEDSINCE under QRESYNC");
	return true;
}

/* Items of the index first, each row in the order asked for. */
static bool
items_part(struct imap_session *s, struct fetch *f)
{
	struct fetch_item *all = arena_alloc(&s->cmd->arena, (f->n_items + 1) * sizeof(*all));
	if (!all)
		return fail(s, "too many items");
	size_t n = 0;
	for (size_t k = 0; k < f->n_items; k++)
		if (f->items[k].put)
			all[n++] = f->items[k];
	f->n_index = n;
	for (size_t k = 0; k < f->n_items; k++)
		if (!f->items[k].put)
			all[n++] = f->items[k];
	f->items = all;
	return true;
}

bool
fetch_parse(struct imap_session *s, struct fetch *f)
{
	struct imap_lex *x = &s->cmd->lex;
	f->items = arena_alloc(&s->cmd->arena, FETCH_ITEMS_MAX * sizeof(*f->items));
	if (!f->items)
		return fail(s, "the command is too long");
	if (!imap_lex_sp(x) || !imap_lex_set(x, &s->cmd->arena, &f->set) || !imap_lex_sp(x))
		return false;
	/* RFC 9051 6.4.8: the answers to UID FETCH have UIDs. */
	if (f->uid && !index_item(s, f, STR("UID")))
		return false;
	if (!imap_lex_try(x, '(')) {
		if (!macro_parse(s, f))
			return false;
	} else {
		do {
			if (!item_parse(s, f))
				return false;
		} while (imap_lex_try(x, ' '));
		if (!imap_lex_char(x, ')'))
			return false;
	}
	return modifiers_parse(s, f) && items_part(s, f);
}
