"""The client built without the server: what it links, what it includes, what it opens, that it works."""
import glob
import os
import re
import shutil
import subprocess

import pytest
from server import ROOT, Lab

ROOMS = 'base cli crypt tls mail sasl smtp explain client play talk oneshot'.split()
# src/sys/meson.build says which files are portable.
LINUX = re.compile(r'sys/epoll\.h|<linux/|sys/prctl\.h|sys/signalfd\.h|sys/eventfd\.h|sys/inotify\.h|sys/timerfd\.h|'
                   r'\bmemfd_create\b|\baccept4\b|\bSOCK_CLOEXEC\b|\bSOCK_NONBLOCK\b|\bpipe2\b|\bO_PATH\b|\bO_TMPFILE\b|'
                   r'\bprctl\s*\(|\bgetrandom\b|SO_PEERCRED|\bppoll\b|\bsplice\s*\(|\bmemrchr\b|\bstrchrnul\b')
SERVER = {'libuv', 'liblmdb', 'libseccomp', 'libconfig', 'libcurl', 'libunbound', 'libcrypt'}


@pytest.fixture(scope='module')
def client(tmp_path_factory):
    build = tmp_path_factory.mktemp('client') / 'b'
    env = {**os.environ, 'CC': 'gcc'}
    r = subprocess.run(['meson', 'setup', str(build), '-Dserver=false', '-Dwerror=true', '-Doptimization=1', '-Ddebug=false'], cwd=ROOT, env=env,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, r.stdout
    r = subprocess.run(['ninja', '-C', str(build), '-j', '2'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, r.stdout[-4000:]
    yield str(build / 'pennypost')
    shutil.rmtree(build)


def run(binary, *words, input=None):
    return subprocess.run([binary, *map(str, words)], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, **({} if input is not None else {'stdin': subprocess.DEVNULL}))


def test_nothing_of_linux_in_the_clients_rooms():
    portable = re.search(r"src \+= files\(([^)]*)\)", open(os.path.join(ROOT, 'src/sys/meson.build')).read()).group(1)
    files = [os.path.join(ROOT, 'src/sys', f) for f in re.findall(r"'([^']+)'", portable)]
    for room in ROOMS:
        files += glob.glob(os.path.join(ROOT, 'src', room, '*.[ch]'))
    bad = ['%s:%d: %s' % (os.path.relpath(f, ROOT), n, line.strip()) for f in files
           for n, line in enumerate(open(f, encoding='utf-8'), 1) if LINUX.search(line.split('/*')[0])]
    assert not bad, '\n'.join(bad)


def test_libraries(client):
    out = subprocess.run(['readelf', '-d', client], stdout=subprocess.PIPE, text=True).stdout
    needed = {n.split('.so')[0] for n in re.findall(r'NEEDED.*\[([^\]]+)\]', out)}
    assert not needed & SERVER, needed


def test_commands(client):
    r = run(client, 'help')
    names = re.findall(r'^  (\w+) ', r.stdout, re.M)
    assert {'talk', 'send', 'run', 'replay', 'explain', 'completion', 'help'} <= set(names)
    assert not {'lab', 'serve', 'user', 'backup', 'dialect'} & set(names)
    assert run(client, 'serve').returncode == 1
    assert 'serve)' not in run(client, 'completion', 'bash').stdout


def test_start_opens_nothing(client):
    r = subprocess.run(['strace', '-f', '-e', 'trace=open,openat', client, 'explain', '550'], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 0 and '550' in r.stdout
    opened = re.findall(r'open(?:at)?\([^"]*"([^"]+)"[^=]*= \d', r.stderr)
    bad = [p for p in opened if not re.match(r'/etc/ld\.so\.cache$|.*/lib[^/]*\.so[.\d]*$|.*/locale/|.*/gconv', p)]
    assert not bad, bad
    assert not [p for p in opened if '/sasl2/' in p or 'ssl/certs' in p or 'openssl.cnf' in p]


def test_works_against_a_server(client, tmp_path):
    lab = Lab(tmp_path / 'lab')
    lab.start()
    try:
        to = '127.0.0.1:%d' % lab.port()
        case = tmp_path / 'x.conv'
        case.write_text('S: 220 .*\nC: EHLO client.example.net\nS*: 250-.*\nS: 250 .*\nC: QUIT\nS: 221 .*\nE: close\n')
        r = run(client, 'run', '--to', to, case)
        assert r.returncode == 0, r.stdout + r.stderr
        r = run(client, 'run', case)
        assert r.returncode == 2 and '--to HOST:PORT' in r.stdout
        r = run(client, 'send', '--from', 'a@example.net', '--to', 'alice@example.com', '--text', 'hello',
                '--tls=never', to)
        assert r.returncode == 0, r.stdout + r.stderr
        assert lab.count('alice@example.com') == 1
    finally:
        lab.stop()
        lab.close()
