"""What the mail programs that cannot be scripted say, word for word, and what they want to hear.

Each conversation is what that program sends (with its own way of tags, literals and spelling) from
the connection to the end of a day: Thunderbird, Apple Mail, iOS, Android's mail programs, Outlook,
a webmail that opens a connection for each click.
"""
import base64
import re
import time

import pytest

import secure
from rawimap import Socket, fetch_items, login, string, tree
from server import SLOW

ALICE = 'alice@example.com'
PLAIN = base64.b64encode(b'\0alice@example.com\0secret').decode()
TEXT = 'Hello Alice,\r\n\r\nthe minutes are attached.\r\n'
ALTERNATIVE = '''From: =?utf-8?q?Andr=C3=A9?= <andre@example.net>\r
To: Alice <alice@example.com>\r
Cc: bob@example.com\r
Subject: =?utf-8?b?UHJvdG9rb2xsIHZvbSDDhHJ6dGV0YWc=?=\r
Date: Fri, 20 Nov 2026 10:00:00 +0100\r
Message-ID: <%d@example.net>\r
References: <0@example.net>\r
In-Reply-To: <0@example.net>\r
List-Unsubscribe: <https://example.net/u>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="outer"\r
\r
--outer\r
Content-Type: multipart/alternative; boundary=inner\r
\r
--inner\r
Content-Type: text/plain; charset=utf-8\r
Content-Transfer-Encoding: 8bit\r
\r
Grüße\r
--inner\r
Content-Type: text/html; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
<p>Gr=C3=BC=C3=9Fe</p>\r
--inner--\r
--outer\r
Content-Type: application/pdf; name="minutes.pdf"\r
Content-Disposition: attachment; filename="minutes.pdf"\r
Content-Transfer-Encoding: base64\r
\r
JVBERi0xLjQK\r
--outer--\r
'''


def plain(n):
    return ('From: Ann <ann@example.net>\r\nTo: alice@example.com\r\nSubject: letter %d\r\nDate: Fri, 20 Nov 2026 10:00:%02d +0000\r\n'
            'Message-ID: <plain-%d@example.net>\r\n\r\n%s' % (n, n, n, TEXT)).encode()


def rich(n):
    return (ALTERNATIVE % n).encode()


@pytest.fixture
def filled(lab):
    for n in range(3):
        lab.send(plain(n))
    lab.send(rich(3))
    return lab


def greet(lab, form='t%d', logical=143):
    def wrap(sock):
        return secure.context().wrap_socket(sock, server_hostname='localhost')
    c = Socket('127.0.0.1', lab.port(logical), 60 * SLOW, wrap if logical == 993 else None)
    c.form = form
    assert c.greeting.startswith(b'* OK')
    return c


def say(c, command, *wanted):
    """A command that is answered OK; each of wanted is found in one of the responses, in that order."""
    untagged, tagged = c.ask(command)
    heard(command, untagged + [tagged], *wanted)
    assert re.match(rb'\S+ OK', tagged), (command, tagged)
    return untagged


def heard(command, responses, *wanted):
    at = 0
    for w in wanted:
        while at < len(responses) and not re.search(w.encode(), responses[at], re.I):
            at += 1
        assert at < len(responses), '%r is not answered with %r:\n%s' % (command, w, b''.join(responses).decode('utf-8', 'replace'))


def fetched(responses):
    return [items for items in map(fetch_items, responses) if items]


def literal(c, command, octets, sync=True, end=b'\r\n'):
    """A command that ends in a literal which waits for its invitation."""
    c.count += 1
    tag = (c.form % c.count).encode()
    c.write(tag + b' ' + command.encode() + b'{%d%s}\r\n' % (len(octets), b'' if sync else b'+'))
    if sync:
        line = c.response()
        assert line.startswith(b'+ '), line
    c.write(octets + end)
    return c.until(tag)


