#include "metrics/metrics.h"

#include "base/check.h"
#include "base/map.h"
#include "base/num.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum kind { COUNTER, GAUGE, HISTOGRAM };

/* Microseconds; 0 ends them. */
static const uint64_t accept_bounds[HISTOGRAM_BUCKETS] = { 500, 1000, 2500, 5000, 10000, 25000,
	50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000 };
static const uint64_t delivery_bounds[HISTOGRAM_BUCKETS] = { 10000, 50000, 100000, 500000, 1000000,
	5000000, 15000000, 60000000, 300000000, 900000000, 3600000000, 14400000000, 86400000000,
	259200000000, 432000000000 };

static const struct {
	const char *name;
	enum kind kind;
	const char *help;
	const uint64_t *bounds;
} metrics[METRIC_COUNT] = {
	[METRIC_UP] = { "pennypost_process_up", GAUGE,
	    "Whether a process is ready (1) or not (0)." },
	[METRIC_RESTARTS] = { "pennypost_process_restarts_total", COUNTER,
	    "How often a process was started again." },
	[METRIC_UPTIME] = { "pennypost_process_uptime_seconds", GAUGE,
	    "How long a process has been running." },
	[METRIC_CONNECTIONS] = { "pennypost_connections", GAUGE, "Connections that are open." },
	[METRIC_CONNECTIONS_TOTAL] = { "pennypost_connections_total", COUNTER,
	    "Connections since the start." },
	[METRIC_CONNECTIONS_MAX] = { "pennypost_connections_max", GAUGE,
	    "Connections that limits allow at once." },
	[METRIC_LETTERS] = { "pennypost_letters_accepted_total", COUNTER,
	    "Letters that were answered 250." },
	[METRIC_REFUSED] = { "pennypost_refusals_total", COUNTER,
	    "Letters and commands that were refused." },
	[METRIC_ACCEPT_SECONDS] = { "pennypost_accept_seconds", HISTOGRAM,
	    "From the end mark of a letter to its answer.", accept_bounds },
	[METRIC_TLS_SESSIONS] = { "pennypost_tls_sessions", GAUGE, "TLS sessions that are open." },
	[METRIC_TLS_HANDSHAKES] = { "pennypost_tls_handshakes_total", COUNTER,
	    "TLS handshakes with clients, by result." },
	[METRIC_AUTH] = { "pennypost_auth_total", COUNTER, "Logins of clients, by result." },
	[METRIC_LOG_DROPPED] = { "pennypost_log_lines_dropped_total", COUNTER,
	    "Lines of the log that were lost." },
	[METRIC_LOGINS] = { "pennypost_passwords_checked_total", COUNTER,
	    "Passwords that were checked, by result." },
	[METRIC_SIGNATURES] = { "pennypost_tls_signatures_total", COUNTER,
	    "Signatures made for handshakes." },
	[METRIC_LOOKUPS] = { "pennypost_dns_lookups_total", COUNTER, "Names that were asked for." },
	[METRIC_STORED] = { "pennypost_store_letters_total", COUNTER, "Letters made durable." },
	[METRIC_GROUPS] = { "pennypost_store_syncs_total", COUNTER, "Syncs of the log." },
	[METRIC_GROUP_LETTERS] = { "pennypost_store_synced_letters_total", COUNTER,
	    "Letters in these syncs." },
	[METRIC_INDEX_COMMITS] = { "pennypost_store_index_commits_total", COUNTER,
	    "Commits of the index." },
	[METRIC_INDEX_LAG] = { "pennypost_store_index_behind", GAUGE,
	    "1 while something durable is not in the index yet." },
	[METRIC_SEGMENTS] = { "pennypost_store_segments", GAUGE, "Segments of the log." },
	[METRIC_LOG_BYTES] = { "pennypost_store_log_bytes", GAUGE,
	    "Octets of the log: all, and those that are needed." },
	[METRIC_FREE_BYTES] = { "pennypost_store_free_bytes", GAUGE,
	    "Octets that are free on the file system of the store." },
	[METRIC_BODY_MEMORY] = { "pennypost_store_body_memory_bytes", GAUGE,
	    "Octets of letters that arrive or wait for the disk." },
	[METRIC_ACCOUNTS] = { "pennypost_accounts", GAUGE, "Accounts." },
	[METRIC_COMPACTIONS] = { "pennypost_store_compactions_total", COUNTER,
	    "Segments that were emptied and freed." },
	[METRIC_CHECKPOINTS] = { "pennypost_store_checkpoints_total", COUNTER, "Checkpoints." },
	[METRIC_RESERVE] = { "pennypost_store_reserve", GAUGE,
	    "1; 0: the index has used its reserve, and no mail is accepted." },
	[METRIC_TRACE_RECORDS] = { "pennypost_trace_records_total", COUNTER,
	    "Histories that were recorded." },
	[METRIC_TRACE_LOST] = { "pennypost_trace_lost_total", COUNTER,
	    "How often histories had to be passed over." },
	[METRIC_TRACE_BYTES] = { "pennypost_trace_bytes", GAUGE, "Octets of recorded histories." },
	[METRIC_TRACE_LAG] = { "pennypost_trace_behind", GAUGE,
	    "Octets of the log that are not recorded yet." },
	[METRIC_QUEUE_LETTERS] = { "pennypost_queue_letters", GAUGE, "Letters in the queue." },
	[METRIC_QUEUE_BYTES] = { "pennypost_queue_bytes", GAUGE,
	    "Octets of letters in the queue." },
	[METRIC_QUEUE_ENTRIES] = { "pennypost_queue_entries", GAUGE,
	    "Entries of the queue, by state." },
	[METRIC_QUEUE_DESTINATION] = { "pennypost_queue_destination_entries", GAUGE,
	    "Entries of the queue for the destinations that most wait for; the rest is other." },
	[METRIC_DELIVERIES] = { "pennypost_deliveries_total", COUNTER,
	    "Recipients elsewhere, by what an attempt came to." },
	[METRIC_DELIVERIES_TO] = { "pennypost_destination_deliveries_total", COUNTER,
	    "The same by destination, of some; the rest is other." },
	[METRIC_DELIVERY_SECONDS] = { "pennypost_delivery_seconds", HISTOGRAM,
	    "From a letter's acceptance to its delivery elsewhere.", delivery_bounds },
	[METRIC_CONNECTIONS_OUT] = { "pennypost_relay_connections", GAUGE,
	    "Connections to other servers." },
	[METRIC_SENT] = { "pennypost_relay_letters_total", COUNTER,
	    "Letters that another server has taken." },
	[METRIC_TLS_OUT] = { "pennypost_relay_tls_total", COUNTER,
	    "Sessions with other servers, by what asked for TLS and what came of it." },
};

