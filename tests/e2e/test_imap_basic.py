"""IMAP with Python's imaplib, over STARTTLS and TLS: every letter's way in and out, and what others see of it."""
import contextlib
import imaplib
import re
import select
import ssl
import threading
import time

import pytest

from server import SLOW, wait_until

LETTER = (b'From: Ann <ann@example.net>\r\nTo: alice@example.com\r\nSubject: %s\r\nDate: Tue, 3 Nov 2026 10:00:00 +0000\r\n'
          b'Message-ID: <%s@example.net>\r\n\r\nDear Alice,\r\n%s\r\n')
imaplib._MAXLINE = 1 << 20


def letter(subject='one', text='a few words'):
    return LETTER % (subject.encode(), subject.replace(' ', '-').encode(), text.encode())


def trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def session(lab, user='alice@example.com', password='secret', tls=True, login=True):
    if tls:
        m = imaplib.IMAP4_SSL('127.0.0.1', lab.port(993), ssl_context=trusting(), timeout=20 * SLOW)
    else:
        m = imaplib.IMAP4('127.0.0.1', lab.port(143), timeout=20 * SLOW)
        assert m.starttls(trusting())[0] == 'OK'
    try:
        if login:
            ok(m.login(user, password))
        yield m
    finally:
        with contextlib.suppress(Exception):
            m.logout()


def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]


def no(answer, code):
    assert answer[0] == 'NO', answer
    assert ('[%s' % code).encode() in answer[1][0], answer


def exists(m, mailbox='INBOX'):
    return int(ok(m.select(mailbox))[0])


def uids(m, *criteria):
    return [int(n) for n in ok(m.uid('SEARCH', *(criteria or ('ALL',))))[0].split()]


def names(m, pattern='*'):
    return sorted(re.match(rb'\((.*?)\) "(.)" (.*)', line).group(3).decode().strip('"') for line in ok(m.list('""', pattern)) if line)


def fill(lab, n, to='alice@example.com'):
    for i in range(n):
        lab.send(letter('letter %d' % (i + 1)), to=to)


# --- the way in


@pytest.mark.parametrize('tls', (True, False))
def test_login(shared, tls):
    with session(shared, tls=tls) as m:
        assert exists(m) >= 0
        assert m.state == 'SELECTED'


def test_log(make_lab):
    lab = make_lab(sets=['log.level=info'])
    with session(lab) as m:
        exists(m)
    log = wait_until(lambda: 'closed' in lab.log() and lab.log())
    assert re.search(r'login .*protocol=imap .*account=alice@example.com', log), log
    assert re.search(r'closed .*protocol=imap .*account=alice@example.com .*received=\d+ sent=\d+', log), log


def test_login_refused(shared):
    with session(shared, login=False) as m:
        with pytest.raises(imaplib.IMAP4.error):
            m.login('alice@example.com', 'wrong')
        with pytest.raises(imaplib.IMAP4.error):
            m.login('nobody@example.com', 'secret')
        ok(m.login('alice@example.com', 'secret'))


def test_no_login_in_clear(shared):
    m = imaplib.IMAP4('127.0.0.1', shared.port(143), timeout=20 * SLOW)
    assert 'LOGINDISABLED' in m.capabilities and 'STARTTLS' in m.capabilities
    with pytest.raises(imaplib.IMAP4.error):
        m.login('alice@example.com', 'secret')
    m.logout()


def test_authenticate_plain(shared):
    with session(shared, login=False) as m:
        ok(m.authenticate('PLAIN', lambda challenge: b'\0alice@example.com\0secret'))
        assert exists(m) >= 0


def test_starttls_injection(shared):
    """What stands behind STARTTLS in clear is never executed."""
    with shared.talk(143) as t:
        assert t.line().startswith('* OK')
        t.send('a STARTTLS\r\nb NOOP\r\n')
        text = t.file.read()
        assert b'b OK' not in text


# --- letters


