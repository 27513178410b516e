"""Promise 1: nothing acknowledged is lost or doubled, whatever is killed, whenever.

Senders run and note what they were told; processes are killed at random moments; then every
letter that was acknowledged is there exactly once with every octet, none that was never
finished or was refused, and one whose answer nobody heard at most once.
"""
import hashlib
import mailbox
import os
import random
import signal
import smtplib
import threading
import time

import pytest

from server import SLOW, wait_until

CYCLES = int(os.environ.get('PENNYPOST_KILL_CYCLES', '5'))
SENDERS = 6
PACE = min(SLOW, 2)
ADDRESSES = ('alice@example.com', 'bob@example.com')


def letter_of(name):
    """The letter called name: the same octets whenever it is asked for; some are streamed."""
    r = random.Random(name)
    size = r.choice((10, 300, 3000, 3000, 30000, 400000))
    line = hashlib.sha256(name.encode()).hexdigest().encode()
    body = (line + b'\r\n') * (size // len(line) + 1)
    return (b'From: kill@example.net\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\nMessage-ID: <%s@example.net>\r\n'
            b'Subject: %s\r\n\r\n' % (name.encode(), name.encode()) + body)


class Sender(threading.Thread):
    def __init__(self, lab, name):
        super().__init__(daemon=True)
        self.lab, self.name_of, self.n = lab, name, 0
        self.acknowledged, self.refused, self.unheard, self.unfinished = set(), set(), set(), set()
        self.stop = threading.Event()

    def run(self):
        while not self.stop.is_set():
            try:
                with self.lab.smtp(timeout=20) as s:
                    s.ehlo()
                    while not self.stop.is_set():
                        self.one(s)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.01)

    def one(self, s):
        self.n += 1
        name = '%s-%d' % (self.name_of, self.n)
        letter = letter_of(name)
        self.unfinished.add(name)
        for code, _ in (s.mail('kill@example.net'), s.rcpt(ADDRESSES[0]), s.rcpt(ADDRESSES[1]), s.docmd('DATA')):
            if code >= 400:
                s.rset()
                return
        if self.n % 10 == 0:  # never finished
            s.send(letter[:len(letter) // 2])
            s.close()
            return
        s.send(letter)
        self.unfinished.discard(name)
        self.unheard.add(name)
        s.send(b'.\r\n')
        code, _ = s.getreply()
        self.unheard.discard(name)
        (self.acknowledged if code == 250 else self.refused).add(name)


class Crowd:
    def __init__(self):
        self.acknowledged, self.refused, self.unheard, self.unfinished = set(), set(), set(), set()
        self.cycle = 0

    def run(self, lab, while_running):
        self.cycle += 1
        senders = [Sender(lab, 'c%ds%d' % (self.cycle, i)) for i in range(SENDERS)]
        for s in senders:
            s.start()
        try:
            while_running()
        finally:
            for s in senders:
                s.stop.set()
            for s in senders:
                s.join(60 * SLOW)
                assert not s.is_alive(), 'a sender hangs'
                self.acknowledged |= s.acknowledged
                self.refused |= s.refused
                self.unheard |= s.unheard
                self.unfinished |= s.unfinished


def check_mailbox(lab, crowd, address, tmp_path):
    path = tmp_path / 'check.mbox'
    path.write_bytes(lab.run('mailbox', 'export', address, text=False).stdout)
    box = mailbox.mbox(str(path), create=False)
    seen = {}
    for key in box.keys():
        octets = box.get_bytes(key)
        name = octets.split(b'\nSubject: ', 1)[1].split(b'\n', 1)[0].decode()
        seen[name] = seen.get(name, 0) + 1
        want = letter_of(name).replace(b'\r\n', b'\n')
        assert octets.rstrip(b'\n').endswith(want.rstrip(b'\n')), '%s is damaged' % name
    box.close()
    lost = sorted(n for n in crowd.acknowledged if n not in seen)
    twice = sorted(n for n, k in seen.items() if k > 1)
    ghosts = sorted(n for n in seen if n in crowd.unfinished | crowd.refused)
    strange = sorted(n for n in seen if n not in crowd.acknowledged | crowd.unheard)
    assert (lost, twice, ghosts, strange) == ([], [], [], []), address
    return len(seen)


def check_all(lab, crowd, tmp_path):
    counts = {check_mailbox(lab, crowd, a, tmp_path) for a in ADDRESSES}
    assert len(counts) == 1, 'one mailbox has letters that the other has not'
    print('%d acknowledged, %d refused, %d unheard, %d unfinished; %s there' %
          (len(crowd.acknowledged), len(crowd.refused), len(crowd.unheard), len(crowd.unfinished), counts))
    r = lab.run('fsck', check=False)
    assert r.returncode == 0, r.stdout + r.stderr


def test_kill_everything(make_lab, tmp_path):
    lab = make_lab(sets=['limit.conns_per_ip=off'])
    crowd = Crowd()
    for _ in range(CYCLES):
        def while_running():
            time.sleep(random.uniform(0.05, 1.0) * PACE)
            lab.kill()
        crowd.run(lab, while_running)
        lab.start()
        check_all(lab, crowd, tmp_path)
    assert crowd.acknowledged


@pytest.mark.parametrize('role', ['store', 'front', 'reader', 'auth'])
def test_kill_one_role(make_lab, tmp_path, role):
    lab = make_lab(sets=['limit.conns_per_ip=off', 'fronts=2'])
    crowd = Crowd()

    def while_running():
        for _ in range(max(2, CYCLES // 2)):
            time.sleep(random.uniform(0.1, 0.8) * PACE)
            pids = lab.roles(role)
            if pids:
                os.kill(random.choice(pids), signal.SIGKILL)
            wait_until(lambda: lab.roles(role), 20)
        time.sleep(1.0 * PACE)
    crowd.run(lab, while_running)
    assert lab.running()

    def ready():
        try:
            return lab.count(ADDRESSES[0]) >= 0
        except (AssertionError, ValueError):
            return False
    wait_until(ready, 30, 0.2)
    check_all(lab, crowd, tmp_path)
    assert crowd.acknowledged
    assert lab.stop() == 0
    lab.start()
    check_all(lab, crowd, tmp_path)


def test_stop_under_load(make_lab, tmp_path):
    """SIGTERM in the middle of everything: the same promise, and a clean end."""
    lab = make_lab(sets=['limit.conns_per_ip=off'])
    crowd = Crowd()
    for _ in range(2):
        def while_running():
            time.sleep(random.uniform(0.2, 0.8) * PACE)
            assert lab.stop() == 0
        crowd.run(lab, while_running)
        lab.start()
        check_all(lab, crowd, tmp_path)
