"""trace: what happened to a letter, by queue id, by letter, by session."""
import json
import os
import re
import subprocess
import time

import pytest

from rawimap import login
from relaying import Sink
from server import BINARY, wait_until

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
    assert found('--since', '1970-01-01') == ids and found('--since', '99999d', '--until', '2100-01-01') == ids
    assert found('--since', '2020-01-01') == ids and found('--since', '5m', '--limit', '2') == ids[1:]
    for words in (('--until', '1h'), ('--until', '1970-01-01'), ('--from', 'alice@example.com'), ('--to', 's0@example.net'), ('x@y.z',)):
        r = lab.run('trace', *words, check=False)
        assert r.returncode == 2 and 'no letter' in r.stderr, words
    text = lab.run('trace', '127.0.0.1').stdout.splitlines()
    assert len(text) == 3 and all(i in line for i, line in zip(ids, text))
    assert '<s1@example.net> -> alice@example.com and 1 more' in text[1]
    whole = lab.run('trace', '127.0.0.1', '--all').stdout
    assert whole.count('History:') == 3


def test_a_question_that_is_none(lab):
    for words, what in (((), 'which letters'), (('--since', 'yesterday'), 'is no time'), (('x', '--format', 'html'), 'html'),
                        (('x', '--limit', '0'), '--limit'), (('x', 'y'), '"y" is too much'),
                        (('x', '--follow', '--format', 'conv'), 'not with --follow'),
                        (('',), 'KEY: "" is not an id or an address'), (('--from', ''), 'is not an address'),
                        (('--message-id', ''), 'is not a Message-ID'), (('--from', '@example.com'), 'write a whole one'),
                        (('--to', '*@example.com'), 'is not an address'), (('--to', '<>'), 'is not an address'),
                        (('--to', 'example.com'), 'is not an address'), (('--peer', '127.0.0.0/8'), 'is not an IP address'),
                        (('--peer', 'localhost'), 'is not an IP address'),
                        (('x', '--format', 'conv', '--json'), 'leave one of them out'), (('--follow', '--limit', '3'), 'has been'),
                        (('--follow', '--since', '3m'), 'has been'), (('--follow', '--until', '3m'), 'has been'),
                        (('--follow', '--all'), 'has been'), (('--since', '5m', '--until', '10m'), '--since 5m is not before --until 10m')):
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