def test_append_and_fetch(lab):
    with session(lab) as m:
        sent = letter('appended', 'x' * 5000)
        data = ok(m.append('INBOX', r'(\Seen $Label)', '" 3-Nov-2026 10:00:00 +0000"', sent))
        assert re.search(rb'APPENDUID \d+ 1\b', data[0]), data
        assert exists(m) == 1
        parts = ok(m.fetch('1', '(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])'))
        head, octets = parts[0]
        assert octets == sent
        assert b'UID 1' in head and (b'RFC822.SIZE %d' % len(sent)) in head and b'3-Nov-2026 10:00:00 +0000' in head
        assert b'\\Seen' in head and b'$Label' in head
        envelope = ok(m.fetch('1', '(ENVELOPE BODYSTRUCTURE)'))[0]
        assert b'"appended"' in envelope and b'"ann" "example.net"' in envelope and b'"text" "plain"' in envelope.lower()
        assert ok(m.fetch('1', '(BODY[HEADER.FIELDS (SUBJECT)])'))[0][1] == b'Subject: appended\r\n\r\n'
        assert ok(m.fetch('1', '(BODY[TEXT]<5.5>)'))[0][1] == b'Alice'


def test_delivered_letters(lab):
    fill(lab, 3)
    with session(lab) as m:
        assert exists(m) == 3
        assert uids(m) == [1, 2, 3]
        for i, part in enumerate(p for p in ok(m.fetch('1:*', '(BODY.PEEK[])')) if isinstance(p, tuple)):
            assert part[1].endswith(letter('letter %d' % (i + 1)))
            assert part[1].startswith(b'Return-Path: ')
        assert [p for p in ok(m.fetch('1:*', '(FLAGS)')) if b'Seen' in p] == []
        ok(m.fetch('2', '(BODY[])'))
        assert uids(m, 'SEEN') == [2]


def test_large_letter(lab):
    """Larger than all windows between the processes, up and down."""
    text = ('%070d\r\n' * 60000) % tuple(range(60000))
    sent = letter('large', text)
    assert len(sent) > 4 << 20
    with session(lab) as m:
        ok(m.append('INBOX', None, None, sent))
        exists(m)
        assert ok(m.fetch('1', '(BODY.PEEK[])'))[0][1] == sent
        assert ok(m.fetch('1', '(BODY.PEEK[]<3000000.1000000>)'))[0][1] == sent[3000000:4000000]


def test_many_letters(lab):
    """More than one window of them."""
    with session(lab) as m:
        sent = letter('many', 'y' * 20000)
        for _ in range(40):
            ok(m.append('INBOX', None, None, sent))
        exists(m)
        got = [p for p in ok(m.fetch('1:*', '(UID BODY.PEEK[])')) if isinstance(p, tuple)]
        assert len(got) == 40 and all(p[1] == sent for p in got)
        assert [int(re.search(rb'UID (\d+)', p[0]).group(1)) for p in got] == list(range(1, 41))


def test_store_and_search(lab):
    with session(lab) as m:
        for subject in ('apples', 'pears', 'plums'):
            ok(m.append('INBOX', None, None, letter(subject, 'fruit: ' + subject)))
        exists(m)
        ok(m.store('1:2', '+FLAGS', r'(\Flagged green)'))
        ok(m.store('2', '-FLAGS', r'(\Flagged)'))
        assert uids(m, 'FLAGGED') == [1]
        assert uids(m, 'KEYWORD', 'green') == [1, 2]
        assert uids(m, 'SUBJECT', 'pears') == [2]
        assert uids(m, 'BODY', '"fruit: plums"') == [3]
        assert uids(m, 'NOT', 'TEXT', 'pears') == [1, 3]
        assert uids(m, 'OR', 'SUBJECT', 'apples', 'SUBJECT', 'plums') == [1, 3]
        ok(m.store('1:*', 'FLAGS', '()'))
        assert uids(m, 'OR', 'FLAGGED', 'KEYWORD', 'green') == []


def test_copy_move_expunge(lab):
    with session(lab) as m:
        for i in range(4):
            ok(m.append('INBOX', None, None, letter('n%d' % i)))
        exists(m)
        ok(m.create('Other'))
        assert b'COPYUID' in (m.untagged_responses.get('COPYUID', [b''])[0] + ok(m.copy('1:2', 'Other'))[0])
        typ, data = m.uid('MOVE', '3', 'Other')
        assert typ == 'OK', data
        assert uids(m) == [1, 2, 4]
        ok(m.store('1', '+FLAGS', r'(\Deleted)'))
        assert ok(m.expunge())
        assert uids(m) == [2, 4]
        assert exists(m, 'Other') == 3
        subjects = [p[1] for p in ok(m.fetch('1:*', '(BODY.PEEK[HEADER.FIELDS (SUBJECT)])')) if isinstance(p, tuple)]
        assert subjects == [b'Subject: n0\r\n\r\n', b'Subject: n1\r\n\r\n', b'Subject: n2\r\n\r\n']
        no(m.copy('1', 'Nowhere'), 'TRYCREATE')


