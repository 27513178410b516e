"""Mail programs that wait in IDLE: what each of them costs, over all processes."""
import resource

import pytest

import secure
from rawimap import Socket
from server import SLOW

HASH = '$5$rounds=1000$pennypost$G8.O3n4RL3zxNT0fA9v12MDQgLg7nTxHXVjNW4AdciD'  # of 'bench': cheap to look at
USERS = 10
LETTERS = 20
WARM = 100
# held, KiB of private memory each at most; the port
WAYS = {'clear': (800, 6, 143), 'tls': (300, 24, 993)}
LETTER = b'From: a@example.net\r\nSubject: one\r\nMessage-ID: <%d@example.net>\r\n\r\none\r\n'


def private_kib(lab):
    total = 0
    for pid in list(lab.roles_all()) + [lab.process.pid]:
        with open('/proc/%d/smaps_rollup' % pid) as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith(('Private_Clean', 'Private_Dirty')))
    return total


def waiting(lab, i, port, context):
    wrap = (lambda sock: context.wrap_socket(sock, server_hostname='localhost')) if context else None
    c = Socket('127.0.0.1', lab.port(port), 60 * SLOW, wrap)
    c.ok('LOGIN u%d@example.com bench' % (i % USERS))
    c.ok('SELECT INBOX')
    c.idle = c.send('IDLE')
    assert c.line().startswith(b'+')
    return c


@pytest.fixture
def lab(make_lab, tmp_path):
    lab = make_lab(sets=['log.level=warn', 'auth_cleartext=allow'] + ['limit.conns_%s=off' % of for of in
                                                                     ('per_ip', 'listener', 'total')])
    users = tmp_path / 'users'
    users.write_text(''.join('u%d@example.com:%s\n' % (i, HASH) for i in range(USERS)))
    lab.run('user', 'import', str(users))
    for i in range(LETTERS):
        lab.send(LETTER % i, to=['u%d@example.com' % u for u in range(USERS)])
    return lab


@pytest.mark.parametrize('way', WAYS)
def test_waiting_sessions(lab, way):
    held, kib_at_most, port = WAYS[way]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < held + 300:
        pytest.skip('only %d files may be open here' % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, held + 300), hard))
    held = held // 4 if SLOW > 1 else held
    context = secure.context() if way == 'tls' else None
    socks = []
    try:
        socks += [waiting(lab, i, port, context) for i in range(WARM)]
        before = private_kib(lab)
        if not before:
            pytest.skip('only root may look at the memory of the roles')
        socks += [waiting(lab, i, port, context) for i in range(held)]
        each = (private_kib(lab) - before) / held
        print('%d sessions in IDLE, %s: %.2f KiB each' % (held, way, each))
        if SLOW == 1:
            assert each <= kib_at_most
        # All of one account are told of a letter.
        mine = [c for i, c in enumerate(socks[:WARM]) if i % USERS == 0]
        lab.send(LETTER % LETTERS, to='u0@example.com')
        for c in mine:
            assert c.response() == b'* %d EXISTS\r\n' % (LETTERS + 1)
            c.write(b'DONE\r\n')
            assert b' OK' in c.until(c.idle)[1]
    finally:
        for c in socks:
            c.sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
