"""URLs that authorize (RFC 4467, 5092), and letters that are handed in by them (RFC 4468)."""
import datetime
import email
import imaplib
import os
import re
import signal
import time

import pytest

import rawimap
import secure
from secure import submission
from server import SLOW, split_letter, wait_until

LETTER = b'From: alice@example.com\r\nTo: bob@example.com\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n\r\nthe text\r\n'
MIXED = (b'From: alice@example.com\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=qq\r\n\r\n'
         b'--qq\r\nContent-Type: text/plain\r\n\r\nhello part\r\n\r\n'
         b'--qq\r\nContent-Type: message/rfc822\r\n\r\nFrom: alice@example.com\r\nSubject: inner\r\n\r\ninner text\r\n\r\n--qq--\r\n')
BOX = 'imap://alice%40example.com@example.com/'


def words(octets):
    return re.findall(rb'"((?:[^"\\]|\\.)*)"', octets)


def appended(c, letter=LETTER, mailbox='Drafts'):
    """(UIDVALIDITY, UID) of a letter that is put there."""
    tagged = c.append(mailbox, letter)[1]
    found = re.search(rb'\[APPENDUID (\d+) (\d+)\]', tagged)
    assert found, tagged
    return int(found.group(1)), int(found.group(2))


def genurlauth(c, rump):
    said = c.ok('GENURLAUTH "%s" INTERNAL' % rump)
    told = [r.strip() for r in said if r.startswith(b'* GENURLAUTH ')]
    url = (words(told[0]) or told[0].split()[-1:])[0].decode()  # a long one comes as a literal
    assert len(told) == 1 and url.startswith(rump + ':internal:01'), said
    return url


def submit_url(c, mailbox='Drafts', uid=1, rest='', user='alice%40example.com', validity=None):
    validity = ';UIDVALIDITY=%d' % validity if validity else ''
    return genurlauth(c, '%s%s%s/;UID=%d%s;URLAUTH=submit+%s' % (BOX, mailbox, validity, uid, rest, user))


def urlfetch(c, url):
    """What a URL leads to, or None."""
    said = [r for r in c.ok('URLFETCH "%s"' % url) if r.startswith(b'* URLFETCH ')]
    assert len(said) == 1
    head, _, rest = said[0].partition(b'\r\n')
    if head.endswith(b' NIL'):
        return None
    size = int(re.search(rb' \{(\d+)\}$', head).group(1))
    return rest[:size]


def ask(s, line):
    code, text = s.docmd(line)
    return code, text.decode()


def envelope(s, to='bob@example.com'):
    assert s.mail('alice@example.com')[0] == 250
    assert s.rcpt(to)[0] == 250


def newest(lab, address='bob@example.com'):
    return lab.letters(address)[-1]


def test_letter(lab):
    """A draft is sent without being fetched: what arrives is what BDAT would have brought."""
    with submission(lab) as s:
        c = rawimap.login(lab)
        validity, uid = appended(c)
        url = submit_url(c, uid=uid, validity=validity)
        envelope(s)
        code, text = ask(s, 'BURL %s LAST' % url)
        assert code == 250 and text.startswith('2.0.0'), text
        stored = lab.only_letter('bob@example.com')
        front = split_letter(stored, LETTER)
        assert b'ESMTPSA' in front and front.count(b'Received:') == 1
        # the same URL once more: it is good until it expires or is reset
        envelope(s)
        assert ask(s, 'burl %s last' % url)[0] == 250
        assert lab.count('bob@example.com') == 2
    trace = lab.run('trace', text.split()[-1]).stdout
    assert 'BURL imap://alice%40example.com@example.com/Drafts' in trace
    assert url.rpartition(':')[2] not in trace and url.rpartition(':')[2] not in lab.log()