def test_mailboxes(lab):
    with session(lab) as m:
        assert {'INBOX', 'Drafts', 'Sent', 'Trash', 'Junk', 'Archive'} <= set(names(m))
        ok(m.create('Lists'))
        ok(m.create('Lists/Sailing'))
        no(m.create('Lists'), 'ALREADYEXISTS')
        assert names(m, 'Lists%') == ['Lists']
        assert names(m, 'Lists/%') == ['Lists/Sailing']
        ok(m.append('Lists/Sailing', None, None, letter()))
        status = ok(m.status('Lists/Sailing', '(MESSAGES UIDNEXT UNSEEN SIZE)'))[0]
        assert b'MESSAGES 1' in status and b'UIDNEXT 2' in status and b'UNSEEN 1' in status
        assert (b'SIZE %d' % len(letter())) in status
        ok(m.rename('Lists/Sailing', 'Lists/Boats'))
        assert exists(m, 'Lists/Boats') == 1
        ok(m.close())
        ok(m.subscribe('Lists/Boats'))
        assert [line for line in ok(m.lsub()) if line and b'Boats' in line]
        ok(m.delete('Lists/Boats'))
        assert names(m, 'Lists*') == ['Lists']
        no(m.select('Lists/Boats'), 'NONEXISTENT')


# --- others


class Idler:
    """A session in IDLE, and when it was told what."""

    def __init__(self, lab):
        self.held = session(lab)
        self.m = self.held.__enter__()
        exists(self.m)
        self.m.send(b'i1 IDLE\r\n')
        assert self.m.readline().startswith(b'+')

    def line(self, seconds=10):
        if not self.m.sock.pending():
            assert select.select([self.m.sock], [], [], seconds * SLOW)[0], 'nothing came'
        return self.m.readline()

    def close(self):
        self.m.send(b'DONE\r\n')
        while not self.line().startswith(b'i1 OK'):
            pass
        self.held.__exit__(None, None, None)


def test_idle(lab):
    """Whatever changes reaches IDLE at once: a delivery, an APPEND, flags, an expunge."""
    idler = Idler(lab)
    took = []
    for n in range(1, 6):
        lab.send(letter('idle %d' % n))
        began = time.monotonic()
        assert idler.line() == b'* %d EXISTS\r\n' % n
        took.append(time.monotonic() - began)
    print(['%.1f ms' % (1000 * t) for t in took])
    assert sorted(took)[2] < 0.05 * SLOW
    with session(lab) as m:
        ok(m.append('INBOX', None, None, letter('by append')))
        assert idler.line() == b'* 6 EXISTS\r\n'
        exists(m)
        ok(m.store('1', '+FLAGS', r'(\Flagged)'))
        assert re.match(rb'\* 1 FETCH \(.*\\Flagged', idler.line())
        ok(m.store('1', '+FLAGS', r'(\Deleted)'))
        assert re.match(rb'\* 1 FETCH \(.*\\Deleted', idler.line())
        ok(m.expunge())
        assert idler.line() == b'* 1 EXPUNGE\r\n'
    idler.close()


def test_quota(make_lab):
    lab = make_lab(sets=['quota=20000'])
    with session(lab) as m:
        ok(m.append('INBOX', None, None, letter('fits', 'z' * 15000)))
        no(m.append('INBOX', None, None, letter('does not', 'z' * 15000)), 'OVERQUOTA')
        root = ok(m.getquotaroot('INBOX'))
        assert root
    with lab.smtp() as s:
        s.ehlo()
        assert s.mail('ann@example.net', ['SIZE=10000'])[0] == 250
        code, text = s.rcpt('alice@example.com')
        assert code == 452 and text.startswith(b'4.2.2'), (code, text)
        assert s.rcpt('bob@example.com')[0] == 250
        assert s.data(letter())[0] == 250
    assert lab.count('bob@example.com') == 1


