/* imap_show: responses of IMAP for people: tables instead of lists of lists. */
#include "talk/imap_priv.h"

#include "base/num.h"
#include "cli/cli.h"
#include "mail/words.h"

#include <string.h>

#define SHOWN_MAX (256u << 10)
#define PARTS_DEPTH 20u

/* --- small things --- */

static void
put_decoded(struct buf *out, const struct imap_node *n)
{
	words_decode(NULL, imap_node_text(n), out);
}

/* ((name route mailbox host) ...) (RFC 9051 7.5.2) */
static void
put_addrs(struct buf *out, const struct imap_node *list)
{
	const struct imap_node *a = list && list->kind == IMAP_NODE_LIST ? list->child : NULL;
	for (const char *sep = ""; a; a = a->next) {
		const struct imap_node *name = a->child, *route = name ? name->next : NULL,
				       *box = route ? route->next : NULL,
				       *host = box ? box->next : NULL;
		if (!host || host->kind == IMAP_NODE_NIL) /* the mark of a group */
			continue;
		buf_putz(out, sep);
		if (imap_node_text(name).len) {
			put_decoded(out, name);
			buf_putc(out, ' ');
		}
		buf_putf(out, "<" STR_FMT "@" STR_FMT ">", STR_ARG(imap_node_text(box)),
		    STR_ARG(imap_node_text(host)));
		sep = ", ";
	}
}

static const struct imap_node *
nth(const struct imap_node *n, unsigned i)
{
	while (n && i--)
		n = n->next;
	return n;
}

static void
put_number(struct buf *out, const struct imap_node *n)
{
	uint64_t v;
	if (num_u64(imap_node_text(n), UINT64_MAX, &v))
		out_size(out, v);
	else
		buf_puts(out, imap_node_text(n));
}

static void
put_words(struct buf *out, const struct imap_node *list)
{
	const struct imap_node *n = list && list->kind == IMAP_NODE_LIST ? list->child : NULL;
	for (const char *sep = ""; n; n = n->next, sep = " ") {
		buf_putz(out, sep);
		buf_puts(out, imap_node_text(n));
	}
}

/* Anything, indented. */
static void
put_any(struct buf *out, const struct imap_node *n, unsigned depth)
{
	for (; n; n = n->next) {
		if (n->kind == IMAP_NODE_LIST) {
			buf_putz(out, "(");
			if (depth < PARTS_DEPTH)
				put_any(out, n->child, depth + 1);
			buf_putz(out, ")");
		} else if (n->size > 200) {
			buf_putf(out, "<%llu octets>", (unsigned long long)n->size);
		} else if (n->kind == IMAP_NODE_NIL) {
			buf_putz(out, "-");
		} else {
			put_decoded(out, n);
		}
		if (n->next)
			buf_putc(out, ' ');
	}
}

/* --- ENVELOPE, BODYSTRUCTURE --- */

static void
put_envelope(struct buf *out, const struct imap_node *env)
{
	static const struct {
		unsigned i;
		const char *name;
		bool addrs;
	} rows[] = { { 0, "Date", false }, { 2, "From", true }, { 5, "To", true },
		{ 6, "Cc", true }, { 1, "Subject", false }, { 9, "Message-ID", false } };
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		const struct imap_node *n = nth(env->child, rows[k].i);
		if (!n || n->kind == IMAP_NODE_NIL)
			continue;
		buf_putf(out, "     %-11s", rows[k].name);
		if (rows[k].addrs)
			put_addrs(out, n);
		else
			put_decoded(out, n);
		buf_putc(out, '\n');
	}
}