def test_ehlo(lab):
    """RFC 4468 3.1: where letters are handed in, to who has logged in."""
    for logical in (587, 465):
        with submission(lab, user=None, logical=logical) as s:
            s.ehlo()
            assert 'burl' not in s.esmtp_features
            assert ask(s, 'BURL %sINBOX/;UID=1;URLAUTH=anonymous LAST' % BOX)[0] == 530
            s.login('alice@example.com', 'secret')
            s.ehlo()
            assert s.esmtp_features['burl'] == 'imap'
    with lab.smtp() as s:
        s.ehlo()
        assert 'burl' not in s.esmtp_features
        envelope(s)
        assert ask(s, 'BURL %sINBOX/;UID=1;URLAUTH=anonymous LAST' % BOX)[0] == 502


def test_pieces(lab):
    """BURL and BDAT in one letter, sections and ranges, and all of it in one flight."""
    c = rawimap.login(lab)
    _, uid = appended(c, MIXED)
    head = b'From: alice@example.com\r\nSubject: made of pieces\r\n\r\nabove\r\n'
    part = submit_url(c, uid=uid, rest='/;SECTION=1')
    inner = submit_url(c, uid=uid, rest='/;SECTION=2.TEXT')
    fields = submit_url(c, uid=uid, rest='/;SECTION=2.HEADER.FIELDS%20(SUBJECT)/;PARTIAL=0.16')
    flight = b''.join((
        b'MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\n',
        b'BDAT %d\r\n%s' % (len(head), head),
        b'BURL %s\r\n' % part.encode(),
        b'BURL %s\r\nBDAT 7\r\nbelow\r\n' % fields.encode(),
        b'BURL %s LAST\r\nNOOP\r\n' % inner.encode()))
    with submission(lab) as s:
        s.send(flight)
        replies = [s.getreply() for _ in range(8)]
        assert [r[0] for r in replies] == [250] * 8, replies
        assert replies[3][1].startswith(b'2.5.0 12 octets'), replies
    stored = lab.only_letter('bob@example.com')
    assert stored.endswith(head + b'hello part\r\nSubject: inner\r\nbelow\r\ninner text\r\n'), stored


def test_who(lab):
    """Who may use a URL is in it; a submission server acts for its user (RFC 4468 3.3)."""
    alice, bob = rawimap.login(lab), rawimap.login(lab, 'bob@example.com')
    appended(alice)
    table = {  # access: (URLFETCH by alice, by bob, BURL by alice, by bob)
        'anonymous': (True, True, True, True),
        'authuser': (True, True, True, True),
        'user+alice%40example.com': (True, False, True, False),
        'user+alice': (True, False, True, False),
        'user+bob%40example.com': (False, True, False, True),
        'submit+alice%40example.com': (False, False, True, False),
        'submit+ALICE': (False, False, True, False),
        'submit+bob%40example.com': (False, False, False, True),
        'submit+nobody%40example.com': (False, False, False, False),
    }
    for access, may in table.items():
        url = genurlauth(alice, BOX + 'Drafts/;UID=1;URLAUTH=' + access)
        got = [urlfetch(alice, url) == LETTER, urlfetch(bob, url) == LETTER]
        for user in ('alice@example.com', 'bob@example.com'):
            with submission(lab, user=user) as s:
                s.mail(user)
                s.rcpt('bob@example.com')
                code, text = ask(s, 'BURL %s' % url)
                assert code == 250 or (code == 554 and '5.7.0' in text), (access, user, text)
                got.append(code == 250)
                s.rset()
        assert tuple(got) == may, access


