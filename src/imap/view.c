/* The selected mailbox: its map, sets in it, its keywords. */
#include "imap/imap_priv.h"

#include <stdio.h>
#include <stdlib.h>

struct uidmap_state
imap_view_state(const struct imap_session *s)
{
	return (struct uidmap_state){ .account = s->account,
		.modseq = s->view->modseq,
		.mailbox = s->view->mailbox,
		.uidnext = s->view->uidnext };
}

void
imap_view_close(struct imap_session *s)
{
	struct imap_view *v = s->view;
	if (!v)
		return;
	struct uidmap_state state = imap_view_state(s);
	uidmaps_unshare(s->maps, &state, v->map);
	uidset_done(&v->saved);
	for (unsigned i = 0; i < v->n_keywords; i++)
		free(v->keyword[i]);
	free(v);
	s->view = NULL;
	if (s->state == IMAP_SELECTED)
		s->state = IMAP_KNOWN;
}

const char *
imap_modseq_code(struct imap_session *s, char ret[IMAP_MODSEQ_CODE])
{
	struct imap_view *v = s->view;
	if (!v || !(s->enabled & (IMAP_CONDSTORE | IMAP_QRESYNC)))
		return NULL;
	v->highest = MAX(MIN(v->modseq, v->told), (uint64_t)1);
	(void)snprintf(ret, IMAP_MODSEQ_CODE, "HIGHESTMODSEQ %llu", (unsigned long long)v->highest);
	return ret;
}

/* --- the map --- */

static enum imap_run
map_made(struct imap_session *s)
{
	struct imap_view *v = s->view;
	struct imap_command *c = s->cmd;
	struct uidmap *m = uidmap_new(&c->uids);
	uidset_done(&c->uids);
	if (!m)
		return imap_refuse(s, ACCESS_LIMIT, false);
	/* What the client was told goes before what the store counts: never a number too many. */
	if (m->count != v->exists) {
		uidmap_unref(m);
		return imap_bye(s, c->out, "UNAVAILABLE",
		    "the mailbox is not what it was; connect again");
	}
	struct uidmap_state state = imap_view_state(s);
	v->map = uidmaps_share(s->maps, &state, m);
	return c->mapped(s, NULL);
}

static enum imap_run
uids_read(struct imap_session *s, const struct imap_answer *a)
{
	struct wire w;
	struct access_head head;
	struct uidset some = { 0 };
	if (!imap_answer_get(a, &w, &head) || !uidset_get(get_rest(&w), &some))
		return imap_refuse(s, imap_answer_status(a), false);
	uidset_add_set(&s->cmd->uids, &some);
	uidset_done(&some);
	if (s->cmd->uids.failed)
		return imap_refuse(s, ACCESS_LIMIT, false);
	if (!head.more)
		return map_made(s);
	s->read.fresh = false;
	s->read.from = (struct access_from){ .uid = head.next.uid, .n = head.next.n };
	return imap_read(s, uids_read);
}

enum imap_run
imap_view_map(struct imap_session *s,
    enum imap_run (*next)(struct imap_session *, const struct imap_answer *))
{
	struct imap_view *v = s->view;
	struct uidmap_state state = imap_view_state(s);
	check(s->state == IMAP_SELECTED);
	if (!v->map)
		v->map = uidmaps_find(s->maps, &state);
	if (v->map)
		return next(s, NULL);
	s->cmd->mapped = next;
	uidset_done(&s->cmd->uids);
	if (v->exists == 0)
		return map_made(s);
	s->read = (struct access_ask){ .kind = ACCESS_UIDS,
		.mailbox = v->mailbox,
		.since = v->modseq,
		.uidnext = v->uidnext };
	return imap_read(s, uids_read);
}

/* --- sets --- */

bool
imap_set_needs_map(const struct imap_session *s, const struct imap_set *set, bool uid)
{
	if (s->view->map || s->view->exists == 0 || set->saved)
		return false;
	for (size_t i = 0; uid && i < set->n; i++)
		if (set->r[i].a == 0 || set->r[i].b == 0)
			return true;
	return !uid;
}

/* No letter has a UID from uidnext on (as the client knows it). */
static bool
add_uids(const struct imap_session *s, struct imap_span r, struct uidset *numbers)
{
	const struct uidmap *m = s->view->map;
	uint32_t max = m && m->n ? m->r[m->n - 1].last : s->view->uidnext - 1;
	uint32_t a = r.a ? r.a : max, b = r.b ? r.b : max;
	if (s->view->exists == 0 || s->view->uidnext <= 1)
		return true;
	uint32_t low = MIN(a, b), high = MIN(MAX(a, b), s->view->uidnext - 1);
	if (low <= high)
		uidset_add(numbers, low, high);
	return true;
}

/* RFC 9051 9: a number behind the last is wrong, but n:* has the last one in it. */
static bool
add_numbers(const struct imap_session *s, struct imap_span r, struct uidset *numbers)
{
	uint32_t count = s->view->exists;
	bool star = r.a == 0 || r.b == 0;
	if (count == 0)
		return star;
	uint32_t a = r.a ? r.a : count, b = r.b ? r.b : count;
	uint32_t low = MIN(a, b), high = MAX(a, b);
	if (high > count && !star)
		return false;
	uidset_add(numbers, MIN(low, count), MIN(high, count));
	return true;
}

/* The numbers are put together first: however often a set says the same, the map is gone through
 * once. */
