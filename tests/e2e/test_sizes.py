"""Large letters, many recipients, and sessions that end in odd places."""
import random
import socket

import pytest

from server import SLOW, split_letter, wait_until

SMALL = b'From: a@example.net\r\nSubject: x\r\n\r\nx\r\n'


def large(size):
    """Lines of all lengths, some with dots; the same for the same size."""
    r = random.Random(size)
    block = b''.join(b'.' * r.randrange(3) + bytes(r.choices(b'abcdefghij klmno', k=r.randrange(77))) + b'\r\n'
                     for _ in range(3000))
    body = (block * (size // len(block) + 1))[:size - 2] + b'\r\n'
    body = body.replace(b'\r\r\n', b'x\r\n')
    return b'From: a@example.net\r\nSubject: %d\r\n\r\n' % size + body


@pytest.mark.parametrize('mib', [5, 40])
@pytest.mark.parametrize('verb', ['DATA', 'BDAT'])
def test_large(lab, mib, verb):
    letter = large(mib << 20)
    if verb == 'DATA':
        lab.send(letter)
    else:
        with lab.talk() as t:
            t.sock.settimeout(60 * SLOW)
            t.begin()
            t.ask('MAIL FROM:<a@example.net> SIZE=%d' % len(letter), 250)
            t.ask('RCPT TO:<alice@example.com>', 250)
            step = 1 << 20
            for at in range(0, len(letter), step):
                chunk = letter[at:at + step]
                last = b' LAST' if at + step >= len(letter) else b''
                t.send(b'BDAT %d%s\r\n' % (len(chunk), last) + chunk)
                assert t.reply()[0] == 250
    split_letter(lab.only_letter('alice@example.com'), letter)


def test_large_for_many_is_written_once(make_lab):
    """A letter of 20 MiB for 20 mailboxes: each has it, the folder grows by it about once."""
    import os
    users = ['u%d@example.com' % i for i in range(20)]
    lab = make_lab(users=users)

    def used():
        return sum(os.lstat(os.path.join(d, f)).st_blocks * 512 for d, _, fs in os.walk(lab.dir) for f in fs)
    before = used()
    letter = large(20 << 20)
    lab.send(letter, to=users)
    assert used() - before < 2 * len(letter)
    for u in (users[0], users[19]):
        split_letter(lab.only_letter(u), letter)


def test_thousand_recipients(make_lab):
    users = ['u%d@example.com' % i for i in range(40)]
    lab = make_lab(users=users)
    to = ['u%d+%d@example.com' % (i % 40, i) for i in range(1000)]
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<a@example.net>', 250)
        t.send(''.join('RCPT TO:<%s>\r\n' % a for a in to))
        assert [t.reply()[0] for _ in to] == [250] * 1000
        t.ask('RCPT TO:<u1@example.com>', 452)
        t.ask('DATA', 354)
        t.send(SMALL + b'.\r\n')
        assert t.reply()[0] == 250
    assert all(lab.count(u) == 1 for u in users)


def test_dropped_in_the_middle(lab):
    """DATA without its dot, BDAT without LAST, a chunk cut short: nothing is delivered."""
    for tail in (b'DATA\r\nSubject: half\r\n\r\nhalf a letter\r\n', b'DATA\r\nSubject: half\r\n\r\nno end of line.',
                 b'BDAT 20\r\n' + b'x' * 18 + b'\r\n', b'BDAT 2000 LAST\r\n' + b'x' * 100,
                 b'DATA\r\n' + b'x' * (600 << 10) + b'\r\n'):
        with lab.talk() as t:
            t.begin()
            t.ask('MAIL FROM:<a@example.net>', 250)
            t.ask('RCPT TO:<alice@example.com>', 250)
            t.send(tail)
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<a@example.net>', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.ask('DATA', 354)
        t.send(b'Subject: reset\r\n\r\nx\r\n')
        t.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    lab.send(SMALL)
    assert lab.count('alice@example.com') == 1


def test_no_quit(lab):
    """What was answered 250 is there, whatever the client does then."""
    with lab.talk() as t:
        t.begin()
        for _ in range(3):
            t.ask('MAIL FROM:<a@example.net>', 250)
            t.ask('RCPT TO:<alice@example.com>', 250)
            t.ask('DATA', 354)
            t.send(SMALL + b'.\r\n')
            assert t.reply()[0] == 250
    assert lab.count('alice@example.com') == 3


def test_gone_before_the_reply(lab):
    """The dot was sent and nobody waited: the letter is there once or not at all."""
    for _ in range(20):
        with lab.talk() as t:
            t.begin()
            t.send(b'MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n')
            [t.reply() for _ in range(3)]
            t.send(SMALL + b'.\r\n')
    lab.send(SMALL, to='bob@example.com')
    assert lab.count('alice@example.com') <= 20


def test_one_long_line(lab):
    """R-LINE: a data line of any length is kept whole."""
    letter = b'Subject: long\r\nFrom: a@example.net\r\n\r\n' + b'z' * (3 << 20) + b'\r\n'
    lab.send(letter)
    split_letter(lab.only_letter('alice@example.com'), letter)


def test_many_idle_connections(make_lab):
    lab = make_lab(sets=['limit.conns_per_ip=off'])
    talks = [lab.talk() for _ in range(400)]
    assert all(t.reply()[0] == 220 for t in talks)
    lab.send(SMALL)
    wait_until(lambda: lab.json('status').get('connections', 0) >= 400)
    for t in talks:
        t.close()
    assert lab.count('alice@example.com') == 1
