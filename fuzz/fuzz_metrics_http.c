/* Requests of HTTP, and rows of figures: neither may do more than be refused. */
#include "base/check.h"
#include "metrics/http.h"
#include "metrics/metrics.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
requests(struct str in)
{
	struct http_request r;
	size_t used = 0;
	enum http_state whole = http_request_get(in, &r, &used);
	if (whole == HTTP_READY) {
		struct http_request again;
		size_t n;
		check(used > 0 && used <= in.len && r.method.len && r.target.len);
		check(http_path(r.target).len <= r.target.len);
		/* What stands behind it does not matter. */
		check(http_request_get(str_first(in, used), &again, &n) == HTTP_READY && n == used);
		check(http_request_get(str_first(in, used - 1), &again, &n) != HTTP_READY);
	}
}

static void
rows(struct str in)
{
	struct metrics_sum *s = metrics_sum_new();
	struct buf out = BUF_INIT(METRICS_TEXT_MAX);
	(void)metrics_sum_add(s, in);
	metrics_sum_put(s, &out);
	metrics_sum_free(s);
	buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_n(data, size);
	if (size == 0)
		return 0;
	if (data[0] & 1)
		requests(str_skip(in, 1));
	else
		rows(str_skip(in, 1));
	return 0;
}
