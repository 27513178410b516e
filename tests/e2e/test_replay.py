"""pennypost replay: captures as people paste them, played again against the dialect they are from."""
import base64
import glob
import os
import subprocess

import pytest
from server import BINARY, ROOT, SLOW, Lab

CAPTURES = os.path.join(ROOT, 'tests', 'data', 'captures')
# The capture and the case whose header says what the server must be like.
CASES = {'exchange': '000-02', 'sendmail': '001-02', 'citadel': '002-01', 'iis6': '003-01', 'generic': '004-01'}


def run(*words, input=None):
    return subprocess.run([BINARY, *map(str, words)], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=None if input is not None else subprocess.DEVNULL, text=True, timeout=120 * SLOW)


def header(case):
    """[(key, value)] of the @ lines of a conversation."""
    path = glob.glob(os.path.join(ROOT, 'tests', 'conversations', case + '*.conv'))[0]
    return [tuple(line[1:].rstrip('\n').split(' ', 1)) for line in open(path, encoding='utf-8') if line.startswith('@')]


def lab_of(dir, case):
    head = header(case)
    users, domains, args = [], [v for k, v in head if k == 'domain'], []
    for k, v in head:
        if k == 'mailbox':
            users.append(v)
        if k == 'user':
            login, password = v.split(' ')[:2]
            args += ['--user-plain', base64.b64encode(('\0%s\0%s' % (login, password)).encode()).decode()]
        if k == 'dialect':
            args += ['--dialect', v]
    sets = [v for k, v in head if k == 'set']
    if case == '000-02':
        sets.append('dot_space=end')  # as the page shows it; the case itself sends a dot alone
    lab = Lab(dir, users=users, domains=domains, sets=sets, args=args)
    return lab, int(dict(head)['listen'])


@pytest.mark.parametrize('name', sorted(CASES))
def test_capture(tmp_path, name):
    lab, listen = lab_of(tmp_path / 'lab', CASES[name])
    capture = os.path.join(CAPTURES, name + '.txt')
    lab.start()
    try:
        to = '127.0.0.1:%d' % lab.port(listen)
        for diff in ('code', 'enhanced'):
            r = run('replay', '--diff', diff, capture, *([to] if diff == 'code' else ['--to', to]))
            assert r.returncode == 0, r.stdout + r.stderr
            assert 'every answer is as it was recorded' in r.stdout
        # Dates and ids differ, and are shown.
        r = run('replay', '--diff=text', capture, to)
        assert r.returncode in (0, 16), r.stdout + r.stderr
        if r.returncode:
            assert '\n- s: ' in '\n' + r.stdout and '\n+ s: ' in '\n' + r.stdout and '^' in r.stdout
        # As a conversation it is a test.
        r = run('replay', '--convert', 'conv', capture)
        assert r.returncode == 0, r.stderr
        conv = tmp_path / 'capture.conv'
        conv.write_text(r.stdout)
        r = run('run', '--to', to, conv)
        assert r.returncode == 0, r.stdout
        # And every other format can be read again.
        for form in ('telnet', 'json', 'html'):
            kept = tmp_path / form
            kept.write_text(run('replay', '--convert', form, capture).stdout)
            r = run('replay', kept, to)
            assert r.returncode == 0, (form, r.stdout, r.stderr)
    finally:
        lab.stop()
        lab.close()


def test_differences_and_usage(tmp_path):
    lab, listen = lab_of(tmp_path / 'lab', CASES['sendmail'])
    lab.start()
    try:
        to = '127.0.0.1:%d' % lab.port(listen)
        text = 's: 220 x\nc: NOOP\ns: 550 5.7.1 no\nc: AUTH LOGIN\ns: 334 VXNlcm5hbWU6\nc: <user name, base64>\n'
        r = run('replay', '-', to, input=text)
        assert r.returncode == 16 or r.returncode == 1, r.stdout + r.stderr
        assert '- s: 550 5.7.1 no' in r.stdout and '+ s: 250 ' in r.stdout
        # A letter whose DATA is refused is not sent.
        text = 's: 220 x\nc: DATA\ns: 354 go\nc: RSET\nc: .\ns: 250 ok\nc: QUIT\ns: 221 x\n'
        r = run('replay', '-', to, input=text)
        assert r.returncode == 16 and 'DATA was refused' in r.stdout and 'RSET' not in r.stdout
    finally:
        lab.stop()
        lab.close()
    assert run('replay', '-', input='nothing of the kind\n').returncode == 1
    assert run('replay', tmp_path / 'none').returncode == 18
    assert run('replay', '-', '127.0.0.1:1', input='220 x\nquit\n221 x\n').returncode == 3
    r = run('replay', '--diff=cod', '-', 'x', input='220 x\nquit\n221 x\n')
    assert r.returncode == 1 and 'code, enhanced, text' in r.stderr
