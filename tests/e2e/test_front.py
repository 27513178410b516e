"""A front between strangers that do not behave and a store that stands still or goes away."""
import os
import signal
import socket
import time

from server import SLOW, wait_until

OPEN = 'MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n'


def rss(pid):
    with open('/proc/%d/status' % pid) as f:
        return int([line for line in f if line.startswith('VmRSS')][0].split()[1]) * 1024


def connections(lab):
    """None while a front is too busy to say."""
    lines = [line for line in lab.run('status').stdout.splitlines() if line.startswith('connections ')]
    return int(lines[0].split()[1]) if lines else None


def in_data(lab):
    t = lab.talk()
    t.begin()
    t.send(OPEN)
    assert [t.reply()[0] for _ in range(3)] == [250, 250, 354]
    return t


def push(sock, octets):
    """As many as go out at once."""
    sock.setblocking(False)
    try:
        return sock.send(octets)
    except BlockingIOError:
        return 0
    finally:
        sock.setblocking(True)
        sock.settimeout(60 * SLOW)


def test_store_stands_still(make_lab):
    """More conversations than the way to the store has room for wait for it, and none is lost."""
    n = 800
    lab = make_lab(sets=['fronts=1', 'limit.conns_per_ip=off'])
    body = b'Subject: x\r\n\r\n' + (b'y' * 70 + b'\r\n') * 2000
    talks = [in_data(lab) for _ in range(n)]
    store = lab.roles('store')[0]
    os.kill(store, signal.SIGSTOP)
    try:
        sent = [push(t.sock, body) for t in talks]
        time.sleep(1 * SLOW)
    finally:
        os.kill(store, signal.SIGCONT)
    for t, k in zip(talks, sent):
        t.send(body[k:] + b'.\r\n')
        assert t.reply()[0] == 250
        t.close()
    assert 'store-away' not in lab.log()
    assert lab.count('alice@example.com') == n


def test_peer_that_never_reads(make_lab):
    """What we said last is kept for it only so long."""
    lab = make_lab(sets=['fronts=1', 'limit.idle_seconds=2'])
    socks = []
    for n in range(400, 3200, 400):  # one of them fills the kernel's buffers and not ours
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(('127.0.0.1', lab.port()))
        socks.append(s)
        try:
            for _ in range(n):
                s.send(b'HELP\r\n' * 100)
            s.send(b'QUIT\r\n')
        except ConnectionError:
            pass
    wait_until(lambda: connections(lab) == 0, 45, 0.5)
    for s in socks:
        s.close()


def test_refused_recipients_cost_nothing(make_lab):
    lab = make_lab(sets=['fronts=1'])
    front = lab.roles('front')[0]
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<a@example.net>', 250)
        before = rss(front)
        line = b'RCPT TO:<%s@example.com> ORCPT=rfc822;%s\r\n' % (b'n' * 60, b'o' * 400)
        for _ in range(100):
            t.send(line * 100)
            assert all(t.reply()[0] == 550 for _ in range(100))
        if SLOW == 1:  # a sanitizer keeps what was given back
            assert rss(front) - before < 1 << 20
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.ask('DATA', 354)
        t.ask('Subject: x\r\n\r\nhi\r\n.', 250)
    assert lab.count('alice@example.com') == 1


def test_stop_lets_a_letter_end(make_lab):
    """421 at once for who is between letters, behind its answer for who is in one."""
    lab = make_lab(sets=['fronts=1'])
    idle, busy = lab.talk(), in_data(lab)
    idle.begin()
    lab.process.send_signal(signal.SIGTERM)
    assert idle.reply()[0] == 421 and idle.at_end()
    busy.send('Subject: x\r\n\r\nhi\r\n.\r\nNOOP\r\n')
    assert busy.reply()[0] == 250
    assert busy.reply()[0] == 421
    assert busy.at_end()
    assert lab.process.wait(20 * SLOW) == 0
    lab.start()
    assert lab.count('alice@example.com') == 1


def test_stop_does_not_wait_for_ever(make_lab):
    lab = make_lab(sets=['fronts=1'])
    busy = in_data(lab)
    busy.send('Subject: x\r\n')
    lab.process.send_signal(signal.SIGTERM)
    assert busy.reply()[0] == 421
    assert lab.process.wait(20 * SLOW) == 0
    lab.start()
    assert lab.count('alice@example.com') == 0
