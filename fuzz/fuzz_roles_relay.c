/*
 * What other servers and the DNS make relay decide: the way to a destination out of any answer of
 * dns and any policy, what it has for a letter in it, and how long a server may take. The input is
 * a letter as well, looked at whole and in pieces, and what stands behind its first fields is made
 * fit for servers that lack this and that.
 */
#include "base/check.h"
#include "base/wire.h"
#include "conf/self.h"
#include "roles/relay/fit.h"
#include "roles/relay/patience.h"
#include "roles/relay/plan.h"
#include "roles/relay/scan.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const targets[] = { "mx:example.net", "smtp:mx.example.net:25",
	"lmtp:mx.example.net:24", "smtp:[192.0.2.1]:25", "lmtp:/run/lmtp" };
static const char *const ways[] = { "encode", "wrap", "send", "refuse" };
static const char *const levels[] = { "auto", "never", "may", "must", "verify" };

static void
put_host(struct wire *w, struct buf *hosts)
{
	struct buf tlsas = BUF_INIT(64u << 10);
	struct msg_mx_host h = { .preference = get_u8(w),
		.name = get_bytes(w, get_u8(w) % 32),
		.tlsa_base = get_bytes(w, get_u8(w) % 32),
		.secure = get_u8(w) & 1,
		.tlsa = get_u8(w) % TLSA_VERDICT_COUNT,
		.n_addrs = get_u8(w) % 4,
		.n_tlsa = get_u8(w) % 4 };
	h.addrs = get_bytes(w, (size_t)h.n_addrs * 16);
	for (unsigned i = 0; i < h.n_tlsa; i++) {
		struct msg_mx_tlsa t = { get_u8(w) % 5, get_u8(w) % 3, get_u8(w) % 4,
			get_bytes(w, get_u8(w) % 70) };
		msg_mx_tlsa_put(&tlsas, &t);
	}
	h.tlsas = buf_str(&tlsas);
	if (!w->bad)
		msg_mx_host_put(hosts, &h);
	buf_done(&tlsas);
}

static void
look_at_letters(const struct plan_host *h, const char *level)
{
	for (unsigned i = 0; i < 4; i++) {
		enum plan_tls need;
		const char *why;
		bool goes = plan_for_letter(h, i & 1, i & 2, &need, &why);
		check(goes == (*why == '\0'));
		check(!h->barred || goes == (i == 2));
		check(!(h->barred && goes) || need == PLAN_MAY);
		/* RFC 8689: never in clear, and never to somebody nobody vouches for. */
		check(!(i & 1) || !goes || (need >= PLAN_VERIFY && h->vouched));
		check(i != 0 || need == h->tls);
		/* TLS-Required: No overrules what others ask for, and not the configuration. */
		check(strcmp(level, "auto") == 0 || (i & 1) || need == h->tls);
	}
}

static void
look_at(const struct plan *p, const char *level, const struct sts_policy *sts)
{
	bool free_host = false;
	for (size_t i = 0; i < p->n; i++)
		free_host |= !p->hosts[i].barred;
	check(p->ok == free_host);
	check(p->ok || (p->why[0] && p->status[0] == (p->for_ever ? '5' : '4')));
	for (size_t i = 0; i < p->n; i++) {
		const struct plan_host *h = &p->hosts[i];
		check(h->tls < PLAN_TLS_COUNT && h->ground < GROUND_COUNT);
		check(p->port == 0 || h->n_addrs > 0);
		check(i == 0 || p->hosts[i - 1].preference <= h->preference);
		check(h->tls != PLAN_DANE || h->ground == GROUND_DANE);
		check(h->tls != PLAN_DANE || (h->n_tlsa > 0) == !h->barred);
		check(h->ground != GROUND_STS ||
		      (h->tls == PLAN_VERIFY && sts_allows(sts, str_of(h->name)) == !h->barred));
		check(!h->barred || h->ground == GROUND_DANE || h->ground == GROUND_STS);
		look_at_letters(h, level);
	}
}

