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
	if (path.len == 0 || path.len > CONF_PATH_MAX || text.len > CONF_FILE_TEXT_MAX ||
	    (text.len && memchr(text.p, '\0', text.len))) {
		conf_quote(err, path);
		buf_putf(err, " is no text of at most %u octets; name another file",
		    CONF_FILE_TEXT_MAX);
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

static bool
read_one(struct conf *c, const char *key, const char *path, struct buf *err)
{
	struct buf text = BUF_INIT(CONF_FILE_TEXT_MAX), why = BUF_INIT(CONF_TEXT_MAX);
	struct buf line = BUF_INIT(2 * CONF_TEXT_MAX);
	int rc = file_read_all(path, CONF_FILE_TEXT_MAX, &text);
	bool ok = rc == 0 && is_certificate(buf_str(&text), path, &why) &&
	          conf_text_add(c, str_of(path), buf_str(&text), &why);
	if (rc < 0)
		buf_putf(&line, "%s: %s cannot be read: %s; name a file of PEM certificates\n", key,
		    path, strerror(-rc));
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
			ok = read_one(c, "tls.client_ca", path, err) && ok;
	}
	return ok;
}
