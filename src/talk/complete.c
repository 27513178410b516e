/* What Tab offers: local commands, files, and what the mode knows. */
#include "talk/talk_priv.h"
#include "talk/typed.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "talk/child.h"

static void
offer_files(struct words *w, struct str word)
{
	struct buf dir = BUF_INIT(4096), full = BUF_INIT(8192);
	size_t slash = str_rfind(word, '/');
	struct str folder = slash < word.len ? str_first(word, slash + 1) : STR_NULL;
	char *path = child_path(folder.len ? folder : STR("."));
	DIR *d = opendir(path);
	struct dirent *entry;
	while (d && (entry = readdir(d)) != NULL) {
		struct stat st;
		struct str name = str_of(entry->d_name);
		if (str_starts(name, STR(".")) && !str_starts(str_skip(word, folder.len), STR(".")))
			continue;
		buf_reset(&dir);
		buf_reset(&full);
		buf_putf(&full, "%s/%s", path, entry->d_name);
		buf_puts(&dir, folder);
		buf_puts(&dir, name);
		if (stat(buf_cstr(&full), &st) == 0 && S_ISDIR(st.st_mode))
			buf_putc(&dir, '/');
		if (str_starts(buf_str(&dir), word))
			words_offer_as_is(w, buf_str(&dir));
	}
	if (d)
		closedir(d);
	free(path);
	buf_done(&dir);
	buf_done(&full);
}

static void
offer_commands(struct words *w, const struct talk_command *table)
{
	for (; table && table->name; table++) {
		struct buf name = BUF_INIT(64);
		buf_putc(&name, w->line.p[0]);
		buf_putz(&name, table->name);
		words_offer_as_is(w, buf_str(&name));
		buf_done(&name);
	}
}

static void
complete_local(struct talk *t, struct words *w)
{
	static const char *const with_files[] = { "send", "script", "save", "record" };
	struct str rest = str_skip(w->line, 1), name = str_word(&rest);
	if (w->word.len == w->line.len) {
		offer_commands(w, t->mode->commands);
		offer_commands(w, talk_commands);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(with_files); i++)
		if (str_ieq(name, str_of(with_files[i])))
			offer_files(w, w->word);
	if (str_ieq(name, STR("from")) || str_ieq(name, STR("to")) || str_ieq(name, STR("probe")))
		talk_history_offer(t->history, w);
	if (str_ieq(name, STR("set")))
		words_offer_list(w, talk_set_words);
	if (str_ieq(name, STR("eol")))
		words_offer_list(w, (const char *const[]){ "crlf", "lf", "cr", NULL });
	if (str_ieq(name, STR("save")))
		words_offer_list(w,
		    (const char *const[]){ "telnet", "conv", "json", "html", NULL });
	if (str_ieq(name, STR("help"))) {
		w->word = str_n(w->word.p, w->word.len);
		for (const struct talk_command *c = talk_commands; c->name; c++)
			words_offer_as_is(w, str_of(c->name));
	}
}

/* Where an address is being typed, those that were used before. */
static void
offer_addresses(struct talk *t, struct words *w)
{
	struct typed typed;
	typed_read(w->line, &typed);
	if (typed.verb != TYPED_MAIL && typed.verb != TYPED_RCPT)
		return;
	char before = w->word.p > w->line.p ? w->word.p[-1] : ' ';
	if (before == '<' || before == ':' || (w->n == 0 && w->word.len && typed.params.len == 0))
		talk_history_offer(t->history, w);
}

void
talk_complete(void *arg, struct words *w)
{
	struct talk *t = arg;
	bool literal = t->connected && t->mode->literal && t->mode->literal(t);
	if (!literal && (str_starts(w->line, STR("/")) || str_starts(w->line, STR("!")))) {
		complete_local(t, w);
	} else if (literal) {
		if (str_starts(w->line, STR("~r ")) || str_starts(w->line, STR("~a ")))
			offer_files(w, w->word);
	} else if (t->connected) {
		t->mode->complete(t, w);
		offer_addresses(t, w);
	}
}
