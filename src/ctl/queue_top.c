/* queue top: what happens, again and again; on a terminal over the whole screen. */
#include "ctl/queue_priv.h"

#include "base/check.h"
#include "base/num.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define INTERVAL_S 2
#define ROWS_PLAIN 20
#define ROWS_MAX 500
#define HEAD_LINES 5
#define OTHERS 60 /* columns of a line, but for the name */
#define NAME_MOST 32
#define TEXT_MAX ((size_t)1 << 20)

enum total {
	N_ENTRIES,
	N_READY,
	N_WAITING,
	N_ACTIVE,
	N_HELD,
	N_TURN,
	N_SENT,
	N_LATER,
	N_REFUSED,
	N_DOUBT,
	N_MEMORY,
	N_TARGETS,
	N_TOTALS
};
static const char *const total_names[N_TOTALS] = { "entries", "ready", "waiting", "active", "held",
	"turn", "sent", "later", "refused", "doubt", "memory", "targets" };

struct totals {
	uint64_t v[N_TOTALS];
};

struct top {
	bool json, screen;
	uint64_t interval_s, count, now;
	struct totals was, is;
	bool has_was;
	uint64_t n_rows;
	struct buf text; /* lines of destinations, or a JSON array's elements */
	json_t *targets;
	struct termios before;
};

static volatile sig_atomic_t ended;

static void
on_signal(int sig)
{
	ended = 1;
}

static void
total_row(void *arg, const struct msg_row *row)
{
	struct top *t = arg;
	for (size_t i = 0; i < N_TOTALS; i++)
		t->is.v[i] = row_number(row, i);
}

/* Columns of a destination's name: what the others leave of a line. */
static int
name_width(const struct top *t)
{
	size_t page = MAX(queue_page_width(), (size_t)80);
	return t->screen ? (int)MIN(page - OTHERS, (size_t)NAME_MOST) : NAME_MOST;
}

static void
put_cells(struct buf *b, const struct msg_row *row, uint64_t now, int width)
{
	struct buf name = BUF_INIT(TEXT_MAX), retry = BUF_INIT(32), oldest = BUF_INIT(32);
	uint64_t at = row_number(row, T_RETRY), since = row_number(row, T_OLDEST);
	queue_put_target(&name, row_field(row, T_ROUTE), row_field(row, T_TARGET));
	if (at > now)
		queue_put_short(&retry, at - now);
	if (since && since < now)
		queue_put_short(&oldest, now - since);
	buf_putf(b,
	    "%-*.*s %-7.*s %7" PRIu64 " %3" PRIu64 "/%-3" PRIu64 " %5s %5s %8" PRIu64 " %6" PRIu64
	    " %6" PRIu64,
	    width, width, buf_cstr(&name), STR_ARG(row_field(row, T_STATE)),
	    row_number(row, T_WAITING), row_number(row, T_CONNECTIONS), row_number(row, T_WINDOW),
	    retry.len ? buf_cstr(&retry) : "-", oldest.len ? buf_cstr(&oldest) : "-",
	    row_number(row, T_SENT), row_number(row, T_LATER), row_number(row, T_REFUSED));
	buf_done(&name);
	buf_done(&retry);
	buf_done(&oldest);
}

static void
target_row(void *arg, const struct msg_row *row)
{
	struct top *t = arg;
	t->n_rows++;
	if (t->json) {
		json_array_append_new(t->targets, queue_target_json(row, 0));
		return;
	}
	put_cells(&t->text, row, t->now, name_width(t));
	buf_putz(&t->text, t->screen ? "\033[K\n" : "\n");
}

static double
rate(const struct top *t, enum total i)
{
	if (!t->has_was || t->is.v[i] < t->was.v[i])
		return 0;
	return (double)(t->is.v[i] - t->was.v[i]) / (double)t->interval_s;
}

static void
print_text(struct top *t)
{
	const char *eol = t->screen ? "\033[K\n" : "\n";
	struct buf memory = BUF_INIT(32), b = BUF_INIT(2 * TEXT_MAX);
	out_size(&memory, t->is.v[N_MEMORY]);
	buf_putf(&b,
	    "%" PRIu64 " entries in %s of memory: %" PRIu64 " ready, %" PRIu64 " waiting, %" PRIu64
	    " active, %" PRIu64 " held, %" PRIu64 " turn%s",
	    t->is.v[N_ENTRIES], buf_cstr(&memory), t->is.v[N_READY], t->is.v[N_WAITING],
	    t->is.v[N_ACTIVE], t->is.v[N_HELD], t->is.v[N_TURN], eol);
	buf_putf(&b,
	    "sent %" PRIu64 " (%.1f/s), later %" PRIu64 " (%.1f/s), refused %" PRIu64
	    " (%.1f/s), in doubt %" PRIu64 "%s%s",
	    t->is.v[N_SENT], rate(t, N_SENT), t->is.v[N_LATER], rate(t, N_LATER),
	    t->is.v[N_REFUSED], rate(t, N_REFUSED), t->is.v[N_DOUBT], eol, eol);
	int width = name_width(t);
	buf_putf(&b, "%-*s %-7s %7s %-7s %5s %5s %8s %6s %6s%s", width, "Destination", "State",
	    "Wait", "Conns", "Retry", "Old", "Sent", "Later", "Refus.", eol);
	buf_puts(&b, buf_str(&t->text));
	if (t->is.v[N_TARGETS] > t->n_rows)
		buf_putf(&b, "... and %" PRIu64 " more%s", t->is.v[N_TARGETS] - t->n_rows, eol);
	if (t->screen)
		fputs("\033[H", stdout);
	fwrite(b.p, 1, b.len, stdout);
	fputs(t->screen ? "\033[J" : "", stdout);
	buf_done(&b);
	buf_done(&memory);
}

