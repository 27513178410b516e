"""Many sessions that change the same mailboxes at once, at random: every session's view must end as
the mailbox is, UIDs and mod-sequences only grow, and nothing acknowledged is lost, also when
processes are killed in between.

PENNYPOST_SEED and PENNYPOST_STEPS make it another or a longer run."""
import os
import poplib
import random
import re
import signal
import smtplib
import threading
import time

import pytest

import secure
from rawimap import fetch_items, login
from server import SLOW
from views import NAME, Account, View, flags_of, numbers

SEED = int(os.environ.get('PENNYPOST_SEED', random.randrange(1 << 30)))
STEPS = int(os.environ.get('PENNYPOST_STEPS', 60))
FLAGS = [b'\\Seen', b'\\Flagged', b'\\Answered', b'$Work', b'$Later']
BOXES = ['INBOX', 'Other']
USERS = ['alice@example.com', 'bob@example.com']
GONE = (EOFError, OSError, poplib.error_proto, smtplib.SMTPException)


class Refused(Exception):
    """An answer that is not OK: right while processes are killed."""


class Actor(threading.Thread):
    """Does STEPS things at random; `trouble` is what was wrong."""

    def __init__(self, lab, accounts, number, killing):
        super().__init__(daemon=True)
        self.lab, self.accounts, self.killing = lab, accounts, killing
        self.account = accounts[number % len(accounts)]
        self.random = random.Random(SEED * 1000 + number)
        self.number = number
        self.trouble = None
        self.done = 0

    def run(self):
        try:
            self.begin()
            for _ in range(STEPS):
                try:
                    self.act()
                    self.done += 1
                except TimeoutError:
                    raise AssertionError('no answer')
                except Refused as e:
                    assert self.killing, e
                    if self.random.random() < 0.5:
                        self.begin()
                except GONE as e:
                    assert self.killing, repr(e)
                    self.begin()
        except BaseException as e:  # whatever it is, the test shall say so
            self.trouble = e

    def begin(self):
        pass


