/* SEARCH: keys become nodes (RFC 9051 6.4.4, RFC 5032, RFC 7162 3.1.5, RFC 8474 4.3, RFC 8514). */
#include "imap/search_priv.h"

#include "base/check.h"
#include "base/num.h"

#define DAY_MS 86400000u

struct key {
	const char *name;
	bool (*parse)(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret);
	uint8_t op, compare;
	uint64_t n;
	bool want;
	const char *field; /* of letters: its name, and its place in the outline */
	enum outline_item item;
	enum find_where where;
};

static bool key_parse(struct imap_session *s, struct search *q, uint32_t *ret);

static uint8_t
stage_of(unsigned op)
{
	if (op == SEARCH_FIND)
		return SEARCH_AT_OCTETS;
	return op >= SEARCH_SENT && op < SEARCH_FIND ? SEARCH_AT_OUTLINE : SEARCH_AT_ROW;
}

static struct search_node *
node_new(struct imap_session *s, struct search *q, unsigned op, uint32_t *ret)
{
	if (q->n_nodes == q->cap_nodes) {
		uint32_t cap = q->cap_nodes ? q->cap_nodes * 2 : 16;
		struct search_node *all =
		    cap <= SEARCH_NODES_MAX * 2 ? realloc(q->node, cap * sizeof(*all)) : NULL;
		if (!all) {
			(void)search_refuse(q, "LIMIT", "too many search keys");
			return NULL;
		}
		q->node = all;
		q->cap_nodes = cap;
		if (!q->n_nodes)
			q->node[q->n_nodes++] = (struct search_node){ 0 };
	}
	if (q->n_nodes > SEARCH_NODES_MAX) {
		(void)search_refuse(q, "LIMIT", "too many search keys");
		return NULL;
	}
	*ret = q->n_nodes;
	struct search_node *n = &q->node[q->n_nodes++];
	*n = (struct search_node){ .op = (uint8_t)op, .stage = stage_of(op) };
	q->row_keys = q->row_keys || (op >= SEARCH_FLAG && op <= SEARCH_EMAILID);
	q->outline_keys = q->outline_keys || n->stage == SEARCH_AT_OUTLINE;
	return n;
}

/* --- groups --- */

/* Members of an AND, one list per stage: the cheap ones come first. */
struct members {
	uint32_t first[SEARCH_STAGES], last[SEARCH_STAGES];
};

static void
member_add(struct search *q, struct members *m, uint32_t i)
{
	uint8_t stage = q->node[i].stage;
	if (m->last[stage])
		q->node[m->last[stage]].next = i;
	else
		m->first[stage] = i;
	m->last[stage] = i;
}

static void
members_end(struct search *q, const struct members *m, uint32_t group)
{
	uint32_t tail = 0;
	for (unsigned k = 0; k < SEARCH_STAGES; k++) {
		if (!m->first[k])
			continue;
		if (tail)
			q->node[tail].next = m->first[k];
		else
			q->node[group].child = m->first[k];
		tail = m->last[k];
		q->node[group].stage = (uint8_t)k;
	}
}

/* Keys with a blank between them. */
static bool
and_parse(struct imap_session *s, struct search *q, uint32_t *ret)
{
	struct members m = { 0 };
	uint32_t group, i;
	if (!node_new(s, q, SEARCH_AND, &group))
		return false;
	do {
		if (!key_parse(s, q, &i))
			return false;
		member_add(q, &m, i);
	} while (imap_lex_try(&s->cmd->lex, ' ') && !imap_lex_peek(&s->cmd->lex, ')'));
	members_end(q, &m, group);
	*ret = group;
	return true;
}

static bool
parse_or(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	struct members m = { 0 };
	uint32_t group, i;
	if (!node_new(s, q, k->op, &group))
		return false;
	for (unsigned n = 0; n < (k->op == SEARCH_OR ? 2 : 1); n++) {
		if (!imap_lex_sp(&s->cmd->lex) || !key_parse(s, q, &i))
			return false;
		member_add(q, &m, i);
	}
	members_end(q, &m, group);
	*ret = group;
	return true;
}

/* --- keys from the row --- */

static bool
parse_plain(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	struct search_node *n = node_new(s, q, k->op, ret);
	if (!n)
		return false;
	n->n = k->n;
	n->want = k->want;
	return true;
}

