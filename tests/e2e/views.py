"""What a session knows of its mailbox from what it was told, and what all sessions of an account know
together; test_concurrent.py compares the two with what is there."""
import re
import threading

from rawimap import fetch_items

NAME = re.compile(rb'letter-\d+')


def numbers(text):
    for part in text.split(b','):
        a, _, b = part.partition(b':')
        a, b = int(a), int(b or a)
        yield from range(min(a, b), max(a, b) + 1)


def flags_of(items):
    return frozenset(items[b'FLAGS'].strip(b'()').split())


class Account:
    """What is certain of one account's mail. A letter is `born` under a name that no other has; where it
    stands, it is (mailbox, UID). What was asked without an answer may have happened or not."""

    def __init__(self, user):
        self.user = user
        self.lock = threading.Lock()
        self.count = 0
        self.born = set()      # names that were acknowledged
        self.copies = {}       # name: how often a copy was asked for
        self.doomed = set()    # names of which somebody has asked to expunge a copy
        self.moved = set()     # names that somebody has asked to move or to copy
        self.popped = set()    # names that a POP3 session has deleted, and its QUIT was answered
        self.at = {}           # (mailbox, UID): name, of what was acknowledged (b'' where unknown)
        self.leaving = set()   # (mailbox, UID): somebody has asked that it goes from there
        self.left = set()      # (mailbox, UID): it was said that it is not there any more
        self.blurred = set()   # (mailbox, UID): whose flags somebody has asked to replace
        self.mine = {}         # (mailbox, UID, keyword): set or not, by the only one who does that
        self.uid, self.modseq, self.validity = {}, {}, {}  # of a mailbox: the highest so far

    def name(self):
        with self.lock:
            self.count += 1
            return b'letter-%d' % self.count

    def arrived(self, box, uid, name):
        with self.lock:
            assert (box, uid) not in self.at, 'UID %d of %s is given twice' % (uid, box)
            self.at[box, uid] = name
            self.uid[box] = max(uid, self.uid.get(box, 0))

    def saw_modseq(self, box, modseq):
        with self.lock:
            self.modseq[box] = max(modseq, self.modseq.get(box, 0))

    def saw_validity(self, box, validity):
        with self.lock:
            assert self.validity.setdefault(box, validity) == validity, 'UIDVALIDITY of %s changes' % box

    def asks_copy(self, box, named, move):
        with self.lock:
            for uid, name in named.items():
                self.moved.add(name)
                if move:
                    self.leaving.add((box, uid))
                else:
                    self.copies[name] = self.copies.get(name, 0) + 1

    def asks_expunge(self, box, named):
        with self.lock:
            for uid, name in named.items():
                self.leaving.add((box, uid))
                self.doomed.add(name)

    def check(self, there):
        """there: {mailbox: {UID: (flags, name)}}, with nobody at work any more."""
        counts = {}
        for box, letters in there.items():
            for uid, (flags, name) in letters.items():
                place = box, uid
                counts[name] = counts.get(name, 0) + 1
                assert place not in self.left, 'UID %d of %s is there again' % (uid, box)
                known = self.at.get(place)
                assert not known or known == name, 'UID %d of %s is %r, not %r' % (uid, box, name, known)
                for (b, u, word), on in self.mine.items():
                    if (b, u) == place and on is not None and place not in self.blurred:
                        assert (word in flags) == on, 'flag %s of %s' % (word, place)
            if letters:
                assert max(letters) >= self.uid.get(box, 0) or self.leaving, box
        for (box, uid), name in self.at.items():
            if (box, uid) not in self.leaving and name not in self.popped and name not in self.doomed:
                assert uid in there[box], 'acknowledged and gone: UID %d of %s, %r' % (uid, box, name)
        for name, n in counts.items():
            most = 1 + self.copies.get(name, 0)
            assert n <= most, '%r is there %d times, of %d' % (name, n, most)
        lost = self.born - self.doomed - set(counts)
        assert not lost, 'acknowledged and gone: %s' % sorted(lost)[:5]
        back = self.popped - self.moved & set(counts)
        assert not back & set(counts), 'deleted by POP3 and there: %s' % sorted(back)[:5]


