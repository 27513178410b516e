"""Ten thousand idle sessions: held, cheap, and in nobody's way.

PENNYPOST_IDLE=N holds N of them. Without it: 10,000 where that many files may be open, 1,000 with sanitizers.
"""
import os
import resource
import selectors
import socket
import struct
import time

import pytest

from secure import context
from server import SLOW, Talk

IDLE = int(os.environ.get('PENNYPOST_IDLE', 1000 if SLOW > 1 else 10000))
SPARE = 300
KIB_EACH = 4
KIB_TLS = 20
IDLE_TLS = 1000  # enough of them that what grows in steps does not matter
ADDRESSES = 20  # the client's: so many ports are nobody else's loss
PATIENCE = 60 * SLOW


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n = min(IDLE, hard - SPARE)
    if n < min(IDLE, 1000):
        pytest.skip('only %d files may be open here' % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n + SPARE), hard))
    yield n
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(lab, i, logical=25):
    s = socket.socket()
    s.settimeout(PATIENCE)
    # Whoever closes first is left with nothing: no port waits for its time to pass.
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.bind(('127.77.0.%d' % (1 + i % ADDRESSES), 0))
    s.connect(('127.0.0.1', lab.port(logical)))
    return s


def sealed(lab, i, context):
    return context.wrap_socket(connect(lab, i, 465), server_hostname='localhost')


def ends(reply):
    return reply.endswith(b'\n') and reply[:-1].rpartition(b'\n')[2][3:4] == b' '


def replies(socks, code):
    """Reads one reply from each."""
    text = dict.fromkeys(socks, b'')
    deadline = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as waiting:
        for s in socks:
            waiting.register(s, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(deadline - time.monotonic(), 0))
            assert ready, '%d did not answer' % len(waiting.get_map())
            for key, _ in ready:
                s = key.fileobj
                got = s.recv(4096)
                assert got, 'the server closed'
                text[s] += got
                if ends(text[s]):
                    assert text[s].startswith(code), text[s]
                    waiting.unregister(s)


def ask_all(socks, line, code):
    for s in socks:
        s.sendall(line)
    replies(socks, code)


def begin(lab, first, n):
    socks = []
    for i in range(first, first + n, 200):  # no more at once than the queue of a listener holds
        new = [connect(lab, k) for k in range(i, min(i + 200, first + n))]
        replies(new, b'220')
        socks += new
    ask_all(socks, b'EHLO client.example.net\r\n', b'250')
    return socks


def private_kib(lab):
    """Of all processes that the strangers' connections could make larger."""
    total = 0
    for pid in list(lab.roles_all()) + [lab.process.pid]:
        with open('/proc/%d/smaps_rollup' % pid) as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith(('Private_Clean', 'Private_Dirty')))
    return total


def greeting_ms(lab, n):
    times = []
    for i in range(n):
        started = time.monotonic()
        s = connect(lab, i)
        replies([s], b'220')
        times.append((time.monotonic() - started) * 1000)
        s.close()
    return sorted(times)


def test_idle_sessions(make_lab, many_files):
    limits = ['limit.conns_%s=%s' % (of, 'off' if of == 'per_ip' else many_files + 200) for of in ('per_ip', 'listener', 'total')]
    lab = make_lab(sets=['log.level=warn'] + limits)
    socks = begin(lab, 0, 100)
    try:
        before = private_kib(lab)
        socks += begin(lab, 100, many_files - 100)
        each = (private_kib(lab) - before) / (many_files - 100)
        times = greeting_ms(lab, 20)
        print('%d idle sessions, %.2f KiB each; a newcomer is greeted in %.1f ms (median), %.1f ms (worst)' %
              (many_files, each, times[len(times) // 2], times[-1]))
        if SLOW == 1:
            assert each <= KIB_EACH
        # They are not only held: each still speaks, and takes a letter.
        ask_all(socks, b'NOOP\r\n', b'250')
        letter = b'Subject: late\r\n\r\nafter a long silence\r\n.\r\n'
        chosen = socks[::len(socks) // 50]
        for line, code in ((b'MAIL FROM:<a@example.net>\r\n', b'250'), (b'RCPT TO:<alice@example.com>\r\n', b'250'),
                           (b'DATA\r\n', b'354'), (letter, b'250'), (b'QUIT\r\n', b'221')):
            ask_all(chosen, line, code)
        assert lab.count('alice@example.com') == len(chosen)
        with Talk(connect(lab, 0)) as newcomer:
            newcomer.begin()
    finally:
        for s in socks:
            s.close()


def test_idle_tls(make_lab):
    """The same under TLS, where the library would like to keep much more."""
    limits = ['limit.conns_%s=off' % of for of in ('per_ip', 'listener', 'total')]
    lab = make_lab(sets=['log.level=warn'] + limits)
    c, socks = context(), []

    def more(n):
        new = [sealed(lab, i, c) for i in range(n)]
        socks.extend(new)
        replies(new, b'220')
        ask_all(new, b'EHLO client.example.net\r\n', b'250')
    try:
        more(100)
        before = private_kib(lab)
        more(IDLE_TLS)
        each = (private_kib(lab) - before) / IDLE_TLS
        print('%d idle sessions under TLS, %.2f KiB each' % (IDLE_TLS, each))
        if SLOW == 1:
            assert each <= KIB_TLS
        ask_all(socks, b'NOOP\r\n', b'250')
    finally:
        for s in socks:
            s.close()
