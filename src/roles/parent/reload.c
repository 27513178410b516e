#include "roles/parent/parent_priv.h"

#include "conf/setup.h"
#include "log/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct conf *
read_again(struct parent *p, struct buf *err)
{
	const struct parent_options *o = p->options;
	struct buf warnings = BUF_INIT(64u << 10);
	struct conf *c;

	if (o->reload)
		return o->reload(o->arg, err);
	if (!o->conf_path) {
		buf_putz(err, "this server was started without a configuration file; stop it and "
			      "start it again\n");
		return NULL;
	}
	c = conf_new();
	bool fine = conf_load(c, o->conf_path, err);
	if (!c->unread)
		fine = conf_check(c, err, &warnings) && fine;
	for (struct str rest = buf_str(&warnings); rest.len;) {
		struct str line = str_cut(&rest, '\n');
		if (line.len)
			LOG(LOG_WARN, 0, "configuration", LOGF("warning", line));
	}
	buf_done(&warnings);
	return fine ? c : conf_free(c);
}

static void
keep_text(const char *key, char **new, const char *old)
{
	const char *o = old ? old : "", *n = *new ? *new : "";
	if (strcmp(o, n) == 0)
		return;
	LOG(LOG_WARN, 0, "reload-later", LOGZ("key", key), LOGZ("remedy", "restart the server"));
	free(*new);
	*new = old ? xstrdup(old) : NULL;
}

static void
keep_number(const char *key, uint64_t *new, uint64_t old)
{
	if (*new == old)
		return;
	LOG(LOG_WARN, 0, "reload-later", LOGZ("key", key), LOGZ("remedy", "restart the server"));
	*new = old;
}

/* What a running server cannot change stays as it is until the next start. */
static void
keep_fixed(struct conf *new, const struct conf *old)
{
	keep_text("data_dir", &new->data_dir, old->data_dir);
	keep_text("user", &new->user, old->user);
	keep_number("fronts", &new->fronts, old->fronts);
	keep_number("readers", &new->readers, old->readers);
	if (new->lab != old->lab)
		LOG(LOG_WARN, 0, "reload-later", LOGZ("key", "lab"),
		    LOGZ("remedy", "restart the server"));
	new->lab = old->lab;
}

static void
vanish(struct parent *p, struct listeners *old)
{
	for (size_t i = 0; i < old->n; i++)
		if (old->row[i].address) {
			LOG(LOG_INFO, 0, "listener-closed", LOGZ("address", old->row[i].address),
			    LOGN("port", old->row[i].port));
			handout_unlisten(p, i);
		}
	listeners_close(old);
}

/* The order tells a front all it needs: which sockets are gone (by their old index), then the
 * new configuration, which makes every old index void, then all listeners by their new one. */
static void
tell(struct parent *p, struct listeners *old)
{
	vanish(p, old);
	for (unsigned i = 0; i < p->n_children; i++) {
		struct child *c = &p->children[i];
		if (!c->chan || c->state == CHILD_ENDING)
			continue;
		handout_setup(c);
		handout_secrets(c);
		if (c->has_listeners)
			handout_listeners(c);
	}
}

/* All that can fail, before anything changes. */
static bool
prepare(struct parent *p, const struct conf *c, struct listeners *ret, int *ret_fd, struct buf *err)
{
	struct listeners old = p->listeners, new = { 0 };
	if (!p->options->maintenance && !place_gssapi(c, &p->uids, err))
		return false;
	int fd = handout_seal(c);

	if (fd < 0) {
		buf_putf(err, "cannot hand the configuration to the roles: %s\n", strerror(-fd));
		return false;
	}
	if (!p->options->maintenance && !listeners_open(&new, c, p->n_fronts, &old, 0, err)) {
		close(fd);
		return false;
	}
	*ret = new;
	*ret_fd = fd;
	return true;
}

bool
reload_run(struct parent *p, struct buf *err)
{
	struct listeners old = p->listeners;
	int fd;

	if (p->phase != PHASE_RUN) {
		buf_putz(err, "the server is stopping\n");
		return false;
	}
	struct conf *c = read_again(p, err);
	if (!c)
		return false;
	keep_fixed(c, p->conf);
	if (!prepare(p, c, &p->listeners, &fd, err)) {
		conf_free(c);
		return false;
	}
	bool dns_changed = strcmp(c->dns, p->conf->dns) != 0 ||
	                   strcmp(c->dns_trust_anchor, p->conf->dns_trust_anchor) != 0;
	close(p->conf_fd);
	p->conf_fd = fd;
	conf_free(p->conf);
	p->conf = c;
	log_set_level(p->options->maintenance ? LOG_ERROR : setup_log_level(c));
	tell(p, &old);
	children_adjust(p, dns_changed);
	LOG(LOG_INFO, 0, "reload", LOGN("listeners", p->listeners.n));
	return true;
}
