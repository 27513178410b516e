#include "mail/tlsrpt.h"

#include "base/num.h"
#include "mail/tlsrpt_priv.h"

#define FACTS_VERSION 1

const char *const tlsrpt_policy_name[TLSRPT_POLICY_KINDS] = { "no-policy-found", "tlsa", "sts" };
const char *const tlsrpt_result_name[TLSRPT_RESULTS] = {
	[TLSRPT_OK] = "",
	[TLSRPT_NO_STARTTLS] = "starttls-not-supported",
	[TLSRPT_HOST_MISMATCH] = "certificate-host-mismatch",
	[TLSRPT_EXPIRED] = "certificate-expired",
	[TLSRPT_NOT_TRUSTED] = "certificate-not-trusted",
	[TLSRPT_FAILED] = "validation-failure",
	[TLSRPT_TLSA_INVALID] = "tlsa-invalid",
	[TLSRPT_DNSSEC_INVALID] = "dnssec-invalid",
	[TLSRPT_DANE_REQUIRED] = "dane-required",
	[TLSRPT_STS_FETCH] = "sts-policy-fetch-error",
	[TLSRPT_STS_INVALID] = "sts-policy-invalid",
	[TLSRPT_STS_WEBPKI] = "sts-webpki-invalid",
};

/* --- facts --- */

void
tlsrpt_text_put(struct buf *b, struct str s, size_t max, bool lines)
{
	s = str_first(s, max);
	put_u16(b, (uint16_t)s.len);
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool fine = (c >= ' ' && c <= '~') || (lines && c == '\n');
		buf_putc(b, fine ? c : '?');
	}
}

struct str
tlsrpt_text_get(struct wire *w, size_t max, bool lines)
{
	uint16_t n = get_u16(w);
	w->bad |= n > max;
	struct str s = get_bytes(w, n);
	for (size_t i = 0; i < s.len; i++)
		w->bad |= !((s.p[i] >= ' ' && s.p[i] <= '~') || (lines && s.p[i] == '\n'));
	return w->bad ? STR_NULL : s;
}

static void
put_session(struct buf *b, const struct tlsrpt_session *s)
{
	put_u8(b, (uint8_t)s->result);
	tlsrpt_text_put(b, s->mx, TLSRPT_DOMAIN_MAX, false);
	tlsrpt_text_put(b, s->helo, TLSRPT_HELO_MAX, false);
	tlsrpt_text_put(b, s->ip, TLSRPT_IP_MAX, false);
	tlsrpt_text_put(b, s->own_ip, TLSRPT_IP_MAX, false);
	tlsrpt_text_put(b, s->why, TLSRPT_WHY_MAX, false);
}

static void
get_session(struct wire *w, struct tlsrpt_session *s)
{
	uint8_t result = get_u8(w);
	w->bad |= result >= TLSRPT_RESULTS;
	s->result = result;
	s->mx = tlsrpt_text_get(w, TLSRPT_DOMAIN_MAX, false);
	s->helo = tlsrpt_text_get(w, TLSRPT_HELO_MAX, false);
	s->ip = tlsrpt_text_get(w, TLSRPT_IP_MAX, false);
	s->own_ip = tlsrpt_text_get(w, TLSRPT_IP_MAX, false);
	s->why = tlsrpt_text_get(w, TLSRPT_WHY_MAX, false);
}

void
tlsrpt_facts_put(struct buf *b, const struct tlsrpt_facts *f)
{
	struct buf head = BUF_INIT(TLSRPT_FACTS_MAX), all = BUF_INIT(TLSRPT_FACTS_MAX);
	size_t room = MIN(b->max - MIN(b->len, b->max), (size_t)TLSRPT_FACTS_MAX);
	size_t n = 0;
	put_u8(&head, FACTS_VERSION);
	tlsrpt_text_put(&head, f->domain, TLSRPT_DOMAIN_MAX, false);
	tlsrpt_text_put(&head, f->rua, TLSRPT_RUA_MAX, false);
	put_u8(&head, (uint8_t)f->policy);
	tlsrpt_text_put(&head, f->text, TLSRPT_POLICY_TEXT, true);
	tlsrpt_text_put(&head, f->mx, TLSRPT_POLICY_TEXT, true);
	for (; n < MIN(f->n, (size_t)TLSRPT_SESSIONS_MAX); n++) {
		size_t before = all.len;
		put_session(&all, &f->session[n]);
		if (all.failed || head.len + 1 + all.len > room) {
			buf_trunc(&all, before);
			all.failed = false;
			break;
		}
	}
	if (n > 0 && !head.failed) {
		put_u8(&head, (uint8_t)n);
		buf_puts(b, buf_str(&head));
		buf_puts(b, buf_str(&all));
	}
	buf_done(&head);
	buf_done(&all);
}

