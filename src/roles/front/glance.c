/* glance: what front itself must know of a letter's header, looked at while it arrives. */
#include "roles/front/smtp_priv.h"

#include "mail/fields.h"

#include <stdlib.h>

#define MESSAGE_ID_MAX 998
#define TEXT_MAX (16u << 10) /* octets kept of all fields of one name */

enum { GLANCE_MESSAGE_ID, GLANCE_DELIVERED_TO, GLANCE_TLS_REQUIRED, GLANCE_SOLICITATION, GLANCES };
static const char *const names[] = { "message-id", "delivered-to", "tls-required", "solicitation",
	NULL };

struct glance {
	struct fields fields;
	struct buf text[GLANCES]; /* whole fields, one behind the other */
};

struct glance *
glance_new(void)
{
	struct glance *g = xalloc(sizeof(*g));
	for (size_t i = 0; i < GLANCES; i++)
		buf_init(&g->text[i], TEXT_MAX);
	return glance_again(g);
}

struct glance *
glance_again(struct glance *g)
{
	fields_init(&g->fields, names);
	for (size_t i = 0; i < GLANCES; i++)
		buf_reset(&g->text[i]);
	return g;
}

struct glance *
glance_free(struct glance *g)
{
	if (!g)
		return NULL;
	for (size_t i = 0; i < GLANCES; i++)
		buf_done(&g->text[i]);
	free(g);
	return NULL;
}

static void
keep(void *arg, int which, struct str octets)
{
	struct glance *g = arg;
	if (which >= 0 && which < GLANCES)
		buf_puts(&g->text[which], octets);
}

void
glance_feed(struct glance *g, struct str octets)
{
	if (!fields_over(&g->fields))
		fields_feed(&g->fields, octets, keep, g);
}

void
glance_end(struct glance *g)
{
	if (!fields_over(&g->fields))
		fields_end(&g->fields, keep, g);
}

/* The value of the next field, its folds with it. */
static bool
next(struct str *text, struct str *ret)
{
	struct str field = *text;
	size_t end = 0;
	if (field.len == 0)
		return false;
	do
		end += str_find(str_skip(field, end), '\n') + 1;
	while (end < field.len && (field.p[end] == ' ' || field.p[end] == '\t'));
	end = MIN(end, field.len);
	*text = str_skip(field, end);
	field = str_first(field, end);
	*ret = str_trim(str_skip(field, str_find(field, ':') + 1));
	return true;
}

static struct str
id_in(struct str v)
{
	v = str_skip(v, str_find(v, '<'));
	size_t end = str_find(v, '>') + 1;
	if (end > v.len || end > MESSAGE_ID_MAX ||
	    str_find_any(str_first(v, end), " \t\r\n") < end || memchr(v.p, '\0', end))
		return STR_NULL;
	return str_first(v, end);
}

struct str
glance_message_id(const struct glance *g)
{
	struct str text = buf_str(&g->text[GLANCE_MESSAGE_ID]), v;
	return next(&text, &v) ? id_in(v) : STR_NULL;
}

struct str
glance_message_id_of(struct str fields)
{
	static const struct str name = { "Message-ID:", 11 };
	while (fields.len) {
		struct str line = str_cut(&fields, '\n');
		if (str_istarts(line, name))
			return id_in(str_skip(line, name.len));
	}
	return STR_NULL;
}

bool
glance_delivered_to(const struct glance *g, struct str address)
{
	struct str text = buf_str(&g->text[GLANCE_DELIVERED_TO]), v;
	while (next(&text, &v))
		if (str_ieq(v, address))
			return true;
	return false;
}

bool
glance_tls_optional(const struct glance *g)
{
	struct str text = buf_str(&g->text[GLANCE_TLS_REQUIRED]), v;
	return next(&text, &v) && str_ieq(v, STR("No"));
}

bool
glance_solicits(const struct glance *g, struct str refused, struct str *ret)
{
	struct str text = buf_str(&g->text[GLANCE_SOLICITATION]), v;
	while (next(&text, &v))
		if (smtp_solicits(refused, v, ret))
			return true;
	return false;
}
