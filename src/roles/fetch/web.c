/* libcurl, driven by the loop. No other file knows it. */
#include "roles/fetch/fetch_priv.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 5000L

struct web {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct list watches;
};

struct watch { /* of one socket of the library's */
	struct list node;
	struct web *web;
	curl_socket_t fd;
	struct loop_io *io;
};

struct transfer {
	struct web *web;
	CURL *easy;
	struct curl_slist *headers, *resolve;
	bool plain; /* nothing but text/plain will do */
	struct buf body;
	char error[CURL_ERROR_SIZE];
	transfer_fn *fn;
	void *arg;
};

/* --- the library's sockets and time --- */

/* Parameters may follow (RFC 9110 8.3). */
static bool
is_other_type(struct transfer *t, long status)
{
	char *text = NULL;
	if (!t->plain || status != 200)
		return false;
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &text);
	struct str rest = str_of(text ? text : "");
	return !str_ieq(str_trim(str_cut(&rest, ';')), STR("text/plain"));
}

static bool
is_certificate(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
	       code == CURLE_SSL_ISSUER_ERROR;
}

static void
finished(struct web *w)
{
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(w->multi, &left));) {
		struct transfer *t;
		long status = 0;
		char *of = NULL;
		if (m->msg != CURLMSG_DONE)
			continue;
		CURLcode code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &of);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		t = (struct transfer *)(void *)of;
		bool fine =
		    code == CURLE_OK && status >= 100 && status <= 999 && !is_other_type(t, status);
		const char *why = t->body.failed             ? "the answer is too long"
		                  : is_other_type(t, status) ? "it is not of the type text/plain"
		                  : code == CURLE_OK         ? "the answer has no status"
		                  : t->error[0]              ? t->error
		                                             : curl_easy_strerror(code);
		t->fn(t->arg, fine ? (uint16_t)status : 0, fine ? buf_str(&t->body) : STR(""),
		    fine ? "" : why, is_certificate(code));
	}
}

static void
on_socket(void *arg, unsigned events)
{
	struct watch *s = arg;
	struct web *w = s->web;
	int mask = (events & (LOOP_READ | LOOP_GONE) ? CURL_CSELECT_IN : 0) |
	           (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
	int running;
	curl_multi_socket_action(w->multi, s->fd, mask, &running);
	finished(w);
}

static void
on_time(void *arg)
{
	struct web *w = arg;
	int running;
	curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finished(w);
}

static void
watch_free(struct watch *s)
{
	loop_io_free(s->io);
	list_del(&s->node);
	free(s);
}

static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct web *w = arg;
	struct watch *s = of_socket;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			watch_free(s);
		curl_multi_assign(w->multi, fd, NULL);
		return 0;
	}
	if (!s) {
		s = xalloc(sizeof(*s));
		*s = (struct watch){ .web = w, .fd = fd };
		s->io = loop_io_new(w->loop, fd, on_socket, s);
		list_add_tail(&w->watches, &s->node);
		curl_multi_assign(w->multi, fd, s);
	}
	/* A socket that cannot be watched ends by its time limit. */
	if (s->io)
		loop_io_want(s->io, (what & CURL_POLL_IN ? LOOP_READ : 0u) |
					(what & CURL_POLL_OUT ? LOOP_WRITE : 0u));
	return 0;
}

static int
want_time(CURLM *multi, long ms, void *arg)
{
	struct web *w = arg;
	if (ms < 0)
		loop_timer_stop(w->timer);
	else
		loop_timer_set(w->timer, ms, 0);
	return 0;
}

struct web *
web_new(struct loop *l)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return NULL;
	struct web *w = xalloc(sizeof(*w));
	w->loop = l;
	list_init(&w->watches);
	w->timer = loop_timer_new(l, on_time, w);
	w->multi = curl_multi_init();
	check(w->multi);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, want_time);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, 8L);
	return w;
}

struct web *
web_free(struct web *w)
{
	if (!w)
		return NULL;
	curl_multi_cleanup(w->multi);
	list_each(n, &w->watches) watch_free(list_entry(n, struct watch, node));
	loop_timer_free(w->timer);
	curl_global_cleanup();
	free(w);
	return NULL;
}

/* --- one transfer --- */

bool
web_host(const char *url, char out[HOST_MAX + 1], bool *ret_literal)
{
	unsigned char bin[16];
	CURLU *u = curl_url();
	char *host = NULL;
	bool ok = u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
	          curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK;
	struct str h = str_of(ok ? host : "");
	if (h.len > 2 && h.p[0] == '[')
		h = str_first(str_skip(h, 1), h.len - 2);
	ok = ok && h.len && str_copy(out, HOST_MAX + 1, h);
	if (ok)
		*ret_literal =
		    inet_pton(AF_INET, out, bin) == 1 || inet_pton(AF_INET6, out, bin) == 1;
	curl_free(host);
	curl_url_cleanup(u);
	return ok;
}

static size_t
take_body(char *p, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	buf_put(&t->body, p, size * n);
	return t->body.failed ? 0 : size * n;
}

