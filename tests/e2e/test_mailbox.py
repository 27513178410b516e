"""mailbox list, show, read, export; what was sent is what comes out."""
import json
import mailbox
import os
import re
import subprocess

from server import BINARY, split_letter

LETTERS = [
    b'From: a@example.net\r\nTo: alice@example.com\r\nSubject: first\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\n'
    b'Message-ID: <1@example.net>\r\n\r\nbody\r\n',
    b'From: b@example.net\r\nSubject: From lines\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\n\r\nFrom here on\r\n>From there\r\n'
    b'\r\nFrom me\r\n.\r\n..\r\n\r\n\r\n',
    b'From: c@example.net\r\nSubject: 8bit =?utf-8?q?=C3=A4?=\r\n folded\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\n\r\n'
    b'\xff\xfe\x80 \xc3\xa4\r\n' + b'x' * 5000 + b'\r\n',
    b'From: d@example.net\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\nSubject: empty body\r\n\r\n',
    b'From: e@example.net\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\nSubject: large\r\n\r\n' + b'0123456789\r\n' * 60000,
]


def fill(lab):
    for letter in LETTERS:
        lab.send(letter)



def test_list_show_read(lab):
    assert lab.count('alice@example.com') == 0
    fill(lab)
    boxes = lab.json('mailbox', 'list', 'alice@example.com')
    inbox = [b for b in boxes if b['name'] == 'INBOX']
    assert len(inbox) == 1 and inbox[0]['messages'] == len(LETTERS)
    rows = lab.json('mailbox', 'show', 'alice@example.com')
    assert [r['uid'] for r in rows] == sorted(r['uid'] for r in rows)
    assert [r['subject'] for r in rows][:2] == ['first', 'From lines']
    for letter, stored in zip(LETTERS, lab.letters('alice@example.com')):
        front = split_letter(stored, letter)
        assert front.startswith(b'Return-Path: <sender@example.net>\r\nDelivered-To: alice@example.com\r\nReceived: ')
    text = lab.run('mailbox', 'list', 'alice@example.com').stdout
    assert 'INBOX' in text and str(len(LETTERS)) in text
    assert 'first' in lab.run('mailbox', 'show', 'alice@example.com').stdout


def sent_part(exported, letter, rd):
    """The end of an exported letter as it was sent, with LF line ends on both sides."""
    octets = exported.replace(b'\r\n', b'\n')
    if rd:
        octets = re.sub(rb'^>(>*From )', rb'\1', octets, flags=re.M)
    return octets[len(octets) - len(letter.replace(b'\r\n', b'\n')):]


def test_export_mbox(lab, tmp_path):
    fill(lab)
    path = tmp_path / 'out.mbox'
    path.write_bytes(lab.run('mailbox', 'export', 'alice@example.com', '--format', 'mbox', text=False).stdout)
    box = mailbox.mbox(str(path), create=False)
    assert len(box) == len(LETTERS)
    for key, letter in zip(box.keys(), LETTERS):
        octets = box.get_bytes(key)
        assert box[key].get_from().startswith('sender@example.net ')
        want = letter.replace(b'\r\n', b'\n')
        # The module takes the empty line behind a letter for its own.
        assert sent_part(octets, letter, True) == want or sent_part(octets + b'\n', letter, True) == want
        assert octets.startswith(b'Return-Path: <sender@example.net>')
    box.close()


def test_export_maildir(lab, tmp_path):
    fill(lab)
    path = tmp_path / 'out'
    lab.run('mailbox', 'export', 'alice@example.com', '--format', 'maildir', '--to', str(path))
    box = mailbox.Maildir(str(path), create=False)
    assert len(box) == len(LETTERS)
    got = sorted(sent_part(box.get_bytes(k), x, False) for k in box.keys() for x in LETTERS
                 if box.get_bytes(k).replace(b'\r\n', b'\n').endswith(x.replace(b'\r\n', b'\n')))
    assert got == sorted(x.replace(b'\r\n', b'\n') for x in LETTERS)


def test_export_around_a_damaged_letter(lab, tmp_path):
    """What is whole comes out, the last letter too, and the damage is told."""
    for n in (1, 2, 3):
        lab.send(b'Subject: letter %d\r\n\r\nthe body of letter %d\r\n' % (n, n))
    assert lab.stop() == 0
    segment = os.path.join(lab.dir, 'store/log/00000001.seg')
    with open(segment, 'r+b') as f:
        octets = f.read()
        f.seek(octets.index(b'the body of letter 2'))
        f.write(b'T')
    lab.start()
    r = lab.run('mailbox', 'export', 'alice@example.com', '--format', 'maildir', '--to', str(tmp_path / 'out'), check=False)
    assert r.returncode == 2 and '1 letters' in r.stderr, r
    box = mailbox.Maildir(str(tmp_path / 'out'), create=False)
    assert sorted(m['Subject'] for m in box) == ['letter 1', 'letter 3']
    r = lab.run('mailbox', 'export', 'alice@example.com', '--format', 'mbox', check=False)
    assert r.returncode == 2 and r.stdout.endswith('the body of letter 3\n\n')


