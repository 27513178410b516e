/* imap_typed: a line that somebody typed, on its way to a server of IMAP. */
#include "talk/imap_priv.h"

#include "base/num.h"

#include <ctype.h>
#include <string.h>

const char *const imap_verb_names[] = { "command", "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS",
	"AUTHENTICATE", "LOGIN", "ENABLE", "SELECT", "EXAMINE", "LIST", "LSUB", "STATUS", "APPEND",
	"IDLE", "CLOSE", "UNSELECT", "FETCH", "SEARCH", "UID", "COMPRESS", "CHECK", "CREATE",
	"DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "NAMESPACE", "EXPUNGE", "STORE", "COPY",
	"MOVE", "SORT", "THREAD", "ID", "GETQUOTA", "GETQUOTAROOT", "SETQUOTA", "GETACL", "SETACL",
	"DELETEACL", "LISTRIGHTS", "MYRIGHTS", "GETMETADATA", "SETMETADATA", "NOTIFY", "REPLACE",
	"ESEARCH", "UNAUTHENTICATE", "XLIST", "RESETKEY", "GENURLAUTH", "URLFETCH", NULL };

static size_t
verb_index(struct str word)
{
	for (size_t i = 1; imap_verb_names[i]; i++)
		if (str_ieq(word, str_of(imap_verb_names[i])))
			return i;
	return 0;
}

static enum imap_verb
verb_of(struct str word)
{
	size_t i = verb_index(word);
	return i < IV_VERBS ? (enum imap_verb)i : IV_OTHER;
}

static bool
verb_known(struct str word)
{
	return verb_index(word) > 0;
}

void
imap_next_tag(struct imap_talk *x, struct buf *out)
{
	buf_putf(out, "%c%03u ", x->own_tags ? 'p' : 'a', ++x->tag);
}

/* --- as a command --- */

struct command {
	struct str tag, verb, args; /* tag.p NULL: none was typed */
};

/* "x LOGOUT" has a tag, "logout" has none, "uid fetch 1 flags" has none either. */
static void
split(struct str line, struct command *ret)
{
	struct str rest = line, first = str_word(&rest), after = rest, second = str_word(&after);
	*ret = (struct command){ .verb = first, .args = str_ltrim(rest) };
	if (verb_known(first) || !verb_known(second))
		return;
	if (str_find_any(first, "+(){%*\"\\") < first.len)
		return;
	*ret = (struct command){ .tag = first, .verb = second, .args = str_ltrim(after) };
}

/* A line that ends in {n} or {n+}: octets follow. */
static bool
literal_at_end(struct str line, uint64_t *ret, bool *ret_sync)
{
	size_t open = str_rfind(line, '{');
	if (open == line.len || line.p[line.len - 1] != '}')
		return false;
	struct str n = str_n(line.p + open + 1, line.len - open - 2);
	*ret_sync = !(n.len && n.p[n.len - 1] == '+');
	if (!*ret_sync)
		n.len--;
	return num_u64(n, UINT32_MAX, ret);
}

/* Octets that a line takes of a literal; its line end counts, too. */
static void
literal_took(struct imap_talk *x, struct str line)
{
	if (x->lit_left > line.len + 2) {
		x->lit_left -= line.len + 2;
		return;
	}
	if (x->lit_left > line.len && x->lit_left < line.len + 2)
		event_warn(x->t->ev, NULL, "The literal ended inside the line end.");
	bool exact = x->lit_left == line.len + 2;
	struct str rest = str_skip(line, (size_t)MIN(x->lit_left, line.len));
	bool sync;
	x->lit_left = 0;
	if (exact)
		x->lit_left = 0;
	else if (literal_at_end(rest, &x->lit_left, &sync))
		x->lit_wait = sync;
	x->lit_tail = exact;
}

/* --- secrets --- */

/* It does not go as it stands; its tag is for the next one. */
static void
refuse(struct imap_talk *x, const struct command *c, struct mode_typed *ret)
{
	ret->nothing = true;
	if (!c->tag.p)
		x->tag--;
}

/* LOGIN name password (RFC 3501 6.2.3): masked behind the name. */
static void
mask_login(const struct command *c, struct str head, struct mode_typed *ret)
{
	struct str args = c->args, name;
	size_t n = 0;
	if (args.len && args.p[0] == '"') {
		for (n = 1; n < args.len && args.p[n] != '"'; n++)
			n += args.p[n] == '\\';
		n = MIN(n + 1, args.len);
	} else {
		n = str_find(args, ' ');
	}
	name = str_first(args, n);
	if (str_trim(str_skip(args, n)).len == 0)
		return;
	buf_puts(&ret->masked, head);
	buf_puts(&ret->masked, name);
	buf_putz(&ret->masked, " <password hidden>");
	ret->secret = true;
}