/* --- rows --- */

static void
put_label(struct buf *b, const struct metric_label *l)
{
	struct buf clean = BUF_INIT(METRICS_VALUE_MAX * 8);
	utf8_escape(&clean, str_first(l->value, METRICS_VALUE_MAX));
	buf_putf(b, "%s=\"", l->name);
	for (size_t i = 0; i < clean.len; i++) {
		char c = clean.p[i];
		if (c == '"' || c == '\\')
			buf_putc(b, '\\');
		buf_putc(b, c);
	}
	buf_putc(b, '"');
	buf_done(&clean);
}

/* le: of a bucket, or NULL. */
static void
put_sample(struct buf *b, const char *name, const char *suffix, const struct metric_label *labels,
    size_t n, const char *le, uint64_t value)
{
	size_t was = b->len;
	const char *between = "{";
	buf_putf(b, "%s%s", name, suffix);
	for (size_t i = 0; i < n; i++, between = ",") {
		buf_putz(b, between);
		put_label(b, &labels[i]);
	}
	if (le) {
		buf_putf(b, "%sle=\"%s\"", between, le);
		between = ",";
	}
	buf_putf(b, "%s %" PRIu64 "\n", *between == ',' ? "}" : "", value);
	/* Half a row would be a breach. */
	if (b->failed) {
		buf_trunc(b, was);
		b->failed = false;
	}
}

void
metrics_put(struct buf *rows, enum metric m, const struct metric_label *labels, size_t n,
    uint64_t value)
{
	check(m < METRIC_COUNT && metrics[m].kind != HISTOGRAM);
	put_sample(rows, metrics[m].name, "", labels, n, NULL, value);
}

void
histogram_add(struct histogram *h, enum metric m, uint64_t us)
{
	size_t i = 0;
	check(m < METRIC_COUNT && metrics[m].bounds);
	while (i + 1 < HISTOGRAM_BUCKETS && metrics[m].bounds[i] && us > metrics[m].bounds[i])
		i++;
	h->count[i]++;
	h->sum_us += us;
}

/* Seconds, without zeros at the end. */
static void
put_seconds(struct buf *b, uint64_t us)
{
	buf_putf(b, "%" PRIu64 ".%06u", us / 1000000, (unsigned)(us % 1000000));
	while (b->len && b->p[b->len - 1] == '0')
		b->len--;
	if (b->len && b->p[b->len - 1] == '.')
		b->len--;
}

void
metrics_put_histogram(struct buf *rows, enum metric m, const struct metric_label *labels, size_t n,
    const struct histogram *h)
{
	uint64_t sum = 0;
	check(m < METRIC_COUNT && metrics[m].bounds);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		struct buf le = BUF_INIT(64);
		uint64_t bound = i + 1 < HISTOGRAM_BUCKETS ? metrics[m].bounds[i] : 0;
		sum += h->count[i];
		if (bound)
			put_seconds(&le, bound);
		else
			buf_putz(&le, "+Inf");
		put_sample(rows, metrics[m].name, "_bucket", labels, n, buf_cstr(&le), sum);
		buf_done(&le);
		if (!bound)
			break;
	}
	put_sample(rows, metrics[m].name, "_sum", labels, n, NULL, h->sum_us);
	put_sample(rows, metrics[m].name, "_count", labels, n, NULL, sum);
}

