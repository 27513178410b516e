"""pennypost run: exit statuses and what it prints when something is wrong."""
import json
import os
import subprocess

from server import BINARY, ROOT, SLOW


def run(*words, env=None):
    return subprocess.run([BINARY, 'run', *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120 * SLOW, cwd=ROOT, env=env)


def case(tmp_path, text, name='case.conv'):
    path = tmp_path / name
    path.write_text(text)
    return path


GOOD = '''@id good
@title a letter to a mailbox
@dialect sendmail
@set host=mail.example.com
@mailbox ann@example.com
@domain example.com
S: 220 mail\\.example\\.com ESMTP .*
C: EHLO me
S*: 250-.*
S: 250 .*
C: MAIL FROM:<a@example.net>
S: 250 .*
C: RCPT TO:<ann@example.com>
S: 250 .*
C: DATA
S: 354 .*
C: Subject: {b64:hello}
C:
C: ..{repeat:3:ab} there
C: .
S: 250 .*
C: QUIT
S: 221 .*
E: close
V: mailbox ann@example.com count=1
V: maxcount ann@example.com 1
V: header ann@example.com Subject: aGVsbG8=
V: header ann@example.com return-path: <a@example\\.net>
V: noheader ann@example.com Cc
V: body ann@example.com ^\\.ababab t
V: nobody ann@example.com ^\\.\\.
V: notqueued ann@example.org
'''


def test_all_pass(tmp_path):
    r = run(case(tmp_path, GOOD))
    assert r.returncode == 0, r.stdout + r.stderr
    lines = r.stdout.strip().split('\n')
    assert lines[0].startswith('ok   good  a letter to a mailbox (')
    assert lines[-1].startswith('1 passed, 0 failed (')


def test_each_wrong_verification_fails(tmp_path):
    for wrong in ('mailbox ann@example.com count=2', 'maxcount ann@example.com 0',
                  'header ann@example.com Subject: other', 'header ann@example.com X-None: x',
                  'noheader ann@example.com Subject', 'body ann@example.com nowhere',
                  'nobody ann@example.com ababab', 'notqueued ann@example.com', 'queued ann@example.com',
                  'mailbox nobody@example.com count=0'):
        path = case(tmp_path, GOOD.split('V: ')[0] + 'V: ' + wrong + '\n')
        r = run(path)
        assert r.returncode == 16, (wrong, r.stdout)
        assert '%s:25: V: %s' % (path, wrong) in r.stdout, r.stdout


def test_wrong_answer(tmp_path):
    path = case(tmp_path, 'S: 220 .*\nC: NOOP\nS: 299 nope\n')
    r = run(path)
    assert r.returncode == 16
    assert '%s:3: S: 299 nope' % path in r.stdout
    assert 'expected: 299 nope' in r.stdout and 'got:      250 ' in r.stdout
    assert 's: 220 ' in r.stdout and 'c: NOOP' in r.stdout
    r = run('--json', path)
    assert r.returncode == 16
    first, last = [json.loads(line) for line in r.stdout.strip().split('\n')]
    assert first['result'] == 'fail' and first['line'] == 3 and first['got'].startswith('250 ')
    assert last == {'passed': 0, 'failed': 1}


def test_mistake_in_a_file(tmp_path):
    good, bad = case(tmp_path, GOOD, 'good.conv'), case(tmp_path, 'S: (\nhuh\n', 'bad.conv')
    r = run(good, bad)
    assert r.returncode == 1 and 'bad.conv:2:' in r.stderr and not r.stdout
    assert run(tmp_path / 'none.conv').returncode == 1


def test_server_that_cannot_start(tmp_path):
    r = run(case(tmp_path, '@set nonsense=1\nS: 220 .*\n'))
    assert r.returncode == 2 and 'nonsense' in r.stdout
    assert run('--to', '127.0.0.1:1', case(tmp_path, 'S: 220 .*\n')).returncode == 2


def test_against_a_server_that_is_there(tmp_path, lab):
    text = GOOD.replace('V: mailbox ann@example.com count=1', 'V: mailbox ann@example.com count=99')
    text = text.replace('mail\\.example\\.com ESMTP ', '').replace('ann@', 'alice@')
    r = run('--to', '127.0.0.1:%d' % lab.port(), case(tmp_path, text))
    assert r.returncode == 0, r.stdout + r.stderr
    assert lab.count('alice@example.com') == 1


def test_nothing_stays_behind(tmp_path):
    env = {**os.environ, 'TMPDIR': str(tmp_path)}
    assert run(case(tmp_path, GOOD), env=env).returncode == 0
    assert [n for n in os.listdir(tmp_path) if n.startswith('pennypost-run')] == []
    r = run('--keep', case(tmp_path, GOOD), env=env)
    kept = [n for n in os.listdir(tmp_path) if n.startswith('pennypost-run')]
    assert len(kept) == 1 and kept[0] in r.stdout


def test_many_at_a_time_in_order(tmp_path):
    paths = [case(tmp_path, '@id case-%d\nS: 220 .*\nW: %d\n' % (i, 400 - 100 * i), '%d.conv' % i) for i in range(4)]
    r = run('--jobs', '4', *paths)
    assert r.returncode == 0, r.stdout
    assert [line.split()[1] for line in r.stdout.split('\n')[:4]] == ['case-%d' % i for i in range(4)]


def test_the_copies_are_complete():
    """The 44 conversations that the first letter must pass."""
    names = os.listdir(os.path.join(ROOT, 'tests', 'conversations'))
    assert len([n for n in names if n.endswith('.conv')]) >= 44
