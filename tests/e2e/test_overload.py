"""Too much to do: what is refused first, what comes back by itself, and what a stop does to those who are inside.

That a fault is refused outside of a lab is in test_tls_cmd.py, a store that stands still in test_pressure.py.
"""
import base64
import os
import select
import signal
import time

import rawimap
from secure import secure, upgrade
from server import SLOW, wait_until

ALICE = 'alice@example.com'


def greeted(t):
    return t.reply()[0]


def begin_letter(lab, logical=25):
    t = lab.talk(logical)
    t.begin()
    for line, code in (('MAIL FROM:<a@example.net>', 250), ('RCPT TO:<%s>' % ALICE, 250), ('DATA', 354)):
        t.ask(line, code)
    return t


def starttls(lab):
    t = lab.talk()
    t.begin()
    return t, t.ask('STARTTLS')[0]


def test_tls_sessions_count_over_all_fronts(make_lab):
    """The kernel gives each front some of the sixteen."""
    lab = make_lab(sets=['fronts=2', 'limit.tls=16'])
    inside = [secure(lab) for _ in range(16)]
    assert [greeted(t) for t in inside] == [220] * 16
    assert all(0 < r['tls'] < 16 for r in lab.json('status')['roles'] if r['role'] == 'front')
    for _ in range(4):
        with secure(lab) as t:
            assert greeted(t) == 421
            assert t.at_end()
        t, code = starttls(lab)
        assert code == 421 and t.at_end()
        t.close()
        lab.send(b'Subject: in clear\r\n\r\nx\r\n')  # others are served
    inside.pop().close()

    def room():
        t, code = starttls(lab)
        if code == 220:
            inside.append(t)
        else:
            t.close()
        return code == 220
    wait_until(room)
    assert starttls(lab)[1] == 421
    os.kill(lab.roles('front')[0], signal.SIGKILL)  # its sessions are gone, so they do not count
    wait_until(lambda: len(lab.roles('front')) == 2)
    for _ in range(2):
        wait_until(room)
    for t in inside:
        t.close()


def test_busy(make_lab):
    """80 % of the places taken: the idle ones are given up in 10 s instead of 90 s; none left: 421; room again: calm."""
    lab = make_lab(sets=['fronts=2', 'limit.conns_total=10', 'limit.idle_seconds=90'])
    idle = [lab.talk() for _ in range(7)]
    assert [greeted(t) for t in idle] == [220] * 7
    time.sleep(2.5)  # it looks every second
    assert 'event=busy' not in lab.log()
    start = time.monotonic()
    idle += [lab.talk() for _ in range(3)]
    assert [greeted(t) for t in idle[7:]] == [220] * 3
    for _ in range(3):
        with lab.talk() as t:
            assert greeted(t) == 421 and t.at_end()
    wait_until(lambda: 'event=busy' in lab.log())
    # One that does something may stay.
    wait_until(lambda: idle[0].ask('NOOP', 250) and 'event=calm' in lab.log(), 30, 0.3)
    assert time.monotonic() - start < 80
    gone = [t for t in idle[1:] if select.select([t.sock], [], [], 0)[0]]
    assert len(gone) >= 4  # until there were fewer than 70 %
    for t in gone:
        assert t.reply()[0] == 421 and t.at_end()
    for _ in range(3):
        idle.append(lab.talk())
        assert greeted(idle[-1]) == 220
    for t in idle:
        t.close()


def test_memory_is_high(make_lab):
    """452 at MAIL while more octets are under way than limit.mem_high; letters that had begun are finished."""
    lab = make_lab(sets=['fronts=2', 'limit.mem_high=200K'])
    letter = b'Subject: x\r\n\r\n' + (b'x' * 70 + b'\r\n') * 4000
    with begin_letter(lab) as large, lab.talk() as other:
        other.begin()
        other.ask('MAIL FROM:<a@example.net>', 250)
        other.ask('RSET', 250)
        large.send(letter)
        wait_until(lambda: other.ask('MAIL FROM:<a@example.net>')[0] == 452 or other.ask('RSET', 250) is None)
        other.ask('NOOP', 250)
        large.send('.\r\n')
        assert large.reply()[0] == 250
        wait_until(lambda: other.ask('MAIL FROM:<a@example.net>')[0] == 250)
        other.ask('RCPT TO:<%s>' % ALICE, 250)
        other.ask('DATA', 354)
        other.send('Subject: y\r\n\r\ny\r\n.\r\n')
        assert other.reply()[0] == 250
    assert lab.count(ALICE) == 2