def authenticate(c, command, *responses):
    c.count += 1
    tag = (c.form % c.count).encode()
    c.write(tag + b' ' + command.encode() + b'\r\n')
    for r in responses:
        line = c.response()
        assert line.startswith(b'+ '), line
        c.write(r.encode() + b'\r\n')
    untagged, tagged = c.until(tag)
    assert tagged.startswith(tag + b' OK'), tagged
    return untagged


def idle(c):
    tag = c.send('IDLE')
    assert c.response().startswith(b'+ ')
    return tag


def done(c, tag):
    c.write(b'DONE\r\n')
    untagged, tagged = c.until(tag)
    assert tagged.startswith(tag + b' OK')
    return untagged


THUNDERBIRD = ('(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References '
               'Newsgroups In-Reply-To Content-Type Reply-To)])')


def test_thunderbird(filled):
    c = greet(filled, '%d')
    say(c, 'capability', r'^\* CAPABILITY (?=.*IMAP4rev1)(?=.*STARTTLS)(?=.*LOGINDISABLED)')
    c.starttls(secure.context(), 'localhost')
    say(c, 'capability', r'AUTH=PLAIN')
    authenticate(c, 'authenticate PLAIN ' + PLAIN)
    say(c, 'capability', r'(?=.* ID)(?=.* CONDSTORE)(?=.* COMPRESS=DEFLATE)(?=.* SPECIAL-USE)(?=.* LIST-EXTENDED)(?=.* MOVE)(?=.* UIDPLUS)')
    say(c, 'ID ("name" "Thunderbird" "version" "140.4.0")', r'^\* ID \(')
    say(c, 'ENABLE CONDSTORE UTF8=ACCEPT', r'^\* ENABLED (?=.*CONDSTORE)(?=.*UTF8=ACCEPT)')
    c.deflate()
    say(c, 'namespace', r'^\* NAMESPACE \(\("" "/"\)\) NIL NIL\r\n')
    # What is not subscribed it does not show.
    say(c, 'list (subscribed) "" "*" return (special-use)', *[r'^\* LIST \((?=.*\\Subscribed)(?=.*\\%s\b).*\) "/" "?%s"?\r' % (u, u)
                                                             for u in ('Archive', 'Drafts', 'Junk', 'Sent', 'Trash')])
    say(c, 'lsub "" "*"', r'^\* LSUB \(.*\) "/" "?Drafts"?\r')
    say(c, 'list "" "INBOX"', r'^\* LIST \(.*\) "/" "?INBOX"?\r')
    say(c, 'select "INBOX" (CONDSTORE)', r'^\* FLAGS \(', r'PERMANENTFLAGS \(.*\\\*\)', r'^\* 4 EXISTS', r'UIDVALIDITY \d+', r'UIDNEXT 5',
        r'HIGHESTMODSEQ \d+', r'OK \[READ-WRITE\]')
    say(c, 'getquotaroot "INBOX"', r'^\* QUOTAROOT "?INBOX"?')
    rows = fetched(say(c, 'UID fetch 1:* (FLAGS)'))
    assert [r[b'UID'] for r in rows] == [b'1', b'2', b'3', b'4'] and all(b'FLAGS' in r for r in rows)
    rows = fetched(say(c, 'UID fetch 1:4 ' + THUNDERBIRD))
    assert len(rows) == 4
    head = string(rows[3][[k for k in rows[3] if k.startswith(b'BODY[HEADER.FIELDS')][0]])
    assert head.endswith(b'\r\n\r\n') and head.count(b'\r\n') == 10
    assert b'Subject: =?utf-8?b?UHJvdG9rb2xsIHZvbSDDhHJ6dGV0YWc=?=\r\n' in head and b'List-' not in head
    row = fetched(say(c, 'UID fetch 4 (UID RFC822.SIZE BODY[])'))[0]
    assert string(row[b'BODY[]']).endswith(rich(3)) and int(row[b'RFC822.SIZE']) == len(string(row[b'BODY[]']))
    assert b'\\Seen' in row[b'FLAGS']
    # In pieces, as it does with large letters; the last is short.
    size, text = int(row[b'RFC822.SIZE']), b''
    for at in range(0, size, 400):
        text += string(fetched(say(c, 'UID fetch 4 (UID RFC822.SIZE BODY[]<%d.400>)' % at))[0][b'BODY[]<%d>' % at])
    assert text.endswith(rich(3)) and len(text) == size
    say(c, 'UID fetch 4 (BODY.PEEK[HEADER] BODY.PEEK[1.MIME] BODY.PEEK[1.1] BODYSTRUCTURE)', r'BODYSTRUCTURE \(\(\(')
    say(c, 'UID fetch 99 (FLAGS)')
    tag = idle(c)
    filled.send(plain(5))
    assert c.response() == b'* 5 EXISTS\r\n'
    assert not done(c, tag)
    modseq = int(re.search(rb'HIGHESTMODSEQ (\d+)', b''.join(say(c, 'status "INBOX" (HIGHESTMODSEQ)'))).group(1))
    say(c, 'UID fetch 5:* (FLAGS)', r'^\* 5 FETCH \(.*UID 5\b')
    say(c, 'noop')
    say(c, 'uid store 1 +Flags (\\Seen)', r'^\* 1 FETCH \((?=.*\\Seen)(?=.*MODSEQ \(\d+\))')
    say(c, 'uid store 1 +FLAGS (\\Answered $Forwarded NonJunk $label1)', r'^\* 1 FETCH \((?=.*NonJunk)(?=.*\$label1)(?=.*\$Forwarded)')
    say(c, 'UID fetch 1:* (FLAGS) (CHANGEDSINCE %d)' % modseq, r'^\* 1 FETCH \((?=.*UID 1\b)(?=.*MODSEQ)')
    say(c, 'UID search UNDELETED SUBJECT "letter"', r'^\* SEARCH 1 2 3 5\r')
    say(c, 'uid store 2 +Flags (\\Deleted \\Seen)')
    say(c, 'uid copy 2 "Trash"', r'OK \[COPYUID \d+ 2 1\]')
    say(c, 'uid move 3 "Trash"', r'\* OK \[COPYUID \d+ 3 2\]', r'^\* 3 EXPUNGE')
    say(c, 'uid expunge 2', r'^\* 2 EXPUNGE')
    draft = plain(8)
    untagged, tagged = literal(c, 'append "Drafts" (\\Draft \\Seen) "20-Nov-2026 10:00:00 +0100" ', draft)
    heard('append', untagged + [tagged], r'OK \[APPENDUID \d+ 1\]')
    untagged, tagged = literal(c, 'append "Sent" (\\Seen) ', plain(9), sync=False)
    heard('append', untagged + [tagged], r'OK \[APPENDUID \d+ 1\]')
    say(c, 'select "Drafts"', r'\* OK \[CLOSED\]', r'^\* 1 EXISTS')
    say(c, 'UID fetch 1 (BODY.PEEK[HEADER.FIELDS (Content-Type Content-Transfer-Encoding)] BODY.PEEK[TEXT]<0.2048>)', r'Hello Alice')
    say(c, 'create "Lists/Grüße"')
    say(c, 'subscribe "Lists/Grüße"')
    say(c, 'list (subscribed) "" "Lists/*"', r'"?Lists/Grüße"?\r')
    say(c, 'rename "Lists/Grüße" "Lists/Past"')
    say(c, 'unsubscribe "Lists/Grüße"')
    say(c, 'status "Lists/Past" (UIDNEXT MESSAGES UNSEEN RECENT)', r'^\* STATUS "?Lists/Past"? \(.*MESSAGES 0')
    say(c, 'delete "Lists/Past"')
    say(c, 'close')
    say(c, 'logout', r'^\* BYE')
    assert c.received < 20000
    c.close()


