/*
 * LIST and LSUB (RFC 9051 6.3.9; RFC 3501 6.3.9; RFC 5258, RFC 5819, RFC 6154).
 *
 * All mailboxes of the account are collected, then what is to be shown of them is marked, then it
 * is said. There are parents in it that only have children, so that % finds them.
 */
#include "imap/imap_priv.h"

#include "base/map.h"

#define PATTERNS_MAX 32
#define PATTERN_OCTETS_MAX 2048 /* of all: each mailbox costs its length times theirs */

/* Selection and return options. */
enum {
	O_SUBSCRIBED = 1u << 0,
	O_REMOTE = 1u << 1,
	O_RECURSIVE = 1u << 2,
	O_SPECIAL = 1u << 3,
	O_CHILDREN = 1u << 4,
	O_STATUS = 1u << 5,
};

struct row {
	struct row *next;
	struct access_mailbox m;
	bool below;   /* something behind it is selected */
	bool unshown; /* and some of that is not shown itself */
};

struct listing {
	bool lsub, root; /* root: only the separator is asked for */
	unsigned select, wanted, items;
	struct str pattern[PATTERNS_MAX];
	unsigned n_pattern;
	size_t pattern_octets;
	struct row *first, **last;
	struct map by_name;
};

static struct listing *
listing_of(struct imap_session *s)
{
	return s->cmd->data;
}

static void
listing_drop(struct imap_session *s)
{
	map_done(&listing_of(s)->by_name);
}

/* --- arguments --- */

struct option {
	const char *name;
	unsigned bit;
};
static const struct option select_options[] = {
	{ "SUBSCRIBED", O_SUBSCRIBED },
	{ "REMOTE", O_REMOTE },
	{ "RECURSIVEMATCH", O_RECURSIVE },
	{ "SPECIAL-USE", O_SPECIAL },
	{ NULL, 0 },
};
static const struct option return_options[] = {
	{ "SUBSCRIBED", O_SUBSCRIBED },
	{ "CHILDREN", O_CHILDREN },
	{ "SPECIAL-USE", O_SPECIAL },
	{ "STATUS", O_STATUS },
	{ NULL, 0 },
};

/* "(" [option *(SP option)] ")" */
static bool
options(struct imap_session *s, struct imap_lex *x, const struct option *known, unsigned *ret)
{
	if (!imap_lex_char(x, '('))
		return false;
	if (imap_lex_try(x, ')'))
		return true;
	do {
		struct str word = imap_lex_atom(x);
		const struct option *o = known;
		while (o->name && !str_ieq(word, str_of(o->name)))
			o++;
		if (!o->name)
			return imap_lex_fail(x, "there is no such option");
		*ret |= o->bit;
		if (o->bit == O_STATUS &&
		    (!imap_lex_sp(x) || !imap_lex_status_items(s, x, &listing_of(s)->items)))
			return false;
	} while (imap_lex_try(x, ' '));
	return imap_lex_char(x, ')');
}

/* The reference stands in front of the pattern. */
static bool
add_pattern(struct imap_session *s, struct str ref, struct str wire)
{
	struct listing *l = listing_of(s);
	struct imap_lex *x = &s->cmd->lex;
	struct buf whole = BUF_INIT(8 * ACCESS_NAME_MAX), name = BUF_INIT(8 * ACCESS_NAME_MAX);
	if (x->bad || l->n_pattern == PATTERNS_MAX)
		return imap_lex_fail(x, "too many patterns");
	buf_puts(&whole, ref);
	buf_puts(&whole, wire);
	/* What cannot be a name matches none. */
	l->pattern_octets += whole.len;
	bool ok = !whole.failed && name_pattern_from_wire(buf_str(&whole), s->conf->separator,
				       imap_is_utf8(s), &name);
	if (ok)
		l->pattern[l->n_pattern++] = arena_str(&s->cmd->arena, buf_str(&name));
	buf_done(&whole);
	buf_done(&name);
	return l->pattern_octets <= PATTERN_OCTETS_MAX || imap_lex_fail(x, "patterns are too long");
}

