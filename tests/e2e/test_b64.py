"""`pennypost b64`: as people use it, by pipe and by terminal."""
import os
import pty
import select
import subprocess
import time

import pytest

from server import BINARY

SEED = 'AG1vb25wb2ludEBleGFtcGxlLmNvbQBTb21lUGFzc3dvcmQ='  # seed 001, l. 153-156


def b64(*args, given=b'', env=None):
    e = dict(os.environ, **(env or {}))
    e.pop('PENNYPOST_PASSWORD', None) if not env else None
    return subprocess.run([BINARY, 'b64', *args], input=given, capture_output=True, timeout=20, env=e)


def test_plain_of_the_seed():
    r = b64('plain', 'moonpoint@example.com', given=b'SomePassword\n')
    assert (r.returncode, r.stdout.decode()) == (0, SEED + '\n')


def test_other_sources(tmp_path):
    r = b64('plain', 'moonpoint@example.com', env={'PENNYPOST_PASSWORD': 'SomePassword'})
    assert r.stdout.decode() == SEED + '\n'
    f = tmp_path / 'pw'
    f.write_text('SomePassword\nmore\n')
    r = b64('plain', 'moonpoint@example.com', '--password-file', str(f))
    assert r.stdout.decode() == SEED + '\n'


@pytest.mark.parametrize('args,given,out', [
    (['enc'], b'Username:', 'VXNlcm5hbWU6\n'),
    (['enc'], b'Username:\n', 'VXNlcm5hbWU6\n'),
    (['enc', '--raw'], b'x\n', 'eAo=\n'),
    (['enc', 'Username:'], b'', 'VXNlcm5hbWU6\n'),
    (['dec', 'VXNlcm5hbWU6'], b'', 'Username:\n'),
    (['dec'], b'VXNl\r\ncm5hbWU6\n', 'Username:\n'),
    (['dec', 'G1sySg=='], b'', '\\x1b[2J\n'),
    (['login', 'joe'], b'secret\n', 'am9l\nc2VjcmV0\n'),
    (['cram', 'tim', '334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+'], b'tanstaaftanstaaf\n',
     'dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw\n'),
])
def test_words(args, given, out):
    r = b64(*args, given=given)
    assert (r.returncode, r.stdout.decode()) == (0, out), r.stderr


def test_octets_survive():
    octets = bytes(range(256)) * 100
    enc = b64('enc', '--raw', given=octets)
    assert b64('dec', '--raw', given=enc.stdout).stdout == octets


def test_a_password_is_left_out():
    r = b64('dec', SEED)
    assert b'moonpoint@example.com' in r.stdout and b'SomePassword' not in r.stdout
    assert b'SomePassword' in b64('dec', '--show-secrets', SEED).stdout


@pytest.mark.parametrize('args,says', [
    (['dec', 'VXNlcm*5'], "octet 7, '*', is no base64"),
    (['pain', 'x'], 'did you mean plain?'),
    ([], 'say what to do'),
    (['plain', 'joe'], 'no password'),
    (['plain', 'joe', 'secret'], 'one word too many'),
    (['--password', 'x', 'plain', 'joe'], 'no option --password'),
])
def test_mistakes(args, says):
    r = b64(*args)
    assert r.returncode == 1 and says in r.stderr.decode()


def test_terminal_does_not_show_it():
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.pop('PENNYPOST_PASSWORD', None)
        os.execv(BINARY, [BINARY, 'b64', 'plain', 'moonpoint@example.com'])
    seen, sent, end = b'', False, time.monotonic() + 15
    while time.monotonic() < end:
        if not select.select([fd], [], [], 0.5)[0]:
            continue
        try:
            got = os.read(fd, 4096)
        except OSError:
            break
        if not got:
            break
        seen += got
        if b'Password: ' in seen and not sent:
            sent = True
            os.write(fd, b'SomePasswordX\x7f\r')
    os.close(fd)
    assert os.waitpid(pid, 0)[1] == 0
    assert b'SomePassword' not in seen and SEED.encode() in seen