APPLE = ('(INTERNALDATE UID RFC822.SIZE FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references '
         'content-type x-priority x-uniform-type-identifier x-universally-unique-identifier list-id list-unsubscribe bimi-indicator '
         'bimi-location x-bimi-indicator-hash authentication-results dkim-signature)])')


@pytest.mark.parametrize('logical', [143, 993])
def test_apple_mail(filled, logical):
    """No initial response, dotted tags, literals that wait, names of folders unquoted in LIST."""
    c = greet(filled, '%d.17', logical)
    say(c, 'CAPABILITY')
    if logical == 143:
        c.starttls(secure.context(), 'localhost')
        say(c, 'CAPABILITY')
    authenticate(c, 'AUTHENTICATE PLAIN', PLAIN)
    say(c, 'CAPABILITY', r'CONDSTORE')
    say(c, 'ID ("name" "Mac OS X Mail" "version" "16.0 (3774.500.171.1.1)" "os" "Mac OS X" "os-version" "14.4 (23E214)" "vendor" "Apple Inc.")')
    say(c, 'ENABLE CONDSTORE', r'^\* ENABLED CONDSTORE\r')
    say(c, 'NAMESPACE')
    say(c, 'LIST "" ""', r'^\* LIST \(\\Noselect\) "/" ""\r')
    say(c, 'LIST "" *', r'\\Drafts\) "/" "?Drafts', r'\\Sent\) "/" "?Sent')
    say(c, 'LIST "" "*" RETURN (SPECIAL-USE)', r'\\Trash\) "/" "?Trash')
    say(c, 'LSUB "" *')
    for box in ('INBOX', 'Archive', 'Drafts', 'Junk', 'Sent', 'Trash'):
        say(c, 'STATUS %s (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)' % box, r'\* STATUS "?%s"? \((?=.*UIDVALIDITY \d)(?=.*HIGHESTMODSEQ \d)' % box)
    say(c, 'SELECT INBOX (CONDSTORE)', r'\* 4 EXISTS', r'HIGHESTMODSEQ')
    say(c, 'FETCH 1:4 (FLAGS UID MODSEQ)', r'^\* 1 FETCH \((?=.*UID 1)(?=.*MODSEQ \(\d+\))', r'^\* 4 FETCH')
    rows = fetched(say(c, 'UID FETCH 1:4 ' + APPLE))
    assert len(rows) == 4
    name = [k for k in rows[3] if k.startswith(b'BODY[HEADER.FIELDS')][0]
    assert b'list-unsubscribe: <https://example.net/u>' in string(rows[3][name]).lower()
    row = fetched(say(c, 'UID FETCH 4 (BODYSTRUCTURE BODY.PEEK[HEADER])'))[0]
    parts = tree(row[b'BODYSTRUCTURE'])
    assert [string(parts[0][i][1]).lower() for i in (0, 1)] == [b'plain', b'html'] and string(parts[1][1]).lower() == b'pdf'
    row = fetched(say(c, 'UID FETCH 4 (BODY.PEEK[1.1.MIME] BODY.PEEK[1.1] BODY.PEEK[1.2.MIME] BODY.PEEK[1.2])'))[0]
    assert string(row[b'BODY[1.1]']) == 'Grüße'.encode() and string(row[b'BODY[1.2.MIME]']).endswith(b'quoted-printable\r\n\r\n')
    assert string(fetched(say(c, 'UID FETCH 4 (BODY.PEEK[2]<0.6>)'))[0][b'BODY[2]<0>']) == b'JVBERi'
    say(c, 'UID SEARCH 1:* NOT DELETED', r'^\* SEARCH 1 2 3 4\r')
    say(c, 'UID SEARCH UID 1:* SINCE 1-Nov-2000', r'^\* SEARCH 1 2 3 4\r')
    untagged, tagged = literal(c, 'UID SEARCH CHARSET UTF-8 OR SUBJECT ', 'Ärztetag'.encode(), end=b' BODY "nothing of it"\r\n')
    heard('SEARCH', untagged + [tagged], r'^\* SEARCH 4\r', r'OK')
    say(c, 'GETQUOTAROOT INBOX')
    # Silent, but with the modseq (RFC 7162 3.1.3).
    say(c, 'UID STORE 1,2 +FLAGS.SILENT (\\Seen $MailFlagBit0 NotJunk $NotJunk)', r'^\* 1 FETCH \(UID 1 MODSEQ \(\d+\)\)\r')
    say(c, 'CREATE "Sent Messages"')
    untagged, tagged = literal(c, 'APPEND "Sent Messages" (\\Seen $NotJunk NotJunk) "20-Nov-2026 10:00:00 +0100" ', plain(9))
    heard('APPEND', untagged + [tagged], r'OK \[APPENDUID \d+ 1\]')
    say(c, 'UID COPY 2 "Sent Messages"', r'\[COPYUID \d+ 2 2\]')
    say(c, 'UID STORE 2 +FLAGS.SILENT (\\Deleted)')
    say(c, 'UID EXPUNGE 2', r'^\* 2 EXPUNGE')
    say(c, 'CHECK')
    tag = idle(c)
    filled.send(plain(5))
    assert c.response() == b'* 4 EXISTS\r\n'
    done(c, tag)
    say(c, 'FETCH 4:4 (FLAGS UID MODSEQ)', r'^\* 4 FETCH \((?=.*UID 5)')
    say(c, 'CLOSE')
    say(c, 'LOGOUT', r'^\* BYE')
    c.close()


