"""Space comes back: many letters delivered and deleted leave no more than twice what is kept.

PENNYPOST_MILLION=1 takes a million letters instead of some thousands; bench/space.py prints the
same as a table over time.
"""
import json
import os
import random
import socket
import subprocess
import threading

from server import BINARY, SLOW, wait_until

ALICE, BOB = 'alice@example.com', 'bob@example.com'
# Segments of 1 MiB that are written to, ready or in reserve; and pages of the index that are free again: its file
# keeps them for what comes next, and gets smaller at a start.
SPARE = (8 << 20) + (4 << 20)
BATCH = 50  # letters that are on the way in one connection


def used(dir, parts=('log', 'blob', 'index')):
    """{part: octets on the disk} of the store in dir."""
    found = {}
    for part in parts:
        found[part] = 0
        for entry in os.scandir(os.path.join(dir, 'store', part)):
            try:
                found[part] += entry.stat().st_blocks * 512
            except FileNotFoundError:
                pass
    return found


class Feeder(threading.Thread):
    """One connection that pipelines whole letters with BDAT, and counts what was acknowledged."""

    def __init__(self, port, plan, size):
        super().__init__(daemon=True)
        self.port, self.plan, self.size, self.good, self.error = port, plan, size, 0, None

    def run(self):
        try:
            with socket.create_connection(('127.0.0.1', self.port), timeout=60 * SLOW) as s:
                self.talk(s, s.makefile('rb'))
        except (OSError, AssertionError) as e:
            self.error = e

    def talk(self, s, replies):
        assert replies.readline()[:3] == b'220'
        s.sendall(b'EHLO client.example.net\r\n')
        while replies.readline()[3:4] == b'-':
            pass
        for i in range(0, len(self.plan), BATCH):
            some = self.plan[i:i + BATCH]
            s.sendall(b''.join(self.letter(to) for to in some))
            for _ in some:
                codes = [replies.readline()[:3] for _ in range(3)]
                assert codes == [b'250'] * 3, codes
                self.good += 1
        s.sendall(b'QUIT\r\n')
        replies.readline()

    def letter(self, to):
        """Octets that no compression would make anything of."""
        head = b'From: a@example.net\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\nSubject: space\r\n\r\n'
        body = head + os.urandom(self.size // 2).hex().encode() + b'\r\n'
        return b'MAIL FROM:<a@example.net>\r\nRCPT TO:<%s>\r\nBDAT %d LAST\r\n' % (to.encode(), len(body)) + body


def feed(port, plan, size, connections=50):
    """Delivers one letter of `size` octets to each address of plan."""
    feeders = [Feeder(port, plan[i::connections], size) for i in range(connections) if plan[i::connections]]
    for f in feeders:
        f.start()
    for f in feeders:
        f.join()
    errors = [f.error for f in feeders if f.error]
    assert not errors, errors
    assert sum(f.good for f in feeders) == len(plan)


def command(dir, *words):
    r = subprocess.run([BINARY, *words, '--json', '--dir', dir], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       check=True, timeout=600)
    return json.loads(r.stdout)


def live(dir):
    """Octets of all letters that are there."""
    return sum(box['bytes'] for address in (ALICE, BOB) for box in command(dir, 'mailbox', 'list', address))


def waves(dir, port, letters, kept, size, wave, told=lambda *row: None):
    """Delivers `letters` to alice, a wave at a time, each deleted at once; and among them `kept` to
    bob, which stay. Calls told(delivered, live, used) after each."""
    r = random.Random(1)
    delivered = bob = 0
    while delivered < letters:
        n = min(wave, letters - delivered)
        delivered += n
        more = kept * delivered // letters - bob
        bob += more
        plan = [ALICE] * n + [BOB] * more
        r.shuffle(plan)
        feed(port, plan, size)
        told('full', delivered, dir)
        gone = command(dir, 'mailbox', 'delete', ALICE, '--all', '--yes')
        assert gone['letters'] == n
        told('deleted', delivered, dir)


def settled(dir, spare=0, seconds=60):
    """Waits until at most twice the live data is used, and what is used then. Beside little live
    data those octets count that do not depend on it: `spare`."""
    limit = 2 * live(dir) + spare

    def small():
        now = used(dir)
        return now if sum(now.values()) <= limit else None
    try:
        return wait_until(small, seconds)
    except AssertionError:
        raise AssertionError('%s > %d = 2 * %d + %d' % (used(dir), limit, live(dir), spare)) from None


def test_space_comes_back(make_lab):
    million = bool(os.environ.get('PENNYPOST_MILLION'))
    segment = (16 << 20) if million else (1 << 20)
    spare = 0 if million else SPARE
    letters, wave, kept = (1000000, 50000, 100000) if million else (4000 // SLOW, 1000, 1000)
    lab = make_lab(sets=['store.segment_bytes=%d' % segment, 'limit.msgs_per_session=off'])
    waves(lab.dir, lab.port(), letters, kept, 4096, wave)
    assert live(lab.dir) > kept * 4096
    settled(lab.dir, spare)
    assert 'problem' not in lab.run('fsck').stdout
    assert lab.count(BOB) == kept
    # It stays so, and opens again with what is left.
    assert lab.stop() == 0
    lab.start()
    settled(lab.dir, spare)
    assert lab.count(BOB) == kept and lab.count(ALICE) == 0
    assert 'problem' not in lab.run('fsck').stdout


def test_deleted_to_the_last(make_lab):
    """Nothing is kept: what remains does not grow with what came and went."""
    lab = make_lab(sets=['store.segment_bytes=1048576'])
    for _ in range(3):
        feed(lab.port(), [ALICE] * 500, 8192)
        lab.send(b'Subject: blob\r\n\r\n' + b'x' * 70 * 6000, to=ALICE)
        assert lab.json('mailbox', 'delete', ALICE, '--all', '--yes')['letters'] == 501
        settled(lab.dir, SPARE)
        wait_until(lambda: used(lab.dir)['blob'] == 0, 60)


def test_which_letters_go(lab):
    """By UID, by date, all; and none by mistake."""
    for i in range(10):
        lab.send(b'Subject: %d\r\n\r\nx\r\n' % i)

    def uids():
        return [row['uid'] for row in lab.json('mailbox', 'show', ALICE)]

    def delete(*words, **more):
        return lab.run('mailbox', 'delete', ALICE, *words, **more)
    assert uids() == list(range(1, 11))
    assert 'Deleted 3 letters' in delete('3,5-4').stdout
    assert uids() == [1, 2, 6, 7, 8, 9, 10]
    assert 'Deleted 0 letters' in delete('3:5,4000-4100').stdout
    assert 'Deleted 0 letters' in delete('--before', '2001-01-01').stdout
    assert 'Deleted 0 letters' in delete('1-7', '--before', '2001-01-01T00:00:00Z').stdout
    assert 'Deleted 2 letters' in delete('9:*').stdout
    assert uids() == [1, 2, 6, 7, 8]
    for words, status in ((('7x',), 2), ((',',), 2), (('0',), 2), (('1-4294967296',), 2), ((), 1), (('7', '--all'), 1),
                          (('--all', '--before', 'tomorrow'), 1), (('--all', '--before', '2999-02-31'), 1), (('1', '--mailbox', 'Nowhere'), 2)):
        assert delete(*words, check=False).returncode == status, words
    assert lab.run('mailbox', 'delete', 'nobody@example.com', '--all', check=False).returncode == 2
    assert uids() == [1, 2, 6, 7, 8]
    assert 'Deleted 5 letters' in delete('--before', '2999-12-31', '--mailbox', 'inbox').stdout
    assert uids() == []
    assert lab.count(BOB) == 0
    lab.send(b'Subject: next\r\n\r\nx\r\n')
    assert uids() == [11]
    assert lab.json('mailbox', 'delete', ALICE, '--all')['letters'] == 1
    assert 'problem' not in lab.run('fsck').stdout