def play(conv, path, port):
    path.write_text(conv)
    return subprocess.run([BINARY, 'run', '--to', '127.0.0.1:%d' % port, str(path)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)


def test_replayed_attempts(make_lab, tmp_path):
    """Each attempt's conversation plays against the destination; one that went over a connection that was there
    begins it anew."""
    turn = {'RCPT': 0}

    def reply(verb, arg):
        if verb == 'RCPT':
            turn['RCPT'] += 1
            return '450 4.2.0 not yet' if turn['RCPT'] == 1 else None
        return None

    with Sink(reply=reply) as sink:
        lab = make_lab(sets=['route.*=' + sink.target, 'route.*.tls=never', 'relay_ip=127.0.0.0/8', 'queue.retry_first=1s'])
        for i in range(2):
            lab.send(LETTER, to='joe@elsewhere.example', sender='s%d@example.net' % i)
        wait_until(lambda: len(sink.letters) == 2, 30)

        def whole():
            rows = lab.json('trace', '--to', 'joe@elsewhere.example')
            return [[e for e in r['events'] if e['kind'] == 'attempt'] for r in rows]

        wait_until(lambda: sorted(len(a) for a in whole()) == [1, 2], 30)
        for row in lab.json('trace', '--to', 'joe@elsewhere.example'):
            attempts = [e for e in row['events'] if e['kind'] == 'attempt']
            for n in range(len(attempts)):
                told = '\n'.join(attempts[n]['history'])
                assert '# route * via %s\n' % sink.target in told and '# TLS policy: none (tls = never of the route)' in told
                conv = lab.run('trace', row['letter'], '--format', 'conv', '--attempt', str(n + 1)).stdout
                assert 'C: RCPT TO:<joe@elsewhere.example>' in conv, conv
                assert conv.splitlines().count('C: .') == conv.count('\nS: 354'), conv
                turn['RCPT'] = 0 if '450' in conv else 1
                r = play(conv, tmp_path / 'attempt.conv', sink.port)
                assert r.returncode == 0, r.stdout + conv
            r = lab.run('trace', row['letter'], '--format', 'conv', '--attempt', '9', check=False)
            assert r.returncode == 2 and 'there were %d attempts' % len(attempts) in r.stderr
            text = lab.run('trace', row['letter']).stdout
            assert 'Attempt %d, ended at ' % len(attempts) in text
    for words, what in ((('--attempt', '0', '--format', 'conv'), 'is no number'), (('--attempt', '1'), '--format conv')):
        r = lab.run('trace', 'x', *words, check=False)
        assert r.returncode == 1 and what in r.stderr


def test_odd_octets_in_a_reply(make_lab, tmp_path):
    """They are escaped once, wherever they are shown, and played as they came."""
    odd = '4.2.0 a\\b \x1b[31mred \u202exc\u00fc'

    def reply(verb, arg):
        return '450 ' + odd if verb == 'RCPT' else None

    with Sink(reply=reply) as sink:
        lab = make_lab(sets=['route.*=' + sink.target, 'route.*.tls=never', 'relay_ip=127.0.0.0/8'])
        lab.send(LETTER, to='joe@elsewhere.example')
        wait_until(lambda: 'Attempt' in lab.run('trace', '--to', 'joe@elsewhere.example').stdout, 20)
        text = lab.run('trace', '--to', 'joe@elsewhere.example').stdout
        assert r's: 450 4.2.0 a\\b \x1b[31mred \xe2\x80\xaexcü' in text, text
        letter = lab.json('trace', '--to', 'joe@elsewhere.example')[0]['letter']
        r = play(lab.run('trace', letter, '--format', 'conv', '--attempt', '1').stdout, tmp_path / 'odd.conv', sink.port)
        assert r.returncode == 0, r.stdout


def test_attempts_are_told_apart(make_lab):
    """Each says when it began, how long it took, and names those recipients who were tried in it."""
    said = []

    def reply(verb, arg):
        if verb == 'RCPT' and 'ann' in arg and not said:
            said.append(arg)
            return 1.5, '450 4.2.0 not yet'
        return None

    with Sink(reply=reply) as sink:
        lab = make_lab(sets=['route.*=' + sink.target, 'route.*.tls=never', 'relay_ip=127.0.0.0/8', 'queue.retry_first=1s'])
        lab.send(LETTER, to=['joe@elsewhere.example', 'ann@elsewhere.example'], sender='s@example.net')
        wait_until(lambda: len(sink.letters) == 2, 30)

        def attempts():
            found = [e for r in lab.json('trace', '--to', 'ann@elsewhere.example') for e in r['events'] if e['kind'] == 'attempt']
            return found if len(found) == 2 else None
        first, second = wait_until(attempts, 30)
        assert [r['address'] for r in first['rcpts']] == ['joe@elsewhere.example', 'ann@elsewhere.example']
        assert [r['address'] for r in second['rcpts']] == ['ann@elsewhere.example']
        begun, ms = re.fullmatch(r'# begun at (\S+), over (\d+) ms later', first['history'][0]).groups()
        assert begun < first['time'] and 1500 <= int(ms) < 60000


def test_replayed_chunks(lab, tmp_path):
    """BDAT, and the second letter of a session."""
    with lab.talk() as t:
        t.begin()
        for i in range(2):
            t.ask('MAIL FROM:<s%d@example.net>' % i, 250)
            t.ask('RCPT TO:<alice@example.com>', 250)
            t.send(b'BDAT %d LAST\r\n' % len(LETTER) + LETTER)
            assert t.reply()[0] == 250
    for row in lab.json('trace', '--to', 'alice@example.com'):
        r = play(lab.run('trace', row['letter'], '--format', 'conv').stdout, tmp_path / 'chunk.conv', lab.port())
        assert r.returncode == 0, r.stdout
    assert lab.count('alice@example.com') == 4


def test_the_end_of_a_letter(lab):
    """Deleted by the command, with its mailbox, with its account: each says so."""
    for i in range(3):
        lab.send(LETTER)
    ids = [row['letter'] for row in lab.json('mailbox', 'show', 'alice@example.com')]
    lab.run('mailbox', 'delete', 'alice@example.com', '1', '--yes')
    c = login(lab)
    c.ok('CREATE Old')
    c.ok('SELECT INBOX')
    c.ok('MOVE 1 Old')
    c.ok('DELETE Old')
    c.close()
    lab.run('user', 'remove', 'alice@example.com', '--yes')

    def last(letter):
        events = lab.json('trace', letter)[0]['events']
        assert all(len(e['rcpts']) == 1 and letter in e['rcpts'][0] for e in events)
        return events[-1]['history'][0] if events else ''

    for letter, words in zip(ids, ('expunged by `pennypost mailbox delete`', 'expunged: the mailbox was removed',
                                   'expunged: the account was removed')):
        wait_until(lambda: last(letter) == words, 20)


def test_many_are_listed_and_few_are_whole(lab):
    with lab.smtp() as s:
        for i in range(120):
            s.sendmail('many@example.net', ['alice@example.com'], LETTER)
    r = lab.run('trace', '--from', 'many@example.net')
    lines = r.stdout.splitlines()
    assert len(lines) == 100 and 'these are the newest 100' in r.stderr
    assert lines == sorted(lines)
    assert len(lab.json('trace', '--from', 'many@example.net', '--limit', '110')) == 110
    assert len(lab.run('trace', '--from', 'many@example.net', '--limit', '1000').stdout.splitlines()) == 120
    assert len(lab.json('trace', '--from', 'many@example.net', '--limit', '1000')) == 120
    # A session that only did something to letters tells whose they were.
    c = login(lab)
    c.ok('SELECT INBOX')
    c.ok('STORE 1:120 +FLAGS (\\Seen)')
    c.close()
    session = lab.json('trace', lines[0].split()[1])[0]['events'][0]['session']
    listed = lab.run('trace', session, '--limit', '1000').stdout.splitlines()
    assert len(listed) == 120 and all('<many@example.net> -> alice@example.com' in line for line in listed)


def test_how_they_came_is_gone(make_lab):
    """Of what only mailboxes tell, nobody says that it came from nobody."""
    lab = make_lab()
    for i in range(2):
        lab.send(LETTER)
    ids = [row['letter'] for row in lab.json('mailbox', 'show', 'alice@example.com')]
    time.sleep(0.5)
    assert lab.stop() == 0
    trace = os.path.join(lab.dir, 'store', 'trace')
    for name in os.listdir(trace):
        if name.endswith(('.trc', '.idx')):
            os.unlink(os.path.join(trace, name))
    lab.start()
    c = login(lab)
    c.ok('SELECT INBOX')
    c.ok('STORE 1:2 +FLAGS (\\Seen)')
    c.close()
    session = lab.json('trace', ids[0])[0]['events'][0]['session']
    lines = lab.run('trace', session).stdout.splitlines()
    assert [line.split(None, 2)[1:] for line in lines] == [[i, '(how it came is not kept any more)'] for i in ids]


@pytest.mark.parametrize('words', [('--from', 'nobody@example.net', '--since', '1h'), ('--until', '2001-01-01'), ('0000000000000',)])
def test_nothing_is_found(lab, words):
    lab.send(LETTER)
    r = lab.run('trace', *words, check=False)
    assert r.returncode == 2 and not r.stdout and 'there is no letter with' in r.stderr


def damaged(path, at):
    with open(path, 'r+b') as f:
        f.seek(at)
        f.write(b'x' * 16)


def test_damage_is_named_and_stops_nothing(make_lab):
    lab = make_lab()
    for i in range(20):
        lab.send(LETTER, sender='s%d@example.net' % i)
    lab.json('trace', '127.0.0.1')
    assert lab.stop() == 0
    trace = os.path.join(lab.dir, 'store', 'trace')
    assert json.loads(lab.run('fsck', '--json').stdout)['histories'] == 1
    one = os.path.join(trace, '00000001.trc')
    damaged(one, 2000)
    r = lab.run('fsck', check=False)
    assert r.returncode == 2 and 'trace/00000001.trc: ' in r.stdout and 'nothing has to be done' in r.stdout
    lab.start()
    assert len(lab.json('trace', '127.0.0.1')) >= 18
    lab.send(LETTER, sender='after@example.net')
    assert lab.json('trace', 'after@example.net')
    assert lab.stop() == 0
    damaged(one, 0)
    damaged(os.path.join(trace, 'followed'), 0)
    r = lab.run('fsck', check=False)
    assert r.returncode == 2 and 'no file of this store' in r.stdout and 'trace/followed: ' in r.stdout
    lab.start()
    lab.send(LETTER, sender='later@example.net')
    assert lab.json('trace', 'later@example.net')


def test_looking_on(lab):
    p = subprocess.Popen([BINARY, 'trace', '--follow', '--json', '--dir', lab.dir], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(1)
        lab.send(LETTER, sender='live@example.net')
        row = json.loads(p.stdout.readline())
        assert row['kind'] == 'letter' and row['from'] == 'live@example.net' and 'DATA' in ''.join(row['history']).upper()
        lab.send(LETTER, sender='live@example.net')
        ids = [row['letter'], json.loads(p.stdout.readline())['letter']]
        c = login(lab)
        c.ok('SELECT INBOX')
        c.ok('STORE 1:2 +FLAGS (\\Deleted)')
        c.close()
        rows = [json.loads(p.stdout.readline()) for _ in ids]
        assert [r['letter'] for r in rows] == ids and all(r['kind'] == 'mailbox' for r in rows)
        assert all(len(r['rcpts']) == 1 and r['letter'] in r['rcpts'][0] for r in rows)
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


@pytest.mark.skipif(os.geteuid() != 0, reason='only root may mount')
def test_a_full_disk(make_lab):
    """Histories are passed over while there is no room for them; the table of their file knows nothing of those."""
    lab = make_lab(sets=['trace.size=1M'])
    assert lab.stop() == 0
    trace = os.path.join(lab.dir, 'store', 'trace')
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', trace], stderr=subprocess.DEVNULL).returncode:
        pytest.skip('mounting is not permitted here')
    try:
        lab.start()
        with lab.smtp() as s:
            for i in range(400):
                s.sendmail('before@example.net', ['alice@example.com'], LETTER)
        wait_until(lambda: 'trace-failed' in lab.log(), 20)
        time.sleep(3)
        subprocess.run(['mount', '-o', 'remount,size=16m', trace], check=True)
        with lab.smtp() as s:
            for i in range(400):
                s.sendmail('after@example.net', ['alice@example.com'], LETTER)
        wait_until(lambda: '00000001.idx' in os.listdir(trace), 20)
        assert len(lab.run('trace', '--from', 'after@example.net', '--limit', '1000').stdout.splitlines()) > 100
        assert lab.stop() == 0
        assert lab.run('fsck').returncode == 0
    finally:
        lab.stop()
        subprocess.run(['umount', '-l', trace], check=True)


def test_not_recorded(make_lab):
    """trace.size = 0: found in the log all the same, as long as it is there."""
    lab = make_lab(sets=['trace.size=0'])
    lab.send(LETTER)
    assert lab.json('trace', 'sender@example.net')[0]['from'] == 'sender@example.net'
    assert not os.path.exists(os.path.join(lab.dir, 'store', 'trace'))
    with lab.smtp() as s:
        for i in range(20):
            s.sendmail('many@example.net', ['alice@example.com'], LETTER)
    ids = [row['letter'] for row in lab.json('mailbox', 'show', 'alice@example.com')]
    r = lab.run('trace', '--from', 'many@example.net', '--limit', '7')
    assert [line.split()[1] for line in r.stdout.splitlines()] == ids[-7:] and 'these are the newest 7' in r.stderr


def test_what_became_of_each_of_many(make_lab):
    """However much the other server says of each: nobody is left out."""
    def reply(verb, arg):
        return '550 5.1.1 ' + '-'.join(['no such user %s' % arg] * 12) if verb == 'RCPT' else None
    with Sink(reply) as sink:
        lab = make_lab(sets=['relay_ip=127.0.0.0/8', 'route.*=' + sink.target, 'route.*.tls=never', 'limit.rcpts_per_hour=off'])
        rcpts = ['a-very-long-local-part-of-an-address-that-goes-on-%05d@elsewhere.example' % i for i in range(1000)]
        lab.send(LETTER, to=rcpts, sender='alice@example.com')
        wait_until(lambda: lab.count('alice@example.com') == 2, 30)
        wait_until(lambda: lab.run('trace', '--to', rcpts[0]).stdout.count('Attempt') == 2, 20)
        told = lab.run('trace', '--to', rcpts[0]).stdout
        assert [r for r in rcpts if '# <%s>: refused: 550 5.1.1 no such user ' % r not in told] == []
