"""What the mail programs that cannot be scripted say over POP3, word for word; see test_imap_habits.py."""
import base64
import time

import secure
from server import SLOW
from test_imap_habits import filled, plain, rich  # noqa: F401 (filled is a fixture)

PLAIN = base64.b64encode(b'\0alice@example.com\0secret').decode()


class Pop:
    def __init__(self, lab, logical=995):
        self.talk = secure.secure(lab, logical) if logical == 995 else lab.talk(logical)
        assert self.talk.line().startswith('+OK')

    def stls(self):
        self.say('STLS')
        sock = self.talk.sock
        self.talk.file.close()
        self.talk = type(self.talk)(secure.context().wrap_socket(sock, server_hostname='localhost'))

    def ask(self, line):
        self.talk.send(line + '\r\n')
        return self.talk.line()

    def say(self, line):
        answer = self.ask(line)
        assert answer.startswith('+OK'), (line, answer)
        return answer

    def rows(self):
        out = []
        while True:
            line = self.talk.file.readline()
            assert line.endswith(b'\r\n')
            if line == b'.\r\n':
                return out
            out.append(line[1:] if line.startswith(b'.') else line)

    def many(self, line):
        self.say(line)
        return self.rows()

    def letter(self, line):
        return b''.join(self.many(line))


def test_thunderbird(filled):  # noqa: F811
    """AUTH alone for a list, then CAPA; what it keeps it knows again by UIDL; what it fetched goes later."""
    p = Pop(filled, 110)
    assert p.ask('AUTH').startswith('-ERR')
    assert b'STLS\r\n' in p.many('CAPA')
    p.stls()
    assert b'PLAIN\r\n' in p.many('AUTH')
    assert any(row.startswith(b'SASL ') and b' PLAIN' in row for row in p.many('CAPA'))
    assert p.ask('AUTH PLAIN').startswith('+ ')
    p.say(PLAIN)
    n, size = (int(x) for x in p.say('STAT').split()[1:3])
    rows = p.many('LIST')
    assert n == len(rows) == 4 and sum(int(r.split()[1]) for r in rows) == size
    ids = [r.split()[1] for r in p.many('UIDL')]
    assert p.ask('XTND XLST Message-Id').startswith('-ERR')
    assert p.letter('TOP 4 20').startswith(b'Return-Path:')
    assert p.letter('RETR 4').endswith(rich(3)) and p.letter('RETR 1').endswith(plain(0))
    p.say('DELE 1')
    p.say('QUIT')
    p = Pop(filled)
    p.say('USER alice@example.com')
    p.say('PASS secret')
    p.say('STAT')
    assert [r.split()[1] for r in p.many('UIDL')] == ids[1:]
    p.say('QUIT')


def test_outlook(filled):  # noqa: F811
    """No CAPA, UIDL of each, and a phone that is switched off in the middle of it."""
    p = Pop(filled)
    p.say('USER alice@example.com')
    p.say('PASS secret')
    p.say('STAT')
    ids = [p.say('UIDL %d' % i).split()[2] for i in range(1, 5)]
    sizes = [int(p.say('LIST %d' % i).split()[2]) for i in range(1, 5)]
    for i in range(1, 5):
        assert len(p.letter('RETR %d' % i)) == sizes[i - 1]
        p.say('DELE %d' % i)
    p.talk.close()
    p = Pop(filled)
    for line in ('USER alice@example.com', 'PASS secret', 'NOOP'):
        p.say(line)
    assert [p.say('UIDL %d' % i).split()[2] for i in range(1, 5)] == ids
    p.say('DELE 4')
    p.say('QUIT')
    assert filled.count('alice@example.com') == 3


def test_two_at_once(filled):  # noqa: F811
    """Another session's mailbox stays as it was when that session began."""
    a, b = Pop(filled), Pop(filled)
    for p in (a, b):
        p.say('AUTH PLAIN ' + PLAIN)
        assert p.say('STAT').split()[1] == '4'
    b.say('DELE 2')
    b.say('QUIT')
    filled.send(plain(7))
    assert a.say('STAT').split()[1] == '4'
    assert a.ask('RETR 2').startswith('-ERR')
    assert a.letter('RETR 3').endswith(plain(2))
    a.say('QUIT')
    assert filled.count('alice@example.com') == 4


def test_all_at_once(lab):
    """Pipelined as fetchers do; the letters arrive in order, and soon."""
    n = 100
    with lab.smtp() as s:
        s.ehlo()
        for i in range(n):
            s.mail('ann@example.net')
            s.rcpt('alice@example.com')
            assert s.data(plain(i) + b'.\r\n..\r\n.end\r\n')[0] == 250
    p = Pop(lab)
    p.say('AUTH PLAIN ' + PLAIN)
    began = time.monotonic()
    p.talk.send(''.join('RETR %d\r\n' % (i + 1) for i in range(n)) + 'QUIT\r\n')
    for i in range(n):
        assert p.talk.line().startswith('+OK')
        assert b''.join(p.rows()).endswith(plain(i) + b'.\r\n..\r\n.end\r\n')
    assert p.talk.line().startswith('+OK')
    print('%d letters in %.0f ms' % (n, 1000 * (time.monotonic() - began)))
    assert time.monotonic() - began < 10 * SLOW
