/* One parser, one printer and one description per type of value. */
#include "conf/conf_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#define LISTEN_PATH_MAX 1024
#define HUGE_RANGE (UINT64_C(1) << 50) /* a range that nobody needs to be told */

static char **
text_at(const struct conf_key *k, const void *base)
{
	return (char **)((char *)(uintptr_t)base + k->offset);
}

static uint64_t *
number_at(const struct conf_key *k, const void *base)
{
	return (uint64_t *)((char *)(uintptr_t)base + k->offset);
}

static bool *
bool_at(const struct conf_key *k, const void *base)
{
	return (bool *)((char *)(uintptr_t)base + k->offset);
}

static void
put_factor(struct buf *out, uint64_t v, const struct conf_key *k)
{
	static const struct {
		enum conf_type type;
		const char *unit;
		uint64_t factor;
	} units[] = {
		{ CONF_SIZE, "G", 1u << 30 },
		{ CONF_SIZE, "M", 1u << 20 },
		{ CONF_SIZE, "K", 1u << 10 },
		{ CONF_SECONDS, "d", 86400 },
		{ CONF_SECONDS, "h", 3600 },
		{ CONF_SECONDS, "m", 60 },
	};
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (units[i].type == k->type && v && v % units[i].factor == 0) {
			buf_putf(out, "%" PRIu64 "%s", v / units[i].factor, units[i].unit);
			return;
		}
	}
	buf_putf(out, "%" PRIu64, v);
}

static void
put_choices(struct buf *out, const char *choices)
{
	struct str rest = str_of(choices), word = str_word(&rest);
	while (word.len) {
		struct str next = str_word(&rest);
		buf_puts(out, word);
		if (next.len)
			buf_putz(out, rest.len ? ", " : " or ");
		word = next;
	}
}

void
conf_value_want(const struct conf_key *k, struct buf *out)
{
	static const char *const what[] = {
		[CONF_TEXT] = "text",
		[CONF_BOOL] = "yes or no",
		[CONF_NUMBER] = "a number",
		[CONF_SIZE] = "a number of octets (K, M, G may follow)",
		[CONF_SECONDS] = "a number of seconds (s, m, h, d may follow)",
		[CONF_CHOICE] = "",
	};
	const char *want = NULL;
	if (k->good)
		(void)k->good(STR("\x01"), &want);
	buf_putz(out, want ? want : what[k->type]);
	if (k->type == CONF_CHOICE)
		put_choices(out, k->choices);
	if (k->type != CONF_NUMBER && k->type != CONF_SIZE && k->type != CONF_SECONDS)
		return;
	if (k->min || k->max < HUGE_RANGE) {
		buf_putz(out, " from ");
		put_factor(out, k->min, k);
		buf_putz(out, " to ");
		put_factor(out, k->max, k);
	}
	if (k->flags & CONF_CAN_OFF)
		buf_putz(out, ", or off");
}

/* What is wrong with a text, or NULL. */
static const char *
text_fault(struct str v)
{
	if (v.len > CONF_TEXT_MAX)
		return "is longer than 4096 octets";
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.p[i];
		if (c < 0x20 || c == 0x7f)
			return "holds a control character";
	}
	return NULL;
}

static bool
parse_bool(struct str v, bool *ret)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "yes", true },
		{ "no", false },
		{ "true", true },
		{ "false", false },
		{ "on", true },
		{ "off", false },
		{ "1", true },
		{ "0", false },
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_ieq(v, str_of(words[i].word))) {
			*ret = words[i].value;
			return true;
		}
	}
	return false;
}

static bool
parse_number(const struct conf_key *k, struct str v, uint64_t *ret)
{
	uint64_t n;
	if ((k->flags & CONF_CAN_OFF) && str_ieq(v, STR("off"))) {
		*ret = CONF_OFF;
		return true;
	}
	bool ok = k->type == CONF_SECONDS ? num_seconds(v, &n) : num_size(v, &n);
	if (!ok || n < k->min || n > k->max)
		return false;
	*ret = n;
	return true;
}

static bool
is_choice(const struct conf_key *k, struct str v, struct str *ret)
{
	struct str rest = str_of(k->choices), word;
	bool truth;
	if (parse_bool(v, &truth) && !str_ieq(v, STR("on")) && !str_ieq(v, STR("off")))
		v = truth ? STR("yes") : STR("no");
	while ((word = str_word(&rest)).len) {
		if (str_ieq(word, v)) {
			*ret = word;
			return true;
		}
	}
	return false;
}

static void
set_text(const struct conf_key *k, void *base, struct str v)
{
	char **at = text_at(k, base), *old = *at;
	*at = str_dup(v);
	if (k->fold)
		k->fold(*at);
	free(old);
}