class Session(Actor):
    def __init__(self, lab, accounts, number, killing):
        super().__init__(lab, accounts, number, killing)
        self.qresync = number // len(accounts) % 2 == 0
        self.word = b'$S%d' % number
        self.c, self.view = None, None
        self.old = []  # views of earlier: one comes back to them

    def begin(self):
        for _ in range(600 * SLOW):
            try:
                if self.c:
                    self.c.close()
                self.c = login(self.lab, self.account.user)
                if self.qresync:
                    self.ok('ENABLE QRESYNC')
                if self.qresync and self.view:
                    self.resync(self.view)
                else:
                    self.select(self.random.choice(BOXES))
                return
            except (Refused, *GONE):
                pass
            except AssertionError as e:
                if 'LOGIN' not in str(e) and 'STARTTLS' not in str(e):
                    raise
            time.sleep(0.1)
        raise AssertionError('the server does not come back')

    # --- asking

    def ask(self, command):
        untagged, tagged = self.c.ask(command)
        for r in untagged:
            self.view.take(r)
        self.view.take(tagged)
        return untagged, tagged

    def ok(self, command):
        untagged, tagged = self.ask(command) if self.view and self.selected else self.c.ask(command)
        if b' OK' not in tagged[:tagged.index(b' ') + 4]:
            raise Refused('%r: %r' % (command, tagged))
        return untagged, tagged

    selected = False

    def head(self, box, words):
        """SELECT; UIDVALIDITY and HIGHESTMODSEQ are what they must be."""
        with self.account.lock:
            modseq, uid = self.account.modseq.get(box, 0), self.account.uid.get(box, 0)
        self.selected = False
        self.line = 'SELECT %s%s' % (box, words)
        untagged, _ = self.ok(self.line)
        text = b''.join(r for r in untagged if r.startswith(b'* OK ['))
        code = {k: int(v) for k, v in re.findall(rb'\[(UIDVALIDITY|HIGHESTMODSEQ|UIDNEXT) (\d+)\]', text)}
        self.validity = code[b'UIDVALIDITY']
        self.account.saw_validity(box, self.validity)
        assert code[b'HIGHESTMODSEQ'] >= modseq, 'HIGHESTMODSEQ of %s falls: %d, %s' % (box, modseq, code)
        assert code[b'UIDNEXT'] > uid, 'UIDNEXT of %s falls: %d, %s' % (box, uid, code)
        self.selected = True
        return untagged, code[b'HIGHESTMODSEQ']

    def select(self, box):
        untagged, modseq = self.head(box, '' if self.qresync else ' (CONDSTORE)')
        self.box, self.view = box, View(self.account, box)
        for r in untagged:
            self.view.take(r)
        self.fetch_new()
        self.view.modseq = modseq

    def resync(self, view, quiet=False):
        """Comes back to a mailbox of which it has an older view: what it is told must make it the
        present one, exactly."""
        view = view.copy()
        known = ''
        if view.uids and self.random.random() < 0.7:
            known = ' %d:%d' % (self.random.choice((1, view.uids[0])), view.uids[-1])
            if self.random.random() < 0.5:
                n = sorted(self.random.sample(range(1, len(view.uids) + 1), min(3, len(view.uids))))
                known += ' (%s %s)' % (','.join(map(str, n)), ','.join(str(view.uids[i - 1]) for i in n))
        untagged, modseq = self.head(view.box, ' (QRESYNC (%d %d%s))' % (self.account.validity[view.box], max(view.modseq, 1), known))
        whole = view.again(untagged)
        # With known UIDs nothing is said of those behind them; nor of those that went behind HIGHESTMODSEQ.
        assert whole or known or not quiet, '%d is told of %d: %r' % (len(view.uids), view.exists, (self.line, untagged))
        self.box, self.view = view.box, view
        self.fetch_new()
        view.modseq = modseq
        self.compare(modseq)

    def compare(self, modseq):
        """Whatever was not changed behind modseq is as the view has it."""
        want = dict(self.view.flags)
        untagged, tagged = self.c.ask('UID FETCH 1:* (UID FLAGS MODSEQ)')
        for r in untagged:
            items = fetch_items(r)
            if items and b'FLAGS' in items and int(items[b'MODSEQ'].strip(b'()')) <= modseq:
                uid = int(items[b'UID'])
                assert uid in want, 'QRESYNC has not told of %d' % uid
                assert flags_of(items) == want[uid], 'QRESYNC: flags of %d' % uid
        for r in untagged:
            self.view.take(r)
        if b' OK' not in tagged:
            raise Refused(tagged)

    def fetch_new(self):
        """Until all is known. Letters that somebody expunges meanwhile may be left out by FETCH; NOOP tells."""
        for _ in range(100):
            view = self.view
            if view.exists == len(view.uids):
                return
            self.ok('FETCH %d:%d (UID FLAGS MODSEQ ENVELOPE)' % (len(view.uids) + 1, view.exists))
            if view.exists > len(view.uids):
                self.ok('NOOP')
        raise AssertionError('%d letters, of which %d can be fetched' % (view.exists, len(view.uids)))

    def some(self):
        uids = self.view.uids
        k = self.random.randrange(1, 6)
        return sorted(self.random.sample(uids, min(k, len(uids))))

    def name_them(self, uids):
        """{UID: name}, of those that are there still."""
        missing = [u for u in uids if u not in self.view.names]
        if missing:
            self.ok('UID FETCH %s (UID ENVELOPE)' % joined(missing))
        return {u: self.view.names[u] for u in uids if u in self.view.names}

    # --- what a session may do

    def append(self):
        box = self.random.choice(BOXES)
        names = [self.account.name() for _ in range(self.random.choice((1, 1, 3)))]
        words = b'APPEND %s' % box.encode()
        with self.account.lock:
            before = self.account.uid.get(box, 0)
        for n in names:
            letter = b'Subject: ' + n + b'\r\n\r\nhello\r\n'
            words += b' (%s) {%d+}\r\n' % (self.random.choice(FLAGS), len(letter)) + letter
        _, tagged = self.ok(words)
        m = re.search(rb'APPENDUID (\d+) ([\d:,]+)', tagged)
        uids = list(numbers(m.group(2)))
        assert len(uids) == len(names) and min(uids) > before, (tagged, before)
        self.account.saw_validity(box, int(m.group(1)))
        for uid, name in zip(uids, names):
            self.account.arrived(box, uid, name)
        with self.account.lock:
            self.account.born.update(names)

    def store(self):
        some = self.some()
        if not some:
            return
        how = self.random.choice(('+FLAGS', '-FLAGS', '+FLAGS', '-FLAGS', 'FLAGS', '+FLAGS.SILENT', '-FLAGS.SILENT'))
        flags = b' '.join(self.random.sample(FLAGS, self.random.randrange(1, 3)))
        if how == 'FLAGS':
            with self.account.lock:
                self.account.blurred.update((self.box, u) for u in some)
        since = ' (UNCHANGEDSINCE %d)' % self.view.top if self.random.random() < 0.2 else ''
        self.ok(b'UID STORE %s%s %s (%s)' % (joined(some).encode(), since.encode(), how.encode(), flags))
        if how.endswith('SILENT'):
            self.ok('UID FETCH %s (UID FLAGS MODSEQ)' % joined(some))

    def mark(self):
        """A keyword that nobody else sets: what was acknowledged must stay."""
        some, on, box = self.some(), self.random.random() < 0.6, self.box
        places = [(box, u, self.word) for u in some]
        if not some:
            return
        with self.account.lock:
            self.account.mine.update(dict.fromkeys(places))
        self.ok(b'UID STORE %s %sFLAGS (%s)' % (joined(some).encode(), b'+' if on else b'-', self.word))
        with self.account.lock:
            self.account.mine.update(dict.fromkeys(places, on))

    def expunge(self):
        named = self.name_them(self.some())
        if named and self.random.random() < 0.5:
            self.account.asks_expunge(self.box, named)
            self.ok('UID STORE %s +FLAGS.SILENT (\\Deleted)' % joined(named))
            self.ok('UID EXPUNGE %s' % joined(named))

    def copy(self, move=False):
        named = self.name_them(self.some())
        if not named:
            return
        box = self.box
        other = BOXES[1 - BOXES.index(box)]
        if not move and self.random.random() < 0.2:
            other = box
        with self.account.lock:
            before = self.account.uid.get(other, 0)
        self.account.asks_copy(box, named, move)
        untagged, tagged = self.ok('UID %s %s %s' % ('MOVE' if move else 'COPY', joined(named), other))
        m = re.search(rb'\[COPYUID (\d+) ([\d:,]+) ([\d:,]+)\]', b''.join(untagged) + tagged)
        if not m:
            return  # all of them had gone
        self.account.saw_validity(other, int(m.group(1)))
        source, to = list(numbers(m.group(2))), list(numbers(m.group(3)))
        assert len(source) == len(to) and min(to) > before and set(source) <= set(named), (tagged, before)
        for a, b in zip(source, to):
            self.account.arrived(other, b, named[a])
        if move:
            left = set(source) & set(self.view.uids)
            assert not left, 'moved and not told: %s' % left

    def move(self):
        self.copy(move=True)

    def noop(self):
        self.ok('NOOP')
        top = self.view.top
        self.fetch_new()
        self.view.modseq = max(self.view.modseq, top)
        if self.qresync and self.random.random() < 0.3:
            self.old = self.old[-5:] + [self.view.copy()]

    def changed(self):
        more = ' VANISHED' if self.qresync else ''
        self.ok('UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d%s)' % (max(self.view.modseq, 1), more))

    def idle(self):
        tag = self.c.send('IDLE')
        untagged = []
        r = self.c.response()
        while not r.startswith(b'+'):
            if r.startswith(tag):
                raise Refused(r)
            untagged.append(r)
            r = self.c.response()
        self.c.quiet(self.random.random() * 0.2)
        self.c.write(b'DONE\r\n')
        more, _ = self.c.until(tag)
        for r in untagged + more:
            self.view.take(r)

    def switch(self):
        if self.old and self.random.random() < 0.6:
            self.resync(self.random.choice(self.old))
        else:
            self.select(self.random.choice(BOXES))

    def leave(self):
        self.c.close()
        self.begin()

    ACTS = (append, append, store, store, mark, mark, expunge, move, copy, noop, noop, noop, changed, idle, switch, leave)

    def act(self):
        self.random.choice(self.ACTS)(self)

    def settle(self):
        """Everything that is to be told has been told."""
        try:
            self.noop()
        except (Refused, *GONE):
            self.begin()


