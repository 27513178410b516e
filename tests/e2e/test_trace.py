"""trace: what happened to a letter, by queue id, by letter, by session."""
import json
import os
import re
import subprocess
import time

from rawimap import login
from server import BINARY

LETTER = b'From: a@example.net\r\nSubject: traced\r\n\r\nx\r\n'


def test_by_queue_id_and_session_id(lab):
    reply = lab.send(LETTER, to=['alice@example.com', 'bob@example.com'])
    received = re.search(rb'Received: (.*?)\r\n(?![ \t])', lab.only_letter('alice@example.com'), re.S).group(1).decode()
    words = set(re.findall(r'[0-9A-Za-z-]{8,}', reply))
    qid = next(w for w in words if w in received)
    rows = lab.json('trace', qid)
    assert len(rows) == 1
    row = rows[0]
    assert row['qid'] == qid and row['from'] == 'sender@example.net'
    assert {r['address'] for r in row['rcpts']} == {'alice@example.com', 'bob@example.com'}
    history = '\n'.join(row['history'])
    for piece in ('MAIL FROM:<sender@example.net>', 'RCPT TO:<alice@example.com>', 'RCPT TO:<bob@example.com>',
                  'DATA', '354', '127.0.0.1'):
        assert piece.lower() in history.lower(), history
    assert lab.json('trace', row['session']) == rows
    assert lab.json('trace', row['letter']) == rows
    text = lab.run('trace', qid).stdout
    assert 'sender@example.net' in text and qid in text


def test_a_session_with_two_letters(lab):
    with lab.smtp() as s:
        for i in range(2):
            s.sendmail('a@example.net', 'alice@example.com', LETTER)
    show = lab.json('mailbox', 'show', 'alice@example.com')
    first = lab.json('trace', show[0]['letter'])[0]
    rows = lab.json('trace', first['session'])
    assert [r['letter'] for r in rows] == [r['letter'] for r in show]


def test_unknown_id(lab):
    r = lab.run('trace', 'nosuchletter', check=False)
    assert r.returncode == 2 and 'nosuchletter' in r.stderr


def test_survives_a_restart(lab):
    lab.send(LETTER)
    letter = lab.json('mailbox', 'show', 'alice@example.com')[0]['letter']
    before = lab.json('trace', letter)
    assert lab.stop() == 0
    assert lab.json('trace', letter) == before
    lab.start()
    assert lab.json('trace', letter) == before


