"""Mail merge against the whole server: many recipients, one commit, and what each of them gets."""
import os
import signal
import threading
import time

from secure import submission
from server import split_letter, wait_until

ON = ['fronts=1', 'ipmm=yes']


def ask(s, line, code=None):
    got = s.docmd(line)
    assert code is None or got[0] == code, (line, got)
    return got[0], got[1].decode()


def begin(t, acks=False):
    t.begin()
    if not acks:
        t.ask('XACK OFF', 250)
    t.ask('XMRG FROM:<sender@example.net>', 250)


def name(n, to='alice'):
    return 'XDFN n=%d\r\nRCPT TO:<%s+%d@example.com>\r\n' % (n, to, n)


def part(t, number, text, code=250):
    t.ask('XPRT ' + number, 354)
    t.send(text + '.\r\n')
    got = t.reply()
    assert got[0] == code, got
    return got[1]


def test_many(make_lab):
    """Commands in one stream, more than one message between our processes, and all of it arrives."""
    n = 3000
    lab = make_lab(sets=ON)
    with lab.talk() as t:
        begin(t)
        t.send(''.join(name(i, 'alice' if i % 2 else 'bob') for i in range(n)))
        part(t, '1', 'Subject: letter &n;\r\n\r\n' + 'Dear number &n;,\r\n' * 20)
        assert '%d merged messages' % n in part(t, '2 LAST', '..end &*TO;\r\n')
        t.ask('QUIT', 221)
    for user, odd in (('alice', 1), ('bob', 0)):
        assert lab.count(user + '@example.com') == n // 2
        subjects = {row['subject'] for row in lab.json('mailbox', 'show', user + '@example.com')}
        assert subjects == {'letter %d' % i for i in range(n) if i % 2 == odd}
    uid = lab.json('mailbox', 'show', 'bob@example.com')[3]['uid']
    stored = lab.run('mailbox', 'read', 'bob@example.com', str(uid), text=False).stdout
    number = stored.split(b'Subject: letter ')[1].split(b'\r\n')[0]
    sent = (b'Subject: letter %s\r\n\r\n' % number + b'Dear number %s,\r\n' % number * 20 +
            b'.end bob+%s@example.com\r\n' % number)
    front = split_letter(stored, sent)
    assert front.startswith(b'Return-Path: <sender@example.net>\r\n')
    assert b'Delivered-To: bob+%s@example.com\r\n' % number in front
    assert b' for ' not in front.split(b'Received: ')[1]
    assert lab.stop() == 0
    assert lab.run('fsck').returncode == 0


def test_same_mailbox_and_alias(make_lab):
    """Each recipient is a letter of its own, also where two lead to one mailbox; a list is one for each member."""
    lab = make_lab(sets=ON + ['alias.team@example.com=alice@example.com,bob@example.com'])
    with lab.talk() as t:
        begin(t, acks=True)
        for to in ('alice', 'alice', 'team'):
            t.ask('XDFN who=%s' % to, 250)
            t.ask('RCPT TO:<%s@example.com>' % to, 250)
        part(t, '1 LAST', 'Subject: &who;\r\n\r\n')
    assert sorted(row['subject'] for row in lab.json('mailbox', 'show', 'alice@example.com')) == ['alice', 'alice', 'team']
    assert [row['subject'] for row in lab.json('mailbox', 'show', 'bob@example.com')] == ['team']


def test_given_up(make_lab):
    """A connection that ends, or RSET, before the last dot: nothing is delivered, and the server is well."""
    lab = make_lab(sets=ON)
    for last in ('XPRT 2 LAST\r\nhalf a line', 'RSET\r\n', 'QUIT\r\n', 'EHLO again\r\n', ''):
        with lab.talk() as t:
            begin(t)
            t.send(name(1))
            part(t, '1', 'Subject: x\r\n\r\n')
            t.send(last)
            if 'XPRT' not in last and last:
                t.reply()
    lab.send(b'Subject: after\r\n\r\n')
    assert [row['subject'] for row in lab.json('mailbox', 'show', 'alice@example.com')] == ['after']


def test_one_bad_letter(make_lab):
    """Verdicts are of the letters as they are put together, and one of them is the verdict on all."""
    lab = make_lab(sets=ON + ['max_size=500'])
    for value, code in (('From', 554), ('x' * 450, 552)):
        with lab.talk() as t:
            begin(t, acks=True)
            for v in ('X', value):
                t.ask('XDFN v="%s"' % v, 250)
                t.ask('RCPT TO:<alice@example.com>', 250)
            part(t, '1 LAST', 'From: a@example.net\r\n&v;: b\r\n\r\n' + 'text\r\n' * 10, code)
            t.ask('XDFN a=b', 503)
    assert lab.count('alice@example.com') == 0


def test_fields_added(make_lab):
    """What our own clients leave out is added to each letter, with a Message-ID of its own."""
    lab = make_lab(sets=ON + ['relay_ip=127.0.0.0/8'])
    with lab.talk() as t:
        begin(t)
        t.send(name(1) + name(2) + name(3))
        part(t, '1 LAST', 'Subject: &n;\r\n\r\ntext &n;\r\n')
    letters = lab.letters('alice@example.com')
    ids = set()
    for i, stored in enumerate(letters, 1):
        front = split_letter(stored, b'Subject: %d\r\n\r\ntext %d\r\n' % (i, i))
        for field in (b'From: ', b'Date: ', b'Message-ID: '):
            assert front.count(b'\r\n' + field) == 1, (field, front)
        ids.add(front.split(b'Message-ID: ')[1].split(b'\r\n')[0])
    assert len(letters) == len(ids) == 3