static bool
patterns(struct imap_session *s, struct str ref)
{
	struct imap_lex *x = &s->cmd->lex;
	bool many = !listing_of(s)->lsub && imap_lex_try(x, '(');
	do {
		struct str wire = imap_lex_list_mailbox(x, &s->cmd->arena);
		if (!x->bad && !many && wire.len == 0)
			listing_of(s)->root = true;
		if (!add_pattern(s, ref, wire))
			return false;
	} while (many && imap_lex_try(x, ' '));
	return !many || imap_lex_char(x, ')');
}

static bool
arguments(struct imap_session *s)
{
	struct listing *l = listing_of(s);
	struct imap_lex *x = &s->cmd->lex;
	if (!imap_lex_sp(x))
		return false;
	if (!l->lsub && imap_lex_peek(x, '(')) {
		if (!options(s, x, select_options, &l->select) || !imap_lex_sp(x))
			return false;
		/* RFC 9051 6.3.9.1 */
		if ((l->select & O_RECURSIVE) && !(l->select & (O_SUBSCRIBED | O_SPECIAL)))
			return imap_lex_fail(x, "RECURSIVEMATCH needs another option");
	}
	struct str ref = imap_lex_astring(x, &s->cmd->arena);
	if (!imap_lex_sp(x) || !patterns(s, ref))
		return false;
	if (!l->lsub && imap_lex_try(x, ' ')) {
		if (!str_ieq(imap_lex_atom(x), STR("RETURN")))
			return imap_lex_fail(x, "RETURN is missing");
		return imap_lex_sp(x) && options(s, x, return_options, &l->wanted);
	}
	return true;
}

/* --- what is to be shown --- */

static struct row *
add_row(struct imap_session *s, const struct access_mailbox *m)
{
	struct listing *l = listing_of(s);
	struct row *r = arena_alloc(&s->cmd->arena, sizeof(*r));
	struct str name = arena_str(&s->cmd->arena, m->name);
	if (!r || !name.p)
		return NULL;
	r->m = *m;
	r->m.name = name;
	*l->last = r;
	l->last = &r->next;
	(void)map_put(&l->by_name, name, r);
	return r;
}

static bool
matches(const struct listing *l, struct str name)
{
	for (unsigned i = 0; i < l->n_pattern; i++)
		if (name_matches(name, l->pattern[i]))
			return true;
	return false;
}

static bool
is_selected(const struct listing *l, const struct row *r)
{
	if (l->lsub || (l->select & O_SUBSCRIBED)) {
		if (!(r->m.attrs & ACCESS_SUBSCRIBED))
			return false;
	} else if (r->m.attrs & ACCESS_NONEXISTENT) {
		return false;
	}
	return !(l->select & O_SPECIAL) || (r->m.attrs & ACCESS_USES);
}

/* RFC 3501 6.3.9: a parent is shown in place of what its pattern does not reach; RFC 5258 3: a
 * parent is shown because of what it has. */
static bool
mark_parents(struct imap_session *s)
{
	struct listing *l = listing_of(s);
	if (!l->lsub && !(l->select & O_RECURSIVE))
		return true;
	for (struct row *r = l->first; r; r = r->next) {
		struct str name = r->m.name;
		bool shown = matches(l, name);
		if (!is_selected(l, r) || (l->lsub && shown))
			continue;
		for (size_t at; (at = str_rfind(name, '/')) < name.len;) {
			name = str_first(name, at);
			struct row *parent = map_get(&l->by_name, name);
			const struct access_mailbox none = { .name = name,
				.attrs = ACCESS_NONEXISTENT | ACCESS_CHILDREN };
			if (!parent && !(parent = add_row(s, &none)))
				return false;
			parent->below = true;
			parent->unshown = parent->unshown || !shown;
		}
	}
	return true;
}

/* --- saying it --- */