class View:
    """A mailbox as one session has been told of it. modseq: all up to it is known."""

    def __init__(self, account, box):
        self.account, self.box = account, box
        self.uids, self.flags, self.modseqs, self.names = [], {}, {}, {}
        self.exists, self.modseq, self.top = 0, 0, 0

    def copy(self):
        v = View(self.account, self.box)
        v.uids, v.flags, v.modseqs, v.names = list(self.uids), dict(self.flags), dict(self.modseqs), dict(self.names)
        v.exists, v.modseq, v.top = self.exists, self.modseq, self.top
        return v

    def saw(self, modseq):
        self.top = max(self.top, modseq)
        self.account.saw_modseq(self.box, modseq)

    def take(self, response):
        m = re.match(rb'\* (\d+) (EXISTS|EXPUNGE)', response)
        if m and m.group(2) == b'EXISTS':
            assert int(m.group(1)) >= self.exists, 'EXISTS falls from %d: %r' % (self.exists, response)
            self.exists = int(m.group(1))
            return
        if m:
            self.expunged(int(m.group(1)))
            return
        m = re.match(rb'\* VANISHED (\(EARLIER\) )?([\d:,]+)\r\n', response)
        if m:
            for uid in numbers(m.group(2)):
                self.vanished(uid, bool(m.group(1)))
            return
        m = re.search(rb'\[HIGHESTMODSEQ (\d+)\]', response)
        if m:
            self.saw(int(m.group(1)))
            return
        items = fetch_items(response)
        if items:
            self.learn(int(items[b'seq']), items)

    def expunged(self, seq):
        assert 1 <= seq <= self.exists, 'EXPUNGE of %d of %d' % (seq, self.exists)
        self.exists -= 1
        if seq <= len(self.uids):
            self.forget(self.uids[seq - 1])

    def vanished(self, uid, earlier):
        if uid in self.flags:
            self.forget(uid)
        # What is not known yet and goes: it was counted, or it never was.
        elif not earlier:
            assert not self.uids or uid > self.uids[-1], 'VANISHED %d, which was not there' % uid
        if not earlier:
            assert self.exists > 0, 'VANISHED %d of an empty mailbox' % uid
            self.exists -= 1

    def forget(self, uid):
        self.uids.remove(uid)
        del self.flags[uid]
        self.modseqs.pop(uid, None)
        with self.account.lock:
            self.account.left.add((self.box, uid))
            # Who asks for a UID from now on gets a higher one. (One that was asked for before may have come
            # and gone before the asker has read the answer.)
            self.account.uid[self.box] = max(uid, self.account.uid.get(self.box, 0))

    def learn(self, seq, items):
        assert 1 <= seq <= self.exists, 'FETCH of %d of %d' % (seq, self.exists)
        uid = int(items[b'UID']) if b'UID' in items else self.uids[seq - 1]
        if seq == len(self.uids) + 1:
            assert not self.uids or uid > self.uids[-1], 'UIDs do not ascend: %d, %d' % (self.uids[-1], uid)
            if b'FLAGS' not in items:
                return  # more is asked for later
            self.uids.append(uid)
        if seq > len(self.uids):
            return
        assert self.uids[seq - 1] == uid, 'number %d is %d, not %d' % (seq, self.uids[seq - 1], uid)
        modseq = int(items[b'MODSEQ'].strip(b'()')) if b'MODSEQ' in items else 0
        if modseq:
            assert modseq >= self.modseqs.get(uid, 0), 'the modseq of %d falls: %d' % (uid, modseq)
            self.modseqs[uid] = modseq
            self.saw(modseq)
        if b'FLAGS' in items:
            self.flags[uid] = flags_of(items)
        name = b'ENVELOPE' in items and NAME.search(items[b'ENVELOPE'])
        if name:
            self.names[uid] = name.group(0)

    def again(self, responses):
        """Those of a SELECT with QRESYNC (RFC 7162 3.2.5) bring an older view up to the present one."""
        exists = [int(r.split()[1]) for r in responses if re.match(rb'\* \d+ EXISTS', r)]
        rest = [r for r in responses if not re.match(rb'\* \d+ EXISTS', r)]
        gone = [r for r in rest if r.startswith(b'* VANISHED')]
        assert all(r.startswith(b'* VANISHED (EARLIER) ') for r in gone), gone
        first = next((i for i, r in enumerate(rest) if fetch_items(r)), len(rest))
        assert not any(r in gone for r in rest[first:]), 'VANISHED behind FETCH'
        self.exists = exists[0]
        # FETCHes may come in the order of changes; letters are learnt in that of their numbers.
        for r in sorted(rest, key=lambda r: int((fetch_items(r) or {b'seq': 0})[b'seq'])):
            self.take(r)
        return len(self.uids) == self.exists