def test_ios(filled):
    """Comes back after a tunnel and wants only what it has missed."""
    c = greet(filled, 'A%d', 993)
    authenticate(c, 'AUTHENTICATE PLAIN', PLAIN)
    say(c, 'ID ("name" "iPhone Mail" "version" "22A3370" "os" "iOS" "os-version" "18.0 (22A3370)")')
    c.deflate()
    say(c, 'ENABLE QRESYNC', r'^\* ENABLED QRESYNC')
    answer = b''.join(say(c, 'SELECT INBOX'))
    validity, modseq = (int(re.search(rb'%s (\d+)' % w, answer).group(1)) for w in (b'UIDVALIDITY', b'HIGHESTMODSEQ'))
    c.sock.close()
    with_other = login(filled, select='INBOX')
    with_other.ok('STORE 1 +FLAGS (\\Flagged)')
    with_other.ok('UID STORE 2 +FLAGS (\\Deleted)')
    with_other.ok('EXPUNGE')
    with_other.close()
    filled.send(plain(7))
    c = greet(filled, 'A%d', 993)
    authenticate(c, 'AUTHENTICATE PLAIN', PLAIN)
    c.deflate()
    say(c, 'ENABLE QRESYNC')
    answer = say(c, 'SELECT INBOX (QRESYNC (%d %d 1:4 (1:4 1:4)))' % (validity, modseq), r'\* 4 EXISTS', r'^\* VANISHED \(EARLIER\) 2\r',
                 r'^\* 1 FETCH \((?=.*UID 1\b)(?=.*\\Flagged)(?=.*MODSEQ)', r'OK \[READ-WRITE\]')
    rows = {int(r[b'UID']) for r in fetched(answer)}
    assert 1 in rows and rows <= {1, 5}
    say(c, 'UID FETCH 5:* (UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE ENVELOPE)', r'^\* 4 FETCH \((?=.*UID 5)(?=.*"letter 7")')
    say(c, 'UID FETCH 1:5 (FLAGS) (CHANGEDSINCE %d VANISHED)' % modseq, r'^\* VANISHED \(EARLIER\) 2\r')
    say(c, 'UID SEARCH RETURN (MIN MAX COUNT ALL) UNSEEN', r'^\* ESEARCH \(TAG "A\d+"\) UID (?=.*MIN 1)(?=.*MAX 5)(?=.*COUNT 4)(?=.*ALL 1,3:5)')
    say(c, 'UID MOVE 3:4 Archive', r'^\* OK \[COPYUID \d+ 3:4 1:2\]', r'^\* VANISHED 3:4\r', r'OK \[HIGHESTMODSEQ \d+\]')
    say(c, 'UID STORE 5 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\\Seen)', r'OK \[MODIFIED 5\]')
    tag = idle(c)
    other = login(filled, select='INBOX')
    other.ok('UID STORE 1 +FLAGS (\\Deleted)')
    assert re.match(rb'\* 1 FETCH \((?=.*UID 1)(?=.*MODSEQ)(?=.*\\Deleted)', c.response())
    other.ok('EXPUNGE')
    assert c.response() == b'* VANISHED 1\r\n'
    done(c, tag)
    other.close()
    # Of another time: told nothing that would be wrong.
    answer = say(c, 'SELECT INBOX (QRESYNC (%d %d))' % (validity + 1, modseq), r'\[CLOSED\]', r'UIDVALIDITY %d' % validity)
    assert not [r for r in answer if b'VANISHED' in r or b'FETCH' in r]
    c.close()