def test_no_header(make_lab):
    lab = make_lab(sets=ON)
    with lab.talk() as t:
        begin(t)
        t.send(name(1))
        part(t, '1 LAST', 'just text &n;\r\n')
    stored = lab.only_letter('alice@example.com')
    assert stored.endswith(b'\r\n\r\njust text 1\r\n') and stored.count(b'\r\nMessage-ID: ') == 1


def test_author(make_lab):
    """Of a user of ours every letter is looked at: the From of each is an address of the account's, and
    Bcc, which cannot be taken out of parts that all share, is refused."""
    lab = make_lab(sets=['ipmm=yes'])
    table = (('alice@example.com', 'Subject: x\r\n', 250), ('bob@example.com', 'Subject: x\r\n', 550),
             ('alice@example.com', 'Bcc: bob@example.com\r\n', 550))
    for author, more, code in table:
        with submission(lab) as s:
            ask(s, 'XMRG FROM:<alice@example.com>', 250)
            for a in ('alice@example.com', author):
                ask(s, 'XDFN a=%s' % a, 250)
                ask(s, 'RCPT TO:<bob@example.com>', 250)
            ask(s, 'XPRT 1 LAST', 354)
            s.send('From: &a;\r\n%s\r\ntext\r\n.\r\n' % more)
            assert s.getreply()[0] == code, (author, more)
    with submission(lab) as s:
        assert ask(s, 'XMRG FROM:<bob@example.com>')[0] == 553
    assert lab.count('bob@example.com') == 2


def test_others_are_served(make_lab):
    """While the views of a large merge go to a store that takes them slowly, others have their turns."""
    lab = make_lab(sets=ON)
    with lab.talk() as t:
        begin(t)
        t.send(''.join(name(i) for i in range(8000)))
        t.ask('XPRT 1 LAST', 354)
        store = lab.roles('store')[0]
        os.kill(store, signal.SIGSTOP)
        try:
            t.send('Subject: &n;\r\n\r\n' + '&n; and &*TO; and a line of text\r\n' * 40 + '.\r\n')
            time.sleep(0.5)
            with lab.talk() as other:
                other.begin()
                other.ask('NOOP', 250)
        finally:
            os.kill(store, signal.SIGCONT)
        assert t.reply()[0] == 250
    assert lab.count('alice@example.com') == 8000


def test_client_leaves_meanwhile(make_lab):
    """The client is gone before the views are sent: nothing is delivered; after that: all or nothing."""
    lab = make_lab(sets=ON)
    for wait in (0, 0.05, 0.3):
        t = lab.talk()
        begin(t)
        t.send(''.join(name(i) for i in range(2000)))
        t.ask('XPRT 1 LAST', 354)
        t.send('Subject: &n;\r\n\r\n' + '&n;\r\n' * 40 + '.\r\n')
        time.sleep(wait)
        t.close()
        lab.send(b'Subject: after\r\n\r\n', to='bob@example.com')
        # One of an earlier turn may still be on its way.
        wait_until(lambda: lab.count('alice@example.com') % 2000 == 0)
    assert lab.count('bob@example.com') == 3


def test_store_dies(make_lab):
    """Between the parts and between the views: the client hears 4xx, and nothing is delivered."""
    lab = make_lab(sets=ON)
    with lab.talk() as t:
        begin(t)
        t.send(name(1))
        part(t, '1', 'Subject: x\r\n\r\n')
        os.kill(lab.roles('store')[0], signal.SIGKILL)
        t.send('XPRT 2 LAST\r\n')
        assert t.reply()[0] == 354
        t.send('text\r\n.\r\n')
        assert t.reply()[0] == 451
        wait_until(lambda: lab.roles('store'))
    assert lab.count('alice@example.com') == 0


def test_front_dies(make_lab):
    lab = make_lab(sets=ON)
    with lab.talk() as t:
        begin(t)
        t.send(''.join(name(i) for i in range(1000)))
        part(t, '1', 'Subject: x\r\n\r\n')
        os.kill(lab.roles('front')[0], signal.SIGKILL)
        assert t.at_end()
    wait_until(lambda: lab.roles('front'))

    def works():
        try:
            lab.send(b'Subject: after\r\n\r\n')
            return True
        except OSError:
            return False
    wait_until(works)
    assert lab.count('alice@example.com') == 1


def test_two_at_once(make_lab):
    lab = make_lab(sets=ON)

    def one(to):
        with lab.talk() as t:
            begin(t)
            t.send(''.join(name(i, to) for i in range(1500)))
            part(t, '1 LAST', 'Subject: &n;\r\n\r\n')
    threads = [threading.Thread(target=one, args=(to,)) for to in ('alice', 'bob')]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert lab.count('alice@example.com') == lab.count('bob@example.com') == 1500
