/* roundtrip_say: what came of it, for people and for programs. */
#include "oneshot/roundtrip_priv.h"

#include "oneshot/say.h"

#include <inttypes.h>

static double
ms(int64_t from_us, int64_t to_us)
{
	return (double)(to_us - from_us) / 1000.0;
}

static json_t *
names(const struct buf *lines)
{
	json_t *all = json_array();
	struct str rest = buf_str(lines);
	while (rest.len)
		json_array_append_new(all, out_json_text(str_cut(&rest, '\n')));
	return all;
}

void
roundtrip_tell_json(const struct roundtrip *r, int status)
{
	const struct roundtrip_found *f = &r->found;
	json_t *root = json_pack("{sssssbsi}", "ev", "roundtrip", "token", r->token, "ok",
	    status == CLIENT_OK, "status", status);
	if (r->step && status != CLIENT_OK) {
		json_object_set_new(root, "step", json_string(r->step));
		json_object_set_new(root, "why", out_json_text(buf_str(&r->why)));
	}
	if (r->accepted_us)
		json_object_set_new(root, "accepted_ms",
		    json_real(ms(r->start_us, r->accepted_us)));
	if (r->found_us)
		json_object_set_new(root, "in_mailbox_ms",
		    json_real(ms(r->accepted_us, r->found_us)));
	if (r->fetched_us) {
		json_t *hops = json_array();
		for (size_t i = 0; i < f->n_hops; i++) {
			json_t *h = json_pack("{so}", "by", out_json_text(f->hops[i].by));
			if (f->hops[i].dated)
				json_object_set_new(h, "took_s", json_integer(f->hops[i].took));
			json_array_append_new(hops, h);
		}
		json_object_set_new(root, "fetched_ms", json_real(ms(r->found_us, r->fetched_us)));
		json_object_set_new(root, "bytes_sent", json_integer((json_int_t)r->letter.len));
		json_object_set_new(root, "bytes_came", json_integer((json_int_t)r->octets));
		json_object_set_new(root, "hops", hops);
		json_object_set_new(root, "return_path", out_json_text(f->return_path));
		json_object_set_new(root, "added", names(&f->added));
		json_object_set_new(root, "changed", names(&f->changed));
		json_object_set_new(root, "lost", names(&f->lost));
		json_object_set_new(root, "body", json_string(roundtrip_body_name[f->body]));
		json_object_set_new(root, "deleted", json_boolean(r->deleted));
	}
	say_json(root);
}

static void
tell_names(const char *what, const struct buf *lines)
{
	struct buf text = BUF_INIT(256u << 10);
	struct str rest = buf_str(lines);
	const char *sep = "";
	if (rest.len == 0)
		return;
	for (; rest.len; sep = ", ") {
		buf_putz(&text, sep);
		show_escape(&text, str_cut(&rest, '\n'));
	}
	printf("%-14s " STR_FMT "\n", what, STR_ARG(buf_str(&text)));
	buf_done(&text);
}

static void
tell_line(const char *what, struct str line)
{
	struct buf text = BUF_INIT(4096);
	show_escape(&text, str_first(line, 200));
	printf("%-14s " STR_FMT "\n", what, STR_ARG(buf_str(&text)));
	buf_done(&text);
}

void
roundtrip_tell(const struct roundtrip *r, int status)
{
	const struct roundtrip_found *f = &r->found;
	const char *good = say_color(r->o, SAY_GOOD), *bad = say_color(r->o, SAY_BAD),
		   *plain = say_plain(r->o);
	if (r->accepted_us)
		printf("accepted       after %.0f ms\n", ms(r->start_us, r->accepted_us));
	if (r->found_us && r->id)
		printf("in the mailbox %.0f ms later\n", ms(r->accepted_us, r->found_us));
	if (!r->fetched_us)
		return;
	printf("fetched        %.0f ms later, %" PRIu64 " octets (%zu were sent)%s\n",
	    ms(r->found_us, r->fetched_us), r->octets, r->letter.len,
	    r->deleted ? ", and deleted" : "");
	for (size_t i = 0; i < f->n_hops; i++) {
		struct buf by = BUF_INIT(4096);
		show_escape(&by, str_first(f->hops[i].by, 300));
		if (f->hops[i].dated)
			printf("hop %-10zu " STR_FMT "  %+" PRId64 " s\n", i + 1,
			    STR_ARG(buf_str(&by)), f->hops[i].took);
		else
			printf("hop %-10zu " STR_FMT "  (no date)\n", i + 1, STR_ARG(buf_str(&by)));
		buf_done(&by);
	}
	tell_line("return path", f->return_path.len ? f->return_path : STR("none"));
	tell_names("added", &f->added);
	tell_names("changed", &f->changed);
	tell_names("lost", &f->lost);
	printf("%sbody           %s%s\n", status == CLIENT_OK ? good : bad,
	    roundtrip_body_text[f->body], plain);
	if (f->body == ROUNDTRIP_DIFFERENT) {
		printf("line %zu\n", f->line);
		tell_line("  sent", f->line_sent);
		tell_line("  came", f->line_came);
	}
}

/* The conversation is shown only with --verbose; what went wrong is told always. */
void
roundtrip_tell_trouble(const struct roundtrip *r, int status)
{
	const struct client_options *o = r->o;
	struct buf text = BUF_INIT(16384);
	if (o->json || o->show.verbose) {
		event_result(&r->o->events, r->step, status, STR_FMT, STR_ARG(buf_str(&r->why)));
	} else {
		show_escape(&text, buf_str(&r->why));
		complain("%s: " STR_FMT, r->step ? r->step : "roundtrip", STR_ARG(buf_str(&text)));
	}
	buf_done(&text);
}