static bool
parse_keyword(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	struct str name;
	if (!imap_lex_sp(&s->cmd->lex) || !imap_lex_flag(&s->cmd->lex, &name))
		return false;
	if (name.p[0] == '\\')
		return search_fail(s, "a keyword does not begin with a backslash");
	struct search_node *n = node_new(s, q, SEARCH_FLAG, ret);
	if (!n)
		return false;
	n->n = imap_keyword_bit(s, name);
	n->want = k->want;
	if (!n->n)
		n->op = k->want ? SEARCH_NONE : SEARCH_ALL;
	return true;
}

static bool
parse_number(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	uint64_t v;
	if (!imap_lex_sp(&s->cmd->lex) || !imap_lex_number64(&s->cmd->lex, &v))
		return false;
	struct search_node *n = node_new(s, q, k->op, ret);
	if (!n)
		return false;
	n->n = v;
	n->compare = k->compare;
	return true;
}

/* RFC 5032: seconds before now. */
static bool
parse_age(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	if (!parse_number(s, q, k, ret))
		return false;
	struct search_node *n = &q->node[*ret];
	uint64_t now = s->cmd->clock->wall > 0 ? (uint64_t)s->cmd->clock->wall : 0;
	if (!n->n)
		return search_fail(s, "an interval is at least one second");
	n->n = n->n < now ? (now - n->n) * 1000 : 0;
	return true;
}

static bool
parse_date(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	int64_t day;
	struct imap_lex *x = &s->cmd->lex;
	bool quoted = imap_lex_sp(x) && imap_lex_try(x, '"');
	if (!imap_lex_date(x, &day) || (quoted && !imap_lex_char(x, '"')))
		return false;
	struct search_node *n = node_new(s, q, k->op, ret);
	if (!n)
		return false;
	n->n = (uint64_t)day;
	n->compare = k->compare;
	return true;
}

/* RFC 7162 3.1.5: the name and kind of an entry may stand in front; there is one kind here. */
static bool
parse_modseq(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	struct imap_lex *x = &s->cmd->lex;
	if (!imap_lex_sp(x))
		return false;
	if (imap_lex_peek(x, '"')) {
		(void)imap_lex_string(x, &s->cmd->arena);
		(void)imap_lex_sp(x);
		struct str kind = imap_lex_atom(x);
		if (x->bad || (!str_ieq(kind, STR("all")) && !str_ieq(kind, STR("priv")) &&
				  !str_ieq(kind, STR("shared"))))
			return search_fail(s, "all, priv or shared is missing");
		(void)imap_lex_sp(x);
	}
	uint64_t v;
	if (!imap_lex_number64(x, &v))
		return false;
	struct search_node *n = node_new(s, q, k->op, ret);
	if (!n)
		return false;
	n->n = v;
	n->compare = SEARCH_NOT_LESS;
	q->modseq = true;
	return true;
}

/* RFC 8474: an id as FETCH gives it; any other belongs to no letter. */
static bool
parse_id(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str id = imap_lex_sp(x) ? imap_lex_astring(x, &s->cmd->arena) : STR_NULL;
	if (x->bad)
		return false;
	uint64_t v = 0;
	bool ok = id.len == 17 && id.p[0] == (char)k->n && num_hex(str_skip(id, 1), &v);
	struct search_node *n = node_new(s, q, ok ? k->op : SEARCH_NONE, ret);
	if (!n)
		return false;
	n->n = v;
	return true;
}

static bool
set_parse(struct imap_session *s, struct search *q, bool uid, uint32_t *ret)
{
	struct imap_set *set = arena_alloc(&s->cmd->arena, sizeof(*set));
	if (!set)
		return search_fail(s, "the command is too long");
	if (!imap_lex_set(&s->cmd->lex, &s->cmd->arena, set))
		return false;
	struct search_node *n = node_new(s, q, SEARCH_SET, ret);
	if (!n)
		return false;
	n->parsed = set;
	n->uid = uid;
	return true;
}

static bool
parse_uid(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	return imap_lex_sp(&s->cmd->lex) && set_parse(s, q, true, ret);
}

/* --- keys with words --- */