def logging_in(lab, how):
    """A session in the middle of AUTH: the server waits for the next step."""
    t = secure(lab)
    assert greeted(t) == 220
    t.ask('EHLO me', 250)
    t.ask('AUTH ' + how, 334)
    return t


def test_stop(make_lab):
    """Idle ones are told 421, in the middle of AUTH too and behind TLS; a letter under way is finished; who neither goes
    on nor goes is let go when the time is over (a lab's: 2 s)."""
    lab = make_lab(sets=['fronts=2'])
    idle = lab.talk()
    idle.begin()
    implicit = secure(lab)
    assert greeted(implicit) == 220
    upgraded = lab.talk()
    upgraded.begin()
    upgraded = upgrade(upgraded)
    upgraded.ask('EHLO me', 250)
    envelope = lab.talk()
    envelope.begin()
    envelope.ask('MAIL FROM:<a@example.net>', 250)
    told = [implicit, upgraded, envelope, logging_in(lab, 'LOGIN'), logging_in(lab, 'PLAIN'),
            logging_in(lab, 'LOGIN ' + base64.b64encode(ALICE.encode()).decode())]
    letter, slow = begin_letter(lab), begin_letter(lab)
    letter.send('Subject: half\r\n\r\n')
    slow.send('Subject: never\r\n\r\n')
    silent = lab.connect(465)  # no handshake
    lab.process.send_signal(signal.SIGTERM)
    start = time.monotonic()
    assert idle.reply()[0] == 421 and idle.at_end()
    letter.send('the other half\r\n.\r\n')
    assert letter.reply()[0] == 250
    assert letter.reply()[0] == 421 and letter.at_end()
    for t in told:
        assert t.reply()[0] == 421 and t.at_end()
    assert slow.reply()[0] == 421 and slow.at_end()
    assert silent.recv(1) == b''
    assert lab.process.wait(20 * SLOW) == 0
    took = time.monotonic() - start
    assert 1 < took < 6 * SLOW, took
    for t in told + [idle, letter, slow, silent]:
        t.close()
    lab.start()
    letters = lab.letters(ALICE)
    assert len(letters) == 1 and letters[0].endswith(b'Subject: half\r\n\r\nthe other half\r\n')


def test_busy_readers(make_lab):
    """IMAP before login and POP3 hurry as well; who has logged in by IMAP stays. `status` counts each protocol."""
    def connections():
        s = lab.json('status')
        return [s['connections' + what] for what in ('', '_smtp', '_imap', '_pop3')]

    def line(sock):
        sock.settimeout(60 * SLOW)
        return sock.makefile('rb').readline()

    lab = make_lab(sets=['fronts=2', 'limit.conns_total=10', 'limit.idle_seconds=90'])
    reader = rawimap.login(lab, select='INBOX')
    start = time.monotonic()
    pop3 = [lab.connect(110) for _ in range(3)]
    assert all(line(s).startswith(b'+OK') for s in pop3)
    imap = [rawimap.Socket('127.0.0.1', lab.port(143), 60 * SLOW) for _ in range(3)]
    assert connections() == [7, 0, 4, 3]
    smtp = lab.talk()
    assert greeted(smtp) == 220
    assert connections() == [8, 1, 4, 3]
    wait_until(lambda: 'event=busy' in lab.log())
    for s in pop3:
        assert line(s) == b''  # RFC 1939 3: without a word
    for c in imap:
        assert c.response().startswith(b'* BYE')
    assert time.monotonic() - start < 80
    wait_until(lambda: connections()[2:] == [1, 0])
    reader.ok('NOOP')
    for s in [reader, smtp] + imap + pop3:
        s.close()
