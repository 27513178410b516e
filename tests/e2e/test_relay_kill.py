"""Promise 1 for mail that goes on: processes are killed in the middle of thousands of deliveries. What was
acknowledged arrives: here once, elsewhere at least once, and twice only where RFC 1047 cannot be helped: the
other side took the letter, and whoever would have remembered it died before it was written down.

PENNYPOST_RELAY_LETTERS says how many letters are sent in each test.
"""
import collections
import os
import random
import re
import signal
import smtplib
import threading
import time

import pytest

from relaying import Sink, outward, queue
from server import SLOW, wait_until

LETTERS = int(os.environ.get('PENNYPOST_RELAY_LETTERS', '1000'))
SENDERS = 4
DOMAINS = 20
WINDOW = 1.0 * SLOW  # seconds from a 250 of the other side to its result on our disk
ROLES = ('store', 'relay', 'front', 'reader', 'auth')
SETS = ['limit.conns_per_ip=off', 'limit.rcpts_per_hour=off', 'limit.msgs_per_session=off', 'fronts=2', 'relays=2',
        'queue.retry_first=1']


class Feeder(threading.Thread):
    """Sends letters, each to two recipients at one domain, one at another, and every fifth to bob here too."""

    def __init__(self, lab, name, n):
        super().__init__(daemon=True)
        self.lab, self.name_of, self.n = lab, name, n
        self.acknowledged, self.refused, self.unheard = {}, set(), set()

    def run(self):
        i = 0
        while i < self.n:
            try:
                with self.lab.smtp(timeout=20) as s:
                    s.ehlo()
                    while i < self.n:
                        i += 1
                        self.one(s, '%s-%d' % (self.name_of, i), i)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)

    def one(self, s, ident, i):
        r = random.Random(ident)
        a, b = r.sample(range(DOMAINS), 2)
        rcpts = ['%s@d%d.test' % (ident, a), '%s.two@d%d.test' % (ident, a), '%s@d%d.test' % (ident, b)]
        if i % 5 == 0:
            rcpts.append('bob@example.com')
        body = ('line of %s\r\n' % ident) * r.choice((3, 30, 300))
        for code, _ in [s.mail('alice@example.com')] + [s.rcpt(x) for x in rcpts] + [s.docmd('DATA')]:
            if code >= 400:
                self.refused.add(ident)
                s.rset()
                return
        s.send(('Subject: %s\r\nFrom: alice@example.com\r\n\r\n%s' % (ident, body)).encode())
        self.unheard.add(ident)
        s.send(b'.\r\n')
        code, _ = s.getreply()
        self.unheard.discard(ident)
        if code == 250:
            self.acknowledged[ident] = rcpts
        else:
            self.refused.add(ident)


class Crowd:
    def __init__(self, lab, n=LETTERS):
        self.feeders = [Feeder(lab, 'k%d%04x' % (i, random.randrange(1 << 16)), n // SENDERS) for i in range(SENDERS)]
        self.kills = []
        for f in self.feeders:
            f.start()

    def feeding(self):
        return any(f.is_alive() for f in self.feeders)

    def killed(self):
        self.kills.append(time.time())

    def wait(self):
        for f in self.feeders:
            f.join(300 * SLOW)
            assert not f.is_alive(), 'a sender hangs'

    def check(self, lab, sink, duplicates_allowed):
        acknowledged, refused = {}, set()
        for f in self.feeders:
            acknowledged.update(f.acknowledged)
            refused |= f.refused
        assert len(acknowledged) > LETTERS // 4
        wait_until(lambda: not queue(lab), 180, 0.5)
        got = collections.defaultdict(list)
        for letter in sink.letters:
            ident = re.search(rb'(?m)^Subject: (\S+)', letter.octets).group(1).decode()
            assert letter.octets.count(b'line of ' + ident.encode() + b'\r\n') in (3, 30, 300), 'damaged'
            for rcpt in letter.rcpts:
                got[ident, rcpt].append(letter.time)
        lost = [(i, r) for i, rcpts in acknowledged.items() for r in rcpts if not r.endswith('@example.com') and (i, r) not in got]
        assert not lost, 'lost: %d, such as %s' % (len(lost), lost[:5])
        assert not [k for k in got if k[0] in refused]
        twice = {k: times for k, times in got.items() if len(times) > 1}
        outside = {k: times for k, times in twice.items()
                   if not all(any(t - 0.2 <= kill <= t + WINDOW for kill in self.kills) for t in times[:-1])}
        print('%d letters, %d recipients elsewhere, %d kills, %d duplicates, %d of them outside the window'
              % (len(acknowledged), len(got), len(self.kills), len(twice), len(outside)))
        assert not outside, list(outside.items())[:5]
        assert duplicates_allowed or not twice, list(twice.items())[:5]
        here = collections.Counter(re.search(rb'(?m)^Subject: (\S+)', octets).group(1).decode()
                                   for octets in boxed(lab, 'bob@example.com'))
        wanted = {i for i, rcpts in acknowledged.items() if 'bob@example.com' in rcpts}
        assert wanted <= set(here), 'lost here: %s' % list(wanted - set(here))[:5]
        assert max(here.values(), default=0) <= 1
        assert not lab.letters('alice@example.com')[:1], 'a report nobody expected'


def boxed(lab, address):
    text = lab.run('mailbox', 'export', address, text=False).stdout
    return [m for m in re.split(rb'(?m)^From (?=\S+ \w{3} \w{3} )', text) if m.strip()]


@pytest.mark.parametrize('role', ROLES)
def test_kill_one_role(make_lab, role):
    """Only relay's death may double a letter elsewhere: with the others, relay keeps what it was told."""
    with Sink() as sink:
        lab = make_lab(sets=outward(sink.target) + SETS)
        crowd = Crowd(lab)
        while crowd.feeding():
            time.sleep(random.uniform(0.3, 1.5))
            pids = lab.roles(role)
            if pids:
                crowd.killed()
                os.kill(random.choice(pids), signal.SIGKILL)
                wait_until(lambda: len(lab.roles(role)) == len(pids), 30)
        crowd.wait()
        assert lab.running()
        crowd.check(lab, sink, duplicates_allowed=role == 'relay')


def test_kill_everything(make_lab):
    with Sink() as sink:
        lab = make_lab(sets=outward(sink.target) + SETS)
        crowd = Crowd(lab)
        while crowd.feeding():
            time.sleep(random.uniform(0.5, 2.5))
            crowd.killed()
            lab.kill()
            lab.start()
        crowd.wait()
        crowd.check(lab, sink, duplicates_allowed=True)


def test_paused_relay(make_lab):
    """A relay that sleeps beyond its lease and wakes does not act on it any more."""
    with Sink() as sink:
        lab = make_lab(sets=outward(sink.target) + SETS)
        crowd = Crowd(lab, LETTERS // 2)
        for _ in range(3):
            time.sleep(random.uniform(0.2, 0.6))
            pids = lab.roles('relay')
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(1.5)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        crowd.wait()
        crowd.check(lab, sink, duplicates_allowed=False)


def test_stop_under_load(make_lab):
    """SIGTERM: no letter twice, none lost; what is on its way is finished or given back."""
    with Sink() as sink:
        lab = make_lab(sets=outward(sink.target) + SETS)
        crowd = Crowd(lab)
        while crowd.feeding():
            time.sleep(random.uniform(0.5, 2))
            assert lab.stop() == 0
            lab.start()
        crowd.wait()
        crowd.check(lab, sink, duplicates_allowed=False)
