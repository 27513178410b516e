"""What a letter and an idle session cost, as counts: they do not depend on how fast the machine is.

The rates are in docs/performance.md; here are limits that hold on a busy machine too.
"""
import os
import resource
import selectors
import socket
import sys
import time

import pytest

from server import BINARY, ROOT, SLOW, wait_until

sys.path.insert(0, os.path.join(ROOT, 'bench'))
import probe  # noqa: E402
from servers import Trouble  # noqa: E402

HEADER = b'From: <a@example.net>\r\nTo: <alice@example.com>\r\nSubject: a letter\r\n\r\n'
LETTER = HEADER + b'A line of seventy-six characters and its end, which is what most lines have.\r\n' * 51
STEPS = (b'EHLO client.example.net\r\n', b'MAIL FROM:<a@example.net>\r\n', b'RCPT TO:<alice@example.com>\r\n', b'DATA\r\n',
         LETTER + b'.\r\n')
CODES = (b'220', b'250', b'250', b'250', b'354', b'250')
# connections, letters, letters in a connection (0: all), and at most per letter: system calls,
# context switches, syncs
LOADS = {
    'fifty-reuse': (50, 1500, 0, 15, 14, 0.7),
    'fifty-one-each': (50, 800, 1, 30, 24, 1.2),
    'one-reuse': (1, 300, 0, 30, 24, 2.5),
}
IDLE, IDLE_KIB = 1000, 4


def sanitized():
    with open(BINARY, 'rb') as f:
        return b'__asan_init' in f.read()


pytestmark = pytest.mark.skipif(SLOW > 1 or sanitized(), reason='sanitizers have costs of their own')


class Client:
    """One connection: a step is said when the one before was answered as it should be."""

    def __init__(self, load):
        self.load = load
        self.open()

    def open(self):
        self.sock = socket.create_connection(('127.0.0.1', self.load.port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.step, self.letters, self.text = 0, 0, b''
        self.load.selector.register(self.sock, selectors.EVENT_READ, self)

    def on_input(self):
        self.text += self.sock.recv(4096)
        if not self.text.endswith(b'\r\n') or self.text[:-2].split(b'\n')[-1][3:4] == b'-':
            assert self.text, 'the server closed'
            return
        text, self.text = self.text, b''
        if self.step == 'quit':
            self.close()
            return
        assert text.startswith(CODES[self.step]), (self.step, text)
        if self.step == 5:
            self.load.done += 1
        if self.step in (1, 5) and not self.load.may_begin(self.letters):
            self.step = 'quit'
            self.sock.sendall(b'QUIT\r\n')
            return
        if self.step in (1, 5):
            self.letters += 1
            self.step = 1
        self.sock.sendall(STEPS[self.step])
        self.step += 1

    def close(self):
        self.load.selector.unregister(self.sock)
        self.sock.close()
        self.load.open -= 1
        if self.load.begun < self.load.count:
            self.load.open += 1
            self.open()


class Load:
    def __init__(self, port, connections, count, each):
        self.port, self.count, self.each = port, count, each
        self.begun = self.done = 0
        with selectors.DefaultSelector() as self.selector:
            self.open = connections
            for _ in range(connections):
                Client(self)
            while self.open:
                events = self.selector.select(60)
                assert events, 'nothing happened for a minute; %d letters were accepted' % self.done
                for key, _ in events:
                    key.data.on_input()
        assert self.done == count

    def may_begin(self, letters):
        if self.begun == self.count or (self.each and letters == self.each):
            return False
        self.begun += 1
        return True


def pids(lab):
    return {lab.process.pid: 'parent', **lab.roles_all()}


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    from server import Lab
    one = Lab(tmp_path_factory.mktemp('counts') / 'lab', sets=['log.level=warn', 'fronts=2', 'limit.conns_per_ip=off'])
    one.start()
    Load(one.port(), 10, 100, 0)
    yield one
    assert one.stop() == 0
    one.close()


@pytest.mark.parametrize('name', LOADS)
def test_system_calls_and_syncs(server, tmp_path, name):
    connections, letters, each, calls_at_most, _, syncs_at_most = LOADS[name]
    if not probe.strace_works():
        pytest.skip('strace may not trace here')
    counter = probe.Strace(pids(server), str(tmp_path), by_thread=True)
    try:
        counter.start()
    except Trouble as e:
        counter.stop()
        pytest.skip(str(e))
    begin = time.monotonic()
    try:
        Load(server.port(), connections, letters, each)
        took = (time.monotonic() - begin) / letters
    finally:
        roles = counter.stop()
    calls = {role: {call: round(n / letters, 2) for call, n in sorted(found.items(), key=lambda kv: -kv[1]) if n > letters / 50}
             for role, found in roles.items()}
    print(calls)
    assert roles['front']['all'] > 8 * letters and roles['store']['all'] > 0, 'the counter missed something'
    assert sum(probe.syncs(found) for found in roles.values()) > 0, 'the counter missed something'
    if took > 0.005:
        del roles['store/index']  # it works by the clock, not by the letter, and the machine is slow
    assert sum(found.get('all', 0) for found in roles.values()) <= calls_at_most * letters, calls
    assert sum(probe.syncs(found) for found in roles.values()) <= syncs_at_most * letters, calls


@pytest.mark.parametrize('name', LOADS)
def test_context_switches(server, name):
    connections, letters, each, _, switches_at_most, _ = LOADS[name]
    before = probe.usage(pids(server))[1]
    Load(server.port(), connections, letters, each)
    switches = (probe.usage(pids(server))[1] - before) / letters
    print(switches)
    assert switches <= switches_at_most


def greet(port):
    s = socket.create_connection(('127.0.0.1', port), timeout=60)
    for line in (b'EHLO idle.example.net\r\n', None):
        text = b''
        while not text.endswith(b'\n') or text[:-1].split(b'\n')[-1][3:4] != b' ':
            got = s.recv(4096)
            assert got, 'the server closed'
            text += got
        if line:
            s.sendall(line)
    return s


def test_idle_session(server):
    """An idle session keeps no buffers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 200:
        pytest.skip('only %d open files are allowed' % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + 200), hard))
    held = []
    try:
        held = [greet(server.port()) for _ in range(100)]
        front = pids(server)
        before = probe.memory(front)['private_kib']
        if before == 0:
            pytest.skip('only root may look at the memory of the roles')
        held += [greet(server.port()) for _ in range(IDLE)]

        each = (probe.memory(front)['private_kib'] - before) / IDLE
        print('%.2f KiB' % each)
        assert each <= IDLE_KIB
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
