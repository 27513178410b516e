/* From auth's question to the answer that it gets. */
#include "roles/fetch/fetch_priv.h"

#include "base/check.h"
#include "log/log.h"

#include <stdlib.h>
#include <string.h>

#define ERROR_MAX 256

static void
answer(struct fetch *f, uint64_t id, uint16_t status, struct str text, const char *error)
{
	struct msg_fetched m = {
		.status = status, .body = text, .error = str_first(str_of(error), ERROR_MAX)
	};
	struct buf b = BUF_INIT(ANSWER_MAX + 1024);
	if (status == 0)
		LOG(LOG_WARN, 0, "not-fetched", LOGZ("url", f->conf->oauth_introspect_url),
		    LOGZ("why", error));
	msg_fetched_put(&b, &m);
	check(!b.failed);
	if (f->auth)
		chan_send(f->auth, IPC_FETCHED, id, buf_str(&b), -1);
	buf_wipe(&b);
	buf_done(&b);
}

static void
request_free(struct request *r)
{
	transfer_free(r->transfer);
	fetch_lookup_cancel(&r->name);
	loop_timer_free(r->timer);
	list_del(&r->node);
	r->fetch->n_requests--;
	buf_wipe(&r->form); /* a token is in it */
	buf_done(&r->form);
	free(r);
}

static void
end(struct request *r, uint16_t status, struct str text, const char *error)
{
	answer(r->fetch, r->id, status, text, error);
	request_free(r);
}

static void
on_transferred(void *arg, uint16_t status, struct str body, const char *error, bool bad_certificate)
{
	end(arg, status, body, error);
}

static void
start(struct request *r, struct str addresses)
{
	struct fetch *f = r->fetch;
	const struct conf *c = f->conf;
	const struct buf *own = &f->secrets.authorities;
	struct transfer_how how = {
		.kind = TRANSFER_FORM,
		.url = c->oauth_introspect_url,
		.client = c->oauth_introspect_client,
		.password = buf_str(&f->secrets.password),
		.authorities = buf_str(*c->oauth_introspect_ca ? own : &f->system),
		.host = f->host,
		.addresses = addresses,
		.octets = buf_str(&r->form),
		.max = ANSWER_MAX,
	};
	bool https = str_starts(str_of(how.url), STR("https:"));
	if (*how.client && !f->secrets.has_password)
		end(r, 0, STR(""), "oauth.introspect_secret_file could not be read");
	else if (https && how.authorities.len == 0)
		end(r, 0, STR(""),
		    *c->oauth_introspect_ca
			? "oauth.introspect_ca could not be read"
			: "this system has no list of certificate authorities (Debian: "
			  "ca-certificates); set oauth.introspect_ca");
	else if (!(r->transfer = transfer_new(f->web, &how, on_transferred, r)))
		end(r, 0, STR(""), "out of memory");
}

static void
on_late(void *arg)
{
	end(arg, 0, STR(""), "no answer in time");
}

static void
on_addresses(void *arg, struct str addresses, const char *why)
{
	struct request *r = arg;
	if (why)
		end(r, 0, STR(""), why);
	else
		start(r, addresses);
}

void
fetch_request_begin(struct fetch *f, uint64_t id, struct str form)
{
	if (!*f->conf->oauth_introspect_url || !*f->host) {
		answer(f, id, 0, STR(""), "oauth.introspect_url is not set");
		return;
	}
	if (f->n_requests >= REQUESTS_MAX) {
		answer(f, id, 0, STR(""), "too many questions are open");
		return;
	}
	struct request *r = xalloc(sizeof(*r));
	*r = (struct request){ .fetch = f,
		.id = id,
		.form = BUF_INIT(form.len + 1),
		.name = { .fn = on_addresses, .arg = r } };
	buf_puts(&r->form, form);
	list_add_tail(&f->requests, &r->node);
	f->n_requests++;
	r->timer = loop_timer_new(f->role.loop, on_late, r);
	loop_timer_set(r->timer, REQUEST_MS, 0);
	if (f->literal)
		start(r, STR(""));
	else if (!fetch_lookup(f, &r->name, f->host))
		end(r, 0, STR(""), fetch_why_no_dns());
}

void
fetch_drop_all(struct fetch *f)
{
	list_each(n, &f->requests) request_free(list_entry(n, struct request, node));
}
