"""Senders that note what they were told, and the check that all of it is true.

A letter is known by its name, and each attempt to send one has a name of its own. What was
acknowledged must be in every mailbox exactly once with every octet; what was refused or never
finished must not; an attempt whose answer nobody heard may be there once, in all mailboxes alike.
"""
import hashlib
import mailbox
import os
import random
import smtplib
import threading
import time

from server import SLOW

SENDERS = 6
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
        self.senders = []
        self.cut_at = None

    def cut(self):
        """From now on no answer counts: the disk is about to go, and a server that has not
        noticed may say anything."""
        self.cut_at = set()
        for s in self.senders:
            self.cut_at |= s.acknowledged.copy()
            self.cut_at |= s.refused.copy()

    def run(self, lab, while_running, senders=SENDERS):
        self.cycle += 1
        self.cut_at = None
        self.senders = senders = [Sender(lab, 'c%ds%d' % (self.cycle, i)) for i in range(senders)]
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
                late = set() if self.cut_at is None else (s.acknowledged | s.refused) - self.cut_at
                self.acknowledged |= s.acknowledged - late
                self.refused |= s.refused - late
                self.unheard |= s.unheard | late
                self.unfinished |= s.unfinished


def check_mailbox(lab, crowd, address, tmp_path):
    path = os.path.join(str(tmp_path), 'check.mbox')
    with open(path, 'wb') as f:
        f.write(lab.run('mailbox', 'export', address, text=False).stdout)
    box = mailbox.mbox(path, create=False)
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
