/* What Tab offers in SMTP. Pure. */
#include "talk/smtp_priv.h"

static const char *const from_params[] = { "SIZE=", "BODY=8BITMIME", "BODY=BINARYMIME", "SMTPUTF8",
	"RET=FULL", "RET=HDRS", "ENVID=", "REQUIRETLS", "AUTH=<>", "BY=", NULL };
static const char *const to_params[] = { "NOTIFY=NEVER", "NOTIFY=SUCCESS,FAILURE,DELAY",
	"ORCPT=rfc822;", NULL };

static void
offer_verbs(const struct track *track, struct words *w)
{
	for (int v = TYPED_OTHER + 1; v < TYPED_VERBS; v++) {
		bool lhlo = v == TYPED_LHLO, hello = v == TYPED_EHLO || v == TYPED_HELO;
		if (track->lmtp ? !hello : !lhlo)
			words_offer(w, str_of(typed_verb_name[v]));
	}
	struct str rest = buf_str(&track->caps.lines);
	while (rest.p && rest.len) { /* what the server lists and is a command */
		struct str line = str_cut(&rest, '\n'), word = str_word(&line);
		static const char *const commands[] = { "ETRN", "ATRN", "TURN", "XCLIENT",
			"XFORWARD", "BURL", "XMRG", "XDFN", "XPRT", NULL };
		for (size_t i = 0; commands[i]; i++)
			if (str_ieq(word, str_of(commands[i])))
				words_offer(w, word);
	}
}

static void
offer_mechs(const struct track *track, struct words *w)
{
	struct str rest = str_of(track->caps.mechs), word;
	while ((word = str_word(&rest)).len)
		words_offer(w, word);
	if (track->caps.mechs[0] == '\0')
		words_offer_list(w, (const char *const[]){ "PLAIN", "LOGIN", "CRAM-MD5", NULL });
}

/* "FROM:<" and "TO:<"; what follows them is an address, which the history knows. */
static void
offer_path(struct words *w, struct str key, const char *const *params)
{
	size_t at = (size_t)(w->word.p - w->line.p);
	struct str before = str_trim(str_first(w->line, at));
	if (str_find(before, ' ') == before.len && !str_istarts(w->word, key)) {
		words_offer(w, key);
		return;
	}
	if (str_istarts(w->word, key))
		words_start(w, at + key.len + str_starts(str_skip(w->word, key.len), STR("<")));
	else if (str_starts(w->word, STR("<")))
		words_start(w, at + 1);
	else
		words_offer_list(w, params);
}

void
smtp_words(const struct track *track, struct words *w)
{
	struct typed typed;
	typed_read(w->line, &typed);
	if (str_trim(w->line).len == w->word.len) {
		offer_verbs(track, w);
		return;
	}
	if (typed.verb == TYPED_MAIL)
		offer_path(w, STR("FROM:"), from_params);
	else if (typed.verb == TYPED_RCPT)
		offer_path(w, STR("TO:"), to_params);
	else if (typed.verb == TYPED_AUTH)
		offer_mechs(track, w);
	else if (typed.verb == TYPED_HELP)
		offer_verbs(track, w);
}
