"""`queue top` on a terminal: lines that do not fit are cut off and move nothing, and the terminal is left as it was.
And what is not to be said to `queue` at all."""
import fcntl
import os
import pty
import struct
import subprocess
import termios

from relaying import outward, queue, why
from server import BINARY, SLOW


def top(lab, columns, rows, **env):
    """What it writes until q is pressed."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
    before = termios.tcgetattr(its)
    p = subprocess.Popen([BINARY, 'queue', 'top', '--interval', '1', '--dir', lab.dir], stdin=its, stdout=its,
                         env={**os.environ, 'TERM': 'xterm', **env})
    out = b''
    while b'Destination' not in out or not out.endswith(b'\033[J'):
        out += os.read(ours, 65536)
    os.write(ours, b'q')
    assert p.wait(20 * SLOW) == 0
    out += os.read(ours, 65536)
    assert termios.tcgetattr(its) == before
    os.close(ours)
    os.close(its)
    return out.decode()


def test_top(make_lab):
    lab = make_lab(sets=outward('hold:'))
    lab.send(b'Subject: x\r\n\r\nx\r\n', ['joe@example.org', 'ann@%s.example.net' % ('long' * 12)])
    for columns, env in ((80, {'NO_COLOR': ''}), (50, {'NO_COLOR': '1'})):
        out = top(lab, columns, 24, **env)
        shown = out.index('\033[H')
        assert out.index('\033[?1049h') < out.index('\033[?7l') < shown
        assert shown < out.index('\033[?7h') < out.index('\033[?1049l')
        head, sent = out[shown:].replace('\033[H', '').split('\033[K')[:2]
        assert head.startswith('2 entries in ') and len(head) <= 80, head
        assert sent.lstrip('\r\n').startswith('sent 0 (0.0/s), ') and len(sent.strip()) <= 80, sent


def test_a_number_of_entries_is_for_lists_only(make_lab):
    """Whoever says "at most one" of what changes entries is refused; nothing changes, whatever else is said."""
    lab = make_lab(sets=outward('hold:'))
    lab.send(b'Subject: x\r\n\r\nx\r\n', ['joe@example.org', 'ann@example.net'])
    before = queue(lab)
    assert len(before) == 2 and queue(lab, '--limit', '1') == before[:1]
    for words in (('hold', '--all'), ('retry', '--domain', '*'), ('release', before[0]['id']), ('bounce', '--all', '--yes'),
                  ('delete', '--domain', '*', '--yes'), ('delete', '--all')):
        r = lab.run('queue', *words, '--limit', '1', check=False)
        assert r.returncode == 1 and not r.stdout, r
        assert '--limit: it is for `queue list` only; leave it out' in r.stderr, r.stderr
    assert queue(lab) == before


def test_the_null_sender_and_brackets(make_lab):
    """What is copied from the list is found, and what has no sender can be chosen like anything else."""
    lab = make_lab(sets=outward('hold:'))
    for sender in ('', 'ann@example.com'):
        lab.send(b'Subject: x\r\n\r\nx\r\n', ['joe@example.org'], sender)
    assert [e['from'] for e in queue(lab, '--from', '<>')] == ['']
    assert [e['from'] for e in queue(lab, '--from', '<ann@example.com>', '--to', '<joe@example.org>')] == ['ann@example.com']
    for option in ('--from', '--to'):
        assert 'something is to stand behind it' in lab.run('queue', 'list', option, '', check=False).stderr
    r = lab.run('queue', 'list', '--to', '<>', check=False)
    assert r.returncode == 1 and 'no recipient is <>' in r.stderr
    letters = lab.json('trace', '--since', '1h')
    [nobody] = [row['letter'] for row in letters if row['from'] == '']
    for words in (('--from', '<>'), ('<>',), ('--from', '<>', '--to', 'joe@example.org')):
        assert [row['letter'] for row in lab.json('trace', *words)] == [nobody], words
    assert lab.run('trace', '--from', '<>', '--to', 'ann@example.org', check=False).returncode == 2
    assert '1 entry deleted.' in lab.run('queue', 'delete', '--from', '<>').stdout
    assert [e['from'] for e in queue(lab)] == ['ann@example.com']


def test_ids_that_are_not_there(make_lab):
    """One that is misspelled is named; what changes entries then changes none of the others."""
    lab = make_lab(sets=outward('hold:'))
    lab.send(b'Subject: x\r\n\r\nx\r\n', ['joe@example.org', 'ann@example.net'])
    before = queue(lab)
    one, letter, qid = before[0]['id'], before[0]['id'].split('.')[0], before[0]['qid']
    for verb in ('retry', 'hold', 'release', 'bounce', 'delete'):
        r = lab.run('queue', verb, one, 'typo.0', letter + '.77', check=False)
        assert r.returncode == 2 and not r.stdout, r
        assert 'typo.0 is not in the queue' in r.stderr and letter + '.77 is not' in r.stderr, r.stderr
        assert one + ' is' not in r.stderr and 'nothing was changed' in r.stderr, r.stderr
    assert queue(lab) == before
    r = lab.run('queue', 'list', 'typo.0', one, check=False)
    assert r.returncode == 2 and one in r.stdout and 'typo.0 is not in the queue' in r.stderr, r
    r = lab.run('queue', 'list', 'foo', check=False)
    assert r.returncode == 2 and 'foo is not in the queue' in r.stderr and 'No entry fits' not in r.stderr, r
    for ident, n in ((one, 1), (letter, 2), (qid, 2)):
        assert len(queue(lab, ident)) == n
    assert '2 entries deleted.' in lab.run('queue', 'delete', one, qid, '--yes').stdout


def test_what_stays_as_it_is(make_lab):
    """For what an entry waits, and what ends that, is said when a change does nothing to it."""
    lab = make_lab(sets=outward('hold:', 'held.example') + ['route.turn.example=turn:', 'route.next.example=smtp:127.0.0.1:9'])
    assert 'nothing waits' in lab.run('queue', 'retry', '--all', check=False).stderr
    for domain in ('held.example', 'turn.example', 'next.example'):
        lab.send(b'Subject: x\r\n\r\nx\r\n', ['joe@' + domain])
    lab.run('queue', 'hold', '--domain', 'next.example')
    for words, said in ((('retry', '--domain', 'next.example'), 'nothing to retry: 1 entry held, until `pennypost queue release`'),
                        (('retry', '--domain', 'held.example'), 'held by a route'),
                        (('retry', '--domain', 'turn.example'), 'fetches it (ATRN)'),
                        (('hold', '--domain', 'next.example'), 'nothing to hold: 1 entry held already'),
                        (('release', '--domain', 'turn.example'), 'nothing to release: 1 entry not held'),
                        (('retry', '--domain', 'other.example'), 'no entry fits;')):
        r = lab.run('queue', *words, check=False)
        assert r.returncode == 2 and not r.stdout and said in r.stderr, (words, r.stderr)
    lab.run('queue', 'hold', '--domain', 'held.example', '--reason', 'stolen')
    [e] = queue(lab, '--domain', 'held.example')
    text = ' '.join(lab.run('queue', 'why', e['id']).stdout.split())
    assert 'Held by an administrator: stolen Next nothing, until its route is another than hold: (`pennypost reload`), and ' \
        '`pennypost queue release %s`' % e['id'] in text, text
    assert why(lab, e['id'])['held_by'] == 'administrator route'
    assert '1 entry released.' in lab.run('queue', 'release', e['id']).stdout and why(lab, e['id'])['held_by'] == 'route'
    said = lab.run('queue', 'release', '--all').stdout
    assert '1 entry released.' in said and '1 entry held by a route' in said and '1 entry not held.' in said, said


def test_without_a_sub_command(make_lab):
    """An option that stands alone stands at no wrong place."""
    lab = make_lab()
    for words, what in ((('--json',), 'a sub-command is missing; write list'), (('--json', 'list'), 'options stand behind the sub-command')):
        r = lab.run('queue', *words, check=False)
        assert r.returncode == 1 and what in r.stderr, r.stderr
