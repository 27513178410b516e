#include "metrics/http.h"

#include "base/check.h"

#define TOKEN "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool
is_token(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == '\0' || !strchr(TOKEN, s.p[i]))
			return false;
	return s.len > 0;
}

static bool
is_visible(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return s.len > 0;
}

/* RFC 9112 2.2: a lone LF is taken for a line end. */
static bool
next_line(struct str *in, struct str *ret)
{
	size_t lf = str_find(*in, '\n');
	if (lf == in->len)
		return false;
	*ret = str_first(*in, lf);
	*in = str_skip(*in, lf + 1);
	if (ret->len && ret->p[ret->len - 1] == '\r')
		ret->len--;
	return true;
}

/* RFC 9112 3. */
static enum http_state
request_line(struct str line, struct http_request *r, bool *ret_old)
{
	size_t first = str_find(line, ' ');
	struct str rest = str_skip(line, first + 1);
	size_t second = str_find(rest, ' ');
	struct str version = str_skip(rest, second + 1);
	r->method = str_first(line, first);
	r->target = str_first(rest, second);
	if (!is_token(r->method) || !is_visible(r->target) || version.len != 8 ||
	    !str_starts(version, STR("HTTP/")) || version.p[6] != '.')
		return HTTP_BAD;
	if (version.p[5] != '1' || version.p[7] < '0' || version.p[7] > '9')
		return HTTP_VERSION;
	*ret_old = version.p[7] == '0';
	return HTTP_READY;
}

static bool
lists(struct str value, struct str what)
{
	while (value.p)
		if (str_ieq(str_trim(str_cut(&value, ',')), what))
			return true;
	return false;
}

struct fields {
	unsigned hosts;
	bool old, body;
};

/* RFC 9112 5: no blank before the colon, no folded line. */
static bool
take_field(struct str line, struct http_request *r, struct fields *f)
{
	size_t colon = str_find(line, ':');
	struct str name = str_first(line, colon), value = str_trim(str_skip(line, colon + 1));
	if (colon == line.len || !is_token(name))
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] == '\0' || value.p[i] == '\r')
			return false;
	f->hosts += str_ieq(name, STR("Host"));
	f->body = f->body || str_ieq(name, STR("Transfer-Encoding")) ||
	          (str_ieq(name, STR("Content-Length")) && !str_eq(value, STR("0")));
	if (str_ieq(name, STR("Connection")))
		r->close =
		    lists(value, STR("close")) || (r->close && !lists(value, STR("keep-alive")));
	return true;
}

enum http_state
http_request_get(struct str in, struct http_request *ret, size_t *ret_used)
{
	struct str rest = str_first(in, HTTP_REQUEST_MAX), line;
	struct http_request r = { .close = false };
	struct fields f = { 0 };
	/* RFC 9112 2.2: empty lines before a request are passed over. */
	do
		if (!next_line(&rest, &line))
			return in.len >= HTTP_REQUEST_MAX ? HTTP_TOO_LONG : HTTP_MORE;
	while (line.len == 0);
	enum http_state state = request_line(line, &r, &f.old);
	if (state != HTTP_READY)
		return state;
	r.close = f.old;
	for (;;) {
		if (!next_line(&rest, &line))
			return in.len >= HTTP_REQUEST_MAX ? HTTP_TOO_LONG : HTTP_MORE;
		if (line.len == 0)
			break;
		if (!take_field(line, &r, &f))
			return HTTP_BAD;
	}
	/* RFC 9112 3.2. */
	if (f.body || f.hosts > 1 || (!f.old && f.hosts == 0))
		return HTTP_BAD;
	*ret = r;
	*ret_used = (size_t)(rest.p - in.p);
	return HTTP_READY;
}

struct str
http_path(struct str target)
{
	if (str_istarts(target, STR("http://"))) {
		target = str_skip(target, 7);
		target = str_skip(target, str_find(target, '/'));
	}
	return str_first(target, str_find_any(target, "?#"));
}

static const char *
reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{ 200, "OK" },
		{ 400, "Bad Request" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 431, "Request Header Fields Too Large" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return "Error";
}

void
http_answer_put(struct buf *out, const struct http_answer *a)
{
	buf_putf(out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n", a->status,
	    reason(a->status), a->type, a->body.len);
	if (a->status == 405) /* RFC 9110 15.5.6 */
		buf_putz(out, "Allow: GET, HEAD\r\n");
	buf_putf(out, "Cache-Control: no-store\r\n%s\r\n", a->close ? "Connection: close\r\n" : "");
	if (!a->head)
		buf_puts(out, a->body);
}
