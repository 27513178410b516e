/* FETCH: octets of a letter, item by item: which range, and what becomes of it on the way. */
#include "imap/fetch_priv.h"

#include "base/check.h"

#define DECODED_MAX (256u << 10)

/* RFC 9051 9: a NUL may stand in a literal8 only. */
void
fetch_octets_put(struct buf *out, struct str octets, bool raw)
{
	size_t from = out->len;
	buf_puts(out, octets);
	if (raw || out->failed || !octets.len)
		return;
	char *p = out->p + from, *end = out->p + out->len;
	while ((p = memchr(p, 0, (size_t)(end - p)))) {
		*p = (char)0x80;
		if (++p == end)
			break;
	}
}

void
fetch_literal_head(struct buf *out, const struct fetch_item *i, bool eight, uint64_t len)
{
	buf_puts(out, i->echo);
	buf_put(out, " ~{", eight ? 3 : 1);
	if (!eight)
		buf_putc(out, '{');
	imap_walk_number(out, len);
	buf_put(out, "}\r\n", 3);
}

static struct fetch_range
cut(struct fetch_range r, uint64_t off, uint64_t len)
{
	if (off >= r.len)
		return (struct fetch_range){ r.off, 0 };
	return (struct fetch_range){ r.off + off, MIN(len, r.len - off) };
}

const enum outline_what fetch_outline_what[FETCH_SECTIONS] = {
	[FETCH_ALL] = OUTLINE_PART,
	[FETCH_HEADER] = OUTLINE_HEADER,
	[FETCH_TEXT] = OUTLINE_TEXT,
	[FETCH_MIME] = OUTLINE_MIME,
	[FETCH_FIELDS] = OUTLINE_HEADER,
	[FETCH_FIELDS_NOT] = OUTLINE_HEADER,
};

/* The whole letter with its prefix is what ranges count in. */
static bool
range_top(const struct access_letter *row, enum fetch_section section, struct fetch_range *ret)
{
	uint64_t header = MIN(row->header_len, row->size);
	enum outline_what what = fetch_outline_what[section];
	if (what == OUTLINE_PART)
		*ret = (struct fetch_range){ 0, row->size };
	else if (what == OUTLINE_HEADER)
		*ret = (struct fetch_range){ 0, header };
	else
		*ret = (struct fetch_range){ header, row->size - header };
	return true;
}

static bool
inside(const struct access_letter *row, struct outline_range o, struct fetch_range *ret)
{
	uint64_t left = row->size - MIN(row->prefix_len, row->size);
	if (o.off > left || o.len > left - o.off)
		return false;
	*ret = (struct fetch_range){ row->prefix_len + o.off, o.len };
	return true;
}

/* False: there is no such section. */
static bool
range_of(const struct walk_letter *l, const struct fetch_item *i, struct fetch_range *ret)
{
	struct outline_range o;
	if (!i->n_path)
		return range_top(l->row, i->section, ret);
	return outline_section(l->outline, i->path, i->n_path, fetch_outline_what[i->section],
		   &o) &&
	       inside(l->row, o, ret);
}

/* BINARY of a leaf with a transfer encoding is decoded, anything else is as it stands. */
static bool
encoding_of(const struct walk_letter *l, const struct fetch_item *i, enum mime_encoding *ret)
{
	struct outline_part p;
	if (i->form == FETCH_BODY || !i->n_path ||
	    !outline_part(l->outline, i->path, i->n_path, &p))
		return false;
	if (p.kind == MIME_MULTIPART || p.kind == MIME_MESSAGE)
		return false;
	*ret = p.encoding;
	return true;
}

/* Nothing is there: an empty string, or the size of it. */
static bool
job_empty(struct imap_session *s, const struct fetch_item *i)
{
	if (i->form != FETCH_BINARY_SIZE) {
		fetch_literal_head(s->cmd->out, i, false, 0);
		return false;
	}
	buf_puts(s->cmd->out, i->echo);
	buf_put(s->cmd->out, " 0", 2);
	return false;
}

void
fetch_job_nil(struct imap_session *s, struct fetch *f)
{
	buf_puts(s->cmd->out, f->job.item->echo);
	if (f->job.item->form == FETCH_BINARY_SIZE)
		buf_put(s->cmd->out, " 0", 2);
	else
		buf_put(s->cmd->out, " NIL", 4);
}

static bool
size_known(struct imap_session *s, struct fetch_job *j)
{
	buf_puts(s->cmd->out, j->item->echo);
	buf_putc(s->cmd->out, ' ');
	imap_walk_number(s->cmd->out, j->range.len);
	return false;
}

static bool
decode_begin(struct fetch *f, enum mime_encoding encoding)
{
	struct fetch_job *j = &f->job;
	j->how = JOB_DECODE;
	mime_decode_init(&j->decoder, encoding);
	j->left = j->range.len;
	buf_done(&f->gather);
	buf_init(&f->gather, DECODED_MAX * 2);
	return true;
}

static bool
fields_begin(struct fetch *f)
{
	struct fetch_job *j = &f->job;
	j->how = JOB_FIELDS;
	j->range.len = MIN(j->range.len, (uint64_t)WALK_WHOLE_MAX);
	j->left = j->range.len;
	buf_done(&f->gather);
	buf_init(&f->gather, WALK_WHOLE_MAX);
	return true;
}

