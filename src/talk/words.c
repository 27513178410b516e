#include "talk/words.h"

#include "base/check.h"

#include <ctype.h>
#include <stdlib.h>

void
words_init(struct words *w, struct str line)
{
	size_t at = line.len;
	while (at > 0 && line.p[at - 1] != ' ' && line.p[at - 1] != '\t')
		at--;
	*w = (struct words){ .line = line, .word = str_skip(line, at) };
}

void
words_done(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->found[i]);
	w->n = 0;
}

void
words_start(struct words *w, size_t offset)
{
	w->word = str_skip(w->line, offset);
}

/* Names of files and what a server lists are other people's words: in a line that is being edited a
 * control would be a key, or the end of the line. */
static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static void
keep(struct words *w, struct str text, bool lower)
{
	if (w->n == WORDS_MAX || !str_istarts(text, w->word) || has_control(text))
		return;
	char *copy = str_dup(text);
	if (lower)
		for (char *p = copy; *p; p++)
			*p = (char)tolower((unsigned char)*p);
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->found[i], copy) == 0) {
			free(copy);
			return;
		}
	}
	w->found[w->n++] = copy;
}

void
words_offer(struct words *w, struct str text)
{
	bool lower = w->word.len > 0;
	for (size_t i = 0; i < w->word.len && lower; i++)
		lower = !isupper((unsigned char)w->word.p[i]);
	keep(w, text, lower);
}

void
words_offer_as_is(struct words *w, struct str text)
{
	keep(w, text, false);
}

void
words_offer_list(struct words *w, const char *const *list)
{
	for (; *list; list++)
		words_offer(w, str_of(*list));
}

size_t
words_common(const struct words *w)
{
	if (w->n == 0)
		return 0;
	size_t len = strlen(w->found[0]);
	for (size_t i = 1; i < w->n; i++) {
		size_t same = 0;
		while (same < len && w->found[i][same] && w->found[i][same] == w->found[0][same])
			same++;
		len = same;
	}
	return len > w->word.len ? len - w->word.len : 0;
}