static void
put_attrs(struct imap_session *s, const struct row *r)
{
	static const struct {
		unsigned attr;
		const char *name;
	} words[] = {
		{ ACCESS_NONEXISTENT, "\\NonExistent" },
		{ ACCESS_NOSELECT, "\\Noselect" },
		{ ACCESS_CHILDREN, "\\HasChildren" },
		{ ACCESS_SUBSCRIBED, "\\Subscribed" },
		{ ACCESS_ALL, "\\All" },
		{ ACCESS_ARCHIVE, "\\Archive" },
		{ ACCESS_DRAFTS, "\\Drafts" },
		{ ACCESS_FLAGGED_BOX, "\\Flagged" },
		{ ACCESS_JUNK, "\\Junk" },
		{ ACCESS_SENT, "\\Sent" },
		{ ACCESS_TRASH, "\\Trash" },
	};
	const struct listing *l = listing_of(s);
	struct buf *out = s->cmd->out;
	unsigned attrs = r->m.attrs;
	const char *blank = "";
	if (l->lsub)
		attrs = r->below && !(attrs & ACCESS_SUBSCRIBED) ? ACCESS_NOSELECT : 0;
	else if (!((l->select | l->wanted) & O_SUBSCRIBED))
		attrs &= ~(unsigned)ACCESS_SUBSCRIBED;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *word = attrs & words[i].attr ? words[i].name : NULL;
		if (!word && words[i].attr == ACCESS_CHILDREN && !l->lsub)
			word = "\\HasNoChildren";
		if (!word)
			continue;
		buf_putf(out, "%s%s", blank, word);
		blank = " ";
	}
}

static void
put_row(struct imap_session *s, const struct row *r)
{
	const struct listing *l = listing_of(s);
	struct buf *out = s->cmd->out;
	bool selected = is_selected(l, r), recursive = l->select & O_RECURSIVE;
	/* RFC 5258 3.5: no parent for the sake of children that are all shown. */
	if ((!selected && !r->unshown) || !matches(l, r->m.name))
		return;
	buf_putf(out, "* %s (", l->lsub ? "LSUB" : "LIST");
	put_attrs(s, r);
	buf_putf(out, ") \"%c\" ", s->conf->separator);
	imap_put_name(s, r->m.name);
	if (recursive && r->below)
		buf_putf(out, " (\"CHILDINFO\" (\"%s\"))",
		    l->select & O_SUBSCRIBED ? "SUBSCRIBED" : "SPECIAL-USE");
	buf_putz(out, "\r\n");
	if ((l->wanted & O_STATUS) && !(r->m.attrs & (ACCESS_NOSELECT | ACCESS_NONEXISTENT)))
		imap_put_status(s, &r->m, l->items);
}

static enum imap_run
tell(struct imap_session *s, const struct imap_answer *a)
{
	struct listing *l = listing_of(s);
	while (l->first) {
		put_row(s, l->first);
		l->first = l->first->next;
		if (imap_is_full(s)) {
			s->cmd->resume = tell;
			return RUN_FLUSH;
		}
	}
	return imap_ok(s, NULL, NULL);
}

static enum imap_run
read_some(struct imap_session *s, const struct imap_answer *a)
{
	struct wire w;
	struct access_head head;
	struct access_mailbox m;
	if (!imap_answer_get(a, &w, &head))
		return imap_refuse(s, imap_answer_status(a), false);
	while (w.left && access_mailbox_get(&w, &m))
		if (!add_row(s, &m))
			return imap_refuse(s, ACCESS_LIMIT, false);
	if (w.bad)
		return imap_refuse(s, ACCESS_FAILED, false);
	if (!head.more)
		return mark_parents(s) ? tell(s, NULL) : imap_refuse(s, ACCESS_LIMIT, false);
	s->read.fresh = false;
	s->read.from = (struct access_from){ .uid = head.next.uid,
		.n = head.next.n,
		.name = arena_str(&s->cmd->arena, head.next.name) };
	return imap_read(s, read_some);
}

static enum imap_run
begin(struct imap_session *s, bool lsub)
{
	struct imap_command *c = s->cmd;
	struct listing *l = c->data = arena_alloc(&c->arena, sizeof(*l));
	check(l);
	l->lsub = lsub;
	l->last = &l->first;
	c->drop = listing_drop;
	(void)arguments(s);
	if (!imap_lex_end(&c->lex))
		return imap_bad(s, "%s: %s", c->row->name, c->lex.why);
	if (l->root) {
		buf_putf(c->out, "* %s (\\Noselect) \"%c\" \"\"\r\n", c->row->name,
		    s->conf->separator);
		return imap_ok(s, NULL, NULL);
	}
	s->read = (struct access_ask){ .kind = ACCESS_MAILBOXES, .fresh = true };
	return imap_read(s, read_some);
}

enum imap_run
imap_cmd_list(struct imap_session *s)
{
	return begin(s, false);
}

enum imap_run
imap_cmd_lsub(struct imap_session *s)
{
	return begin(s, true);
}