def test_android(filled):
    """K-9 Mail and Thunderbird for Android; Android's first mail program, which fetches parts."""
    c = greet(filled)
    say(c, 'CAPABILITY')
    c.starttls(secure.context(), 'localhost')
    say(c, 'CAPABILITY', r'SASL-IR')
    authenticate(c, 'AUTHENTICATE PLAIN ' + PLAIN)
    say(c, 'ID ("name" "Thunderbird for Android" "version" "8.0")')
    c.deflate()
    say(c, 'NAMESPACE')
    say(c, 'LIST "" "*" RETURN (SPECIAL-USE)', r'\\Trash')
    say(c, 'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE)', r'\\Sent')
    say(c, 'SELECT "INBOX"', r'\* 4 EXISTS', r'UIDNEXT 5')
    say(c, 'UID SEARCH 1:* NOT DELETED', r'^\* SEARCH 1 2 3 4\r')
    say(c, 'UID SEARCH 1:4 SINCE 01-Nov-2000 NOT DELETED', r'^\* SEARCH 1 2 3 4\r')
    rows = fetched(say(c, 'UID FETCH 4,3,2,1 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc '
                          'reply-to message-id references in-reply-to list-unsubscribe sender X-K9mail-Identity Chat-Version)])'))
    assert len(rows) == 4 and all(b'INTERNALDATE' in r for r in rows)
    row = fetched(say(c, 'UID FETCH 4 (UID BODYSTRUCTURE)'))[0]
    assert b'minutes.pdf' in row[b'BODYSTRUCTURE'] and row[b'UID'] == b'4'
    assert string(fetched(say(c, 'UID FETCH 4 (UID BODY.PEEK[1.1.MIME])'))[0][b'BODY[1.1.MIME]']).startswith(b'Content-Type: text/plain')
    assert string(fetched(say(c, 'UID FETCH 4 (UID BODY.PEEK[1.2])'))[0][b'BODY[1.2]']) == b'<p>Gr=C3=BC=C3=9Fe</p>'
    assert string(fetched(say(c, 'UID FETCH 1 (UID BODY.PEEK[]<0.32768>)'))[0][b'BODY[]<0>']).endswith(plain(0))
    assert string(fetched(say(c, 'UID FETCH 1 (UID BODY.PEEK[1]<0.51200>)'))[0][b'BODY[1]<0>']) == TEXT.encode()
    say(c, 'UID STORE 4 +FLAGS.SILENT (\\Seen)')
    say(c, 'UID FETCH 1:4 (UID FLAGS)', r'^\* 4 FETCH \((?=.*\\Seen)')
    say(c, 'UID MOVE 1 "Archive"', r'COPYUID', r'^\* 1 EXPUNGE')
    untagged, tagged = literal(c, 'APPEND "Sent" (\\Seen) ', plain(9))
    heard('APPEND', untagged + [tagged], r'OK')
    say(c, 'SELECT "Sent"')
    say(c, 'UID SEARCH HEADER MESSAGE-ID <plain-9@example.net>', r'^\* SEARCH 1\r')
    say(c, 'UID SEARCH RETURN (SAVE) ALL')
    say(c, 'UID FETCH $ (FLAGS)', r'^\* 1 FETCH')
    say(c, 'EXPUNGE')
    c.close()