static void
print_json(struct top *t)
{
	json_t *o = json_object();
	check(o);
	json_object_set_new(o, "time", json_integer((json_int_t)t->now));
	for (size_t i = 0; i < N_TOTALS; i++)
		json_object_set_new(o, total_names[i], json_integer((json_int_t)t->is.v[i]));
	json_object_set_new(o, "destinations", t->targets);
	t->targets = NULL;
	queue_json_line(o);
}

static size_t
rows_wanted(const struct top *t)
{
	struct winsize w;
	if (!t->screen || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_row <= HEAD_LINES)
		return ROWS_PLAIN;
	return MIN((size_t)w.ws_row - HEAD_LINES, (size_t)ROWS_MAX);
}

static int
once(struct ctl_call *call, struct top *t)
{
	char limit[32];
	t->now = queue_now_ms();
	buf_reset(&t->text);
	t->targets = t->json ? json_array() : NULL;
	t->n_rows = 0;
	int status = server_ask(&call->server, "queue.totals", NULL, 0, total_row, t);
	size_t rows = t->json ? (size_t)ROWS_MAX : rows_wanted(t);
	if (!t->json && t->is.v[N_TARGETS] > rows && rows > 1)
		rows--; /* the last one says how many more there are */
	snprintf(limit, sizeof(limit), "limit=%zu", rows);
	struct str arg = str_of(limit);
	if (status == EXIT_DONE)
		status = server_ask(&call->server, "queue.targets", &arg, 1, target_row, t);
	if (status != EXIT_DONE)
		json_decref(t->targets);
	else if (t->json)
		print_json(t);
	else
		print_text(t);
	t->was = t->is;
	t->has_was = true;
	if (fflush(stdout) != 0)
		ended = 1;
	return status;
}

/* --- the terminal --- */

static void
screen_open(struct top *t)
{
	struct termios raw;
	const char *term = getenv("TERM");
	struct sigaction sa = { .sa_handler = on_signal };
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	t->screen = !t->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && term &&
	            strcmp(term, "dumb") != 0 && tcgetattr(STDIN_FILENO, &t->before) == 0;
	if (!t->screen)
		return;
	raw = t->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	/* What does not fit into a line is cut off: one that is broken moves all others. */
	fputs("\033[?1049h\033[?25l\033[?7l\033[2J", stdout);
}

static void
screen_close(struct top *t)
{
	if (!t->screen)
		return;
	fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	(void)fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
}

/* False: the user wants no more. */
static bool
pause_for(const struct top *t)
{
	struct pollfd p = { .fd = t->screen ? STDIN_FILENO : -1, .events = POLLIN };
	char key = 0;
	int rc = poll(&p, 1, (int)t->interval_s * 1000);
	if (rc > 0 && read(STDIN_FILENO, &key, 1) <= 0)
		return false;
	return !ended && key != 'q' && key != 'Q' && (rc >= 0 || errno == EINTR);
}

static int
options(const struct ctl_call *call, struct top *t)
{
	bool plain = t->json || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO);
	t->interval_s = INTERVAL_S;
	t->count = plain ? 1 : UINT64_MAX;
	if (call->interval && (!num_seconds(str_of(call->interval), &t->interval_s) ||
				  t->interval_s == 0 || t->interval_s > 3600))
		return usage_error(call->cmd,
		    "--interval: \"%s\" is no number of seconds from 1 to 3600", call->interval);
	if (call->count && (!num_u64(str_of(call->count), UINT32_MAX, &t->count) || t->count == 0))
		return usage_error(call->cmd, "--count: \"%s\" is no number from 1 on",
		    call->count);
	return EXIT_DONE;
}

int
queue_top(struct ctl_call *call)
{
	struct top t = { .json = call->json, .text = BUF_INIT(TEXT_MAX) };
	int status = options(call, &t);
	if (status != EXIT_DONE)
		return status;
	screen_open(&t);
	for (uint64_t i = 0; i < t.count && status == EXIT_DONE && !ended; i++) {
		if (i > 0 && !pause_for(&t))
			break;
		if (i > 0 && !t.screen && !t.json)
			putchar('\n');
		status = once(call, &t);
	}
	screen_close(&t);
	buf_done(&t.text);
	return status;
}