/* "1.2  text/plain  utf-8  quoted-printable  1.2 kB  name" */
static void
put_leaf(struct buf *out, const struct imap_node *p, const char *path)
{
	const struct imap_node *first = p->child, *params = nth(first, 2), *disposition = NULL;
	const struct imap_node *charset = NULL, *name = NULL;
	if (params && params->kind == IMAP_NODE_LIST) {
		for (const struct imap_node *k = params->child; k && k->next; k = k->next->next) {
			charset = str_ieq(imap_node_text(k), STR("charset")) ? k->next : charset;
			name = str_ieq(imap_node_text(k), STR("name")) ? k->next : name;
		}
	}
	for (const struct imap_node *n = nth(first, 7); n && !disposition; n = n->next)
		if (n->kind == IMAP_NODE_LIST && n->child && n->child->next &&
		    n->child->kind == IMAP_NODE_QUOTED && n->child->next->kind == IMAP_NODE_LIST)
			disposition = n;
	if (disposition)
		for (const struct imap_node *k = disposition->child->next->child; k && k->next;
		     k = k->next->next)
			name = str_ieq(imap_node_text(k), STR("filename")) ? k->next : name;
	buf_putf(out, "     %-6s " STR_FMT "/" STR_FMT, path, STR_ARG(imap_node_text(first)),
	    STR_ARG(imap_node_text(nth(first, 1))));
	if (charset)
		buf_putf(out, "  " STR_FMT, STR_ARG(imap_node_text(charset)));
	buf_putf(out, "  " STR_FMT "  ", STR_ARG(imap_node_text(nth(first, 5))));
	put_number(out, nth(first, 6));
	if (name) {
		buf_putz(out, "  ");
		put_decoded(out, name);
	}
	buf_putc(out, '\n');
}

static void
put_structure(struct buf *out, const struct imap_node *p, const char *path, unsigned depth)
{
	char sub[128];
	if (!p || p->kind != IMAP_NODE_LIST || !p->child || depth > PARTS_DEPTH)
		return;
	if (p->child->kind != IMAP_NODE_LIST) {
		put_leaf(out, p, *path ? path : "1");
		/* message/rfc822 has a structure of its own inside (RFC 9051 7.5.2). */
		const struct imap_node *inner = nth(p->child, 8), *env = nth(p->child, 7);
		if (env && env->kind == IMAP_NODE_LIST && inner && inner->kind == IMAP_NODE_LIST &&
		    str_ieq(imap_node_text(p->child), STR("message")))
			put_structure(out, inner, path, depth + 1);
		return;
	}
	unsigned i = 1;
	const struct imap_node *n = p->child;
	for (; n && n->kind == IMAP_NODE_LIST; n = n->next, i++) {
		int len = snprintf(sub, sizeof(sub), "%s%s%u", path, *path ? "." : "", i);
		if (len > 0 && (size_t)len < sizeof(sub))
			put_structure(out, n, sub, depth + 1);
	}
	buf_putf(out, "     %-6s multipart/" STR_FMT "\n", path, STR_ARG(imap_node_text(n)));
}

/* --- FETCH --- */

static void
put_line(struct buf *out, const struct imap_response *r, const struct imap_node *first)
{
	const struct imap_node *uid = imap_node_value(first, "UID"),
			       *size = imap_node_value(first, "RFC822.SIZE");
	const struct imap_node *flags = imap_node_value(first, "FLAGS"),
			       *when = imap_node_value(first, "INTERNALDATE");
	buf_putf(out, "%4llu", (unsigned long long)r->number);
	if (uid)
		buf_putf(out, "  uid " STR_FMT, STR_ARG(imap_node_text(uid)));
	if (flags) {
		buf_putz(out, "  [");
		put_words(out, flags);
		buf_putc(out, ']');
	}
	if (size) {
		buf_putz(out, "  ");
		put_number(out, size);
	}
	if (when)
		buf_putf(out, "  " STR_FMT, STR_ARG(imap_node_text(when)));
	buf_putc(out, '\n');
}

static void
show_fetch(struct imap_talk *x, const struct imap_response *r, struct buf *out)
{
	const struct imap_node *list = r->data;
	if (!list || list->kind != IMAP_NODE_LIST || x->reading)
		return;
	put_line(out, r, list->child);
	for (const struct imap_node *n = list->child; n && n->next; n = n->next->next) {
		if (imap_node_is(n, "ENVELOPE") && n->next->kind == IMAP_NODE_LIST) {
			put_envelope(out, n->next);
		} else if (imap_node_is(n, "BODYSTRUCTURE") || imap_node_is(n, "BODY")) {
			put_structure(out, n->next, "", 0);
		} else if (!imap_node_is(n, "UID") && !imap_node_is(n, "FLAGS") &&
			   !imap_node_is(n, "RFC822.SIZE") && !imap_node_is(n, "INTERNALDATE")) {
			struct imap_node one = *n->next;
			one.next = NULL;
			buf_putf(out, "     " STR_FMT " ", STR_ARG(imap_node_text(n)));
			put_any(out, &one, 0);
			buf_putc(out, '\n');
		}
	}
}

