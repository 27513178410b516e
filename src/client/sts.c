/* Finding a policy: a TXT record, a page. */
#include "client/sts.h"

#include "client/exit.h"
#include "client/https.h"

#include <stdio.h>
#include <stdlib.h>

#define WHY_MAX 8192

void
sts_found_init(struct sts_found *f)
{
	memset(f, 0, sizeof(*f));
	buf_init(&f->text, STS_POLICY_MAX);
	buf_init(&f->why, WHY_MAX);
}

void
sts_found_done(struct sts_found *f)
{
	buf_done(&f->text);
	buf_done(&f->why);
	f->state = STS_UNASKED;
}

static void
failed(struct sts_found *f, int status)
{
	f->state = STS_FAILED;
	f->status = status;
}

/* RFC 8461 3.1: exactly one record that begins with the version. */
static void
take_records(struct sts_found *f, const struct dns_answer *a)
{
	struct str id;
	size_t n = 0;
	bool good = false;

	for (size_t i = 0; i < a->n; i++) {
		struct str text = dns_rr_text(a, i);
		if (!str_starts(text, STR("v=STSv1;")) && !str_eq(text, STR("v=STSv1")) &&
		    !str_starts(text, STR("v=STSv1 ")))
			continue;
		n++;
		good = sts_record(text, &id) && str_copy(f->id, sizeof(f->id), id);
	}
	if (n == 0) {
		f->state = STS_ABSENT;
	} else if (n > 1 || !good) {
		failed(f, CLIENT_TLS);
		buf_putf(&f->why, "_mta-sts.%s: %s", f->domain,
		    n > 1 ? "there are several TXT records of MTA-STS, which senders take for none"
			  : "the TXT record of MTA-STS is malformed; write \"v=STSv1; "
			    "id=20260101T000000;\"");
	}
}

static void
ask_record(struct sts_found *f, struct dns *d)
{
	struct dns_answer *a = xalloc(sizeof(*a));
	char name[DNS_NAME_MAX + 16];

	dns_answer_init(a);
	snprintf(name, sizeof(name), "_mta-sts.%s", f->domain);
	enum dns_status st = dns_ask(d, name, DNS_TXT, a);
	if (st == DNS_FOUND) {
		take_records(f, a);
	} else if (st == DNS_NODATA || st == DNS_NXDOMAIN || st == DNS_BADNAME) {
		f->state = STS_ABSENT;
	} else {
		failed(f, st == DNS_STOPPED ? CLIENT_INTERRUPTED : CLIENT_RESOLVE);
		dns_explain(&f->why, name, st);
	}
	dns_answer_done(a);
	free(a);
}

static void
fetch(struct sts_found *f, const struct link_conf *conf, struct dns *d, uint16_t port)
{
	char host[DNS_NAME_MAX + 16];
	struct buf err = BUF_INIT(1024);
	const struct https_page page = { .host = host,
		.path = "/.well-known/mta-sts.txt",
		.port = port ? port : HTTPS_PORT,
		.max = STS_POLICY_MAX };

	snprintf(host, sizeof(host), "mta-sts.%s", f->domain);
	int status = https_get(conf, d, &page, &f->text, &f->why);
	if (status != CLIENT_OK) {
		failed(f, status);
	} else if (!sts_parse(buf_str(&f->text), &f->policy, &err)) {
		failed(f, CLIENT_TLS);
		buf_putf(&f->why, "https://%s%s: " STR_FMT, host, page.path,
		    STR_ARG(buf_str(&err)));
	} else {
		f->state = STS_FOUND;
	}
	buf_done(&err);
}

void
sts_find(struct sts_found *f, const struct link_conf *conf, struct dns *d, const char *domain,
    uint16_t port)
{
	if (f->state != STS_UNASKED && str_ieq(str_of(f->domain), str_of(domain)))
		return;
	buf_reset(&f->text);
	buf_reset(&f->why);
	f->state = STS_UNASKED;
	f->policy.n = 0;
	if (!str_copy(f->domain, sizeof(f->domain), str_of(domain))) {
		f->state = STS_ABSENT;
		return;
	}
	ask_record(f, d);
	if (f->state == STS_UNASKED)
		fetch(f, conf, d, port);
}

void
sts_text(const struct sts_found *f, struct buf *out)
{
	buf_putf(out, "mode %s, max_age %u", sts_mode_name[f->policy.mode], f->policy.max_age);
	for (size_t i = 0; i < f->policy.n; i++)
		buf_putf(out, "%s" STR_FMT, i ? ", " : ", mx ", STR_ARG(f->policy.mx[i]));
}