def test_too_many_connections(make_lab):
    lab = make_lab(sets=['limit.conns_per_ip=2', 'fronts=1'])
    held = [lab.talk(143) for _ in range(2)]
    assert all(t.line().startswith('* OK') for t in held)
    with lab.talk(143) as t:
        assert t.line().startswith('* BYE')
        assert t.at_end()
    with lab.talk(110) as t:
        assert t.line().startswith('-ERR [SYS/TEMP]')
    for t in held:
        t.close()
    wait_until(lambda: lab.talk(143).line().startswith('* OK'))


def test_compress(lab):
    import zlib
    with session(lab) as m:
        for i in range(20):
            ok(m.append('INBOX', None, None, letter('c%d' % i, 'w' * 20000)))
    with session(lab) as m:
        ok(m._simple_command('COMPRESS', 'DEFLATE') if 'COMPRESS' in imaplib.Commands else raw(m, b'COMPRESS DEFLATE'))
        pack, unpack = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        m.sock.sendall(pack.compress(b'x1 SELECT INBOX\r\nx2 FETCH 1:* BODY.PEEK[]\r\n') + pack.flush(zlib.Z_SYNC_FLUSH))
        text, wire = b'', 0
        while b'\r\nx2 ' not in text:
            got = m.sock.recv(65536)
            assert got
            wire += len(got)
            text += unpack.decompress(got)
        assert text.count(b'w' * 20000) == 20
        assert wire < len(text) / 10
        time.sleep(1.2)  # long enough for its memory to go back
        m.sock.sendall(pack.compress(b'x3 FETCH 1 FLAGS\r\nx4 LOGOUT\r\n') + pack.flush(zlib.Z_SYNC_FLUSH))
        text = b''
        while b'\r\nx4 ' not in text:
            got = m.sock.recv(65536)
            assert got
            text += unpack.decompress(got)
        assert b'x3 OK' in text


def raw(m, command):
    m.send(b'raw1 ' + command + b'\r\n')
    line = m.readline()
    return ('OK', [line]) if line.startswith(b'raw1 OK') else ('NO', [line])


def test_store_and_reader_come_back(make_lab):
    """Sessions outlive the processes behind them: what is asked meanwhile is answered late, not wrongly."""
    import os
    import signal
    lab = make_lab(sets=['fronts=1'])
    fill(lab, 3)
    with session(lab) as m:
        assert exists(m) == 3
        for role in ('reader', 'store'):
            for pid in lab.roles(role):
                os.kill(pid, signal.SIGKILL)
            assert len([p for p in ok(m.fetch('1:*', '(FLAGS BODY.PEEK[TEXT])')) if isinstance(p, tuple)]) == 3
            ok(m.store('1', '+FLAGS', r'(\Answered)'))
        lab.send(letter('after it'))
        wait_until(lambda: ok(m.noop()) and len(uids(m)) == 4)


def test_pipelining(lab):
    """Commands that came at once are answered in order, each as if it had come alone."""
    with session(lab) as m:
        m.send(b'p1 SELECT INBOX\r\np2 APPEND INBOX {5+}\r\nabcde\r\np3 NOOP\r\np4 FETCH 1 BODY.PEEK[]\r\np5 BOGUS\r\np6 NOOP\r\n')
        text = b''
        while b'p6 ' not in text:
            text += m.sock.recv(65536)
        assert re.findall(rb'^(p\d \w+)', text, re.M) == [b'p1 OK', b'p2 OK', b'p3 OK', b'p4 OK', b'p5 BAD', b'p6 OK'], text


def test_deaf_client(make_lab):
    """One that asks for much and reads nothing costs a bounded amount, and holds nobody up."""
    lab = make_lab(sets=['fronts=1'])
    with session(lab) as m:
        for i in range(30):
            ok(m.append('INBOX', None, None, letter('d%d' % i, 'v' * 200000)))
        deaf = [session(lab) for _ in range(20)]
        held = [d.__enter__() for d in deaf]
        for d in held:
            d.send(b'd1 SELECT INBOX\r\nd2 FETCH 1:* BODY.PEEK[]\r\n')
        time.sleep(1)
        exists(m)
        assert len([p for p in ok(m.fetch('1:*', '(BODY.PEEK[])')) if isinstance(p, tuple)]) == 30
        for d in held:
            d.sock.close()


def test_stop_while_idle(make_lab):
    lab = make_lab()
    idler = Idler(lab)
    stopped = threading.Thread(target=lab.stop)
    stopped.start()
    assert idler.line().startswith(b'* BYE')
    stopped.join()
