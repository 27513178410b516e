/* Kerberos: whose account a principal is, and whom it may ask to be. */
#include "roles/auth/exchange.h"

#include <string.h>

static bool
has_any(struct str s, char first, char last)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] >= first && s.p[i] <= last)
			return true;
	return false;
}

/* The backslash is how the library writes an octet that would part the name. */
static bool
is_simple(struct str name, struct str realm)
{
	return name.len > 0 && realm.len > 0 && str_find_any(name, "/\\@\"") == name.len &&
	       !has_any(name, 'A', 'Z') && !has_any(realm, 'a', 'z');
}

bool
ticket_account(struct str principal, char dst[PASSWD_NAME_MAX])
{
	size_t at = str_rfind(principal, '@');
	struct str name = str_first(principal, at), realm = str_skip(principal, at + 1);
	char folded[PASSWD_NAME_MAX];
	if (is_simple(name, realm) && passwd_name(principal, folded) &&
	    str_starts(str_of(folded), str_first(principal, at + 1))) {
		memcpy(dst, folded, sizeof(folded));
		return true;
	}
	size_t nul = str_find(principal, '\0');
	(void)str_copy(dst, PASSWD_NAME_MAX, str_first(principal, MIN(nul, PASSWD_NAME_MAX - 1)));
	return false;
}

void
ticket_lookup(void *arg, struct str name, struct sasl_account *ret)
{
	struct exchange *ex = arg;
	*ret = (struct sasl_account){ .known = ticket_account(name, ex->who.name) };
	ex->who.known = ret->known;
	check(str_copy(ret->name, sizeof(ret->name), str_of(ex->who.name)));
	if (!ret->known)
		exchange_why(ex, "the principal is no account's");
}

/* Nobody else than itself: by its address, its principal, or its name alone. */
static bool
may_be(const struct exchange *ex, struct str authzid)
{
	struct str own = str_of(ex->who.name);
	char folded[PASSWD_NAME_MAX];
	return authzid.len == 0 || str_eq(authzid, str_first(own, str_rfind(own, '@'))) ||
	       (passwd_name(authzid, folded) && str_eq(str_of(folded), own));
}

/* What the library says may have the client's octets in it. */
static void
note_trouble(struct exchange *ex, struct str said)
{
	char text[EXCHANGE_WHY_MAX];
	size_t n = MIN(said.len, sizeof(text) - 1);
	for (size_t i = 0; i < n; i++)
		text[i] = said.p[i] >= ' ' && said.p[i] <= '~' ? said.p[i] : '?';
	text[n] = '\0';
	if (n > 0)
		exchange_why(ex, text);
}

void
ticket_identify(struct exchange *ex)
{
	if (ex->status == SASL_DONE && (!ex->who.known || !may_be(ex, sasl_authzid(ex->sasl)))) {
		exchange_why(ex, "may not be whom it asks to be");
		ex->status = SASL_FAILED;
	}
	if (ex->status != SASL_FAILED && ex->status != SASL_UNAVAILABLE)
		return;
	if (ex->sasl)
		note_trouble(ex, sasl_trouble(ex->sasl));
}