bool
tlsrpt_facts_get(struct wire *w, struct tlsrpt_facts *ret)
{
	w->bad |= get_u8(w) != FACTS_VERSION;
	ret->domain = tlsrpt_text_get(w, TLSRPT_DOMAIN_MAX, false);
	ret->rua = tlsrpt_text_get(w, TLSRPT_RUA_MAX, false);
	uint8_t policy = get_u8(w);
	ret->text = tlsrpt_text_get(w, TLSRPT_POLICY_TEXT, true);
	ret->mx = tlsrpt_text_get(w, TLSRPT_POLICY_TEXT, true);
	ret->n = get_u8(w);
	w->bad |= policy >= TLSRPT_POLICY_KINDS || ret->n == 0 || ret->n > TLSRPT_SESSIONS_MAX ||
	          ret->domain.len == 0;
	ret->policy = policy;
	for (size_t i = 0; !w->bad && i < ret->n; i++)
		get_session(w, &ret->session[i]);
	return !w->bad;
}

/* --- where reports go --- */

static bool
is_rua(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.len > 0;
}

/* RFC 8460 3 allows blanks around "," and ";". */
static bool
take_rua(struct str value, struct str *ret)
{
	bool any = false;
	value = str_trim(value);
	if (value.len > TLSRPT_RUA_MAX)
		return false;
	for (size_t i = 0; i < value.len; i++)
		if (value.p[i] < ' ' || value.p[i] > '~')
			return false;
	for (struct str rest = value; rest.p;) {
		struct str one = str_trim(str_cut(&rest, ','));
		if (!is_rua(one))
			return false;
		any = true;
	}
	*ret = value;
	return any;
}

bool
tlsrpt_record(struct str text, struct str *ret_rua)
{
	bool found = false;
	if (!str_eq(str_trim(str_cut(&text, ';')), STR("v=TLSRPTv1")))
		return false;
	while (text.p && text.len) {
		struct str value = str_trim(str_cut(&text, ';'));
		if (value.len == 0 && !text.p)
			break; /* the last delimiter may stand alone */
		struct str name = str_trim(str_cut(&value, '='));
		if (name.len == 0 || !value.p)
			return false;
		if (found || !str_eq(name, STR("rua")))
			continue;
		if (!take_rua(value, ret_rua))
			return false;
		found = true;
	}
	return found;
}

/* RFC 3986 2.1; false: what comes out could not stand in an envelope. */
static bool
percent_decode(struct str s, char *out)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t c = (unsigned char)s.p[i];
		if (c == '%') {
			if (i + 2 >= s.len || !num_hex(str_n(s.p + i + 1, 2), &c))
				return false;
			i += 2;
		}
		if (c <= ' ' || c > '~' || c == '<' || c == '>' || c == ',')
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0;
}

static bool
take_place(struct str one, struct tlsrpt_place *ret)
{
	if (str_istarts(one, STR("mailto:"))) {
		struct str rest = str_skip(one, 7), addr = str_cut(&rest, '?');
		ret->kind = TLSRPT_MAILTO;
		return percent_decode(addr, ret->text) &&
		       str_rfind(str_of(ret->text), '@') < strlen(ret->text) - 1 &&
		       ret->text[0] != '@';
	}
	ret->kind = TLSRPT_HTTPS;
	return str_istarts(one, STR("https://")) && str_copy(ret->text, sizeof(ret->text), one);
}

bool
tlsrpt_place_next(struct str *rua, struct tlsrpt_place *ret)
{
	while (rua->p && rua->len) {
		struct str one = str_trim(str_cut(rua, ','));
		if (one.len <= TLSRPT_RUA_MAX && is_rua(one) && take_place(one, ret))
			return true;
	}
	return false;
}
