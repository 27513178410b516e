/* HTTP/1.1 (RFC 9112) as far as one GET needs it. */
#include "client/https.h"

#include "base/num.h"
#include "client/exit.h"
#include "client/link_priv.h"
#include "sys/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE_MS 60000 /* RFC 8461 3.3 */
#define LINES_MAX 200 /* of a head, of all trailers */
#define INTERIM_MAX 4 /* answers 1xx (RFC 9110 15.2) */

struct head {
	int code;
	bool text_plain, chunked, strange_coding, has_length, bad_length;
	uint64_t length;
};

struct get {
	const struct https_page *page;
	struct link l;
	struct events none; /* nobody watches: this is not the conversation */
	int64_t until;
	struct buf *body, *why;
};

static int fail(struct get *g, int status, const char *fmt, ...) PRINTF(3, 4);
static int
fail(struct get *g, int status, const char *fmt, ...)
{
	va_list ap;

	buf_reset(g->why);
	buf_putf(g->why, "https://%s%s: ", g->page->host, g->page->path);
	va_start(ap, fmt);
	buf_vputf(g->why, fmt, ap);
	va_end(ap);
	return status;
}

static int
link_failed(struct get *g, enum link_status st)
{
	if (st == LINK_PIECE)
		return fail(g, CLIENT_TLS, "a line of its answer is too long");
	return fail(g,
	    st == LINK_STOPPED   ? CLIENT_INTERRUPTED
	    : st == LINK_TIMEOUT ? CLIENT_TIMEOUT
				 : CLIENT_TLS,
	    "%s", buf_cstr(&g->l.why));
}

/* The next line, without its end. */
static int
read_line(struct get *g, struct str *ret)
{
	enum link_status st = link_line(&g->l, STR_NULL, ret);

	if (st != LINK_OK)
		return link_failed(g, st);
	if (sys_mono_ms() > g->until)
		return fail(g, CLIENT_TIMEOUT, "it takes longer than a minute");
	if (str_ends(*ret, STR("\n")))
		ret->len--;
	if (str_ends(*ret, STR("\r")))
		ret->len--;
	return CLIENT_OK;
}

/* --- the head ----------------------------------------------------------------------------- */

/* "HTTP/1.1 200 OK" */
static bool
take_status(struct str line, struct head *h)
{
	uint64_t code;
	struct str version = str_word(&line);

	if (!str_starts(version, STR("HTTP/1.")) || !num_u64(str_word(&line), 599, &code) ||
	    code < 100)
		return false;
	*h = (struct head){ .code = (int)code };
	return true;
}

static void
take_field(struct str line, struct head *h)
{
	struct str name = str_cut(&line, ':'), value = str_trim(line);

	if (str_ieq(name, STR("Content-Type"))) {
		h->text_plain = str_ieq(str_trim(str_cut(&value, ';')), STR("text/plain"));
	} else if (str_ieq(name, STR("Transfer-Encoding"))) {
		h->strange_coding |= h->chunked || !str_ieq(value, STR("chunked"));
		h->chunked = true;
	} else if (str_ieq(name, STR("Content-Encoding"))) {
		h->strange_coding |= !str_ieq(value, STR("identity"));
	} else if (str_ieq(name, STR("Content-Length"))) {
		h->bad_length |= h->has_length || !num_u64(value, UINT64_MAX, &h->length);
		h->has_length = true;
	}
}

static int
read_head(struct get *g, struct head *h)
{
	struct str line;

	for (int n = 0; n < INTERIM_MAX; n++) {
		int status = read_line(g, &line);
		if (status == CLIENT_OK && !take_status(line, h))
			status = fail(g, CLIENT_TLS, "what answers there does not speak HTTP");
		for (int i = 0; status == CLIENT_OK; i++) {
			status = read_line(g, &line);
			if (status != CLIENT_OK || line.len == 0)
				break;
			take_field(line, h);
			if (i == LINES_MAX)
				status = fail(g, CLIENT_TLS, "the head of its answer never ends");
		}
		if (status != CLIENT_OK || h->code >= 200)
			return status;
	}
	return fail(g, CLIENT_TLS, "it only answers that it goes on");
}

static int
judge(struct get *g, const struct head *h)
{
	if (h->code >= 300 && h->code < 400)
		return fail(g, CLIENT_TLS,
		    "it answers %d and leads elsewhere, which is not followed (RFC 8461 3.3)",
		    h->code);
	if (h->code != 200)
		return fail(g, CLIENT_TLS, "it answers %d, not 200", h->code);
	if (!h->text_plain)
		return fail(g, CLIENT_TLS, "the page is not of the type text/plain");
	if (h->strange_coding || h->bad_length || h->chunked == h->has_length)
		return fail(g, CLIENT_TLS, "it does not say plainly how long the page is");
	if (h->has_length && h->length > g->page->max)
		return fail(g, CLIENT_TLS, "the page is longer than %zu octets", g->page->max);
	return CLIENT_OK;
}

