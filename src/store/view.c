/* view: what a recipient of a mail merge gets, octet by octet; and views on their way. */
#include "store/record.h"
#include "store/store_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define VIEWS_OCTETS_MAX (8ull << 30) /* of one merge */

/* --- pieces --- */

enum { PIECE_BODY = 0, PIECE_LITERAL = 1 };

void
store_piece_put(struct buf *b, const struct store_piece *p)
{
	put_u8(b, p->literal ? PIECE_LITERAL : PIECE_BODY);
	if (p->literal) {
		put_str(b, p->text);
		return;
	}
	put_u64(b, p->off);
	put_u64(b, p->len);
}

bool
store_piece_get(struct wire *w, struct store_piece *ret)
{
	struct store_piece p = { .literal = get_bool(w) };
	uint64_t end;
	if (p.literal) {
		p.text = get_str(w, STORE_VIEW_MAX);
	} else {
		p.off = get_u64(w);
		p.len = get_u64(w);
	}
	if (w->bad || __builtin_add_overflow(p.off, p.len, &end)) {
		w->bad = true;
		return false;
	}
	*ret = p;
	return true;
}

bool
pieces_measure(struct str pieces, uint16_t n, uint64_t *ret_size, uint64_t *ret_end)
{
	struct wire w = wire_of(pieces);
	uint64_t size = 0, end = 0;
	struct store_piece p;
	if (n > STORE_VIEW_PIECES_MAX || pieces.len > STORE_VIEW_MAX)
		return false;
	for (uint16_t i = 0; i < n; i++) {
		if (!store_piece_get(&w, &p) ||
		    __builtin_add_overflow(size, p.literal ? p.text.len : p.len, &size))
			return false;
		if (!p.literal)
			end = MAX(end, p.off + p.len);
	}
	*ret_size = size;
	*ret_end = end;
	return wire_done(&w);
}

/* --- views --- */

void
store_view_put(struct buf *b, const struct store_view *v)
{
	put_u64(b, v->account);
	put_u32(b, v->mailbox);
	put_u64(b, v->size);
	put_u32(b, v->header_len);
	put_u8(b, v->insert_blank);
	put_str(b, v->prefix);
	put_u16(b, v->n_pieces);
	put_str(b, v->pieces);
	if (v->account == 0)
		put_str(b, v->entry);
}

/* No account has the number 0: it is a recipient elsewhere. */
static bool
entry_agrees(const struct store_view *v)
{
	if (v->account || v->entry.len == 0)
		return v->entry.len == 0;
	return v->mailbox == 0 && v->prefix.len == 0 && v->n_pieces > 0 && v->entry.len > 0 &&
	       v->entry.len <= STORE_ENTRY_MAX;
}

bool
store_view_get(struct wire *w, uint64_t body, struct store_view *ret)
{
	struct store_view v = { 0 };
	uint64_t size, end;
	v.account = get_u64(w);
	v.mailbox = get_u32(w);
	v.size = get_u64(w);
	v.header_len = get_u32(w);
	v.insert_blank = get_bool(w);
	v.prefix = get_str(w, RECORD_PREFIX_MAX);
	v.n_pieces = get_u16(w);
	v.pieces = get_str(w, STORE_VIEW_MAX);
	if (v.account == 0)
		v.entry = get_str(w, STORE_ENTRY_MAX);
	if (w->bad || !entry_agrees(&v) || !pieces_measure(v.pieces, v.n_pieces, &size, &end) ||
	    size != v.size || end > body || v.header_len > size) {
		w->bad = true;
		return false;
	}
	*ret = v;
	return true;
}

/* --- views on their way --- */

struct store_views *
store_views_new(struct store *s, uint64_t letter)
{
	struct store_views *v = xalloc(sizeof(*v));
	v->body = store_body_new(s, letter);
	v->one = BUF_INIT(RECORD_VALUE_MAX);
	return v;
}

int
store_views_add(struct store_views *v, const struct store_view *given)
{
	/* An entry without pieces would be one of the whole body. */
	static const char nothing[17];
	struct store_view copy = *given, *view = &copy;
	uint64_t size, end;
	if (v->body->rc < 0)
		return v->body->rc;
	if (view->entry.len && view->n_pieces == 0 && view->pieces.len == 0) {
		view->pieces = str_n(nothing, sizeof(nothing));
		view->n_pieces = 1;
	}
	if (!pieces_measure(view->pieces, view->n_pieces, &size, &end) || size != view->size ||
	    view->header_len > size || !entry_agrees(view))
		return -EINVAL;
	buf_reset(&v->one);
	store_view_put(&v->one, view);
	if (v->n == STORE_VIEWS_MAX || v->one.failed || view->prefix.len > RECORD_PREFIX_MAX ||
	    v->body->size + v->one.len > VIEWS_OCTETS_MAX)
		return v->body->rc = -E2BIG;
	v->n++;
	v->end = MAX(v->end, end);
	v->longest = MAX(v->longest, v->one.len);
	v->prefix = MAX(v->prefix, view->prefix.len);
	return store_body_write(v->body, buf_str(&v->one));
}

uint32_t
store_views_count(const struct store_views *v)
{
	return v->n;
}

uint64_t
store_views_end(const struct store_views *v)
{
	return v->end;
}

uint64_t
store_views_memory(const struct store_views *v)
{
	return store_body_memory(v->body);
}

int
store_views_spill(struct store_views *v)
{
	return store_body_spill(v->body);
}

struct store_body *
views_take(struct store_views *v)
{
	struct store_body *body = v->body;
	buf_done(&v->one);
	free(v);
	return body;
}

struct store_views *
store_views_free(struct store_views *v)
{
	if (v)
		store_body_free(views_take(v));
	return NULL;
}
