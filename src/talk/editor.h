/*
 * editor: the line that is being typed, by libedit: emacs and vi keys by ~/.editrc, UTF-8, history,
 * completion. While it waits for a key it calls wait(), which may print: between editor_hide() and
 * editor_show() the line is off the screen, and drawn again below what was printed.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "talk/words.h"

#include <stdbool.h>
#include <stdio.h>

enum editor_got {
	EDITOR_LINE,
	EDITOR_END,       /* ^D on an empty line, or the terminal is gone */
	EDITOR_INTERRUPT, /* ^C, or wait() said so: the line is forgotten */
	EDITOR_ESCAPE,    /* ^] and then a line */
	EDITOR_STOP,      /* wait() said so */
};

enum editor_wait { EDITOR_KEY, EDITOR_WAIT_INTERRUPT, EDITOR_WAIT_STOP, EDITOR_WAIT_RESIZE };

struct editor_conf {
	enum editor_wait (*wait)(void *arg, int fd);    /* until fd can be read */
	void (*prompt)(void *arg, struct buf *out);     /* ASCII */
	void (*complete)(void *arg, struct words *w);
	void *arg;
	bool color;
};

struct editor;
/* in and out: terminals. */
struct editor *editor_new(const struct editor_conf *conf, FILE *in, FILE *out);
struct editor *editor_free(struct editor *e);
enum editor_got editor_line(struct editor *e, struct buf *ret);
void editor_hide(struct editor *e);
void editor_show(struct editor *e);
void editor_leave(struct editor *e); /* the line is not drawn again */
/* The line that was entered last disappears, when nothing was printed since. */
void editor_erase(struct editor *e);
/* Text to begin the next line with, or (it is empty yet) this one. */
void editor_propose(struct editor *e, struct str text);
/* The terminal as programs expect it, for a child or a prompt of somebody else's; and back. */
void editor_suspend(struct editor *e);
void editor_resume(struct editor *e);
void editor_remember(struct editor *e, const char *line); /* history */