bool
imap_set_uids(const struct imap_session *s, const struct imap_set *set, bool uid,
    struct uidset *out)
{
	const struct uidmap *m = s->view->map;
	struct uidset numbers = { 0 };
	bool ok = true;
	check(uid || set->saved || m || s->view->exists == 0);
	for (size_t i = 0; i < set->n && ok; i++)
		ok = uid ? add_uids(s, set->r[i], &numbers) : add_numbers(s, set->r[i], &numbers);
	for (size_t i = 0; !uid && i < numbers.n; i++)
		uidmap_uids(m, numbers.r[i].first, numbers.r[i].last, out);
	if (uid && m)
		uidmap_within(m, &numbers, out);
	else if (uid)
		uidset_add_set(out, &numbers);
	if (set->saved)
		uidset_add_set(out, &s->view->saved);
	out->failed = out->failed || numbers.failed;
	uidset_done(&numbers);
	return ok;
}

bool
imap_take_ranges(struct imap_session *s, struct uidset *left, struct str *ret)
{
	struct uidset some = { .r = left->r, .n = MIN(left->n, (size_t)ACCESS_RANGES_MAX) };
	struct buf octets = BUF_INIT(8 * ACCESS_RANGES_MAX);
	check(some.n);
	uidset_put(&octets, &some);
	struct str kept = octets.failed ? STR_NULL : arena_str(&s->cmd->arena, buf_str(&octets));
	buf_done(&octets);
	if (!kept.p)
		return false;
	uidset_remove(left, some.r[0].first, some.r[some.n - 1].last);
	*ret = kept;
	return true;
}

/* --- keywords and flags --- */

static const struct {
	uint64_t bit;
	const char *name;
} system_flags[] = {
	{ ACCESS_ANSWERED, "\\Answered" },
	{ ACCESS_FLAGGED, "\\Flagged" },
	{ ACCESS_DELETED, "\\Deleted" },
	{ ACCESS_SEEN, "\\Seen" },
	{ ACCESS_DRAFT, "\\Draft" },
};

bool
imap_view_keywords(struct imap_session *s, const struct access_keywords *k)
{
	struct imap_view *v = s->view;
	bool same = v->n_keywords == k->n;
	for (unsigned i = 0; same && i < k->n; i++)
		same = str_eq(str_of(v->keyword[i]), k->name[i]);
	if (same)
		return false;
	for (unsigned i = 0; i < v->n_keywords; i++)
		free(v->keyword[i]);
	for (unsigned i = 0; i < k->n; i++)
		v->keyword[i] = str_dup(k->name[i]);
	v->n_keywords = k->n;
	return true;
}

uint64_t
imap_keyword_bit(const struct imap_session *s, struct str name)
{
	for (unsigned i = 0; i < s->view->n_keywords; i++)
		if (str_ieq(str_of(s->view->keyword[i]), name))
			return (uint64_t)1 << (ACCESS_KEYWORD_BIT + i);
	return 0;
}

static void
put_flags(const struct imap_session *s, struct buf *out, uint64_t flags)
{
	const char *blank = "";
	buf_putc(out, '(');
	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++) {
		if (!(flags & system_flags[i].bit))
			continue;
		buf_putz(out, blank);
		buf_putz(out, system_flags[i].name);
		blank = " ";
	}
	flags >>= ACCESS_KEYWORD_BIT;
	for (unsigned i = 0; flags && i < s->view->n_keywords; i++, flags >>= 1) {
		if (!(flags & 1))
			continue;
		buf_putz(out, blank);
		buf_putz(out, s->view->keyword[i]);
		blank = " ";
	}
}

void
imap_put_flags(const struct imap_session *s, struct buf *out, uint64_t flags)
{
	put_flags(s, out, flags);
	buf_putc(out, ')');
}

void
imap_put_known_flags(const struct imap_session *s, struct buf *out, bool any)
{
	put_flags(s, out, UINT64_MAX);
	buf_putz(out, any ? " \\*)" : ")");
}

/* \Recent may be said by old clients; it means nothing (RFC 9051, Appendix E 7). */
static bool
one_flag(struct imap_lex *x, struct str flag, uint64_t *system, struct buf *keywords, unsigned *n)
{
	if (flag.p[0] != '\\') {
		access_keyword_put(keywords, flag);
		return ++*n <= ACCESS_KEYWORDS || imap_lex_fail(x, "too many keywords");
	}
	for (size_t i = 0; i < ARRAY_LEN(system_flags); i++) {
		if (str_ieq(flag, str_of(system_flags[i].name))) {
			*system |= system_flags[i].bit;
			return true;
		}
	}
	return str_ieq(flag, STR("\\Recent")) || imap_lex_fail(x, "there is no such system flag");
}

bool
imap_lex_flags(struct imap_session *s, struct imap_lex *x, bool parens, uint64_t *ret_system,
    struct str *ret_keywords)
{
	struct buf keywords = BUF_INIT((ACCESS_KEYWORD_MAX + 2) * (ACCESS_KEYWORDS + 1));
	unsigned n = 0;
	uint64_t system = 0;
	struct str flag, kept = STR_NULL;
	bool in = imap_lex_try(x, '(');
	if (!in && parens)
		(void)imap_lex_char(x, '(');
	if (!(in && imap_lex_try(x, ')'))) {
		do {
			if (!imap_lex_flag(x, &flag) || !one_flag(x, flag, &system, &keywords, &n))
				break;
		} while (imap_lex_try(x, ' '));
		if (in && !x->bad)
			(void)imap_lex_char(x, ')');
	}
	if (!x->bad) {
		kept = arena_str(&s->cmd->arena, buf_str(&keywords));
		if (!kept.p)
			(void)imap_lex_fail(x, "the command is too long");
	}
	buf_done(&keywords);
	if (x->bad)
		return false;
	*ret_system = system;
	*ret_keywords = kept;
	return true;
}