/* AUTHENTICATE MECHANISM [initial response] */
static void
mask_initial(const struct command *c, struct str head, struct mode_typed *ret)
{
	struct str args = c->args, mech = str_word(&args);
	if (str_trim(args).len == 0)
		return;
	buf_puts(&ret->masked, head);
	buf_puts(&ret->masked, mech);
	buf_putz(&ret->masked, " <initial response hidden>");
	ret->secret = true;
}

/* False: it does not go, or not as a line. */
static bool
login(struct imap_talk *x, const struct command *c, bool sure, struct str head,
    struct mode_typed *ret)
{
	struct str args = c->args;
	struct str name = str_word(&args);
	if (x->login_disabled) { /* K2-24 */
		event_warn(x->t->ev, "auth",
		    "The server forbids LOGIN here (LOGINDISABLED): nothing was "
		    "sent.%s",
		    x->t->link.tls ? "" : " STARTTLS first.");
		x->wrong = x->wrong ? x->wrong : CLIENT_AUTH;
		refuse(x, c, ret);
		return false;
	}
	if (talk_secret_risk(x->t) && !sure) {
		buf_putz(&ret->question, talk_secret_risk(x->t));
		return false;
	}
	if (str_trim(args).len == 0) { /* the password is asked for */
		refuse(x, c, ret);
		imap_login(x, name);
		return false;
	}
	mask_login(c, head, ret);
	return true;
}

/* With an initial response it is somebody's own work; without one we do it. */
static bool
authenticate(struct imap_talk *x, const struct command *c, bool sure, struct str head,
    struct mode_typed *ret)
{
	struct str args = c->args;
	struct str mech = str_word(&args);
	args = str_trim(args);
	if (args.len == 0 && !x->t->o->strict_typing && c->tag.p == NULL) {
		refuse(x, c, ret);
		imap_auth(x->t, mech, STR_NULL);
		return false;
	}
	if (talk_secret_risk(x->t) && !sure && args.len) {
		buf_putz(&ret->question, talk_secret_risk(x->t));
		return false;
	}
	mask_initial(c, head, ret);
	return true;
}

/* --- the row's functions --- */

static void
idle_line(struct imap_talk *x, struct str line, struct mode_typed *ret)
{
	buf_putz(&ret->send, "DONE");
	ret->changed = !str_ieq(line, STR("DONE"));
	if (line.len && ret->changed) /* it goes when IDLE has ended */
		talk_auto(x->t, STR_FMT, STR_ARG(line));
}

static void
command_line(struct imap_talk *x, struct str line, bool sure, struct mode_typed *ret)
{
	struct buf head = BUF_INIT(4096);
	struct command c;
	split(line, &c);
	if (c.tag.p) {
		x->own_tags = x->own_tags || str_istarts(c.tag, STR("a"));
		buf_puts(&head, c.tag);
		buf_putc(&head, ' ');
	} else {
		imap_next_tag(x, &head);
		ret->changed = true;
	}
	buf_puts(&ret->send, buf_str(&head));
	buf_puts(&ret->send, c.verb);
	if (c.args.len) {
		buf_putc(&ret->send, ' ');
		buf_puts(&ret->send, c.args);
	}
	buf_puts(&head, c.verb);
	buf_putc(&head, ' ');
	enum imap_verb v = verb_of(c.verb);
	bool goes = true;
	if (v == IV_LOGIN)
		goes = login(x, &c, sure, buf_str(&head), ret);
	else if (v == IV_AUTHENTICATE)
		goes = authenticate(x, &c, sure, buf_str(&head), ret);
	else if (v == IV_STARTTLS && x->t->link.tls)
		event_warn(x->t->ev, NULL, "There is TLS already.");
	if (!goes && !c.tag.p && !ret->nothing)
		x->tag--; /* a question comes first */
	buf_wipe(&head);
	buf_done(&head);
}