def test_outlook(filled):
    """LOGIN in quotes, LIST in steps, all headers, each command for itself."""
    c = greet(filled, '%04d', 993)
    say(c, 'CAPABILITY')
    say(c, 'LOGIN "alice@example.com" "secret"')
    say(c, 'NOOP')
    say(c, 'LIST "" ""', r'^\* LIST')
    say(c, 'LIST "" "INBOX"', r'^\* LIST')
    say(c, 'LSUB "" "*"', r'^\* LSUB')
    say(c, 'LIST "" "%"', r'"?Sent')
    say(c, 'LIST "" "INBOX/%"')
    say(c, 'STATUS "INBOX" (UIDNEXT UIDVALIDITY MESSAGES UNSEEN)')
    say(c, 'SELECT "INBOX"', r'UNSEEN 1')
    say(c, 'FETCH 1:* (UID)', r'^\* 4 FETCH \(UID 4\)')
    say(c, 'UID FETCH 1:* (UID FLAGS)', r'^\* 4 FETCH')
    rows = fetched(say(c, 'UID FETCH 1:4 (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER] INTERNALDATE)'))
    assert len(rows) == 4 and string(rows[3][b'BODY[HEADER]']).endswith(b'\r\n\r\n')
    rows = fetched(say(c, 'UID FETCH 1:4 (RFC822.HEADER RFC822.SIZE UID FLAGS INTERNALDATE)'))
    assert b'letter 0' in rows[0][b'RFC822.HEADER']
    assert string(fetched(say(c, 'UID FETCH 2 (UID RFC822)'))[0][b'RFC822']).endswith(plain(1))
    say(c, 'UID STORE 2 +FLAGS (\\Seen)')
    say(c, 'UID STORE 3 -FLAGS.SILENT (\\Seen)')
    say(c, 'UID STORE 3 +FLAGS (\\Deleted)')
    say(c, 'EXPUNGE', r'^\* 3 EXPUNGE')
    say(c, 'CREATE "Gel&APY-scht"')
    say(c, 'LIST "" "Gel*"', r'"?Gel&APY-scht"?\r')
    say(c, 'SUBSCRIBE "Gel&APY-scht"')
    untagged, tagged = literal(c, 'APPEND "Gel&APY-scht" (\\Seen) "20-Nov-2026 10:00:00 +0100" ', plain(9))
    heard('APPEND', untagged + [tagged], r'OK')
    tag = idle(c)
    done(c, tag)
    say(c, 'LOGOUT', r'^\* BYE')
    c.close()