def test_refusals(lab):
    """Each with its code and a word why; the transaction ends, and the connection does not."""
    c = rawimap.login(lab)
    validity, uid = appended(c)
    url = submit_url(c, uid=uid)
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)).strftime('%Y-%m-%dT%H:%M:%SZ')
    brief = submit_url(c, uid=uid, rest=';EXPIRE=' + soon)
    last = url[-1]
    rows = [
        (url[:-1] + ('0' if last != '0' else '1'), 554, '5.7.0'),
        (url.replace('/Drafts/', '/Sent/'), 554, '5.7.0'),
        (url.replace('alice%40example.com@', 'bob%40example.com@'), 554, '5.7.0'),
        (url.replace('alice%40example.com@', 'nobody@'), 554, '5.7.0'),
        (url.replace('@example.com/', '@imap.example.org/'), 554, '5.7.14'),
        (url.replace('imap://', 'http://'), 501, '5.5.4'),
        (url.rpartition(':internal:')[0], 501, '5.5.4'),
        (BOX + 'Drafts', 501, '5.5.4'),
        ('', 501, '5.5.4'),
        (url + ' FIRST', 501, '5.5.4'),
        (submit_url(c, uid=uid + 1), 554, '5.6.6 the URL leads to nothing: the letter is gone'),
        (submit_url(c, uid=uid, validity=validity + 1), 554, '5.6.6'),
        (submit_url(c, uid=uid, rest='/;SECTION=7'), 554, '5.6.6'),
        (submit_url(c, uid=uid, rest='/;PARTIAL=100000.1'), 554, '5.6.6'),
    ]
    with submission(lab) as s:
        for bad, code, text in rows:
            envelope(s)
            got = ask(s, 'BURL %s' % bad)
            assert got[0] == code and text in got[1], (bad, got)
            assert ask(s, 'BDAT 0 LAST')[0] == 503
        assert ask(s, 'BURL %s LAST' % url)[0] == 503
        s.mail('alice@example.com')
        assert ask(s, 'BURL %s LAST' % url)[0] == 503
        s.rset()
        s.mail('alice@example.com')
        assert s.rcpt('nobody@example.com')[0] == 550
        assert ask(s, 'BURL %s LAST' % url)[0] == 554
        s.rset()
        time.sleep(4)
        envelope(s)
        code, text = ask(s, 'BURL %s LAST' % brief)
        assert code == 554 and '5.7.0' in text and 'expired' in text, text
        assert urlfetch(c, brief) is None
        envelope(s)
        assert ask(s, 'BURL %s LAST' % url)[0] == 250


def test_reset(lab):
    """RESETKEY takes every URL of the mailbox back, and without a name those of all."""
    c, other = rawimap.login(lab), rawimap.login(lab, 'bob@example.com')
    appended(c)
    appended(c, mailbox='Sent')
    drafts = submit_url(c)
    sent = genurlauth(c, BOX + 'Sent/;UID=1;URLAUTH=anonymous')
    assert genurlauth(c, BOX + 'Sent/;UID=1;URLAUTH=anonymous') == sent
    assert b'[URLMECH INTERNAL]' in c.ask('RESETKEY Drafts')[1]
    with submission(lab) as s:
        envelope(s)
        assert ask(s, 'BURL %s LAST' % drafts)[0] == 554
        assert urlfetch(other, sent) == LETTER
        again = submit_url(c)
        assert again != drafts
        envelope(s)
        assert ask(s, 'BURL %s LAST' % again)[0] == 250
        c.ok('RESETKEY')
        assert urlfetch(other, sent) is None
        envelope(s)
        assert ask(s, 'BURL %s LAST' % again)[0] == 554
    # a mailbox that is deleted takes its key along; one of the same name is another
    c.ok('CREATE box')
    appended(c, mailbox='box')
    url = genurlauth(c, BOX + 'box/;UID=1;URLAUTH=anonymous')
    assert urlfetch(c, url) == LETTER
    c.ok('DELETE box')
    assert urlfetch(c, url) is None
    c.ok('CREATE box')
    appended(c, mailbox='box')
    assert urlfetch(c, url) is None
    assert b' BAD ' in c.ask('GENURLAUTH "%sgone/;UID=1;URLAUTH=anonymous" INTERNAL' % BOX)[1]
    assert b' BAD ' in other.ask('GENURLAUTH "%sDrafts/;UID=1;URLAUTH=anonymous" INTERNAL' % BOX)[1]