/* "HOST:PORT:ADDRESS,ADDRESS", so that the library looks nothing up. */
static bool
put_addresses(struct transfer *t, const struct transfer_how *how)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct buf b = BUF_INIT(4096);
	CURLU *u = curl_url();
	char *port = NULL;
	bool ok = u && curl_url_set(u, CURLUPART_URL, how->url, 0) == CURLUE_OK &&
	          curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	buf_putf(&b, "%s:%s:", how->host, ok ? port : "");
	for (size_t i = 0; i + 16 <= how->addresses.len; i += 16) {
		const char *a = how->addresses.p + i;
		char text[INET6_ADDRSTRLEN];
		bool v4 = memcmp(a, mapped, sizeof(mapped)) == 0;
		inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a + 12 : a, text, sizeof(text));
		buf_putf(&b, v4 ? "%s%s" : "%s[%s]", i ? "," : "", text);
	}
	if (ok && buf_cstr(&b) && !b.failed)
		t->resolve = curl_slist_append(NULL, b.p);
	curl_free(port);
	curl_url_cleanup(u);
	buf_done(&b);
	return t->resolve != NULL;
}

/* RFC 6749 2.3.1: name and password are encoded as in a form before they go into the header. */
static CURLcode
put_client(struct transfer *t, const struct transfer_how *how)
{
	char *name = curl_easy_escape(t->easy, how->client, 0);
	char *password = curl_easy_escape(t->easy, how->password.len ? how->password.p : "",
	    (int)how->password.len);
	CURLcode r = name && password ? CURLE_OK : CURLE_OUT_OF_MEMORY;
	if (r == CURLE_OK)
		r = curl_easy_setopt(t->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	if (r == CURLE_OK)
		r = curl_easy_setopt(t->easy, CURLOPT_USERNAME, name);
	if (r == CURLE_OK)
		r = curl_easy_setopt(t->easy, CURLOPT_PASSWORD, how->password.len ? password : "");
	if (password)
		explicit_bzero(password, strlen(password));
	curl_free(password);
	curl_free(name);
	return r;
}

static CURLcode
put_options(struct transfer *t, const struct transfer_how *how)
{
	bool https = str_starts(str_of(how->url), STR("https:"));
	struct curl_blob pem = { (void *)(uintptr_t)how->authorities.p, how->authorities.len,
		CURL_BLOB_COPY };
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{ CURLOPT_NOSIGNAL, 1 },
		{ CURLOPT_NOPROGRESS, 1 },
		{ CURLOPT_FOLLOWLOCATION, 0 },
		{ CURLOPT_SSL_VERIFYPEER, 1 },
		{ CURLOPT_SSL_VERIFYHOST, 2 },
		{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
		{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
		{ CURLOPT_TIMEOUT_MS, REQUEST_MS },
		{ CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS },
		{ CURLOPT_POST, 1 },
		{ CURLOPT_POSTFIELDSIZE, (long)how->octets.len },
	};
	const struct {
		CURLoption option;
		const void *value;
	} pointers[] = {
		{ CURLOPT_URL, how->url },
		{ CURLOPT_PROXY, "" }, /* whatever the environment says */
		{ CURLOPT_USERAGENT, "pennypost" },
		{ CURLOPT_POSTFIELDS, how->octets.len ? how->octets.p : "" },
		{ CURLOPT_HTTPHEADER, t->headers },
		{ CURLOPT_RESOLVE, t->resolve },
		{ CURLOPT_PRIVATE, t },
		{ CURLOPT_ERRORBUFFER, t->error },
		{ CURLOPT_WRITEDATA, t },
		/* The library's own default is a file. */
		{ CURLOPT_CAINFO, NULL },
		{ CURLOPT_CAPATH, NULL },
	};
	CURLcode r = curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, take_body);
	for (size_t i = 0; r == CURLE_OK && i < ARRAY_LEN(numbers); i++)
		r = curl_easy_setopt(t->easy, numbers[i].option, numbers[i].value);
	for (size_t i = 0; r == CURLE_OK && i < ARRAY_LEN(pointers); i++)
		r = curl_easy_setopt(t->easy, pointers[i].option, pointers[i].value);
	if (r == CURLE_OK && https)
		r = curl_easy_setopt(t->easy, CURLOPT_CAINFO_BLOB, &pem);
	if (r == CURLE_OK && how->kind == TRANSFER_GET)
		r = curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
	if (r == CURLE_OK && how->client && *how->client)
		r = put_client(t, how);
	return r;
}

static bool
put_headers(struct transfer *t, const struct transfer_how *how)
{
	static const char *const rows[TRANSFER_KINDS][2] = {
		[TRANSFER_FORM] = { "Accept: application/json", NULL },
		[TRANSFER_GET] = { "Accept: text/plain", NULL },
		[TRANSFER_REPORT] = { "Accept: */*", "Content-Type: application/tlsrpt+gzip" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows[0]) && rows[how->kind][i]; i++) {
		struct curl_slist *more = curl_slist_append(t->headers, rows[how->kind][i]);
		if (!more)
			return false;
		t->headers = more;
	}
	return true;
}

struct transfer *
transfer_new(struct web *w, const struct transfer_how *how, transfer_fn *fn, void *arg)
{
	struct transfer *t = xalloc(sizeof(*t));
	*t = (struct transfer){ .web = w,
		.fn = fn,
		.arg = arg,
		.plain = how->kind == TRANSFER_GET,
		.body = BUF_INIT(how->max) };
	t->easy = curl_easy_init();
	if (t->easy && put_headers(t, how) && (how->addresses.len == 0 || put_addresses(t, how)) &&
	    put_options(t, how) == CURLE_OK && curl_multi_add_handle(w->multi, t->easy) == CURLM_OK)
		return t;
	return transfer_free(t);
}

struct transfer *
transfer_free(struct transfer *t)
{
	if (!t)
		return NULL;
	if (t->easy) {
		curl_multi_remove_handle(t->web->multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->resolve);
	buf_wipe(&t->body);
	buf_done(&t->body);
	free(t);
	return NULL;
}
