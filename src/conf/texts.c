/* Files that keys name and that a role needs which can open none: their text travels with the rest.
 */
#include "conf/conf_priv.h"

#include "base/check.h"
#include "crypt/crypt.h"
#include "sys/file.h"

#include <stdlib.h>
#include <string.h>

bool
conf_text_add(struct conf *c, struct str path, struct str text, struct buf *err)
{
	if (path.len == 0 || path.len > CONF_PATH_MAX || text.len > CONF_TEXT_FILE_MAX ||
	    (text.len && memchr(text.p, '\0', text.len))) {
		conf_quote(err, path);
		buf_putf(err, " is no text of at most %u octets; name another file",
		    CONF_TEXT_FILE_MAX);
		return false;
	}
	for (size_t i = 0; i < c->n_texts; i++) {
		if (str_eq(str_of(c->texts[i].path), path)) {
			free(c->texts[i].text);
			c->texts[i].text = str_dup(text);
			return true;
		}
	}
	if (c->n_texts >= CONF_TEXTS_MAX) {
		buf_putf(err, "more than %d files are named; let listeners share them",
		    CONF_TEXTS_MAX);
		return false;
	}
	c->texts = xrealloc(c->texts, (c->n_texts + 1) * sizeof *c->texts);
	c->texts[c->n_texts++] = (struct conf_text){ str_dup(path), str_dup(text) };
	return true;
}

struct str
conf_text_of(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->n_texts; i++)
		if (strcmp(c->texts[i].path, path) == 0)
			return str_of(c->texts[i].text);
	return STR_NULL;
}

static bool
is_read(const struct conf *c, const char *path)
{
	for (size_t i = 0; i < c->n_texts; i++)
		if (strcmp(c->texts[i].path, path) == 0)
			return true;
	return false;
}

/* What is in it the library will say; a key, or a file of something else, is seen here. */
static bool
is_certificate(struct str text, const char *path, struct buf *err)
{
	if (str_find_str(text, STR("-----BEGIN ")) < text.len &&
	    str_find_str(text, STR("CERTIFICATE-----")) < text.len)
		return true;
	buf_putf(err, "%s: no certificate in PEM form; name a file of PEM certificates", path);
	return false;
}

bool
conf_recipient_next(struct str *text, struct str *ret, unsigned *line)
{
	while (text->p && text->len) {
		struct str l = str_cut(text, '\n');
		++*line;
		*ret = str_trim(str_first(l, str_find(l, '#')));
		if (ret->len)
			return true;
	}
	return false;
}

static bool
is_recipients(struct str text, const char *path, struct buf *err)
{
	struct str one;
	unsigned line = 0;
	while (conf_recipient_next(&text, &one, &line)) {
		if (conf_good_member(one))
			continue;
		buf_putf(err, "%s:%u: ", path, line);
		conf_quote(err, one);
		buf_putz(err, " is no address; write one a line, such as ann@example.org");
		return false;
	}
	return true;
}

static const struct kind {
	size_t max;
	const char *what;
	bool (*good)(struct str text, const char *path, struct buf *err);
} certificates = { CONF_CA_FILE_MAX, "PEM certificates", is_certificate },
  recipients = { CONF_TEXT_FILE_MAX, "addresses, one a line", is_recipients };

static bool
read_one(struct conf *c, const char *key, const char *path, const struct kind *kind,
    struct buf *err)
{
	struct buf text = BUF_INIT(kind->max), why = BUF_INIT(CONF_TEXT_MAX);
	struct buf line = BUF_INIT(2 * CONF_TEXT_MAX);
	int rc = file_read_all(path, kind->max, &text);
	bool ok = rc == 0 && kind->good(buf_str(&text), path, &why) &&
	          conf_text_add(c, str_of(path), buf_str(&text), &why);
	if (rc < 0)
		buf_putf(&line, "%s: %s cannot be read: %s; name a file of %s\n", key, path,
		    strerror(-rc), kind->what);
	else if (!ok)
		buf_putf(&line, "%s: " STR_FMT "\n", key, STR_ARG(buf_str(&why)));
	/* Listeners mostly name the same file. */
	if (str_find_str(buf_str(err), buf_str(&line)) == err->len)
		buf_puts(err, buf_str(&line));
	buf_done(&text);
	buf_done(&why);
	buf_done(&line);
	return ok;
}

bool
conf_texts_read(struct conf *c, struct buf *err)
{
	bool ok = true;
	for (size_t i = 0; i < c->n_listeners; i++) {
		const char *path = c->listeners[i].tls_client_ca;
		if (path[0] && !is_read(c, path))
			ok = read_one(c, "tls.client_ca", path, &certificates, err) && ok;
	}
	if (c->relay_recipients[0])
		ok = read_one(c, "relay_recipients", c->relay_recipients, &recipients, err) && ok;
	return ok;
}