/* --- LIST, STATUS, SEARCH --- */

static void
put_name(struct buf *out, const struct imap_node *n)
{
	imap_name_decode(imap_node_text(n), out);
}

static void
show_list(struct imap_talk *x, const struct imap_response *r, struct buf *out)
{
	struct buf flags = BUF_INIT(1024);
	(void)x;
	put_words(&flags, r->data);
	put_name(out, nth(r->data, 2));
	if (flags.len)
		buf_putf(out, "   (" STR_FMT ")", STR_ARG(buf_str(&flags)));
	buf_putc(out, '\n');
	buf_done(&flags);
}

static void
show_status(struct imap_talk *x, const struct imap_response *r, struct buf *out)
{
	const struct imap_node *list = nth(r->data, 1);
	(void)x;
	put_name(out, r->data);
	buf_putz(out, ": ");
	const struct imap_node *n = list && list->kind == IMAP_NODE_LIST ? list->child : NULL;
	for (const char *sep = ""; n && n->next; n = n->next->next, sep = ", ") {
		buf_putf(out, "%s" STR_FMT " ", sep, STR_ARG(imap_node_text(n)));
		if (imap_node_is(n, "SIZE"))
			put_number(out, n->next);
		else
			buf_puts(out, imap_node_text(n->next));
	}
	buf_putc(out, '\n');
}

static void
show_search(struct imap_talk *x, const struct imap_response *r, struct buf *out)
{
	unsigned long n = 0;
	(void)x;
	for (const struct imap_node *v = r->data; v; v = v->next)
		n++;
	buf_putf(out, "%lu letter%s", n, n == 1 ? "" : "s");
	buf_putz(out, n ? ": " : "");
	put_any(out, r->data, 0);
	buf_putc(out, '\n');
}

static void
show_other(struct imap_talk *x, const struct imap_response *r, struct buf *out)
{
	(void)x;
	buf_putf(out, STR_FMT ": ", STR_ARG(r->name));
	put_any(out, r->data, 0);
	buf_putc(out, '\n');
}

void
imap_show(struct imap_talk *x, const struct imap_response *r)
{
	static const struct {
		const char *name;
		void (*show)(struct imap_talk *, const struct imap_response *, struct buf *);
	} rows[] = { { "FETCH", show_fetch }, { "LIST", show_list }, { "LSUB", show_list },
		{ "STATUS", show_status }, { "SEARCH", show_search }, { "SORT", show_search },
		{ "ID", show_other }, { "QUOTA", show_other }, { "NAMESPACE", show_other },
		{ "QUOTAROOT", show_other }, { "ESEARCH", show_other }, { "THREAD", show_other } };
	struct buf out = BUF_INIT(SHOWN_MAX);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (str_ieq(r->name, str_of(rows[i].name)))
			rows[i].show(x, r, &out);
	if (r->cut)
		buf_putz(&out, "     (there was more than is kept)\n");
	if (out.len)
		talk_print(x->t, STR_FMT, STR_ARG(buf_str(&out)));
	buf_done(&out);
}

/* --- capabilities --- */