def joined(uids):
    return ','.join(str(u) for u in sorted(uids))


class Sender(Actor):
    """SMTP, to one or both."""

    def act(self):
        to = self.random.choice(([0], [1], [0, 1]))
        names = b' '.join(self.accounts[i].name() for i in to)
        time.sleep(self.random.random() * 0.1)
        # A letter to two has a name of each in its Subject: NAME finds the account's own by order.
        for i, name in zip(to, names.split()):
            try:
                self.lab.send(b'Subject: ' + name + b'\r\n\r\nhello\r\n', to=self.accounts[i].user)
            except AssertionError as e:
                if not str(e).startswith("b'4."):
                    raise
                raise Refused(str(e)) from None
            with self.accounts[i].lock:
                self.accounts[i].born.add(name)


class Popper(Actor):
    """POP3: what it deletes goes at QUIT."""

    def act(self):
        time.sleep(self.random.random() * 0.2)
        p = poplib.POP3_SSL('127.0.0.1', self.lab.port(995), context=secure.context(), timeout=60 * SLOW)
        try:
            p.user(self.account.user)
            p.pass_('secret')
            self.session(p)
        finally:
            p.close()

    def session(self, p):
        n = p.stat()[0]
        assert len(p.uidl()[1]) == n
        chosen = {}
        for i in self.random.sample(range(1, n + 1), min(n, 2)) if self.random.random() < 0.5 else ():
            try:
                chosen[i] = NAME.search(b'\n'.join(p.top(i, 0)[1])).group(0)
            except poplib.error_proto as e:
                if not isinstance(e.args[0], bytes):
                    raise  # poplib's own word for a connection that ended
                assert b'not there any more' in e.args[0]  # somebody moved it since the login (decisions 49)
        with self.account.lock:
            self.account.doomed.update(chosen.values())
        for i in chosen:
            p.dele(i)
        if self.random.random() < 0.2:
            return  # without QUIT nothing is deleted
        p.quit()
        with self.account.lock:
            self.account.popped.update(chosen.values())