bool
fetch_job_begin(struct imap_session *s, struct fetch *f, const struct fetch_item *i)
{
	struct fetch_job *j = &f->job;
	enum mime_encoding encoding = MIME_8BIT;
	*j = (struct fetch_job){ .item = i };
	if (f->letter.row->damaged || (i->n_path && !f->letter.outline)) {
		fetch_job_nil(s, f);
		fetch_damaged(f, f->letter.row->uid);
		return false;
	}
	if (!range_of(&f->letter, i, &j->range))
		return job_empty(s, i);
	/* RFC 9051 6.4.5.1: HEADER and its kin are for letters; of another part there are none. */
	if (i->section == FETCH_FIELDS || i->section == FETCH_FIELDS_NOT)
		return i->n_path && !j->range.len ? job_empty(s, i) : fields_begin(f);
	bool leaf = encoding_of(&f->letter, i, &encoding);
	if (leaf && encoding == MIME_UNKNOWN) {
		f->unknown_cte++;
		fetch_job_nil(s, f);
		return false;
	}
	if (leaf && (encoding == MIME_QP || encoding == MIME_BASE64))
		return decode_begin(f, encoding);
	if (i->form == FETCH_BINARY_SIZE)
		return size_known(s, j);
	j->raw = i->form == FETCH_BINARY && (!leaf || encoding == MIME_BINARY);
	j->range = cut(j->range, i->off, i->len);
	j->left = j->range.len;
	if (!j->left)
		return job_empty(s, i);
	return true;
}

/* Decoded octets: counted in the first pass, given in the second. */
static void
decoded(struct imap_session *s, struct fetch *f)
{
	struct fetch_job *j = &f->job;
	struct str d = buf_str(&f->gather);
	if (!j->second) {
		j->size += d.len;
		j->nul = j->nul || (d.len && memchr(d.p, 0, d.len));
	} else {
		size_t skip = (size_t)MIN(j->skip, (uint64_t)d.len);
		j->skip -= skip;
		d = str_first(str_skip(d, skip), (size_t)MIN(j->take, (uint64_t)d.len));
		j->take -= d.len;
		buf_puts(s->cmd->out, d);
	}
	buf_reset(&f->gather);
}

static void
decode_feed(struct imap_session *s, struct fetch *f, struct str octets)
{
	while (octets.len) {
		struct str some = str_first(octets, DECODED_MAX);
		octets = str_skip(octets, some.len);
		mime_decode(&f->job.decoder, some, &f->gather);
		decoded(s, f);
	}
}

void
fetch_job_feed(struct imap_session *s, struct fetch *f, struct str octets)
{
	struct fetch_job *j = &f->job;
	octets = str_first(octets, (size_t)MIN((uint64_t)octets.len, j->left));
	j->left -= octets.len;
	if (j->how == JOB_FIELDS) {
		buf_puts(&f->gather, octets);
		return;
	}
	if (j->how == JOB_DECODE) {
		decode_feed(s, f, octets);
		return;
	}
	if (!j->head_said)
		fetch_literal_head(s->cmd->out, j->item, j->raw, j->range.len);
	j->head_said = true;
	fetch_octets_put(s->cmd->out, octets, j->raw);
}

static void
fields_end(struct imap_session *s, struct fetch *f)
{
	const struct fetch_item *i = f->job.item;
	struct buf some = BUF_INIT(WALK_WHOLE_MAX + 2);
	fetch_fields_filter(i, buf_str(&f->gather), &some);
	struct fetch_range r = cut((struct fetch_range){ 0, some.len }, i->off, i->len);
	fetch_literal_head(s->cmd->out, i, false, r.len);
	fetch_octets_put(s->cmd->out,
	    str_first(str_skip(buf_str(&some), (size_t)r.off), (size_t)r.len), false);
	buf_done(&some);
	buf_done(&f->gather);
}

/* RFC 9051 6.4.5: a body that cannot be decoded: NO [UNKNOWN-CTE]. */
static bool
decode_end(struct imap_session *s, struct fetch *f)
{
	struct fetch_job *j = &f->job;
	const struct fetch_item *i = j->item;
	mime_decode_end(&j->decoder, &f->gather);
	decoded(s, f);
	if (j->second)
		return false;
	if (j->decoder.bad) {
		f->unknown_cte++;
		fetch_job_nil(s, f);
		return false;
	}
	if (i->form == FETCH_BINARY_SIZE) {
		j->range.len = j->size;
		return size_known(s, j);
	}
	struct fetch_range r = cut((struct fetch_range){ 0, j->size }, i->off, i->len);
	fetch_literal_head(s->cmd->out, i, j->nul, r.len);
	j->head_said = true;
	j->skip = i->off;
	j->take = r.len;
	j->second = true;
	j->left = j->range.len;
	mime_decode_init(&j->decoder, j->decoder.encoding);
	return r.len > 0;
}

bool
fetch_job_end(struct imap_session *s, struct fetch *f)
{
	if (f->job.how == JOB_DECODE)
		return decode_end(s, f);
	if (f->job.how == JOB_FIELDS)
		fields_end(s, f);
	return false;
}
