#include "queue/target.h"

#include "base/num.h"

#include <stdio.h>

static bool
all_host(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c >= 0x7f || c == '[' || c == ']' || c == '/')
			return false;
	}
	return s.len > 0 && s.len <= 255;
}

/* "mail.example.net", "192.0.2.1", "[192.0.2.1]", "[IPv6:2001:db8::1]", "[2001:db8::1]". */
static bool
host_get(struct str s, struct target *t)
{
	t->literal = false;
	if (s.len >= 2 && s.p[0] == '[' && s.p[s.len - 1] == ']') {
		s = str_first(str_skip(s, 1), s.len - 2);
		t->literal = true;
		if (str_istarts(s, STR("IPv6:")))
			s = str_skip(s, 5);
	}
	size_t digits = 0;
	while (digits < s.len && ((s.p[digits] >= '0' && s.p[digits] <= '9') || s.p[digits] == '.'))
		digits++;
	t->literal |= digits == s.len;
	t->host = s;
	return all_host(s) && (t->literal || str_find(s, ':') == s.len);
}

/* HOST:PORT. */
static bool
place_get(struct str s, struct target *t)
{
	uint64_t port;
	size_t at = str_rfind(s, ':');
	if (at == s.len || !num_u64(str_skip(s, at + 1), 65535, &port) || port == 0)
		return false;
	t->port = (uint16_t)port;
	return host_get(str_first(s, at), t);
}

static bool
lmtp_get(struct str s, struct target *t)
{
	if (!str_starts(s, STR("/")))
		return place_get(s, t);
	t->host = s;
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ')
			return false;
	return s.len < 108; /* sun_path */
}

static bool
nothing_get(struct str s, struct target *t)
{
	return s.len == 0;
}

/* "5.1.2 TEXT" (RFC 3463 2). */
static bool
error_get(struct str s, struct target *t)
{
	struct str status = str_word(&s), detail = status;
	struct str class = str_cut(&detail, '.'), subject = str_cut(&detail, '.');
	uint64_t n;
	t->text = str_trim(s);
	for (size_t i = 0; i < t->text.len; i++) /* it stands in a report */
		if ((unsigned char)t->text.p[i] < ' ')
			return false;
	return str_eq(class, STR("5")) && num_u64(subject, 999, &n) && num_u64(detail, 999, &n) &&
	       t->text.len > 0 && str_copy(t->status, sizeof(t->status), status);
}

static const struct {
	struct str prefix;
	enum target_kind kind;
	bool (*get)(struct str s, struct target *t);
} kinds[] = {
	{ { "mx:", 3 }, TARGET_MX, host_get },
	{ { "smtp:", 5 }, TARGET_SMTP, place_get },
	{ { "lmtp:", 5 }, TARGET_LMTP, lmtp_get },
	{ { "turn:", 5 }, TARGET_TURN, nothing_get },
	{ { "hold:", 5 }, TARGET_HOLD, nothing_get },
	{ { "error:", 6 }, TARGET_ERROR, error_get },
};

bool
target_parse(struct str text, struct target *ret)
{
	if (text.len > TARGET_MAX)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct target t = { .kind = kinds[i].kind };
		if (!str_starts(text, kinds[i].prefix))
			continue;
		if (!kinds[i].get(str_skip(text, kinds[i].prefix.len), &t))
			return false;
		*ret = t;
		return true;
	}
	return false;
}

unsigned
target_match(struct str pattern, struct str domain)
{
	if (str_eq(pattern, STR("*")))
		return 1;
	if (str_starts(pattern, STR("*."))) {
		struct str tail = str_skip(pattern, 1);
		return domain.len > tail.len && str_iends(domain, tail) ? (unsigned)pattern.len : 0;
	}
	return str_ieq(pattern, domain) ? 1u << 16 : 0;
}