def test_unknown_things(lab):
    for words, what in ((('mailbox', 'list', 'nobody@example.com'), 'nobody@example.com'),
                        (('mailbox', 'show', 'alice@example.com', '--mailbox', 'Nope'), 'Nope'),
                        (('mailbox', 'read', 'alice@example.com', '77'), '77')):
        r = lab.run(*words, check=False)
        assert r.returncode == 2 and what in r.stderr and not r.stdout, r


def test_read_works_on_a_stopped_server(lab):
    fill(lab)
    assert lab.stop() == 0
    assert lab.count('alice@example.com') == len(LETTERS)
    split_letter(lab.letters('alice@example.com')[0], LETTERS[0])


def test_control_characters_do_not_reach_the_terminal(lab):
    lab.send(b'From: a@example.net\r\nSubject: \x1b[31mred\x07\r\n\r\nx\r\n')
    assert '\x1b' not in lab.run('mailbox', 'show', 'alice@example.com').stdout
    assert json.loads(lab.run('mailbox', 'show', 'alice@example.com', '--json').stdout)


def test_fsck(lab):
    fill(lab)
    for _ in range(2):
        r = lab.run('fsck', check=False)
        assert r.returncode == 0, r.stdout + r.stderr
    assert lab.stop() == 0
    r = subprocess.run([BINARY, 'fsck', '--dir', lab.dir], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode == 0, r.stdout


def test_header_repairs(lab):
    """R-MSG-2 and R-MSG-3: no header, no empty line, a damaged continuation."""
    lab.send(b'This is a test.\r\n')
    lab.send(b'Subject: A Test\r\nJust a test.\r\nmore or less\r\n')
    lab.send(b'Received: from a by b\r\nc; Fri,\r\nFrom: x@example.net\r\nSubject: s\r\n\r\nbody\r\n')
    bare, short, damaged = lab.letters('alice@example.com')
    head, _, body = bare.partition(b'\r\n\r\n')
    assert body == b'This is a test.\r\n'
    names = [line.split(b':')[0] for line in head.split(b'\r\n') if not line.startswith((b' ', b'\t'))]
    assert {b'Date', b'Message-ID', b'From', b'To'} <= set(names) and b'Subject' not in names
    assert b'\r\nFrom: sender@example.net\r\n' in head + b'\r\n' or b'<sender@example.net>' in head
    assert b'\r\nSubject: A Test\r\n\r\nJust a test.\r\nmore or less\r\n' in short
    split_letter(damaged, b'Received: from a by b\r\nc; Fri,\r\nFrom: x@example.net\r\nSubject: s\r\n\r\nbody\r\n')


ALICE = 'alice@example.com'


def boxes(lab):
    return {b['name']: b for b in lab.json('mailbox', 'list', ALICE)}


def test_mailboxes_are_made_and_renamed(lab):
    assert {n: b['special_use'] for n, b in boxes(lab).items()} == {
        'INBOX': '', 'Archive': 'archive', 'Drafts': 'drafts', 'Junk': 'junk', 'Sent': 'sent', 'Trash': 'trash'}
    lab.run('mailbox', 'create', ALICE, 'Lists/Sailing')
    lab.run('mailbox', 'create', ALICE, 'Spam', '--special', 'junk')
    lab.run('mailbox', 'create', ALICE, 'Ärger')
    have = boxes(lab)
    assert 'Lists' not in have  # only a name
    assert have['Spam']['special_use'] == 'junk' and not have['Spam']['subscribed']
    assert have['Lists/Sailing']['messages'] == 0 and have['Ärger']['uidnext'] == 1
    lab.run('mailbox', 'subscribe', ALICE, 'Spam')
    assert boxes(lab)['Spam']['subscribed'] is True
    lab.run('mailbox', 'unsubscribe', ALICE, 'Spam')
    assert boxes(lab)['Spam']['subscribed'] is False
    lab.run('mailbox', 'rename', ALICE, 'Lists', 'Old')
    have = boxes(lab)
    assert 'Old/Sailing' in have and 'Lists/Sailing' not in have
    assert lab.stop() == 0
    lab.start()
    assert boxes(lab) == have


def test_mailbox_names_that_cannot_be(lab):
    for words, what in ((('create', ALICE, 'Sent'), 'of that name'), (('create', ALICE, 'a//b'), 'empty'),
                        (('create', ALICE, '../x'), 'mailbox name'), (('create', ALICE, 'inbox'), 'INBOX'),
                        (('create', ALICE, '~x'), 'mailbox name'), (('create', ALICE, 'x' * 300), 'mailbox name'),
                        (('create', ALICE, 'x', '--special', 'spam'), 'special use'),
                        (('create', 'nobody@example.com', 'x'), 'no user'), (('create', 'nobody', 'x'), 'no address'),
                        (('rename', ALICE, 'None', 'Some'), 'no such mailbox'), (('rename', ALICE, 'Sent', 'Junk'), 'of that name'),
                        (('rename', ALICE, 'a\nb', 'c'), 'mailbox name'), (('subscribe', ALICE, '/x'), 'mailbox name')):
        r = lab.run('mailbox', *words, check=False)
        assert r.returncode == 2 and what in r.stderr and not r.stdout, (words, r)


def test_quota_of_a_user(lab):
    def quotas():
        return {u['address']: u['quota'] for u in lab.json('user', 'list')}

    assert quotas() == {ALICE: None, 'bob@example.com': None}
    lab.run('user', 'quota', ALICE, '5M')
    assert quotas() == {ALICE: 5 << 20, 'bob@example.com': None}
    assert lab.stop() == 0
    lab.start()
    assert quotas()[ALICE] == 5 << 20
    lab.run('user', 'quota', ALICE, 'none')
    assert quotas()[ALICE] is None
    assert lab.run('user', 'quota', ALICE, '5X', check=False).returncode == 1
    assert lab.run('user', 'quota', 'nobody@example.com', '1G', check=False).returncode == 2


def test_quota_of_a_user_alone(lab):
    """Without a quota in the configuration: RCPT refuses only who is over a quota of his own."""
    def rcpt(address):
        with lab.smtp() as s:
            s.ehlo()
            s.mail('sender@example.net')
            return s.rcpt(address)

    letter = b'Subject: x\r\n\r\n' + 100 * (78 * b'x' + b'\r\n')
    lab.run('alias', 'add', 'both@example.com', ALICE, 'bob@example.com')
    lab.run('alias', 'add', 'she@example.com', ALICE)
    lab.run('user', 'quota', ALICE, '20K')
    lab.send(letter)
    assert rcpt(ALICE)[0] == 250
    lab.send(letter, to='both@example.com')
    lab.send(letter)  # the first that is too much; its size was not told
    for address in (ALICE, 'she@example.com'):
        code, text = rcpt(address)
        assert code == 452 and text.startswith(b'4.2.2'), text
    assert rcpt('bob@example.com')[0] == 250
    lab.send(letter, to='both@example.com')  # a list does not fail for one of its members
    assert lab.count(ALICE) == 4 and lab.count('bob@example.com') == 2
    with lab.smtp() as s:  # what is told counts
        s.ehlo()
        lab.run('user', 'quota', ALICE, '40K')
        s.mail('sender@example.net', ['SIZE=20000'])
        assert s.rcpt(ALICE)[0] == 452
        s.rset()
        s.mail('sender@example.net', ['SIZE=2000'])
        assert s.rcpt(ALICE)[0] == 250
    assert lab.stop() == 0
    lab.start()
    lab.run('user', 'quota', ALICE, '20K')
    assert rcpt(ALICE)[0] == 452
    lab.run('user', 'quota', ALICE, 'none')
    assert rcpt(ALICE)[0] == 250


def test_flags_are_exported(lab, tmp_path):
    path = tmp_path / 'in.mbox'
    path.write_bytes(b''.join(b'From a Fri Sep 25 12:27:48 2009\n%sSubject: %d\n\nx\n\n' % (mark, n) for n, mark in enumerate(
        (b'', b'Status: RO\n', b'Status: RO\nX-Status: AFDT\n', b'X-Status: F\n'))))
    lab.run('mailbox', 'import', ALICE, str(path))
    flags = [r['flags'] for r in lab.json('mailbox', 'show', ALICE)]
    assert flags == ['', 'S', 'DFRST', 'F']
    assert boxes(lab)['INBOX']['unseen'] == 2
    lab.run('mailbox', 'export', ALICE, '--format', 'maildir', '--to', str(tmp_path / 'md'))
    found = sorted(os.listdir(tmp_path / 'md' / 'cur'), key=lambda n: int(re.search(r'Q(\d+)', n).group(1)))
    assert [n.split(':2,')[1] for n in found] == flags[1:] and len(os.listdir(tmp_path / 'md' / 'new')) == 1
    (tmp_path / 'out.mbox').write_bytes(lab.run('mailbox', 'export', ALICE, text=False).stdout)
    for source in ('out.mbox', 'md'):
        lab.run('mailbox', 'import', 'bob@example.com', str(tmp_path / source), '--mailbox', source, '--create')
        rows = lab.json('mailbox', 'show', 'bob@example.com', '--mailbox', source)
        assert sorted(r['flags'] for r in rows) == sorted(flags) and all(r['subject'].isdigit() for r in rows)