static const struct {
	const char *name, *meaning;
} meanings[] = {
	{ "IMAP4rev1", "the protocol of RFC 3501" },
	{ "IMAP4rev2", "the protocol of RFC 9051" },
	{ "STARTTLS", "TLS can be begun on this connection" },
	{ "LOGINDISABLED", "LOGIN is refused here; TLS first" },
	{ "SASL-IR", "AUTHENTICATE may carry its first message (RFC 4959)" },
	{ "AUTH=", "a mechanism of AUTHENTICATE" },
	{ "LITERAL+", "{n+}: octets may follow without being asked for (RFC 7888)" },
	{ "LITERAL-", "the same up to 4096 octets (RFC 7888)" },
	{ "IDLE", "news come by themselves: /idle (RFC 2177)" },
	{ "COMPRESS=DEFLATE", "/compress (RFC 4978)" },
	{ "NAMESPACE", "where mailboxes of oneself and others are (RFC 2342)" },
	{ "ID", "who is who (RFC 2971)" },
	{ "ENABLE", "extensions that change answers are switched on (RFC 5161)" },
	{ "CONDSTORE", "modification sequences (RFC 7162)" },
	{ "QRESYNC", "quick resynchronisation (RFC 7162)" },
	{ "UIDPLUS", "UID EXPUNGE, APPENDUID, COPYUID (RFC 4315)" },
	{ "UNSELECT", "leave a mailbox without expunging (RFC 3691)" },
	{ "MOVE", "MOVE, UID MOVE (RFC 6851)" },
	{ "CHILDREN", "LIST tells of children (RFC 3348)" },
	{ "LIST-EXTENDED", "LIST with options (RFC 5258)" },
	{ "LIST-STATUS", "LIST with STATUS (RFC 5819)" },
	{ "SPECIAL-USE", "\\Sent, \\Trash, ... in LIST (RFC 6154)" },
	{ "CREATE-SPECIAL-USE", "CREATE with a use (RFC 6154)" },
	{ "SORT", "sorting by the server (RFC 5256)" },
	{ "SORT=DISPLAY", "sorting by displayed names (RFC 5957)" },
	{ "THREAD=", "threads by the server (RFC 5256)" },
	{ "ESEARCH", "SEARCH RETURN (RFC 4731)" },
	{ "SEARCHRES", "$: what was found last (RFC 5182)" },
	{ "ESORT", "SORT RETURN (RFC 5267)" },
	{ "WITHIN", "SEARCH OLDER, YOUNGER (RFC 5032)" },
	{ "BINARY", "parts without their transfer encoding (RFC 3516)" },
	{ "CATENATE", "APPEND out of parts (RFC 4469)" },
	{ "MULTIAPPEND", "several letters in one APPEND (RFC 3502)" },
	{ "APPENDLIMIT", "the largest letter for APPEND (RFC 7889)" },
	{ "QUOTA", "quotas (RFC 9208)" },
	{ "URLAUTH", "URLs that let others read a letter: GENURLAUTH, URLFETCH (RFC 4467)" },
	{ "URL-PARTIAL", "such URLs of a range of octets (RFC 5550)" },
	{ "ACL", "who may do what (RFC 4314)" },
	{ "METADATA", "annotations of mailboxes (RFC 5464)" },
	{ "NOTIFY", "news of other mailboxes, too (RFC 5465)" },
	{ "PREVIEW", "the first words of a letter (RFC 8970)" },
	{ "OBJECTID", "ids that stay (RFC 8474)" },
	{ "STATUS=SIZE", "STATUS tells octets (RFC 8438)" },
	{ "SAVEDATE", "when a letter came into its mailbox (RFC 8514)" },
	{ "REPLACE", "a letter in the place of another (RFC 8508)" },
	{ "UTF8=ACCEPT", "UTF-8 in names and headers (RFC 6855)" },
	{ "LOGIN-REFERRALS", "another server may be named (RFC 2221)" },
	{ "UNAUTHENTICATE", "log out and stay (RFC 8437)" },
};

static const char *
meaning_of(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (str_ieq(str_of(meanings[i].name), name))
			return meanings[i].meaning;
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		struct str row = str_of(meanings[i].name);
		bool family = row.p[row.len - 1] == '=';
		if ((family && str_istarts(name, row)) ||
		    (str_istarts(name, row) && name.p[row.len] == '='))
			return meanings[i].meaning;
	}
	return "";
}

void
imap_show_caps(struct imap_talk *x)
{
	struct buf out = BUF_INIT(SHOWN_MAX);
	struct str all = buf_str(&x->caps);
	while (all.len) {
		struct str one = str_cut(&all, ' ');
		buf_putf(&out, "%-22.*s %s\n", STR_ARG(one), meaning_of(one));
	}
	talk_print(x->t, STR_FMT, STR_ARG(buf_str(&out)));
	buf_done(&out);
}
