#include "client/imap.h"

bool
imap_node_is(const struct imap_node *n, const char *atom)
{
	return n && n->kind == IMAP_NODE_ATOM && str_ieq(n->text, str_of(atom));
}

struct str
imap_node_text(const struct imap_node *n)
{
	return n && n->kind != IMAP_NODE_LIST && n->kind != IMAP_NODE_NIL ? n->text : STR_NULL;
}

const struct imap_node *
imap_node_value(const struct imap_node *first, const char *key)
{
	for (const struct imap_node *n = first; n && n->next; n = n->next->next)
		if (imap_node_is(n, key))
			return n->next;
	return NULL;
}

static bool
is_atom(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c >= 0x7f || strchr("(){%*\"\\]", c))
			return false;
	}
	return s.len > 0 && !str_ieq(s, STR("NIL"));
}

/* RFC 9051 4.3: what a quoted string may hold; not NUL, CR or LF. */
static bool
is_quotable(struct str s, bool utf8)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '\0' || c == '\r' || c == '\n' || (c > 0x7f && !utf8))
			return false;
	}
	return true;
}

bool
imap_put_astring(struct buf *out, struct str s, bool utf8)
{
	if (is_atom(s)) {
		buf_puts(out, s);
		return true;
	}
	if (!is_quotable(s, utf8))
		return false;
	buf_putc(out, '"');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
	buf_putc(out, '"');
	return true;
}
