/*
 * load_priv: a configuration file on its way into struct conf.
 *
 * libconfig reads the text; the walk meets every setting once, and every mistake adds one line,
 * so the writer sees them all at the first attempt. (A syntax error ends the reading: behind it
 * nothing is certain.)
 */
#pragma once

#include "conf/conf_priv.h"

#include "base/check.h"

#include <libconfig.h>

#define WHY_MAX (64u << 10)

struct loader {
	struct conf *c;
	const char *name; /* of the file, for messages */
	char *dir;        /* that relative names start from */
	struct buf *err;
	size_t mistakes;
	bool lab;
};

struct scope {
	struct conf_listener *listener; /* where listener keys go */
	bool inside;                    /* in a listener's group: no key of the whole server */
};

void loader_mistake(struct loader *ld, const config_setting_t *s, const char *fmt, ...)
    PRINTF(3, 4);
/* ok, or s is wrong as `why` says; why is freed. */
void loader_verdict(struct loader *ld, const config_setting_t *s, bool ok, struct buf *why);
const char *loader_kind(const config_setting_t *s); /* "a group" */
/* A group's settings, nested names joined with dots. */
void loader_group(struct loader *ld, const config_setting_t *group, const struct scope *sc,
    const char *prefix, unsigned depth);
/* listen, domains, alias, dialect_dir, reply: what stands at the top and is no key. */
bool loader_is_special(const config_setting_t *s);
void loader_specials(struct loader *ld, const config_setting_t *root);
/* One scalar for the key k of base. */
void loader_value(struct loader *ld, const config_setting_t *s, const struct conf_key *k, void *base);
void loader_certificates(struct loader *ld, const config_setting_t *s);
void loader_reply_list(struct loader *ld, const config_setting_t *s, struct conf_listener *l);
/* libconfig 1.5 wraps integers that need more than 32 bits unless an L follows. Reports them. */
void loader_wide_numbers(struct loader *ld, const char *name, struct str text);