def test_webmail(filled):
    """A connection for each click: sorted, in threads, a page of headers, counts of all folders at once."""
    for _ in range(2):
        c = greet(filled, 'A%04d', 993)
        authenticate(c, 'AUTHENTICATE PLAIN ' + PLAIN)
        say(c, 'LIST (SUBSCRIBED) "" "*" RETURN (SPECIAL-USE STATUS (MESSAGES UNSEEN UIDNEXT))', r'^\* LIST .*INBOX', r'^\* STATUS "?INBOX"? \(')
        say(c, 'SELECT INBOX')
        # What came within one second is in the order of sequence numbers (RFC 5256 3).
        say(c, 'UID SORT (REVERSE ARRIVAL) UTF-8 ALL UNDELETED', r'^\* SORT [1-4]( [1-4]){3}\r')
        say(c, 'UID THREAD REFERENCES US-ASCII ALL UNDELETED', r'^\* THREAD \(')
        rows = fetched(say(c, 'UID FETCH 4,3 (UID RFC822.SIZE FLAGS INTERNALDATE BODYSTRUCTURE PREVIEW BODY.PEEK[HEADER.FIELDS (DATE FROM TO SUBJECT '
                              'CONTENT-TYPE CC REPLY-TO LIST-POST DISPOSITION-NOTIFICATION-TO X-PRIORITY)])'))
        assert 'Grüße'.encode() in rows[1][b'PREVIEW']
        say(c, 'UID SEARCH RETURN (ALL COUNT) CHARSET UTF-8 HEADER SUBJECT {9+}\r\nÄrztetag', r'^\* ESEARCH .*ALL 4')
        say(c, 'UNSELECT')
        say(c, 'LOGOUT', r'^\* BYE')
        c.close()


