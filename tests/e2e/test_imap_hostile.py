"""IMAP and POP3 from clients that are let in and mean no good: the process they share with others lives on."""
import base64
import hashlib
import hmac
import os
import time

import pytest

import rawimap
import secure
from server import SLOW

HARD = 'alice@example.com'


def b64(octets):
    return base64.b64encode(octets)


class Scram:
    """A client's side of SCRAM-SHA-256 (RFC 7677)."""

    def __init__(self, user, password):
        self.password = password.encode()
        self.bare = ('n=%s,r=%s' % (user, b64(os.urandom(12)).decode())).encode()

    def first(self):
        return b64(b'n,,' + self.bare)

    def final(self, challenge):
        server = base64.b64decode(challenge)
        words = dict(w.split('=', 1) for w in server.decode().split(','))
        salted = hashlib.pbkdf2_hmac('sha256', self.password, base64.b64decode(words['s']), int(words['i']))
        key = hmac.new(salted, b'Client Key', 'sha256').digest()
        bare = ('c=biws,r=' + words['r']).encode()
        proof = hmac.new(hashlib.sha256(key).digest(), self.bare + b',' + server + b',' + bare, 'sha256').digest()
        return b64(bare + b',p=' + b64(bytes(a ^ b for a, b in zip(key, proof))))


@pytest.fixture
def fronts(lab):
    before = lab.roles('front')
    yield
    assert lab.roles('front') == before and ' bug: ' not in lab.log()


def until_last_word(c, begin, user):
    """SCRAM up to the server's signature, which only wants an empty line."""
    scram = Scram(user, 'secret')
    c.write(begin + b' ' + scram.first() + b'\r\n')
    challenge = c.line()
    assert challenge.startswith(b'+ '), challenge
    c.write(scram.final(challenge[2:]) + b'\r\n')
    assert c.line().startswith(b'+ ')


@pytest.mark.parametrize('answer', [b'*', b'bm8='])
def test_breaks_off_behind_the_last_word(lab, fronts, answer):
    """Who was right and breaks off may log in again, as somebody else too, and is only that one."""
    wrap = secure.context().wrap_socket
    c = rawimap.Socket('127.0.0.1', lab.port(993), 60 * SLOW, wrap)
    until_last_word(c, b's AUTHENTICATE SCRAM-SHA-256', HARD)
    c.write(answer + b'\r\n')
    assert c.line().startswith(b's BAD')
    assert b' BAD' in c.ask('SELECT INBOX')[1]
    c.ok('LOGIN bob@example.com secret')
    c.ok('CREATE only-of-bob')
    c.close()
    c = rawimap.login(lab, 'alice@example.com')
    assert not [r for r in c.ok('LIST "" *') if b'only-of-bob' in r]
    c.close()
    c = rawimap.Socket('127.0.0.1', lab.port(995), 60 * SLOW, wrap)
    until_last_word(c, b'AUTH SCRAM-SHA-256', HARD)
    c.write(answer + b'\r\n')
    assert c.line().startswith(b'-ERR')
    c.write(b'USER bob@example.com\r\nPASS secret\r\nSTAT\r\n')
    assert [c.line()[:3] for _ in range(3)] == [b'+OK'] * 3
    c.close()


def test_says_the_same_ten_thousand_times(lab, fronts):
    """The cost of a set is that of what it means, whatever is written."""
    c = rawimap.login(lab, select='INBOX')
    letter = b'Subject: x\r\n\r\nx\r\n'
    for _ in range(20):
        pieces = b' '.join(b'{%d+}\r\n%s' % (len(letter), letter) for _ in range(60))
        c.ok(b'APPEND INBOX ' + pieces)
    c.ok('NOOP')
    gaps = ','.join(str(n) for n in range(2, 1200, 2))
    c.ok('UID STORE %s +FLAGS.SILENT (\\Deleted)' % gaps)
    c.ok('EXPUNGE')
    began = time.monotonic()
    c.ok('UID EXPUNGE ' + ','.join(['1:*'] * 10000))
    c.ok('UID FETCH %s UID' % ','.join(['*:1'] * 10000))
    assert time.monotonic() - began < 5 * SLOW
    c.close()


def test_asks_for_all_that_there_is_of_a_long_header(lab, fronts):
    """What a letter's items are together does not have to fit anywhere at once, deflated or not."""
    header = b''.join(b'X-%06d: %s\r\n' % (n, os.urandom(100).hex().encode()) for n in range(7000))
    letter = b'Subject: long\r\n' + header + b'\r\nend\r\n'
    c = rawimap.login(lab, 'bob@example.com', select='INBOX')
    answer = c.append('INBOX', letter)[1]
    assert b' OK' in answer, answer
    items = ' '.join(['BODY.PEEK[HEADER]'] + ['BODY.PEEK[HEADER.FIELDS.NOT (A%d)]' % n for n in range(3)])
    for deflated in False, True:
        if deflated:
            c.deflate()
        got = [r for r in c.ok('FETCH * (FLAGS %s)' % items) if b' FETCH (' in r]
        assert len(got) == 1 and got[0].count(header) == 4, len(got[0])
    c.close()


def test_long_patterns_and_many_words(lab, fronts):
    c = rawimap.login(lab)
    long = '*%' * 900
    assert c.ok('LIST "" (%s INBOX)' % long)
    assert b' BAD' in c.ask('LIST "" (%s)' % ' '.join([long] * 32))[1]
    c.ok('SELECT INBOX')
    c.ok('SEARCH ' + ' '.join(['SUBJECT x'] * 900))
    assert b'[LIMIT]' in c.ask('SEARCH ' + ' '.join(['SUBJECT x FROM y'] * 900))[1]
    c.close()
