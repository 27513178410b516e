#include "smtp/merge.h"

#include "base/num.h"

#define HEAD_MORE 1000 /* RFC 5322 2.1.1: octets of a line */

/* --- XPRT --- */

const struct merge_part *
smtp_merge_part(const struct smtp_merge *m, uint32_t no)
{
	check(no >= 1 && no <= m->n_parts);
	return m->part && m->part[no - 1].sent ? &m->part[no - 1] : NULL;
}

/* Does nobody ask for a part that is still missing when `last` comes? */
static bool
complete_with(const struct smtp_merge *m, uint32_t last)
{
	for (uint32_t i = 0; i < m->n_parts; i++) {
		bool needed = m->needed[i / 64] >> (i % 64) & 1;
		if (needed && i + 1 != last && !smtp_merge_part(m, i + 1))
			return false;
	}
	return true;
}

enum smtp_situation
smtp_merge_xprt(struct smtp_merge *m, struct str arg, struct str *ret_bad)
{
	struct str number = str_word(&arg), word = str_word(&arg), more = str_word(&arg);
	uint64_t no;
	*ret_bad = number;
	if (number.len == 0)
		return SMTP_IPMM_PART;
	if (!num_u64(number, m->n_parts, &no) || no == 0 || smtp_merge_part(m, (uint32_t)no))
		return SMTP_IPMM_PART_N;
	*ret_bad = more.len ? more : word;
	if (more.len || (word.len && !str_ieq(word, STR("LAST"))))
		return SMTP_IPMM_PARAM;
	if (word.len && !complete_with(m, (uint32_t)no))
		return SMTP_IPMM_MISSING;
	m->now_no = (uint32_t)no;
	m->now_last = word.len > 0;
	return SMTP_NONE;
}

void
smtp_merge_part_begin(struct smtp_merge *m)
{
	check(!m->now && m->now_no >= 1 && m->now_no <= m->n_parts);
	if (!m->part)
		m->part = xalloc(m->n_parts * sizeof(*m->part));
	m->now = &m->part[m->now_no - 1];
	check(!m->now->sent);
	m->now->off = m->body;
	/* As much as may be header, and behind it a line to its end. */
	uint64_t head = MIN(m->conf->header_bytes, (uint64_t)SMTP_MERGE_MAX) + HEAD_MORE;
	buf_init(&m->now->head, (size_t)head);
	buf_init(&m->now->tags, MERGE_TAGS_MAX * sizeof(struct merge_tag));
	m->no_room = m->tag_open = false;
}

void
smtp_merge_part_end(struct smtp_merge *m)
{
	check(m->now != NULL);
	m->now->sent = true;
	m->now = NULL;
	m->tag_open = false;
}

/* --- the beginning, for the header scan --- */

/* Is the line that ends at the end of head empty? */
static bool
empty_line(struct str head)
{
	struct str line = str_first(head, head.len - 1);
	size_t lf = str_rfind(line, '\n');
	line = lf < line.len ? str_skip(line, lf + 1) : line;
	return line.len == 0 || (line.len == 1 && line.p[0] == '\r');
}

static void
feed_head(struct smtp_merge *m, struct str octets)
{
	struct merge_part *p = m->now;
	while (!p->head_done && octets.len) {
		size_t lf = str_find(octets, '\n'), room = p->head.max - p->head.len;
		struct str line = str_first(octets, lf + 1);
		octets = str_skip(octets, line.len);
		bool cut = line.len > room;
		line = str_first(line, room);
		if (!smtp_merge_charge(m, line.len)) {
			m->no_room = true;
			return;
		}
		buf_puts(&p->head, line);
		m->no_room |= p->head.failed;
		bool ended = line.len && line.p[line.len - 1] == '\n';
		p->head_done = cut || p->head.len == p->head.max ||
		               (ended && !p->head.failed && empty_line(buf_str(&p->head)));
	}
}

/* --- tags --- */

static void
tag_keep(struct smtp_merge *m, uint32_t len, uint16_t var)
{
	struct merge_tag tag = { m->tag_at, len, var };
	if (!smtp_merge_charge(m, sizeof(tag))) {
		m->no_room = true;
		return;
	}
	buf_put(&m->now->tags, &tag, sizeof(tag));
	m->no_room |= m->now->tags.failed;
}

/* The closing octet came; the tag ends before `end`. */
static void
tag_done(struct smtp_merge *m, uint64_t end)
{
	struct str name = str_n(m->tag, m->tag_len);
	m->tag_open = false;
	if (name.len == 0 || str_eq(name, STR("*")))
		return;
	int var = smtp_merge_name_find(m, name);
	if (var < 0 && m->conf->ipmm_brackets)
		var = MERGE_EMPTY;
	if (var >= 0)
		tag_keep(m, (uint32_t)(end - m->tag_at), (uint16_t)var);
}

/* An octet behind an open tag, which stands at `at`; false: it is not of the tag. */
static bool
tag_octet(struct smtp_merge *m, uint64_t at, char c)
{
	bool brackets = m->conf->ipmm_brackets;
	if (c == (brackets ? ']' : ';')) {
		tag_done(m, at + 1);
		return true;
	}
	if (brackets && c == '[' && m->tag_len == 0) {
		/* "[[" is "[": the first one goes, and the second one opens nothing. */
		tag_keep(m, 1, MERGE_EMPTY);
		m->tag_open = false;
		return true;
	}
	if (m->tag_len > MERGE_NAME_MAX || !smtp_merge_name_octet(m->tag, m->tag_len, c)) {
		m->tag_open = false;
		return false;
	}
	m->tag[m->tag_len++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	return true;
}

static void
feed_tags(struct smtp_merge *m, struct str octets)
{
	const char open = m->conf->ipmm_brackets ? '[' : '&';
	uint64_t base = m->now->len;
	for (size_t i = 0; i < octets.len && !m->no_room;) {
		if (!m->tag_open) {
			i += str_find(str_skip(octets, i), open);
			if (i == octets.len)
				return;
			m->tag_open = true;
			m->tag_len = 0;
			m->tag_at = base + i++;
		} else if (tag_octet(m, base + i, octets.p[i])) {
			i++;
		}
	}
}

bool
smtp_merge_part_feed(struct smtp_merge *m, struct str octets)
{
	check(m->now != NULL);
	if (m->no_room)
		return false;
	feed_head(m, octets);
	feed_tags(m, octets);
	m->now->len += octets.len;
	m->body += octets.len;
	return !m->no_room;
}