/* --- adding up --- */

struct series {
	enum metric metric;
	bool seconds; /* the value is in microseconds and shown in seconds */
	char *name;   /* with labels */
	uint64_t value;
};

struct metrics_sum {
	struct series *p;
	size_t n, cap;
	struct map by_name; /* -> index + 1 */
};

struct metrics_sum *
metrics_sum_new(void)
{
	struct metrics_sum *s = xalloc(sizeof(*s));
	*s = (struct metrics_sum){ .by_name = MAP_NULL };
	return s;
}

struct metrics_sum *
metrics_sum_free(struct metrics_sum *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		free(s->p[i].name);
	free(s->p);
	map_done(&s->by_name);
	free(s);
	return NULL;
}

/* Whose sample is it? */
static bool
find_metric(struct str name, enum metric *ret, bool *ret_seconds)
{
	static const char *const suffixes[] = { "_bucket", "_sum", "_count" };
	*ret_seconds = false;
	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		struct str own = str_of(metrics[m].name);
		if (!str_starts(name, own))
			continue;
		*ret = (enum metric)m;
		struct str rest = str_skip(name, own.len);
		if (metrics[m].kind != HISTOGRAM) {
			if (rest.len == 0)
				return true;
			continue;
		}
		*ret_seconds = str_eq(rest, STR("_sum"));
		for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
			if (str_eq(rest, str_of(suffixes[i])))
				return true;
	}
	return false;
}

/* {name="value",...}, as we write them. */
static bool
labels_good(struct str s)
{
	if (!s.len)
		return true;
	size_t i = 0;
	do {
		size_t from = ++i; /* behind { or , */
		while (i < s.len && ((s.p[i] >= 'a' && s.p[i] <= 'z') || s.p[i] == '_'))
			i++;
		if (i == from || i + 1 >= s.len || s.p[i] != '=' || s.p[i + 1] != '"')
			return false;
		for (i += 2; i < s.len && s.p[i] != '"'; i++) {
			unsigned char c = (unsigned char)s.p[i];
			if (c < ' ' || c == 0x7f)
				return false;
			if (c == '\\' && (++i == s.len || !strchr("\\\"n", s.p[i]) || !s.p[i]))
				return false;
		}
		i++; /* behind the quote */
	} while (i < s.len && s.p[i] == ',');
	return s.p[0] == '{' && i + 1 == s.len && s.p[i] == '}' && utf8_valid(s);
}

static bool
add_row(struct metrics_sum *s, struct str line)
{
	size_t blank = str_rfind(line, ' ');
	struct str series = str_first(line, blank);
	size_t brace = str_find(series, '{');
	struct series one = { .value = 0 };
	if (blank == line.len || !num_u64(str_skip(line, blank + 1), UINT64_MAX, &one.value) ||
	    !find_metric(str_first(series, brace), &one.metric, &one.seconds) ||
	    !labels_good(str_skip(series, brace)))
		return false;
	uintptr_t at = (uintptr_t)map_get(&s->by_name, series);
	if (at) {
		s->p[at - 1].value += one.value;
		return true;
	}
	if (s->n == METRICS_SERIES_MAX)
		return false;
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 128;
		s->p = xrealloc(s->p, s->cap * sizeof(*s->p));
	}
	one.name = str_dup(series);
	s->p[s->n++] = one;
	map_put(&s->by_name, series, (void *)(uintptr_t)s->n);
	return true;
}

bool
metrics_sum_add(struct metrics_sum *s, struct str rows)
{
	while (rows.p && rows.len) {
		size_t lf = str_find(rows, '\n');
		if (lf == rows.len || !add_row(s, str_first(rows, lf)))
			return false;
		rows = str_skip(rows, lf + 1);
	}
	return true;
}

bool
metrics_sum_empty(const struct metrics_sum *s)
{
	return s->n == 0;
}

void
metrics_sum_put(struct metrics_sum *s, struct buf *out)
{
	static const char *const types[] = { "counter", "gauge", "histogram" };
	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		bool first = true;
		for (size_t i = 0; i < s->n; i++) {
			const struct series *one = &s->p[i];
			if (one->metric != m)
				continue;
			if (first)
				buf_putf(out, "# HELP %s %s\n# TYPE %s %s\n", metrics[m].name,
				    metrics[m].help, metrics[m].name, types[metrics[m].kind]);
			first = false;
			buf_putf(out, "%s ", one->name);
			if (one->seconds)
				put_seconds(out, one->value);
			else
				buf_putf(out, "%" PRIu64, one->value);
			buf_putc(out, '\n');
		}
	}
}