/* --strict-typing: it goes as it stands, but a password is one all the same. */
static void
strict_line(struct imap_talk *x, struct str line, bool sure, struct mode_typed *ret)
{
	struct buf head = BUF_INIT(4096);
	struct command c;
	split(line, &c);
	enum imap_verb v = verb_of(c.verb);
	buf_puts(&ret->send, line);
	if (c.tag.p)
		buf_putf(&head, STR_FMT " ", STR_ARG(c.tag));
	buf_putf(&head, STR_FMT " ", STR_ARG(c.verb));
	if (v == IV_LOGIN)
		mask_login(&c, buf_str(&head), ret);
	else if (v == IV_AUTHENTICATE)
		mask_initial(&c, buf_str(&head), ret);
	if (ret->secret && !sure && talk_secret_risk(x->t))
		buf_putz(&ret->question, talk_secret_risk(x->t));
	buf_wipe(&head);
	buf_done(&head);
}

/* Literals of LOGIN and AUTHENTICATE are names and passwords. */
static void
literal_line(struct imap_talk *x, struct str line, struct mode_typed *ret)
{
	enum imap_verb v = x->n_sent ? x->sent[x->n_sent - 1].verb : IV_OTHER;
	buf_puts(&ret->send, line);
	ret->content = true;
	if (v != IV_LOGIN && v != IV_AUTHENTICATE)
		return;
	buf_putz(&ret->masked, "<literal hidden>");
	ret->secret = true;
}

void
imap_typed(struct talk *t, struct str line, bool sure, struct mode_typed *ret)
{
	struct imap_talk *x = t->state;
	if (x->auth_typed) { /* as it was typed: base64, or "*" */
		buf_puts(&ret->send, line);
		if (!str_eq(line, STR("*")))
			buf_putz(&ret->masked, "<answer hidden>");
		ret->secret = true;
		return;
	}
	if (x->lit_left || x->lit_tail) {
		literal_line(x, line, ret);
		return;
	}
	if (x->idle == IDLE_ON)
		idle_line(x, str_trim(line), ret);
	else if (str_trim(line).len == 0)
		ret->nothing = true;
	else if (t->o->strict_typing)
		strict_line(x, line, sure, ret);
	else
		command_line(x, line, sure, ret);
}

static void
remember(struct imap_talk *x, const struct command *c)
{
	if (x->n_sent == IMAP_SENT_MAX) {
		event_warn(x->t->ev, NULL, "More than %u commands have no answer.", IMAP_SENT_MAX);
		return;
	}
	struct imap_sent *s = &x->sent[x->n_sent++];
	struct str args = c->args;
	(void)str_copy(s->tag, sizeof(s->tag), c->tag);
	s->verb = verb_of(c->verb);
	buf_init(&s->what, 4096);
	if (s->verb == IV_SELECT || s->verb == IV_EXAMINE) {
		bool quoted = args.len && args.p[0] == '"';
		args = quoted ? str_skip(args, 1) : args;
		buf_puts(&s->what, str_first(args, str_find(args, quoted ? '"' : ' ')));
	}
	if (s->verb == IV_IDLE)
		x->idle = IDLE_ASKED;
	x->caps_fresh = false;
}

void
imap_sent(struct talk *t, struct str line, const struct mode_typed *typed)
{
	struct imap_talk *x = t->state;
	struct str sent = buf_str(&typed->send);
	bool sync = true;
	struct command c;
	(void)line;
	if (x->auth_typed) {
		x->auth_typed = false;
	} else if (x->lit_tail) {
		x->lit_tail = false;
		if (literal_at_end(sent, &x->lit_left, &sync))
			x->lit_wait = sync;
	} else if (x->lit_left) {
		literal_took(x, sent);
	} else if (x->idle == IDLE_ON) {
		x->idle = IDLE_OFF;
	} else {
		split(sent, &c);
		if (!c.tag.p) { /* a verb nobody knows: the first word is the tag all the same */
			struct str rest = sent;
			c.tag = str_word(&rest);
			c.verb = str_word(&rest);
			c.args = str_ltrim(rest);
		}
		remember(x, &c);
		if (literal_at_end(sent, &x->lit_left, &sync))
			x->lit_wait = sync;
	}
}

/* A line of our own. */
bool
imap_send(struct imap_talk *x, struct str line, struct str masked)
{
	struct mode_typed typed = { .send = BUF_INIT(TALK_LINE_MAX) };
	buf_puts(&typed.send, line);
	bool ok = talk_send(x->t, line, masked);
	if (ok)
		imap_sent(x->t, line, &typed);
	buf_wipe(&typed.send);
	buf_done(&typed.send);
	return ok;
}
