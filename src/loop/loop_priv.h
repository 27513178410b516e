/* loop_priv: what the files of this room share. */
#pragma once

#include "loop/loop.h"

#include <stdbool.h>
#include <uv.h>

#define ON_TURN_MAX 4

struct loop_turn {
	loop_fn *fn;
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare;
	struct loop_turn turns[ON_TURN_MAX];
	unsigned n_turns;
	unsigned n_handles; /* made and not freed */
	bool running;
	struct list deferred;
};

/* Closes a handle; its whole object, which begins with the handle, is freed after the turn. */
void loop_handle_close(struct loop *l, uv_handle_t *h);
