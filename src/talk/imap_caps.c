/* imap_caps: what a server of IMAP says it can do. */
#include "talk/imap_priv.h"

#include <ctype.h>
#include <string.h>

bool
imap_has(const struct imap_talk *x, const char *capability)
{
	struct str all = buf_str(&x->caps);
	while (all.len)
		if (str_ieq(str_cut(&all, ' '), str_of(capability)))
			return true;
	return false;
}

void
imap_caps_forget(struct imap_talk *x)
{
	buf_reset(&x->caps);
	x->mechs[0] = '\0';
	x->caps_known = x->login_disabled = false;
}

static void
cap(struct imap_talk *x, struct str name)
{
	size_t n = strlen(x->mechs);
	if (name.len == 0)
		return;
	if (x->caps.len)
		buf_putc(&x->caps, ' ');
	buf_puts(&x->caps, name);
	if (str_ieq(name, STR("LOGINDISABLED")))
		x->login_disabled = true;
	if (!str_istarts(name, STR("AUTH=")))
		return;
	name = str_skip(name, 5);
	if (n + name.len + 2 > sizeof(x->mechs))
		return;
	if (n)
		x->mechs[n++] = ' ';
	for (size_t i = 0; i < name.len; i++)
		x->mechs[n++] = (char)toupper((unsigned char)name.p[i]);
	x->mechs[n] = '\0';
}

void
imap_caps_text(struct imap_talk *x, struct str s)
{
	imap_caps_forget(x);
	x->caps_fresh = true;
	for (struct str w = str_word(&s); w.len; w = str_word(&s))
		cap(x, w);
	x->caps_known = true;
}

void
imap_caps_nodes(struct imap_talk *x, const struct imap_node *n)
{
	imap_caps_forget(x);
	x->caps_fresh = true;
	for (; n; n = n->next)
		cap(x, imap_node_text(n));
	x->caps_known = true;
}
