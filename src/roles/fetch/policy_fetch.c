/* A policy is fetched. */
#include "roles/fetch/policy_priv.h"

#include "base/check.h"
#include "log/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FAILED_MS 300000 /* before a host that failed is asked again (RFC 8461 3.3) */

static void
done(struct policy *p)
{
	fetch_policy_stop(p);
	fetch_policy_answer(p);
}

static void
failed(struct policy *p, const char *kind, const char *why)
{
	int64_t now = loop_now(p->all->fetch->role.loop);
	snprintf(p->why, sizeof(p->why), "%s: %s", kind, why);
	p->failed_until = now + FAILED_MS;
	memcpy(p->failed_id, p->next_id, sizeof(p->failed_id));
	LOG(LOG_INFO, 0, "policy-not-fetched", LOGZ("domain", p->domain), LOGZ("why", p->why),
	    LOGZ("then", p->text ? "the one from before holds" : "there is none"));
	done(p);
}

static void
on_transferred(void *arg, uint16_t status, struct str body, const char *error, bool bad_certificate)
{
	struct policy *p = arg;
	struct buf err = BUF_INIT(WHY_LEN);
	char text[64];
	if (status == 0) {
		failed(p, bad_certificate ? "sts-webpki-invalid" : "sts-policy-fetch-error", error);
	} else if (status != 200) {
		snprintf(text, sizeof(text), "it answers %u%s", status,
		    status >= 300 && status <= 399 ? ", which leads elsewhere" : "");
		failed(p, "sts-policy-fetch-error", text);
	} else if (!fetch_policy_take(p, body, p->next_id, fetch_policy_now(), &err)) {
		const char *why = buf_cstr(&err);
		failed(p, "sts-policy-invalid", why ? why : "it is none");
	} else {
		p->failed_until = 0;
		fetch_policy_keep(p);
		done(p);
	}
	buf_done(&err);
}

void
fetch_policy_addresses(void *arg, struct str addresses, const char *why)
{
	struct policy *p = arg;
	struct fetch *f = p->all->fetch;
	char url[HOST_MAX + 64], host[HOST_MAX + 1], port[16] = "";
	if (why) {
		failed(p, "sts-policy-fetch-error", why);
		return;
	}
	if (f->conf->sts_port != 443)
		snprintf(port, sizeof(port), ":%" PRIu64, f->conf->sts_port);
	snprintf(host, sizeof(host), "mta-sts.%s", p->domain);
	snprintf(url, sizeof(url), "https://%s%s/.well-known/mta-sts.txt", host, port);
	struct transfer_how how = {
		.kind = TRANSFER_GET,
		.url = url,
		.authorities = fetch_authorities(f),
		.host = host,
		.addresses = addresses,
		.max = STS_POLICY_MAX,
	};
	if (how.authorities.len == 0)
		failed(p, "sts-policy-fetch-error",
		    "this system has no list of certificate authorities (Debian: ca-certificates)");
	else if (!(p->transfer = transfer_new(f->web, &how, on_transferred, p)))
		failed(p, "sts-policy-fetch-error", "out of memory");
}

void
fetch_policy_begin(struct policy *p, struct str id)
{
	struct policies *ps = p->all;
	char host[HOST_MAX + 1];
	check(!p->busy && str_copy(p->next_id, sizeof(p->next_id), id));
	p->busy = true;
	ps->n_busy++;
	snprintf(host, sizeof(host), "mta-sts.%s", p->domain);
	if (!fetch_lookup(ps->fetch, &p->name, host))
		failed(p, "sts-policy-fetch-error", fetch_why_no_dns());
}
