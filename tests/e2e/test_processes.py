"""The processes: their rights, what happens when one dies, how they end."""
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from server import SLOW, alive, port_is_free, wait_until

LETTER = b'From: a@example.net\r\nSubject: x\r\n\r\nx\r\n'
ROLES = ('front', 'store', 'reader', 'auth')


def status_of(pid):
    with open('/proc/%d/status' % pid) as f:
        return dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)


def test_status(lab):
    lab.send(LETTER)
    s = lab.json('status')
    assert s['dir'] == lab.dir and s['letters'] == 1
    by_role = {}
    for row in s['roles']:
        by_role.setdefault(row['role'], []).append(row)
    for role in ROLES:
        assert sorted(r['pid'] for r in by_role[role]) == lab.roles(role), role
        for row in by_role[role]:
            assert row['state'] == 'ready' or row['state'] == 'running', row
            assert {'no_new_privs'} <= set(row['layers']), row
            assert {'seccomp', 'seccomp_relaxed'} & set(row['layers']), row
    assert by_role['parent'][0]['pid'] == lab.process.pid
    text = lab.run('status').stdout
    assert 'front.0' in text and 'seccomp' in text and 'store' in text


def test_layers_are_what_the_kernel_says(lab):
    for pid, role in lab.roles_all().items():
        st = status_of(pid)
        assert st['NoNewPrivs'].strip() == '1', role
        assert st['Seccomp'].strip() == '2', role
        if os.getuid() == 0:
            uids = set(st['Uid'].split())
            assert len(uids) == 1 and uids != {'0'}, role
            assert int(st['CapEff'], 16) == 0 and int(st['CapPrm'], 16) == 0, role


@pytest.mark.skipif(os.getuid() != 0, reason='roles have uids of their own only when started as root')
def test_front_and_auth_have_uids_of_their_own(lab):
    uid = {role: {status_of(p)['Uid'].split()[0] for p in lab.roles(role)} for role in ROLES}
    assert uid['store'] == uid['reader']
    assert not uid['front'] & (uid['store'] | uid['auth']) and not uid['store'] & uid['auth']


@pytest.mark.skipif(os.getuid() != 0, reason='only root may look into a process that cannot be dumped')
def test_front_has_no_files(lab):
    """Descriptors of a front: sockets, memfds, events; no file of a disk but where the log goes."""
    for pid in lab.roles('front'):
        log = os.path.realpath(lab.log_path)
        for fd in os.listdir('/proc/%d/fd' % pid):
            target = os.readlink('/proc/%d/fd/%s' % (pid, fd))
            assert not target.startswith('/') or target in ('/dev/null', log) or target.startswith('/memfd:'), target
        assert os.readlink('/proc/%d/root' % pid) != '/'


def test_only_the_door_of_the_command_line(lab):
    st = os.stat(os.path.join(lab.dir, 'ctl.sock'))
    assert st.st_mode & 0o777 == 0o600


def answers(lab, logical=25):
    try:
        with lab.talk(logical) as t:
            return t.reply()[0] == 220
    except (ConnectionError, AssertionError, socket.timeout):
        return False


def works(lab):
    """A letter goes in and can be counted."""
    try:
        before = lab.count('alice@example.com')
        lab.send(LETTER)
        return lab.count('alice@example.com') == before + 1
    except (OSError, AssertionError, ValueError):
        return False


@pytest.mark.parametrize('role', ROLES)
def test_a_killed_role_comes_back(lab, role):
    lab.send(LETTER)
    old = lab.roles(role)
    os.kill(old[0], signal.SIGKILL)
    wait_until(lambda: len(lab.roles(role)) == len(old) and old[0] not in lab.roles(role), 15)
    assert lab.running()
    wait_until(lambda: answers(lab), 15)
    wait_until(lambda: works(lab), 15, 0.2)
    rows = [r for r in lab.json('status')['roles'] if r['role'] == role]
    assert sum(r['restarts'] for r in rows) == 1
    assert b'x\r\n' in lab.letters('alice@example.com')[0]