# --- COMPRESS (RFC 4978)

def test_compress_is_said_once(filled):
    c = login(filled)
    c.deflate()
    assert b'COMPRESS' not in b''.join(say(c, 'CAPABILITY'))
    assert re.match(rb't\d+ NO \[COMPRESSIONACTIVE\]', c.ask('COMPRESS DEFLATE')[1])
    say(c, 'SELECT INBOX', r'\* 4 EXISTS')
    c.close()
    c = login(filled)
    assert re.match(rb't\d+ (NO|BAD)', c.ask('COMPRESS LZ4')[1])
    say(c, 'NOOP')
    c.close()


def test_compress_up(filled):
    """A large letter that packs well, octet for octet both ways; one command octet by octet."""
    c = login(filled)
    c.deflate(9)
    big = plain(1) + b'0123456789abcdef' * 65536 + b'\r\n'
    assert b'OK [APPENDUID' in c.append('Archive', big)[1]
    say(c, 'SELECT Archive')
    assert string(fetched(say(c, 'FETCH 1 BODY.PEEK[]'))[0][b'BODY[]']) == big
    assert c.received < len(big) / 20
    for octet in b'x9 NOOP\r\n':
        c.write(bytes([octet]))
    assert c.until(b'x9')[1].startswith(b'x9 OK')
    c.close()


def test_compress_nonsense(filled):
    """What cannot be unpacked ends the session, and only that one."""
    c = login(filled)
    assert b' OK' in c.ask('COMPRESS DEFLATE')[1]
    c.sock.sendall(b'\xff' * 100)
    c.sock.settimeout(20 * SLOW)
    try:
        while c.sock.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    c.close()
    login(filled, select='INBOX').close()


# --- IDLE, and how soon

def show(what, took):
    took = sorted(took)
    print('%s: %.1f ms (median), %.1f ms (worst)' % (what, 1000 * took[len(took) // 2], 1000 * took[-1]))
    assert took[len(took) // 2] < 2 * SLOW


@pytest.mark.parametrize('compress', [False, True])
def test_idle_latency(lab, compress):
    """From the moment another is told that it is done to the moment that a session in IDLE hears of it."""
    c = login(lab, select='INBOX')
    if compress:
        c.deflate()
    tag = idle(c)
    mail, flags, gone = [], [], []
    with lab.smtp() as s:
        s.ehlo()
        for n in range(1, 11):
            s.mail('ann@example.net')
            s.rcpt(ALICE)
            assert s.data(plain(n))[0] == 250
            at = time.monotonic()
            assert c.response() == b'* %d EXISTS\r\n' % n
            mail.append(time.monotonic() - at)
    other = login(lab, select='INBOX')
    for n in range(1, 11):
        other.ok('STORE %d +FLAGS.SILENT (\\Deleted)' % n)
        at = time.monotonic()
        assert re.match(rb'\* %d FETCH \(.*\\Deleted' % n, c.response())
        flags.append(time.monotonic() - at)
    for n in range(10, 0, -1):
        other.ok('UID EXPUNGE %d' % n)
        at = time.monotonic()
        assert c.response() == b'* %d EXPUNGE\r\n' % n
        gone.append(time.monotonic() - at)
    done(c, tag)
    show('a letter by SMTP', mail)
    show('STORE by another session', flags)
    show('EXPUNGE by another session', gone)
    other.close()
    c.close()