# --- the tests


def truth(lab, user, box):
    c = login(lab, user, select=box)
    out = {}
    for r in c.ok('UID FETCH 1:* (UID FLAGS ENVELOPE)'):
        items = fetch_items(r)
        if items:
            out[int(items[b'UID'])] = (flags_of(items), NAME.search(items[b'ENVELOPE']).group(0))
    status = c.ok('STATUS %s (MESSAGES UNSEEN DELETED)' % box)
    c.close()
    seen = [int(n) for n in re.findall(rb'(?:MESSAGES|UNSEEN|DELETED) (\d+)', status[0])]
    flags = [f for f, _ in out.values()]
    assert sorted(seen) == sorted((len(out), sum(b'\\Seen' not in f for f in flags), sum(b'\\Deleted' in f for f in flags)))
    return out


def check(lab, accounts, sessions):
    there = {a.user: {box: truth(lab, a.user, box) for box in BOXES} for a in accounts}
    for s in sessions:
        s.settle()
        for view in [None] + s.old:
            if view:
                s.resync(view, quiet=True)
            want = {uid: flags for uid, (flags, _) in there[s.account.user][s.box].items()}
            got = {uid: s.view.flags.get(uid) for uid in s.view.uids}
            assert got == want, 'a view of %s did not converge' % s.box
    for a in accounts:
        a.check(there[a.user])
        # POP3 sees the same.
        p = poplib.POP3_SSL('127.0.0.1', lab.port(995), context=secure.context(), timeout=60 * SLOW)
        p.user(a.user)
        p.pass_('secret')
        assert p.stat()[0] == len(there[a.user]['INBOX'])
        p.quit()
        p.close()


def play(lab, killing, n, meanwhile=None):
    accounts = [Account(u) for u in USERS]
    for a in accounts:
        c = login(lab, a.user)
        c.ok('CREATE Other')
        c.close()
    sessions = [Session(lab, accounts, i, killing) for i in range(n)]
    actors = sessions + [Sender(lab, accounts, 100, killing), Popper(lab, accounts, 200, killing), Popper(lab, accounts, 201, killing)]
    for s in actors:
        s.start()
    if meanwhile:
        meanwhile(actors)
    for s in actors:
        s.join(240 * SLOW)
        assert not s.is_alive(), 'a session hangs'
        if s.trouble:
            raise s.trouble
    return accounts, sessions


@pytest.mark.parametrize('turn', range(2))
def test_views_converge(make_lab, turn, monkeypatch):
    seed(monkeypatch, turn)
    lab = make_lab()
    accounts, sessions = play(lab, False, 6)
    check(lab, accounts, sessions)
    for s in sessions:
        s.c.close()
    lab.run('fsck')


def seed(monkeypatch, turn):
    monkeypatch.setitem(globals(), 'SEED', SEED + turn)
    print('PENNYPOST_SEED=%d' % SEED)


def test_killed_in_between(make_lab, monkeypatch):
    seed(monkeypatch, 10)
    lab, r = make_lab(), random.Random(SEED)

    def kill(actors):
        for role in ('store', 'reader', 'front', 'store', 'reader', 'store', 'front'):
            time.sleep(0.2 + r.random() * 0.8)
            if not any(s.is_alive() for s in actors):
                break
            for pid in lab.roles(role):
                os.kill(pid, signal.SIGKILL)
    accounts, sessions = play(lab, True, 6, kill)
    for s in sessions:
        s.begin()
    check(lab, accounts, sessions)
    for s in sessions:
        s.c.close()
    lab.run('fsck')