def test_ports_stay_while_every_front_is_dead(lab):
    """parent keeps the sockets: a client that comes meanwhile waits instead of being refused."""
    for pid in lab.roles('front'):
        os.kill(pid, signal.SIGKILL)
    with lab.talk() as t:
        assert t.reply()[0] == 220


def test_killed_again_and_again(lab):
    for _ in range(5):
        for pid in lab.roles_all():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.1)
    wait_until(lambda: answers(lab), 60)
    wait_until(lambda: works(lab), 60, 0.3)
    assert lab.running()


def test_no_orphan_keeps_a_port(lab):
    """kill -9 of the first process: all others end and the ports are free within 2 seconds."""
    pids = list(lab.roles_all())
    assert pids
    idle = lab.talk()
    assert idle.reply()[0] == 220
    os.kill(lab.process.pid, signal.SIGKILL)
    lab.process.wait()
    start = time.monotonic()
    wait_until(lambda: not any(alive(p) for p in pids), 2)
    wait_until(lambda: all(port_is_free(lab.port(p)) for p in (25,)), 2)
    print('free after %.2f s' % (time.monotonic() - start))
    idle.close()
    lab.start()
    lab.send(LETTER)
    assert lab.count('alice@example.com') == 1


def test_sigterm_is_clean_and_tells_clients(lab):
    with lab.talk() as t:
        t.begin()
        pids = list(lab.roles_all())
        lab.process.send_signal(signal.SIGTERM)
        assert t.reply()[0] == 421
        assert t.at_end()
    assert lab.process.wait(20 * SLOW) == 0
    assert not any(alive(p) for p in pids)
    assert port_is_free(lab.port())


def test_sigterm_finishes_a_letter_at_its_dot(lab):
    """What was already with the store is answered before the end."""
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<a@example.net>', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.ask('DATA', 354)
        t.send(LETTER + b'.\r\n')
        lab.process.send_signal(signal.SIGTERM)
        code = t.reply()[0]
    assert lab.process.wait(20 * SLOW) == 0
    assert lab.count('alice@example.com') == (1 if code == 250 else 0)


@pytest.mark.skipif(not shutil.which('strace') or SLOW > 1, reason='needs strace, and no sanitizer')
def test_a_second_lab_does_not_fill_the_first(make_lab):
    """However late the second one learns that the directory is taken."""
    first = make_lab(users=['alice@example.com:one'])
    second = make_lab(start=False, dir=first.dir, users=['eve@example.com:two', 'alice@example.com:two'])
    slow = ['strace', '-o', '/dev/null', '-e', 'trace=fcntl', '-e', 'inject=fcntl:delay_enter=500000']
    r = subprocess.run(slow + second.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, timeout=60)
    assert r.returncode == 3 and 'another pennypost' in r.stderr and not r.stdout, r
    assert [u['address'] for u in first.json('user', 'list')] == ['alice@example.com']


def test_timeout_sends_sigterm_twice(lab):
    """timeout(1) signals its child and then its group, so one stop arrives as two signals."""
    lab.process.send_signal(signal.SIGTERM)
    time.sleep(0.01)
    lab.process.send_signal(signal.SIGTERM)
    assert lab.process.wait(20 * SLOW) == 0


def test_sigint(lab):
    lab.process.send_signal(signal.SIGINT)
    assert lab.process.wait(20) == 0


def test_a_terminal_full_of_log_does_not_block(make_lab):
    """Nobody reads standard error: logging never stops the mail."""
    lab = make_lab(start=False)
    r, w = os.pipe()
    lab.process = subprocess.Popen(lab.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=w,
                                   start_new_session=True)
    os.close(w)
    lab.wait_ready()
    for _ in range(300):
        with lab.talk() as t:
            t.begin()
            t.ask('QUIT', 221)
    lab.send(LETTER)
    assert lab.count('alice@example.com') == 1
    os.close(r)
