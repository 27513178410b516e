"""A store that stands still under many sessions, and a disk that fills up: nobody is lost.

PENNYPOST_STOP_SECONDS says how long the store stands still.
"""
import os
import selectors
import signal
import sys
import time

import pytest

from server import ROOT, SLOW, wait_until

sys.path.insert(0, os.path.join(ROOT, 'tests', 'crash'))
import powercut  # noqa: E402

SESSIONS = 500
STOP_SECONDS = int(os.environ.get('PENNYPOST_STOP_SECONDS', '3'))
ALICE = 'alice@example.com'
FRONT_MEMORY = 80 << 20


def rss(pid):
    with open('/proc/%d/status' % pid) as f:
        return int([line for line in f if line.startswith('VmRSS')][0].split()[1]) * 1024


class Session:
    """One letter of a session, pushed on as far as the server takes it."""

    def __init__(self, lab, n):
        self.n = n
        self.talk = lab.talk()
        self.talk.begin()
        self.talk.send('MAIL FROM:<a@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\n' % ALICE)
        assert [self.talk.reply()[0] for _ in range(3)] == [250, 250, 354]
        line = b'%04d ' % n + b'x' * 70 + b'\r\n'
        self.rest = b'Subject: session %d\r\n\r\n' % n + line * 4000 + b'.\r\n'  # 150 MB in all
        self.talk.sock.setblocking(False)

    def push(self):
        """False: nothing more goes out."""
        try:
            self.rest = self.rest[self.talk.sock.send(self.rest[:65536]):]
            return bool(self.rest)
        except BlockingIOError:
            return False

    def answer(self):
        self.talk.sock.setblocking(True)
        self.talk.sock.settimeout(120 * SLOW)
        if self.rest:
            self.talk.send(self.rest)
        code = self.talk.reply()[0]
        self.talk.ask('NOOP', 250)  # the session lives
        self.talk.close()
        return code


def push_all(sessions, seconds, front):
    """Pushes whatever goes out; the most memory the front had."""
    until, most = time.monotonic() + seconds, 0
    with selectors.DefaultSelector() as sel:
        for s in sessions:
            sel.register(s.talk.sock, selectors.EVENT_WRITE, s)
        while time.monotonic() < until:
            for key, _ in sel.select(0.2):
                key.data.push()
                if not key.data.rest:
                    sel.unregister(key.data.talk.sock)
            most = max(most, rss(front))
    return most


def test_store_stands_still_under_many_sessions(make_lab):
    """500 sessions go on sending: front stops reading, keeps little, answers all."""
    n = SESSIONS if SLOW == 1 else 60
    lab = make_lab(sets=['fronts=1', 'limit.conns_per_ip=off'])
    front, store = lab.roles('front')[0], lab.roles('store')[0]
    sessions = [Session(lab, i) for i in range(n)]
    before = rss(front)
    os.kill(store, signal.SIGSTOP)
    try:
        most = push_all(sessions, STOP_SECONDS, front)
    finally:
        os.kill(store, signal.SIGCONT)
    print('front: %d KiB before, %d KiB with the store stopped for %d s' % (before >> 10, most >> 10, STOP_SECONDS))
    if SLOW == 1:
        assert most < FRONT_MEMORY
    codes = [s.answer() for s in sessions]
    assert codes == [250] * n
    assert lab.roles('front') == [front] and lab.roles('store') == [store]
    box = lab.run('mailbox', 'export', ALICE, text=False).stdout
    subjects = sorted(int(line.split()[2]) for line in box.split(b'\n') if line.startswith(b'Subject: session '))
    assert subjects == list(range(n))


def fill(lab, size, most):
    """Sends letters until one is refused: how many were taken, and where the refusal came."""
    letter = b'Subject: full\r\n\r\n' + (b'z' * 70 + b'\r\n') * (size // 72)
    for taken in range(most):
        with lab.smtp() as s:
            s.ehlo()
            code, _ = s.mail('a@example.net')
            if code != 250:
                return taken, 'MAIL', code
            assert s.rcpt(ALICE)[0] == 250
            code, _ = s.data(letter)
            if code != 250:
                return taken, 'DATA', code
    raise AssertionError('%d letters, and the disk is not full' % most)


def serves(lab):
    with lab.smtp() as s:
        s.ehlo()
        if s.mail('a@example.net')[0] != 250:
            return False
        assert s.rcpt(ALICE)[0] == 250
        return s.data(b'Subject: again\r\n\r\nroom\r\n')[0] == 250


@pytest.mark.parametrize('low', ['48M', 'off'])
def test_disk_full(make_lab, low):
    """MAIL is refused before space ends (or, if that is switched off, letters are); deleting works;
    when there is room again, service comes back by itself."""
    try:
        disk = powercut.Disk(megabytes=128)
    except powercut.NotPermitted as e:
        pytest.skip('a small disk of its own is not permitted here (%s)' % e)
    ballast, lab = os.path.join(disk.path, 'ballast'), None
    try:
        with open(ballast, 'wb') as f:
            f.write(bytes(40 << 20))
        lab = make_lab(dir=os.path.join(disk.path, 'lab'), sets=['limit.disk_low=' + low, 'store.segment_bytes=1M'])
        store = lab.roles('store')
        taken, where, code = fill(lab, 200000, 1500)
        assert (where, code) == ('MAIL' if low != 'off' else 'DATA', 452)
        assert taken > 20 and lab.count(ALICE) == taken
        lab.run('mailbox', 'delete', ALICE, '--all', '--yes')
        assert lab.count(ALICE) == 0
        os.unlink(ballast)
        wait_until(lambda: serves(lab), 60, 0.2)
        assert lab.count(ALICE) == 1
        assert lab.roles('store') == store
        assert lab.run('fsck', check=False).returncode == 0
        assert lab.stop() == 0
    finally:
        if lab:
            lab.stop()
        disk.close()