def test_size(make_lab):
    """SIZE holds for what comes of several places together."""
    lab = make_lab(sets=['max_size=300000'])
    large = LETTER + b'x' * 70 + b'\r\n' + (b'y' * 70 + b'\r\n') * 3500
    assert 200000 < len(large) < 300000
    c = rawimap.login(lab)
    _, uid = appended(c, large)
    url = submit_url(c, uid=uid)
    text = submit_url(c, uid=uid, rest='/;SECTION=TEXT')
    with submission(lab) as s:
        envelope(s)
        assert ask(s, 'BURL %s' % url)[0] == 250
        code, why = ask(s, 'BURL %s LAST' % text)
        assert code == 552 and '5.3.4' in why
        envelope(s)
        assert ask(s, 'BURL %s LAST' % url)[0] == 250
        # what stays behind of the one that was refused is not in the next
        envelope(s)
        assert ask(s, 'BURL %s LAST' % submit_url(c, uid=uid, rest='/;PARTIAL=0.%d' % len(LETTER)))[0] == 250
    assert newest(lab).endswith(b'\r\n' + LETTER)
    assert split_letter(lab.letters('bob@example.com')[0], large)


def test_refused_behind_refused(make_lab):
    """A URL that is refused when its letter was given up already is forgotten: the next letter gets its own."""
    lab = make_lab(sets=['limit.header_bytes=1000', 'max_size=400000'])
    c = rawimap.login(lab)
    _, uid = appended(c)
    _, large = appended(c, LETTER + (b'y' * 70 + b'\r\n') * 5500)
    url, too_large = submit_url(c, uid=uid), submit_url(c, uid=large)
    head = b'Subject: ' + b'x' * 990 + b'\r\n'
    with submission(lab) as s:
        for bad, code in ((url[:-1] + ('0' if url[-1] != '0' else '1'), 554), (too_large, 552)):
            envelope(s)
            s.send(b'BDAT %d\r\n%s' % (4 * len(head), 4 * head))
            assert s.getreply()[0] == 250
            assert ask(s, 'BURL %s' % bad)[0] == code
            envelope(s)
            assert ask(s, 'BURL %s LAST' % url)[0] == 250
            split_letter(newest(lab), LETTER)


def test_large(lab):
    """More than one window, byte for byte, while others are served."""
    body = b''.join(b'%07d %s\r\n' % (i, b'z' * 60) for i in range(40000))
    c = rawimap.login(lab)
    _, uid = appended(c, LETTER + body)
    url = submit_url(c, uid=uid)
    with submission(lab) as s:
        envelope(s)
        assert ask(s, 'BURL %s LAST' % url)[0] == 250
    assert split_letter(lab.only_letter('bob@example.com'), LETTER + body)
    assert urlfetch(c, genurlauth(c, BOX + 'Drafts/;UID=%d;URLAUTH=authuser' % uid)) == LETTER + body


def test_large_header(lab):
    """Header fields come at once, more than a peer ever says in one go; cut in the middle of one, they are a body."""
    fields = b''.join(b'X-%07d: %s\r\n' % (i, b'z' * 60) for i in range(17500))
    c = rawimap.login(lab)
    _, uid = appended(c, b'Subject: hi\r\n' + fields + b'\r\ntext\r\n')
    url = submit_url(c, uid=uid, rest='/;SECTION=HEADER.FIELDS.NOT%20(SUBJECT)/;PARTIAL=14.1400000')
    with submission(lab) as s:
        envelope(s)
        assert ask(s, 'BURL %s LAST' % url)[0] == 250
    assert lab.only_letter('bob@example.com').endswith(b'\r\n' + fields[14:] + b'\r\n')


def test_restart(make_lab):
    """Keys are durable, and so are the URLs that they made."""
    lab = make_lab()
    c = rawimap.login(lab)
    appended(c)
    url = submit_url(c)
    c.close()
    lab.kill()
    lab.start()
    with submission(lab) as s:
        envelope(s)
        assert ask(s, 'BURL %s LAST' % url)[0] == 250
    split_letter(lab.only_letter('bob@example.com'), LETTER)
    lab.stop()
    assert lab.run('fsck', check=False).returncode == 0
    lab.start()


def test_reader_gone(lab):
    """A reader that dies is waited for, or the client hears 451 and may try again."""
    c = rawimap.login(lab)
    appended(c)
    url = submit_url(c)
    with submission(lab) as s:
        for pid in lab.roles('reader'):
            os.kill(pid, signal.SIGKILL)
        envelope(s)
        code, text = ask(s, 'BURL %s LAST' % url)
        assert code in (250, 451), text

        def sent():
            envelope(s)
            return ask(s, 'BURL %s LAST' % url)[0] == 250
        wait_until(sent, 30)