static void
make_plan(struct wire *w, struct str text)
{
	static const struct self nobody;
	struct buf hosts = BUF_INIT(256u << 10), err = BUF_INIT(1024);
	const char *level = levels[get_u8(w) % ARRAY_LEN(levels)];
	const struct plan_conf conf = { .port = 25,
		.ipv6 = get_u8(w) & 1,
		.tls = level,
		.by_route = get_u8(w) & 1,
		.lot = get_u8(w),
		.self = &nobody };
	struct target t;
	struct sts_policy sts;
	check(target_parse(str_of(targets[get_u8(w) % ARRAY_LEN(targets)]), &t));
	struct msg_mx mx = { .verdict = get_u8(w) % MX_VERDICT_COUNT,
		.secure = get_u8(w) & 1,
		.n = get_u8(w) % MX_HOSTS_MAX };
	for (unsigned i = 0; i < mx.n; i++)
		put_host(w, &hosts);
	mx.hosts = buf_str(&hosts);
	bool has = sts_parse(text, &sts, &err);
	struct plan *p = plan_new(&conf, &t, &mx, has ? &sts : NULL);
	look_at(p, level, &sts);
	plan_unref(p);
	buf_done(&hosts);
	buf_done(&err);
}

static void
scan(struct str letter, size_t piece)
{
	struct letter_scan whole = { 0 }, parts = { 0 };
	letter_scan_feed(&whole, letter);
	letter_scan_end(&whole);
	while (letter.len) {
		letter_scan_feed(&parts, str_first(letter, piece));
		letter = str_skip(letter, piece);
	}
	letter_scan_end(&parts);
	check(whole.eight_header == parts.eight_header && whole.eight_body == parts.eight_body);
	check(whole.nul == parts.nul && whole.bare == parts.bare && whole.size == parts.size);
	check(whole.long_line == parts.long_line);
}

/* For a server of each kind. */
static void
convert(struct str letter, const char *long_lines)
{
	struct letter_scan before = { 0 };
	letter_scan_feed(&before, letter);
	letter_scan_end(&before);
	for (unsigned i = 0; i < 8; i++) {
		const struct fit_server server = { i & 1, i & 2, i & 4, long_lines };
		unsigned need = fit_need(&before, &server);
		struct letter_scan after = { 0 };
		struct buf out = BUF_INIT(4 * letter.len + 4096);
		if (need && !(need & FIT_REFUSE) && fit_make(letter, need, &out) == DOWNGRADE_OK) {
			letter_scan_feed(&after, buf_str(&out));
			letter_scan_end(&after);
			bool eight = after.eight_header || after.eight_body || after.nul;
			check(!(need & FIT_EIGHT) || !eight);
			check(!(need & FIT_WRAP) || !after.long_line);
		}
		buf_done(&out);
	}
}

static void
wait_for(struct wire *w)
{
	const struct patience_facts f = {
		.reply_seconds = get_u8(w) % 4, .n_rcpts = get_u8(w), .size = get_u16(w)
	};
	struct patience p = { 0 };
	int64_t now = 0;
	while (w->left > 0 && !w->bad) {
		unsigned step = get_u8(w) % SMTP_STEP_COUNT, silence = 120u + get_u8(w);
		int64_t ms =
		    patience_wait(&p, &f, (enum smtp_client_step)step, step & 16, silence, now);
		check(ms >= 1 && ms <= 1000 * (int64_t)MAX(silence, 3u));
		check(ms == 1 || now + ms <= p.until);
		now += get_u16(w);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire w = wire_of(str_n(data, size));
	struct str policy = get_bytes(&w, get_u8(&w));
	struct wire waits = wire_of(get_bytes(&w, get_u8(&w)));
	size_t piece = 1u + get_u8(&w);
	struct str letter = str_n(w.p, w.left);
	make_plan(&w, policy);
	wait_for(&waits);
	scan(str_n(data, size), piece);
	convert(letter, ways[piece % ARRAY_LEN(ways)]);
	return 0;
}