static bool
find_add(struct search *q, const struct find_ask *ask, uint32_t *ret)
{
	if (q->n_finds == SEARCH_FINDS_MAX)
		return search_refuse(q, "LIMIT", "too many words to look for");
	q->finds[q->n_finds] = *ask;
	q->in_body = q->in_body || ask->where != FIND_HEADER;
	*ret = (uint32_t)q->n_finds++;
	return true;
}

static bool
words_node(struct imap_session *s, struct search *q, bool item, const struct find_ask *ask,
    enum outline_item which, uint32_t *ret)
{
	struct needle *needle;
	if (!imap_lex_sp(&s->cmd->lex))
		return false;
	if (item && ++q->n_items > SEARCH_ITEMS_MAX)
		return search_refuse(q, "LIMIT", "too many words to look for");
	bool empty =
	    str_starts(s->cmd->lex.rest, STR("\"\"")) || str_starts(s->cmd->lex.rest, STR("{0"));
	if (!search_needle(s, q, &needle))
		return false;
	/* An address list shows as NIL when the field is empty, too. */
	item = item && !(empty && which >= OUTLINE_FROM && which <= OUTLINE_BCC);
	struct search_node *n = node_new(s, q, item ? SEARCH_ITEM : SEARCH_FIND, ret);
	if (!n) {
		needle_free(needle);
		return false;
	}
	n->needle = needle;
	n->item = (uint8_t)which;
	struct find_ask a = *ask;
	a.needle = needle;
	return item || find_add(q, &a, &n->find);
}

static bool
parse_words(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	struct find_ask ask = { .where = k->where };
	if (k->field)
		ask = (struct find_ask){ .where = FIND_HEADER, .field = str_of(k->field) };
	return words_node(s, q, k->field != NULL, &ask, k->item, ret);
}

/* Fields whose text the outline has as it stands in the letter. */
static const struct {
	const char *name;
	enum outline_item item;
} items[] = {
	{ "Subject", OUTLINE_SUBJECT },
	{ "From", OUTLINE_FROM },
	{ "To", OUTLINE_TO },
	{ "Cc", OUTLINE_CC },
	{ "Bcc", OUTLINE_BCC },
	{ "Message-ID", OUTLINE_MESSAGE_ID },
	{ "In-Reply-To", OUTLINE_IN_REPLY_TO },
	{ "Date", OUTLINE_DATE },
};

static bool
parse_header(struct imap_session *s, struct search *q, const struct key *k, uint32_t *ret)
{
	struct imap_lex *x = &s->cmd->lex;
	struct str name = imap_lex_sp(x) ? imap_lex_astring(x, &s->cmd->arena) : STR_NULL;
	struct find_ask ask = { .where = FIND_HEADER, .field = name };
	if (x->bad)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		if (str_ieq(name, str_of(items[i].name)))
			return words_node(s, q, true, &ask, items[i].item, ret);
	return words_node(s, q, false, &ask, OUTLINE_ITEMS, ret);
}