def test_credentials_are_masked(lab):
    with lab.talk() as t:
        t.begin()
        t.ask('AUTH PLAIN AGFsaWNlAHNlY3JldHBhc3M=')
        t.ask('MAIL FROM:<a@example.net>', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.ask('DATA', 354)
        t.send(LETTER + b'.\r\n')
        assert t.reply()[0] == 250
    letter = lab.json('mailbox', 'show', 'alice@example.com')[0]['letter']
    assert 'AGFsaWNlAHNlY3JldHBhc3M' not in lab.run('trace', letter).stdout
    assert 'AGFsaWNlAHNlY3JldHBhc3M' not in lab.log()


def test_appended_by_imap(lab):
    """Who appended it, from where, when, in which session; and the id that IMAP shows leads there."""
    c = login(lab)
    c.append('Junk', LETTER, date='" 1-Jan-2001 00:00:00 +0000"')
    c.ok('SELECT Junk')
    emailid = re.search(rb'EMAILID \((M[0-9a-f]{16})\)', b''.join(c.ok('FETCH 1 EMAILID'))).group(1).decode()
    c.close()
    row = lab.json('trace', emailid)[0]
    assert row['rcpts'][0]['address'] == 'alice@example.com'
    assert not row['time'].startswith('2001')  # when it came, not what date it was given
    assert row['history'] == ['appended to Junk by alice@example.com from 127.0.0.1']
    assert int(row['session'], 32) > 0 and lab.json('trace', row['session']) == [row]
    text = lab.run('trace', row['letter']).stdout
    assert 'To:        alice@example.com (account ' in text
    assert 'Queue id:' not in text and 'From:' not in text


def test_by_anything_that_is_known(lab):
    letters = [LETTER.replace(b'Subject', b'Message-ID: <one.%d@Example.net>\r\nSubject' % i) for i in range(3)]
    for i, letter in enumerate(letters):
        lab.send(letter, to=['alice@example.com', 'bob@example.com'][:1 + i % 2], sender='s%d@example.net' % i)
    ids = [row['letter'] for row in lab.json('mailbox', 'show', 'alice@example.com')]

    def found(*words):
        return [row['letter'] for row in lab.json('trace', *words)]

    assert found('<one.1@example.NET>') == ids[1:2] and found('one.1@example.net') == ids[1:2]
    assert found('S2@example.net') == ids[2:] and found('bob@example.com') == ids[1:2]
    assert found('127.0.0.1') == ids and found('--peer', '127.0.0.1') == ids
    assert found('--from', 's0@example.net') == ids[:1] and found('--to', 'alice@example.com') == ids
    assert found('alice@example.com', '--from', 's1@example.net') == ids[1:2]
    assert found('--message-id', 'one.2@example.net', '--since', '1h') == ids[2:]
    assert found('--since', '2020-01-01') == ids and found('--since', '5m', '--limit', '2') == ids[1:]
    for words in (('--until', '1h'), ('--from', 'alice@example.com'), ('--to', 's0@example.net'), ('x@y.z',)):
        r = lab.run('trace', *words, check=False)
        assert r.returncode == 2 and 'no letter' in r.stderr, words
    text = lab.run('trace', '127.0.0.1').stdout.splitlines()
    assert len(text) == 3 and all(i in line for i, line in zip(ids, text))
    assert '<s1@example.net> -> alice@example.com and 1 more' in text[1]
    whole = lab.run('trace', '127.0.0.1', '--all').stdout
    assert whole.count('History:') == 3


def test_a_question_that_is_none(lab):
    for words, what in (((), 'which letters'), (('--since', 'yesterday'), 'is no time'), (('x', '--format', 'html'), 'html'),
                        (('x', '--limit', '0'), '--limit'), (('x', 'y'), '"y" is too much')):
        r = lab.run('trace', *words, check=False)
        assert r.returncode == 1 and what in r.stderr, r.stderr


def test_what_became_of_it_in_mailboxes(lab):
    """Seen, copied, moved, marked and expunged: by whom, from where, once each."""
    lab.send(LETTER)
    letter = lab.json('mailbox', 'show', 'alice@example.com')[0]['letter']
    c = login(lab)
    c.ok('SELECT INBOX')
    c.ok('FETCH 1 BODY[]')
    c.ok('STORE 1 +FLAGS (\\Seen)')
    c.ok('STORE 1 -FLAGS (\\Flagged)')
    c.ok('COPY 1 Archive')
    c.ok('STORE 1 +FLAGS (\\Deleted)')
    c.ok('EXPUNGE')
    c.ok('SELECT Archive')
    c.ok('MOVE 1 Trash')
    c.close()
    row = lab.json('trace', letter)[0]
    events = [e['history'][0] for e in row['events']]
    assert [e.split(' by ')[0] for e in events] == ['seen', 'copied', 'marked as deleted', 'expunged', 'moved'], events
    assert events[1].endswith(' by alice@example.com to Archive from 127.0.0.1')
    assert all(e['kind'] == 'mailbox' and letter in e['rcpts'][0] for e in row['events'])
    assert lab.json('trace', row['events'][0]['session'])[0]['letter'] == letter
    text = lab.run('trace', letter).stdout
    assert 'Mailbox at ' in text and '    expunged by alice@example.com from 127.0.0.1' in text


def test_replayed_conversation(lab, tmp_path):
    lab.send(LETTER)
    letter = lab.json('mailbox', 'show', 'alice@example.com')[0]['letter']
    conv = lab.run('trace', letter, '--format', 'conv').stdout
    assert '@proto smtp' in conv and re.search('^C: mail from:<sender@example.net>', conv, re.I | re.M)
    path = tmp_path / 'it.conv'
    path.write_text(conv)
    r = subprocess.run([BINARY, 'run', '--to', '127.0.0.1:%d' % lab.port(), str(path)], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + conv


def test_looking_on(lab):
    p = subprocess.Popen([BINARY, 'trace', '--follow', '--json', '--dir', lab.dir], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(1)
        lab.send(LETTER, sender='live@example.net')
        row = json.loads(p.stdout.readline())
        assert row['kind'] == 'letter' and row['from'] == 'live@example.net' and 'DATA' in ''.join(row['history']).upper()
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_kept_after_kill(make_lab):
    lab = make_lab()
    for i in range(5):
        lab.send(LETTER, sender='s%d@example.net' % i)
    time.sleep(0.5)
    lab.kill()
    lab.start()
    assert len(lab.json('trace', '127.0.0.1')) == 5
    trace = os.path.join(lab.dir, 'store', 'trace')
    assert any(name.endswith('.trc') for name in os.listdir(trace))


def test_not_recorded(make_lab):
    """trace.size = 0: found in the log all the same, as long as it is there."""
    lab = make_lab(sets=['trace.size=0'])
    lab.send(LETTER)
    assert lab.json('trace', 'sender@example.net')[0]['from'] == 'sender@example.net'
    assert not os.path.exists(os.path.join(lab.dir, 'store', 'trace'))
