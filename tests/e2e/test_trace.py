"""trace: what happened to a letter, by queue id, by letter, by session."""
import re

from rawimap import login

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