static bool
set_checked(const struct conf_key *k, void *base, struct str v, struct str *ret_text)
{
	const char *want;
	switch (k->type) {
	case CONF_BOOL:
		return parse_bool(v, bool_at(k, base));
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_SECONDS:
		return parse_number(k, v, number_at(k, base));
	case CONF_CHOICE:
		return is_choice(k, v, ret_text);
	case CONF_TEXT:
		*ret_text = v;
		return k->good == NULL || k->good(v, &want);
	}
	return false;
}

bool
conf_value_set(const struct conf_key *k, void *base, struct str text, struct buf *err)
{
	const char *fault = text_fault(text);
	struct str v = STR_NULL;
	if (fault) {
		buf_putf(err, "%s %s; write ", k->name, fault);
		conf_value_want(k, err);
		return false;
	}
	if (!set_checked(k, base, text, &v)) {
		buf_putf(err, "%s cannot be ", k->name);
		conf_quote(err, text);
		buf_putz(err, "; write ");
		conf_value_want(k, err);
		return false;
	}
	if (k->type == CONF_TEXT || k->type == CONF_CHOICE)
		set_text(k, base, v);
	return true;
}

void
conf_value_put(const struct conf_key *k, const void *base, struct buf *out)
{
	switch (k->type) {
	case CONF_BOOL:
		buf_putz(out, *bool_at(k, base) ? "yes" : "no");
		break;
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_SECONDS:
		if (*number_at(k, base) == CONF_OFF)
			buf_putz(out, "off");
		else
			buf_putf(out, "%" PRIu64, *number_at(k, base));
		break;
	case CONF_TEXT:
	case CONF_CHOICE:
		buf_putz(out, *text_at(k, base));
		break;
	}
}

bool
conf_value_is_default(const struct conf_key *k, const void *base)
{
	uint64_t n = 0;
	bool truth = false;
	switch (k->type) {
	case CONF_BOOL:
		return parse_bool(str_of(k->def), &truth) && truth == *bool_at(k, base);
	case CONF_NUMBER:
	case CONF_SIZE:
	case CONF_SECONDS:
		return parse_number(k, str_of(k->def), &n) && n == *number_at(k, base);
	case CONF_TEXT:
	case CONF_CHOICE:
		return str_eq(str_of(k->def), str_of(*text_at(k, base)));
	}
	return false;
}

bool
conf_value_same(const struct conf_key *k, const void *a, const void *b)
{
	if (k->type == CONF_BOOL)
		return *bool_at(k, a) == *bool_at(k, b);
	if (k->type == CONF_TEXT || k->type == CONF_CHOICE)
		return strcmp(*text_at(k, a), *text_at(k, b)) == 0;
	return *number_at(k, a) == *number_at(k, b);
}

/* Letters, digits and what machines' names hold in practice: "my_esa.local", "[192.0.2.1]". */
static bool
good_host(struct str v, const char **ret_want)
{
	*ret_want = "a host name, such as mail.example.org";
	if (v.len == 0 || v.len > 255)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		char c = v.p[i];
		bool alnum =
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && (c == '\0' || !strchr("-_.[]:", c)))
			return false;
	}
	return true;
}

bool
conf_good_host_or_empty(struct str v, const char **ret_want)
{
	return good_host(v, ret_want) || v.len == 0;
}

static bool
is_ip(struct str v, int *ret_bits)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char bin[16];
	if (!str_copy(text, sizeof text, v) || strlen(text) != v.len)
		return false;
	*ret_bits = inet_pton(AF_INET, text, bin) == 1    ? 32
	            : inet_pton(AF_INET6, text, bin) == 1 ? 128
	                                                  : 0;
	return *ret_bits != 0;
}

bool
conf_good_ip_or_empty(struct str v, const char **ret_want)
{
	int bits;
	*ret_want = "an IP address, such as 192.0.2.1 or 2001:db8::1";
	return v.len == 0 || is_ip(v, &bits);
}

bool
conf_good_listen_address(struct str v, const char **ret_want)
{
	int bits;
	*ret_want = "an IP address, such as 192.0.2.1 or ::1, * for all, or unix:/PATH";
	if (str_starts(v, STR("unix:")))
		return v.len > 5 && v.len <= LISTEN_PATH_MAX && v.p[v.len - 1] != '/';
	return str_eq(v, STR("*")) || is_ip(v, &bits);
}

static bool
is_cidr(struct str v)
{
	int bits;
	uint64_t n;
	bool has_length = str_find(v, '/') < v.len;
	struct str ip = str_cut(&v, '/');
	return is_ip(ip, &bits) && (!has_length || num_u64(v, (uint64_t)bits, &n));
}

bool
conf_good_cidrs(struct str v, const char **ret_want)
{
	*ret_want = "networks parted by blanks or commas, such as 192.0.2.0/24 2001:db8::/32";
	while (v.len) {
		size_t n = str_find_any(v, " ,\t");
		if (n && !is_cidr(str_first(v, n)))
			return false;
		v = str_skip(v, n + 1);
	}
	return true;
}

