/* What came: lines, answers, and to which command they belong. */
#include "smtp/client_priv.h"

#include "base/check.h"
#include "base/utf8.h"

void
smtp_client_feed(struct smtp_client *c, struct str octets)
{
	if (c->over || octets.len == 0)
		return;
	buf_drop(&c->in, c->in_at);
	c->in_at = 0;
	buf_puts(&c->in, octets);
	if (!c->in.failed && !c->want_tls)
		return;
	/* Before the handshake: said in clear, it would be read as if it had been said inside. */
	client_trouble(c, c->want_tls ? SMTP_TROUBLE_INJECTED : SMTP_TROUBLE_ENDLESS, c->step,
	    NULL);
	c->over = true;
}

void
smtp_client_closed(struct smtp_client *c)
{
	c->gone = true;
}

/* The next line, or all there is of one that is too long; a view until the next call. */
static bool
take_line(struct smtp_client *c, struct str *ret)
{
	c->in_at += c->eat;
	c->eat = 0;
	struct str left = str_skip(buf_str(&c->in), c->in_at);
	size_t nl = str_find(left, '\n');
	if (c->skipping) {
		c->skipping = nl == left.len;
		c->skipped += nl;
		c->in_at += MIN(nl + 1, left.len);
		if (c->skipping) {
			if (c->skipped > CLIENT_SKIP_MAX) {
				client_trouble(c, SMTP_TROUBLE_ENDLESS, c->step, NULL);
				c->over = true;
			}
			return false;
		}
		return take_line(c, ret);
	}
	if (nl >= SMTP_CLIENT_LINE_MAX && left.len >= SMTP_CLIENT_LINE_MAX) {
		c->skipping = true;
		c->skipped = 0;
		c->eat = SMTP_CLIENT_LINE_MAX;
	} else if (nl < left.len) {
		c->eat = nl + 1;
	} else if (c->gone && left.len > 0) {
		c->eat = left.len;
	} else {
		return false;
	}
	*ret = str_first(left, c->eat);
	return true;
}

bool
client_expects(struct smtp_client *c, enum smtp_client_step *ret_step, size_t *ret_rcpt)
{
	*ret_rcpt = SIZE_MAX;
	if (c->waiting) {
		*ret_step = c->step;
		return true;
	}
	return client_letter_expects(c, ret_step, ret_rcpt);
}

/* A line, or (code) a reply, that no command has asked for. */
static void
stray(struct smtp_client *c, int code, struct str text)
{
	struct buf shown = BUF_INIT(1024);
	text = str_first(text, str_find(text, '\n'));
	utf8_escape(&shown, str_first(str_rtrim(text), 200));
	if (code)
		client_note(c, true, "a reply that no command has asked for: %d " STR_FMT, code,
		    STR_ARG(buf_str(&shown)));
	else
		client_note(c, true, "a line that is no reply: " STR_FMT, STR_ARG(buf_str(&shown)));
	buf_done(&shown);
	if (++c->strays <= SMTP_CLIENT_STRAY_MAX)
		return;
	client_trouble(c, SMTP_TROUBLE_ENDLESS, c->step, NULL);
	c->over = true;
}

static void
shutdown_said(struct smtp_client *c, enum smtp_client_step step)
{
	/* What it answers has been judged already; that trouble would hide why all ends. */
	if (c->trouble == SMTP_TROUBLE_NONE || c->trouble_step == step) {
		c->trouble = SMTP_TROUBLE_NONE;
		buf_reset(&c->why);
		client_trouble(c, SMTP_TROUBLE_SHUTDOWN, step, &c->answer);
	}
	c->over = true;
}

static void
simple_answered(struct smtp_client *c, enum smtp_client_step step)
{
	c->waiting = false;
	switch (step) {
	case SMTP_STEP_RSET:
		if (c->answer.code / 100 != 2)
			client_trouble(c, SMTP_TROUBLE_COMMAND, step, &c->answer);
		else
			c->rset_due = false;
		break;
	case SMTP_STEP_QUIT:
		c->over = true;
		break;
	case SMTP_STEP_COMMAND:
		break;
	case SMTP_STEP_GREETING:
	case SMTP_STEP_HELLO:
	case SMTP_STEP_STARTTLS:
	case SMTP_STEP_XCLIENT:
	case SMTP_STEP_AUTH:
		client_open_answered(c, step);
		break;
	case SMTP_STEP_MAIL:
	case SMTP_STEP_RCPT:
	case SMTP_STEP_DATA:
	case SMTP_STEP_DOT:
	case SMTP_STEP_COUNT:
		check(!"reached");
	}
}

/* The answer is complete. False: nobody has asked for it, and it is no REPLY. */
static bool
answered(struct smtp_client *c, struct smtp_client_event *ret)
{
	enum smtp_client_step step;
	size_t rcpt;
	c->whole = true;
	bool early =
	    c->phase == PHASE_BODY && !answer_good(&c->answer) && !c->waiting && c->flight == 0;
	if (!client_expects(c, &step, &rcpt)) {
		step = early ? SMTP_STEP_DOT : c->trouble_step;
		if (!early && c->answer.code != 421) {
			stray(c, c->answer.code, buf_str(&c->answer.text));
			return false;
		}
	}
	if (c->answer.mixed)
		client_note(c, true,
		    "the lines of this reply have different codes; the last one counts");
	if (early)
		client_letter_answered(c, SMTP_STEP_DOT, SIZE_MAX);
	else if (c->waiting)
		simple_answered(c, step);
	else if (c->flight > 0)
		client_letter_answered(c, step, rcpt);
	if (c->answer.code == 421 && step != SMTP_STEP_QUIT)
		shutdown_said(c, step);
	*ret = (struct smtp_client_event){ .step = step, .answer = &c->answer, .rcpt = rcpt };
	return true;
}

static void
not_smtp(struct smtp_client *c, struct str line)
{
	struct buf shown = BUF_INIT(512);
	utf8_escape(&shown, str_first(str_rtrim(line), 100));
	buf_reset(&c->why);
	buf_putf(&c->why, "%s: it says \"" STR_FMT "\"", smtp_trouble_text[SMTP_TROUBLE_NOT_SMTP],
	    STR_ARG(buf_str(&shown)));
	buf_done(&shown);
	client_trouble(c, SMTP_TROUBLE_NOT_SMTP, SMTP_STEP_GREETING, NULL);
	c->over = true;
}

/* Looks at what came. True: it is a REPLY. */
bool
client_read(struct smtp_client *c, struct smtp_client_event *ret)
{
	struct str line;
	while (!c->over && !c->note_due && !c->want_tls && take_line(c, &line)) {
		if (c->whole) {
			answer_reset(&c->answer);
			c->whole = false;
		}
		switch (answer_line(&c->answer, line)) {
		case ANSWER_MORE:
			break;
		case ANSWER_DONE:
			if (answered(c, ret))
				return true;
			break;
		case ANSWER_STRANGE:
			if (c->greeted)
				stray(c, 0, line);
			else
				not_smtp(c, line);
			break;
		case ANSWER_ENDLESS:
			client_trouble(c, SMTP_TROUBLE_ENDLESS, c->step, NULL);
			c->over = true;
			break;
		}
	}
	return false;
}
