#!/usr/bin/python3
"""bugs.py [--build DIR] [--only WORDS] [--quick]: does the crash test notice a bug?

Each row of BUGS breaks one rule on which a promise rests: one source file is compiled with the
bug in it and linked in front of the others; then `crash` runs as in `make test`, and must find
something. A row whose text is no longer in the source fails, so that the table cannot rot. The
sources themselves are not touched. The last line is "N bugs, N found"; exit status 0 when all
were.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SIM = ['sim', '--states', '150']
BIRTH = ['sim', '--states', '100', '--ops', '6']  # mostly the making of a store
FAULTS = ['faults', '--ops', '40', '--stride', '2']
SECONDS = 150  # for one bug

# name, file, [(exact text, what stands there instead)], how it is looked for
BUGS = [
    ('acknowledge before the sync', 'src/store/commit.c', [
        ('	if (r == 0 && fdatasync(e->seg_fd) < 0)\n		r = -errno;\n	if (r < 0)\n		return r;\n', '	if (r < 0)\n		return r;\n'),
        ('	emb_post(e, &posts);\n	if (rc < 0 || empty) {', '	emb_post(e, &posts);\n	(void)fdatasync(e->seg_fd);\n	if (rc < 0 || empty) {'),
    ], SIM),
    ('a failed sync is taken for a good one', 'src/store/commit.c', [
        ('	if (r == 0 && fdatasync(e->seg_fd) < 0)\n		r = -errno;\n	if (r < 0)\n		return r;\n',
         '	if (r == 0)\n		(void)fdatasync(e->seg_fd);\n	if (r < 0)\n		return r;\n'),
    ], FAULTS),
    ('reference before body', 'src/store/commit.c', [
        ('	int r = sync_blobs(e, g);\n', '	int r = 0;\n'),
        ('	if (r == 0 && fdatasync(e->seg_fd) < 0)\n		r = -errno;\n	if (r < 0)\n		return r;\n',
         '	if (r == 0 && fdatasync(e->seg_fd) < 0)\n		r = -errno;\n	if (r == 0)\n		r = sync_blobs(e, g);\n	if (r < 0)\n		return r;\n'),
    ], SIM),
    ('a blob is not synced', 'src/store/commit.c', [
        ('	return fdatasync(b->fd) < 0 ? -errno : 0;\n', '	return 0;\n'),
    ], SIM),
    ('the directory of a new blob is not synced', 'src/store/commit.c', [
        ('	return rc < 0 ? rc : any && fsync(e->blob) < 0 ? -errno : 0;\n', '	return rc;\n'),
    ], SIM),
    ('the directory of a new segment is not synced', 'src/store/segment.c', [
        ('	else if (fsync(log) < 0)\n		r = -errno;\n', ''),
    ], SIM),
    ('a new segment gets its name unsynced', 'src/store/segment.c', [
        ('	if (r == 0 && fsync(fd) < 0)\n		r = -errno;\n	return r;\n', '	return r;\n'),
    ], SIM),
    ('the store gets its name before its parts', 'src/store/emb.c', [
        ('	if (r == 0 && fsync(e->dir) < 0)\n		r = -errno;\n	if (r == 0 && renameat', '	if (r == 0 && renameat'),
    ], BIRTH),
    ('open intents are not carried out', 'src/store/recover.c', [
        ('	store_submit(d->e->store, r);\n	return true;\n', '	request_free(r);\n	return true;\n'),
    ], SIM),
    ('recovery believes the page cache', 'src/store/replay.c', [
        ('	if (fdatasync(fd) < 0)\n		return -errno;\n	(void)posix_fadvise', '	(void)posix_fadvise'),
    ], SIM),
    ('the mark of a delivery is not looked at', 'src/store/resolve.c', [
        ('	if (r != 0) {\n		*ret_written = false;\n		return r < 0 ? r : 0;\n	}\n	r = resolve_version(v, d, &ver);\n',
         '	r = resolve_version(v, d, &ver);\n'),
    ], SIM),
    ('an accepted letter is accepted again', 'src/store/group.c', [
        ('	int rc = resolve_accepted(&v, l->letter);\n	if (rc != 0)\n		return rc < 0 ? rc : 0;\n	if (r->kind == REQ_ACCEPT) {\n',
         '	int rc = 0;\n	if (r->kind == REQ_ACCEPT) {\n'),
    ], SIM),
    ('a segment is used again before its old name is gone', 'src/store/segment.c', [
        ('	if (renameat(log, name, log, tmp) < 0)\n		return -errno;\n	return fsync(log) < 0 ? -errno : 0;\n',
         '	return renameat(log, name, log, tmp) < 0 ? -errno : 0;\n'),
    ], SIM),
    ('a torn body is believed', 'src/store/frame.c', [
        ('	return crc32c(0, payload, f->len) == f->crc;\n', '	return payload != NULL || f->len == 0;\n'),
    ], SIM),
    ('a merge is acknowledged before its intent is synced', 'src/store/merge.c', [
        ('	r->letter = m->letter = n;\n	store_submit(s, r);\n',
         '	bool good = r->res.rc == 0;\n	r->letter = m->letter = n;\n	m->fn = good ? NULL : fn;\n	store_submit(s, r);\n	if (good && fn)\n		fn(arg, &(struct store_res){ 0 });\n'),
    ], SIM),
    ('the views of a merge are not synced', 'src/store/commit.c', [
        ('				rc = sync_blob(l->views, &any);\n', '				rc = 0;\n'),
    ], SIM),
    ('an open merge is not carried out', 'src/store/recover.c', [
        ('		merge_redo(d->e->store, payload, merge_redone, &d->rc);\n', '		(void)merge_redone;\n'),
    ], SIM),
    ('a move takes the sources first', 'src/store/mail_copy.c', [
        ('		[PHASE_LETTERS] = put_letters,\n		[PHASE_SOURCES] = put_sources,\n',
         '		[PHASE_LETTERS] = put_sources,\n		[PHASE_SOURCES] = put_letters,\n'),
    ], SIM),
    ('a move begins without its intent', 'src/store/mail_copy.c', [
        ('!(op->move || op->out.more))\n', '!op->out.more)\n'),
    ], SIM),
    ('a copy that was interrupted is not finished', 'src/store/sweep.c', [
        ('	if (key.len != COPY_KEY_LEN || !copy_intent_get(value, &c))\n', '	if (key.len >= COPY_KEY_LEN || !copy_intent_get(value, &c))\n'),
    ], SIM),
    ('an interrupted copy begins anew', 'src/store/mail_copy.c', [
        ('	op->out.at = m.upto + 1;\n', '	op->out.at = 1;\n'),
    ], SIM),
    ('a keyword loses its name and its bit is given again', 'src/store/mail_resolve.c', [
        ('		b.n += keywords_put(out, &keys);\n', ''),
    ], SIM),
    ('a copy keeps the bits of keywords that mean something else there', 'src/store/mail_copy.c', [
        ('		int bit = name.p ? keywords_bit(to, name, true) : -ENOENT;\n',
         '		int bit = name.p ? keywords_bit(to, name, true) : -ENOENT;\n		bit = bit >= 0 ? (int)i : bit;\n'),
    ], SIM),
    ('a change of flags forgets where the change was', 'src/store/mail_resolve.c', [
        ('	batch_record_del(b->out, str_n(key, change_key(key, was, l->uid)));\n	batch_record_put',
         '	batch_record_del(b->out, str_n(key, change_key(key, was + 1, l->uid)));\n	batch_record_put'),
    ], SIM),
    ('a letter is done before its entries are in the queue', 'src/store/group.c', [
        ('	int rc = in->n_entries ? add_entries(e, g, in) : 0;\n	return rc < 0 ? rc : add_done(e, g, in);\n',
         '	int rc = add_done(e, g, in);\n	return rc < 0 || !in->n_entries ? rc : add_entries(e, g, in);\n'),
    ], SIM),
    ('the state of an entry outlives it', 'src/store/queue.c', [
        ('	store_del(b, queued_state_key(key, letter, part));\n', ''),
    ], SIM),
    ('the index does not note what the queue refers to', 'src/store/indexref.c', [
        ("	return d->b[0] == 'Q' && key.len == QUEUED_KEY_LEN", "	return d->b[0] == 'q' && key.len == QUEUED_KEY_LEN"),
    ], SIM),
    ('an account half made stays so', 'src/store/sweep.c', [
        ('		(void)add_left(w);\n', ''),
    ], BIRTH),
]
QUICK = ('acknowledge before the sync', 'reference before body', 'the directory of a new blob is not synced',
         'an open merge is not carried out')


def commands(build):
    """How each source is compiled: {path: (words, directory)}; and how `crash` is linked."""
    with open(os.path.join(build, 'compile_commands.json')) as f:
        compiled = {os.path.realpath(os.path.join(c['directory'], c['file'])): (shlex.split(c['command']), c['directory'])
                    for c in json.load(f) if '.p/' in c['command'] and '-fsanitize=fuzzer' not in c['command']}
    text = subprocess.run(['ninja', '-C', build, '-t', 'commands', 'tests/crash/crash'], stdout=subprocess.PIPE,
                          check=True, text=True).stdout
    return compiled, shlex.split(text.strip().split('\n')[-1])


def with_output(words, path):
    words = list(words)
    words[words.index('-o') + 1] = path
    return words


def build_bug(build, scratch, row):
    """The path of a `crash` with the bug in it, or what is wrong with the row."""
    name, file, edits, how = row
    path = os.path.realpath(os.path.join(ROOT, file))
    with open(path) as f:
        text = f.read()
    for old, new in edits:
        if text.count(old) != 1:
            return None, 'this text stands %d times in %s:\n%s' % (text.count(old), file, old)
        text = text.replace(old, new)
    compiled, link = commands(build)
    source, program = os.path.join(scratch, os.path.basename(file)), os.path.join(scratch, 'crash')
    with open(source, 'w') as f:
        f.write(text)
    words, directory = compiled[path]
    words = [w for w in words if w != '-Werror' and not w.startswith('-M')]
    words = with_output(words, source + '.o')
    words[words.index('-c') + 1] = source
    words = [w for w in words if not w.endswith('.d') and not w.startswith('libpenny.a.p/')]
    link = with_output(link, program)
    link.insert(next(i for i, w in enumerate(link) if w.endswith('libpenny.a')), source + '.o')
    for what in (words, link):
        r = subprocess.run(what, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode != 0:
            return None, r.stdout[-3000:]
    return program, None


def is_found(build, row, seed=1, keep=None):
    """(found, what was said)."""
    with tempfile.TemporaryDirectory(prefix='pennypost-bug-') as scratch:
        program, trouble = build_bug(build, scratch, row)
        if trouble:
            return False, trouble
        start, said = time.monotonic(), ''
        while time.monotonic() - start < SECONDS:
            r = subprocess.run([program] + row[3] + ['--seed', str(seed), '--findings', '1'], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
            said = r.stdout
            if r.returncode != 0:
                return r.returncode == 1, said
            seed += 1
        return False, said


def crash_program(build):
    """Builds `crash`; meson's directory."""
    subprocess.run(['ninja', '-C', build, 'tests/crash/crash'], stdout=subprocess.DEVNULL, check=True)
    return os.path.join(build, 'tests', 'crash', 'crash')


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default=os.path.join(ROOT, 'build'))
    p.add_argument('--only', default='')
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--quick', action='store_true')
    o = p.parse_args()
    crash_program(o.build)
    rows = [r for r in BUGS if o.only in r[0] and (not o.quick or r[0] in QUICK)]
    found = 0
    for row in rows:
        start = time.monotonic()
        good, said = is_found(o.build, row, o.seed)
        found += good
        line = next((l for l in said.split('\n') if l.startswith('FINDING')), said)
        print('%-9s %-50s %5.1f s  %s' % ('found' if good else 'NOT FOUND', row[0], time.monotonic() - start, line.strip()), flush=True)
    print('%d bugs, %d found' % (len(rows), found))
    return 0 if found == len(rows) and rows else 1


if __name__ == '__main__':
    sys.exit(main())
