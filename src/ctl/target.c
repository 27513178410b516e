/* Which server a command means, and whether its configuration holds. */
#include "ctl/ctl_priv.h"

#include "base/check.h"
#include "dialect/dialect.h"
#include "mail/address.h"
#include "policy/cidr.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *
target_lab_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const struct passwd *pw = home && *home ? NULL : getpwuid(getuid());
	struct buf b = BUF_INIT(PATH_MAX);
	if (state && state[0] == '/')
		buf_putf(&b, "%s/pennypost/lab", state);
	else
		buf_putf(&b, "%s/.local/state/pennypost/lab",
		    pw              ? pw->pw_dir
		    : home && *home ? home
				    : "/tmp");
	check(buf_cstr(&b) && !b.failed);
	return b.p;
}

static void
absolute(char **dir)
{
	char *real = realpath(*dir, NULL);
	if (real == NULL)
		return;
	free(*dir);
	*dir = real;
}

struct conf *
target_conf(const char *config, const char *dir)
{
	struct buf err = BUF_INIT(1u << 20);
	struct conf *c = conf_new();
	bool ok = true;
	if (config && dir) {
		buf_putz(&err, "--config and --dir name two servers; leave one of them out\n");
		ok = false;
	} else if (config || (dir == NULL && access(CONF_PATH_DEFAULT, F_OK) == 0)) {
		ok = conf_load(c, config ? config : CONF_PATH_DEFAULT, &err);
	} else {
		free(c->data_dir);
		c->data_dir = dir ? xstrdup(dir) : target_lab_dir();
		absolute(&c->data_dir);
	}
	complain_lines(buf_str(&err));
	buf_done(&err);
	return ok ? c : conf_free(c);
}

/* --- what conf itself cannot check: the rooms below it know --- */

static bool
find_dialect(void *arg, struct str name, struct str *ret_text)
{
	const struct conf *c = arg;
	for (size_t i = 0; i < c->n_dialects; i++) {
		if (str_eq(str_of(c->dialects[i].name), name)) {
			*ret_text = str_of(c->dialects[i].text);
			return true;
		}
	}
	return dialect_find_builtin(NULL, name, ret_text);
}

static void
known_dialects(const struct conf *c, struct buf *out)
{
	for (const struct dialect_source *d = dialect_builtin; d->name; d++)
		buf_putf(out, " %s", d->name);
	for (size_t i = 0; i < c->n_dialects; i++)
		buf_putf(out, " %s", c->dialects[i].name);
}

static bool
check_wording(struct conf *c, const struct conf_listener *l, struct buf *err)
{
	struct str text, key;
	size_t pos = 0;
	void *reply;
	struct str name = conf_is_lmtp(l) ? STR("rfc") : str_of(l->dialect);
	if (!find_dialect(c, str_of(l->dialect), &text)) {
		buf_putf(err, "dialect \"%s\" does not exist; there are:", l->dialect);
		known_dialects(c, err);
		if (c->n_dialects == 0)
			buf_putz(err, "; dialect_dir names a directory of further ones");
		buf_putc(err, '\n');
		return false;
	}
	struct smtp_wording *w = dialect_load(name, find_dialect, c, err);
	bool ok = w && dialect_fits(w, l->lab, err);
	while (ok && map_next(&l->replies, &pos, &key, &reply)) {
		struct buf why = BUF_INIT(64u << 10);
		if (!dialect_override(w, key, str_of(reply), &why)) {
			buf_puts(err, buf_str(&why));
			ok = false;
		}
		buf_done(&why);
	}
	dialect_free(w);
	return ok;
}

static bool
check_member(const char *what, const char *address, struct buf *err)
{
	struct addr a;
	if (addr_mailbox(str_of(address), ADDR_SMTPUTF8, &a) == ADDR_OK)
		return true;
	buf_putf(err,
	    "%s \"%s\" is no address that mail can be sent to; write one such as ann@example.org\n",
	    what, address);
	return false;
}

static bool
check_aliases(const struct conf *c, struct buf *err)
{
	bool ok = c->postmaster[0] == '\0' || check_member("postmaster", c->postmaster, err);
	for (size_t i = 0; i < c->n_aliases; i++) {
		const struct conf_alias *a = &c->aliases[i];
		if (a->address[0] != '@')
			ok = check_member("alias", a->address, err) && ok;
		for (size_t m = 0; m < a->n_members; m++)
			ok = check_member("alias member", a->members[m], err) && ok;
	}
	return ok;
}

/* Listeners mostly speak alike: what is wrong with several of them is said once. */
static void
append_new(struct buf *err, struct str lines)
{
	while (lines.len) {
		struct str rest = lines, line = str_cut(&lines, '\n');
		if (str_find_str(buf_str(err), line) == err->len)
			buf_puts(err, str_first(rest, line.len + 1));
	}
}

static bool
check_networks(const struct conf_listener *l, struct buf *err)
{
	const struct {
		const char *key, *value;
	} rows[] = {
		{ "relay_ip", l->relay_ip },
		{ "proxy_peers", l->proxy_peers },
		{ "xclient_peers", l->xclient_peers },
		{ "xforward_peers", l->xforward_peers },
	};
	bool ok = true;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cidr_list list = { 0 };
		struct str wrong = STR_NULL;
		enum cidr_verdict v = cidr_list_parse(str_of(rows[i].value), &list, &wrong);
		if (v != CIDR_OK)
			buf_putf(err, "%s: \"" STR_FMT "\": %s\n", rows[i].key, STR_ARG(wrong),
			    cidr_verdict_text[v]);
		ok = v == CIDR_OK && ok;
		cidr_list_done(&list);
	}
	return ok;
}

bool
target_check(struct conf *c, struct buf *err, struct buf *warnings)
{
	bool ok = conf_check(c, err, warnings);
	for (size_t i = 0; i < c->n_listeners; i++) {
		struct buf own = BUF_INIT(1u << 20);
		ok = check_wording(c, &c->listeners[i], &own) && ok;
		ok = check_networks(&c->listeners[i], &own) && ok;
		append_new(err, buf_str(&own));
		buf_done(&own);
	}
	if (warnings)
		circles_find(c, warnings);
	return check_aliases(c, err) && ok;
}

struct conf *
target_load(const char *path, const struct cli_words *set, struct buf *err, struct buf *warnings)
{
	struct conf *c = conf_new();
	struct buf own = BUF_INIT(16u << 20);
	bool ok = conf_load(c, path, err);
	for (size_t i = 0; !c->unread && i < set->n; i++)
		ok = conf_set(c, str_of(set->v[i]), err) && ok;
	if (!c->unread)
		ok = target_check(c, &own, warnings) && ok;
	/* What is wrong between keys stands in no one line, but in this file. */
	for (struct str rest = buf_str(&own); rest.len;) {
		struct str line = str_cut(&rest, '\n');
		buf_putf(err, "%s: " STR_FMT "\n", path, STR_ARG(line));
	}
	buf_done(&own);
	return ok ? c : conf_free(c);
}