#define FLAG(bit, is) parse_plain, .op = SEARCH_FLAG, .n = (bit), .want = (is)
#define DATE(o, c) parse_date, .op = (o), .compare = (c)
#define WORDS(f, i) parse_words, .field = (f), .item = (i)
static const struct key keys[] = {
	{ "ALL", parse_plain, .op = SEARCH_ALL },
	{ "ANSWERED", FLAG(ACCESS_ANSWERED, true) },
	{ "BCC", WORDS("Bcc", OUTLINE_BCC) },
	{ "BEFORE", DATE(SEARCH_DAY, SEARCH_LESS) },
	{ "BODY", parse_words, .where = FIND_BODY },
	{ "CC", WORDS("Cc", OUTLINE_CC) },
	{ "DELETED", FLAG(ACCESS_DELETED, true) },
	{ "DRAFT", FLAG(ACCESS_DRAFT, true) },
	{ "EMAILID", parse_id, .op = SEARCH_EMAILID, .n = 'M' },
	{ "FLAGGED", FLAG(ACCESS_FLAGGED, true) },
	{ "FROM", WORDS("From", OUTLINE_FROM) },
	{ "HEADER", parse_header },
	{ "KEYWORD", parse_keyword, .want = true },
	{ "LARGER", parse_number, .op = SEARCH_SIZE, .compare = SEARCH_MORE },
	{ "MODSEQ", parse_modseq, .op = SEARCH_MODSEQ },
	/* No letter is \Recent (RFC 9051 has dropped it). */
	{ "NEW", parse_plain, .op = SEARCH_NONE },
	{ "NOT", parse_or, .op = SEARCH_NOT },
	{ "OLD", parse_plain, .op = SEARCH_ALL },
	{ "OLDER", parse_age, .op = SEARCH_AGE, .compare = SEARCH_NOT_MORE },
	{ "ON", DATE(SEARCH_DAY, SEARCH_SAME) },
	{ "OR", parse_or, .op = SEARCH_OR },
	{ "RECENT", parse_plain, .op = SEARCH_NONE },
	{ "SAVEDATESUPPORTED", parse_plain, .op = SEARCH_ALL },
	{ "SAVEDBEFORE", DATE(SEARCH_SAVED, SEARCH_LESS) },
	{ "SAVEDON", DATE(SEARCH_SAVED, SEARCH_SAME) },
	{ "SAVEDSINCE", DATE(SEARCH_SAVED, SEARCH_NOT_LESS) },
	{ "SEEN", FLAG(ACCESS_SEEN, true) },
	{ "SENTBEFORE", DATE(SEARCH_SENT, SEARCH_LESS) },
	{ "SENTON", DATE(SEARCH_SENT, SEARCH_SAME) },
	{ "SENTSINCE", DATE(SEARCH_SENT, SEARCH_NOT_LESS) },
	{ "SINCE", DATE(SEARCH_DAY, SEARCH_NOT_LESS) },
	{ "SMALLER", parse_number, .op = SEARCH_SIZE, .compare = SEARCH_LESS },
	{ "SUBJECT", WORDS("Subject", OUTLINE_SUBJECT) },
	{ "TEXT", parse_words, .where = FIND_TEXT },
	{ "THREADID", parse_id, .op = SEARCH_THREADID, .n = 'T' },
	{ "TO", WORDS("To", OUTLINE_TO) },
	{ "UID", parse_uid },
	{ "UNANSWERED", FLAG(ACCESS_ANSWERED, false) },
	{ "UNDELETED", FLAG(ACCESS_DELETED, false) },
	{ "UNDRAFT", FLAG(ACCESS_DRAFT, false) },
	{ "UNFLAGGED", FLAG(ACCESS_FLAGGED, false) },
	{ "UNKEYWORD", parse_keyword, .want = false },
	{ "UNSEEN", FLAG(ACCESS_SEEN, false) },
	{ "YOUNGER", parse_age, .op = SEARCH_AGE, .compare = SEARCH_NOT_LESS },
};

static bool
one_parse(struct imap_session *s, struct search *q, uint32_t *ret)
{
	struct imap_lex *x = &s->cmd->lex;
	char c = x->rest.len && !x->bad ? x->rest.p[0] : '\0';
	if (c == '(') {
		(void)imap_lex_char(x, '(');
		(void)imap_lex_try(x, ' '); /* some clients write so */
		return and_parse(s, q, ret) && imap_lex_char(x, ')');
	}
	if ((c >= '0' && c <= '9') || c == '*' || c == '$')
		return set_parse(s, q, false, ret);
	struct str name = imap_lex_atom(x);
	for (size_t i = 0; !x->bad && i < ARRAY_LEN(keys); i++)
		if (str_ieq(name, str_of(keys[i].name)))
			return keys[i].parse(s, q, &keys[i], ret);
	return search_fail(s, "a search key that is not known");
}

static bool
key_parse(struct imap_session *s, struct search *q, uint32_t *ret)
{
	if (q->depth == SEARCH_DEPTH_MAX)
		return search_fail(s, "search keys are nested too deep");
	q->depth++;
	bool ok = one_parse(s, q, ret);
	q->depth--;
	return ok;
}

bool
search_parse(struct imap_session *s, struct search *q)
{
	q->finds = arena_alloc(&s->cmd->arena, SEARCH_FINDS_MAX * sizeof(*q->finds));
	if (!q->finds)
		return search_fail(s, "the command is too long");
	return and_parse(s, q, &q->root) && imap_lex_end(&s->cmd->lex);
}
