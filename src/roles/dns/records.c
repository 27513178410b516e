#include "roles/dns/records.h"

#include "base/wire.h"
#include "mail/tlsrpt.h"
#include "roles/dns/dns_priv.h"
#include "smtp/sts.h"

#include <string.h>

#define LABEL_MAX 63
#define TXT_MAX 8192 /* octets of one record that are looked at */
#define TLSA_MAX 4096

static bool
label_good(struct str label)
{
	if (label.len == 0 || label.len > LABEL_MAX || label.p[0] == '-' ||
	    label.p[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.p[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '-' || c == '_'))
			return false;
	}
	return true;
}

/* RFC 1123 2.1: the last label of a name is never a number, that of an IPv4 address always. */
static bool
all_digits(struct str label)
{
	for (size_t i = 0; i < label.len; i++)
		if (label.p[i] < '0' || label.p[i] > '9')
			return false;
	return true;
}

bool
host_name(struct str text, char out[HOST_NAME_MAX + 1])
{
	struct str label = STR_NULL;
	if (str_ends(text, STR(".")))
		text.len--;
	if (text.len == 0 || text.len > HOST_NAME_MAX)
		return false;
	for (struct str rest = text; rest.p;) {
		label = str_cut(&rest, '.');
		if (!label_good(label))
			return false;
	}
	if (all_digits(label))
		return false;
	for (size_t i = 0; i < text.len; i++)
		out[i] =
		    (char)(text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] | 0x20 : text.p[i]);
	out[text.len] = '\0';
	return true;
}

static void
take_mx(struct mx_list *l, uint16_t preference, const char *name)
{
	uint16_t at;
	for (uint16_t i = 0; i < l->n; i++)
		if (strcmp(l->row[i].name, name) == 0) {
			if (l->row[i].preference <= preference)
				return;
			memmove(&l->row[i], &l->row[i + 1],
			    (size_t)(l->n - i - 1) * sizeof(l->row[0]));
			l->n--;
			break;
		}
	for (at = l->n; at > 0 && l->row[at - 1].preference > preference; at--)
		;
	if (l->n == MX_HOSTS_MAX) {
		l->more++;
		if (at == MX_HOSTS_MAX)
			return;
		l->n--;
	}
	memmove(&l->row[at + 1], &l->row[at], (size_t)(l->n - at) * sizeof(l->row[0]));
	l->row[at].preference = preference;
	memcpy(l->row[at].name, name, strlen(name) + 1);
	l->n++;
}

void
mx_list_read(const struct str *data, size_t n, struct mx_list *ret)
{
	*ret = (struct mx_list){ 0 };
	for (size_t i = 0; i < n; i++) {
		struct wire w = wire_of(data[i]);
		uint16_t preference = get_u16(&w);
		struct str wire = get_rest(&w);
		char text[NAME_MAX_LEN + 1], name[HOST_NAME_MAX + 1];
		if (!w.bad && str_eq(wire, str_n("", 1)))
			ret->null_mx = true;
		else if (!w.bad && name_text(wire, text) && host_name(str_of(text), name))
			take_mx(ret, preference, name);
		else
			ret->broken++;
	}
	/* RFC 7505 3: beside others it means nothing. */
	ret->null_mx &= n == 1;
}

bool
tlsa_read(struct str data, struct msg_mx_tlsa *ret)
{
	struct wire w = wire_of(data);
	ret->usage = get_u8(&w);
	ret->selector = get_u8(&w);
	ret->matching = get_u8(&w);
	ret->data = get_rest(&w);
	return !w.bad && ret->data.len > 0 && ret->data.len <= TLSA_MAX;
}

/* The strings of a TXT record in one; false: malformed. */
static bool
txt_read(struct str data, struct buf *out)
{
	struct wire w = wire_of(data);
	if (data.len == 0)
		return false;
	while (w.left && !w.bad)
		buf_puts(out, get_bytes(&w, get_u8(&w)));
	return !w.bad && !out->failed;
}

/* The grammar has blanks in front of the ';', too. */
static bool
is_version(struct str text, struct str version)
{
	return str_starts(text, version) &&
	       str_starts(str_ltrim(str_skip(text, version.len)), STR(";"));
}

/* The one record of that version; its text is in *text. RFC 8461 3.1 and RFC 8460 3 alike: others
 * do not count, and of two none does. */
static bool
only_one(const struct str *data, size_t n, struct str version, struct buf *text)
{
	size_t found = 0;
	for (size_t i = 0; i < n; i++) {
		struct buf one = BUF_INIT(TXT_MAX);
		if (txt_read(data[i], &one) && is_version(buf_str(&one), version) && found++ == 0)
			buf_puts(text, buf_str(&one));
		buf_done(&one);
	}
	return found == 1;
}

void
sts_id_read(const struct str *data, size_t n, struct buf *out)
{
	struct buf text = BUF_INIT(TXT_MAX);
	struct str id;
	if (only_one(data, n, STR("v=STSv1"), &text) && sts_record(buf_str(&text), &id))
		buf_puts(out, id);
	buf_done(&text);
}

void
rua_read(const struct str *data, size_t n, struct buf *out)
{
	struct buf text = BUF_INIT(TXT_MAX);
	struct str rua;
	if (only_one(data, n, STR("v=TLSRPTv1"), &text) && tlsrpt_record(buf_str(&text), &rua))
		buf_puts(out, rua);
	buf_done(&text);
}