def test_own_author(lab):
    """What is fetched is looked at as what is typed: somebody else's From is refused, Bcc is taken out."""
    c = rawimap.login(lab)
    _, uid = appended(c, LETTER.replace(b'From: alice', b'From: bob'))
    _, second = appended(c, LETTER.replace(b'To: bob', b'Bcc: carol@example.net\r\nTo: bob'))
    with submission(lab) as s:
        envelope(s)
        code, text = ask(s, 'BURL %s LAST' % submit_url(c, uid=uid))
        assert code == 550 and '5.7.1' in text
        envelope(s)
        assert ask(s, 'BURL %s LAST' % submit_url(c, uid=second))[0] == 250
    assert b'carol' not in lab.only_letter('bob@example.com')


def test_imaplib(lab):
    """Python's own client, by names without a domain and a host below ours."""
    for name in ('GENURLAUTH', 'RESETKEY', 'URLFETCH'):
        imaplib.Commands[name] = ('AUTH', 'SELECTED')
    with imaplib.IMAP4('127.0.0.1', lab.port(143), timeout=60 * SLOW) as c:
        c.starttls(secure.context())
        c.login('alice@example.com', 'secret')
        assert {'URLAUTH', 'URL-PARTIAL'} <= set(c.capability()[1][0].decode().split())
        assert c.append('INBOX', None, None, LETTER)[0] == 'OK'
        rump = 'imap://alice@mail.example.com/INBOX/;UID=1/;SECTION=TEXT/;PARTIAL=4.4;URLAUTH=authuser'
        assert c._simple_command('GENURLAUTH', '"%s"' % rump, 'INTERNAL')[0] == 'OK'
        url = words(c._untagged_response('OK', [None], 'GENURLAUTH')[1][0])[0].decode()
        assert c._simple_command('URLFETCH', '"%s"' % url)[0] == 'OK'
        assert c._untagged_response('OK', [None], 'URLFETCH')[1][0][1] == b'text'


def test_long(lab):
    """A URL may be far longer than other commands. One that is too long leaves nothing of its letter."""
    c = rawimap.login(lab)
    path, wire = ('/'.join(x for _ in range(2)) for x in (48 * '%C3%BC', '&' + 16 * 'APwA,AD8' + '-'))
    c.ok('CREATE "%s"' % wire)
    appended(c, mailbox='"%s"' % wire)
    fields = '%20'.join('X-%028d' % i for i in range(200))
    url = submit_url(c, mailbox=path, rest='/;SECTION=HEADER.FIELDS.NOT%20(' + fields + ')')
    assert 7000 < len(url) < 12000
    with submission(lab) as s:
        envelope(s)
        assert ask(s, 'BURL %s' % url)[0] == 250
        s.send(b'BURL %s LAST\r\nBDAT 6 LAST\r\nabove\nNOOP\r\n' % (url + 5500 * 'a').encode())
        assert [s.getreply()[0] for _ in range(3)] == [500, 503, 250]
        envelope(s)
        assert ask(s, 'BURL %s LAST' % url)[0] == 250
    assert lab.only_letter('bob@example.com').endswith(b'Subject: hello\r\nMessage-ID: <1@example.com>\r\n\r\n')


@pytest.mark.parametrize('separator', ['/', '.'])
def test_names(make_lab, separator):
    """Mailboxes in one another, and in other scripts."""
    lab = make_lab(sets=['imap_separator=' + separator])
    c = rawimap.login(lab)
    name = separator.join(('Entw&APw-rfe', 'a b'))
    c.ok('CREATE "%s"' % name)
    appended(c, mailbox='"%s"' % name)
    url = submit_url(c, mailbox='Entw%C3%BCrfe' + separator + 'a%20b')
    with submission(lab) as s:
        envelope(s)
        assert ask(s, 'BURL %s LAST' % url)[0] == 250
    assert email.message_from_bytes(lab.only_letter('bob@example.com'))['Subject'] == 'hello'
