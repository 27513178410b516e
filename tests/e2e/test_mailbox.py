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