/* --- the page ----------------------------------------------------------------------------- */

static void
keep(void *arg, struct str piece)
{
	struct get *g = arg;

	buf_puts(g->body, piece);
}

static int
read_octets(struct get *g, uint64_t n)
{
	if (n > g->page->max - g->body->len)
		return fail(g, CLIENT_TLS, "the page is longer than %zu octets", g->page->max);
	while (n) { /* what is here, so that drops do not hold us */
		uint64_t some = MIN(n, MAX(link_unread(&g->l), (size_t)1));
		enum link_status st = link_octets(&g->l, some, keep, g);
		if (st != LINK_OK)
			return link_failed(g, st);
		if (sys_mono_ms() > g->until)
			return fail(g, CLIENT_TIMEOUT, "it takes longer than a minute");
		n -= some;
	}
	return CLIENT_OK;
}

static int
read_chunks(struct get *g)
{
	struct str line;
	uint64_t n;

	for (;;) {
		int status = read_line(g, &line);
		if (status != CLIENT_OK)
			return status;
		if (!num_hex(str_trim(str_cut(&line, ';')), &n))
			return fail(g, CLIENT_TLS, "its answer is damaged: no size of a chunk");
		if (n == 0)
			return CLIENT_OK; /* trailers say nothing that we want to know */
		status = read_octets(g, n);
		if (status == CLIENT_OK)
			status = read_line(g, &line);
		if (status != CLIENT_OK)
			return status;
		if (line.len)
			return fail(g, CLIENT_TLS, "its answer is damaged: a chunk is too long");
	}
}

static int
converse(struct get *g)
{
	struct buf b = BUF_INIT(4096);
	struct head h;

	buf_putf(&b, "GET %s HTTP/1.1\r\nHost: %s", g->page->path, g->page->host);
	if (g->page->port != HTTPS_PORT)
		buf_putf(&b, ":%u", g->page->port);
	buf_putz(&b, "\r\nUser-Agent: pennypost/" PENNYPOST_VERSION "\r\nAccept: text/plain\r\n"
		     "Accept-Encoding: identity\r\nConnection: close\r\n\r\n");
	enum link_status st = link_send(&g->l, buf_str(&b), STR_NULL, false);
	buf_done(&b);
	if (st != LINK_OK)
		return link_failed(g, st);
	int status = read_head(g, &h);
	if (status == CLIENT_OK)
		status = judge(g, &h);
	if (status == CLIENT_OK)
		status = h.chunked ? read_chunks(g) : read_octets(g, h.length);
	return status;
}

/* --- */

/* The addresses that our own resolver found are what the link shall try. */
static int
find(struct get *g, struct dns *d, struct link_conf *conf, struct dns_addrs *a)
{
	enum dns_status st = dns_addrs(d, conf->host, a);

	if (st != DNS_FOUND) {
		const struct dns_status_text *t = &dns_status_text[st];
		return fail(g, st == DNS_STOPPED ? CLIENT_INTERRUPTED : CLIENT_RESOLVE, "%s%s%s",
		    t->text, *t->remedy ? "; " : "", t->remedy);
	}
	conf->n_resolve = MIN(a->n, (size_t)LINK_RESOLVE_MAX);
	for (size_t i = 0; i < conf->n_resolve; i++) {
		conf->resolve[i].name = conf->host;
		conf->resolve[i].addr = a->addr[i];
	}
	return CLIENT_OK;
}

int
https_get(const struct link_conf *like, struct dns *d, const struct https_page *page,
    struct buf *body, struct buf *why)
{
	struct get *g = xalloc(sizeof(*g));
	struct dns_addrs *a = xalloc(sizeof(*a));
	struct link_conf conf = { .host = page->host,
		.port = page->port,
		.family = like->family,
		.bind = like->bind,
		.timeout_ms = MIN(like->timeout_ms, (int64_t)PAGE_MS),
		.tls = { .ca_file = like->tls.ca_file },
		.stop = like->stop };

	*g = (struct get){ .page = page, .l = { .fd = -1 }, .body = body, .why = why };
	g->until = sys_mono_ms() + PAGE_MS;
	events_init(&g->none);
	int status = find(g, d, &conf, a);
	if (status == CLIENT_OK) {
		status = link_open(&g->l, &conf, &g->none);
		if (status == CLIENT_OK)
			status = link_tls(&g->l, "http/1.1");
		if (status != CLIENT_OK)
			fail(g, status, "%s", buf_cstr(&g->l.why));
		else
			status = converse(g);
		link_close(&g->l);
	}
	free(a);
	free(g);
	return status;
}