static bool
is_address(struct str v, bool catch_all)
{
	size_t at = str_rfind(v, '@');
	struct str domain = str_skip(v, at + 1);
	if (at >= v.len || (at == 0 && !catch_all) || domain.len == 0 || v.len > CONF_ADDRESS_MAX)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.p[i];
		if (c <= 0x20 || c == 0x7f || c == '<' || c == '>' || c == ',')
			return false;
	}
	return true;
}

bool
conf_good_senders(struct str v, const char **ret_want)
{
	*ret_want = "addresses and @domains parted by blanks or commas, such as ann@example.org "
		    "@example.net";
	while (v.len) {
		size_t n = str_find_any(v, " ,\t");
		if (n && !is_address(str_first(v, n), true))
			return false;
		v = str_skip(v, n + 1);
	}
	return true;
}

bool
conf_good_domains(struct str v, const char **ret_want)
{
	*ret_want = "domains parted by blanks or commas, such as example.net *.example.org; never "
		    "* or *.com, which would take everybody's mail for anybody";
	while (v.len) {
		size_t n = str_find_any(v, " ,\t");
		struct str word = str_first(v, n);
		struct str name = str_starts(word, STR("*.")) ? str_skip(word, 2) : word;
		bool wide = name.len < word.len && str_find(name, '.') == name.len;
		if (n && (wide || str_find(name, '*') < name.len || !conf_good_domain(name)))
			return false;
		v = str_skip(v, n + 1);
	}
	return true;
}

/* RFC 3865 2.1: a domain in reverse order, ":" and words parted by dots or colons. */
bool
conf_good_classes(struct str v, const char **ret_want)
{
	*ret_want = "solicitation classes parted by blanks or commas, such as org.example:ADV";
	while (v.len) {
		size_t n = str_find_any(v, " ,\t");
		struct str word = str_first(v, n);
		bool colon = false;
		for (size_t i = 0; i < n; i++) {
			char c = word.p[i];
			bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			              (c >= '0' && c <= '9');
			colon |= c == ':';
			if (!letter && !strchr("-_.:", c))
				return false;
		}
		if (n && (!colon || word.p[0] == ':' || word.p[n - 1] == ':'))
			return false;
		v = str_skip(v, n + 1);
	}
	return true;
}

bool
conf_good_alias(struct str v)
{
	return is_address(v, true);
}

bool
conf_good_member(struct str v)
{
	return is_address(v, false);
}

bool
conf_good_address_or_empty(struct str v, const char **ret_want)
{
	*ret_want = "an address, such as ann@example.org";
	return v.len == 0 || is_address(v, false);
}

const char *const conf_mechs[] = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
	"SCRAM-SHA-1", "EXTERNAL", "GSSAPI", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN", "CRAM-MD5",
	"DIGEST-MD5", "NTLM", NULL };

bool
conf_good_mechs(struct str v, const char **ret_want)
{
	*ret_want = "SASL mechanisms parted by blanks: SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS "
		    "SCRAM-SHA-256 SCRAM-SHA-1 EXTERNAL GSSAPI OAUTHBEARER XOAUTH2 PLAIN LOGIN "
		    "CRAM-MD5 DIGEST-MD5 NTLM";
	for (struct str word; (word = str_word(&v)).len;) {
		const char *const *m = conf_mechs;
		while (*m && !str_ieq(str_of(*m), word))
			m++;
		if (!*m)
			return false;
	}
	return true;
}

bool
conf_good_plus(struct str v, const char **ret_want)
{
	*ret_want = "one of + - _ . = # or nothing";
	return v.len == 0 || (v.len == 1 && v.p[0] && strchr("+-_.=#", v.p[0]));
}

bool
conf_good_dialect(struct str v, const char **ret_want)
{
	*ret_want = "the name of a dialect, such as rfc, postfix or sendmail";
	if (v.len == 0 || v.len > 64)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		char c = v.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '-' || c == '_'))
			return false;
	}
	return true;
}

bool
conf_good_account(struct str v, const char **ret_want)
{
	*ret_want = "the name of a system account";
	return v.len > 0 && v.len <= 32 && str_find_any(v, " \t/:@,") == v.len && v.p[0] > ' ';
}

bool
conf_good_account_or_empty(struct str v, const char **ret_want)
{
	bool ok = conf_good_account(v, ret_want) || v.len == 0;
	*ret_want = "the name or number of an account or a group of this system";
	return ok;
}

bool
conf_good_mode(struct str v, const char **ret_want)
{
	*ret_want = "rights in octal, such as 0660";
	if (v.len < 3 || v.len > 4 || (v.len == 4 && v.p[0] != '0'))
		return false;
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] < '0' || v.p[i] > '7')
			return false;
	return true;
}
