"""What must not grow or stop: reports about reports, histories that cannot be kept, records and letters that are
damaged, a stop that was too long, changes of what is just being tried, and very many recipients."""
import json
import os
import signal
import sys
import threading
import time

import pytest

from relaying import Sink, only_report, outward, queue, tried, wait_empty, why
from server import ROOT, SLOW, wait_until

sys.path.insert(0, os.path.join(ROOT, 'tests', 'crash'))
import powercut  # noqa: E402


def test_postmaster_elsewhere(make_lab):
    """Nobody there takes mail for the postmaster: a report about a report ends, and is not reported."""
    asked = []

    def refuse(verb, arg):
        if verb != 'RCPT':
            return None
        asked.append(arg)
        return '550 5.1.1 nobody'

    with Sink(refuse) as sink:
        lab = make_lab(sets=outward(sink.target, 'example.net') + [
            'alias.postmaster@example.com=admin@example.net', 'alias.sales@example.com=no@example.net',
            'postmaster=postmaster@example.com', 'relay_ip='])
        with lab.smtp() as s:
            s.ehlo()
            s.mail('')
            assert s.rcpt('sales@example.com')[0] == 250
            assert s.data(b'Subject: y\r\n\r\ny\r\n')[0] == 250
        wait_until(lambda: len(asked) >= 2, 20)
        time.sleep(3)
        assert len(asked) == 2, asked[:10]


def test_no_place_for_histories(make_lab):
    """Mail goes on when trace/ is no directory."""
    lab = make_lab()
    assert lab.stop() == 0
    [data] = [root for root, dirs, _ in os.walk(lab.dir) if 'trace' in dirs and 'log' in dirs]
    os.rename(data + '/trace', data + '/trace.was')
    open(data + '/trace', 'w').close()
    lab.start()
    with lab.smtp() as s:
        s.sendmail('x@example.org', ['alice@example.com'], b'Subject: y\r\n\r\ny\r\n')
    wait_until(lambda: lab.letters('alice@example.com'), 10)
    assert 'trace-not-recorded' in lab.log()


def put_in(lab, *domains, **more):
    """A letter of alice's for joe at each domain, one after the other."""
    for domain in domains:
        lab.send(more.get('letter', b'Subject: y\r\n\r\ny\r\n'), 'joe@' + domain, 'alice@example.com')


def spoil(lab, part, was, now):
    """Other octets in the files of a stopped store, wherever these stand."""
    assert len(was) == len(now)
    changed = 0
    for root, _, names in os.walk(os.path.join(lab.dir, 'store', part)):
        for name in names:
            path = os.path.join(root, name)
            with open(path, 'rb') as f:
                octets = f.read()
            if was in octets:
                changed += 1
                with open(path, 'r+b') as f:
                    f.write(octets.replace(was, now))
    assert changed, 'they are nowhere'


NOT_NOW = {'RCPT': '451 4.7.1 not now'}


@pytest.mark.parametrize('was, now, words', [
    (b'joe@two.example', b'joe@two\nexample', 'its record does not decode'),
    (b'not now, joe@two', b'not now\n joe@two', 'the record of who has it already does not decode'),
])
def test_damaged_record(make_lab, was, now, words):
    """One entry that cannot be read is named, with the remedy, and the others go on."""
    replies = {'RCPT': lambda arg: '451 4.7.1 not now, ' + arg.split('<')[1]}
    with Sink(lambda verb, arg: replies[verb](arg) if verb in replies else None) as sink:
        lab = make_lab(sets=outward(sink.target) + ['queue.retry_first=1s', 'queue.retry_most=1s'])
        put_in(lab, 'one.example', 'two.example', 'three.example')
        wait_until(lambda: all(e['attempts'] for e in queue(lab)), 30)
        [ident] = [e['id'] for e in queue(lab, '--domain', 'two.example')]
        assert lab.stop() == 0
        spoil(lab, 'index', was, now)
        replies.clear()
        lab.start()
        wait_until(lambda: len(sink.letters) == 2, 30)
        [e] = wait_until(lambda: len(queue(lab)) == 1 and queue(lab), 30)
        assert (e['id'], e['state'], e['text']) == (ident, 'damaged', words)
        assert [x['id'] for x in queue(lab, '--state', 'damaged')] == [ident]
        assert 'damaged' in lab.run('queue', 'list').stdout
        assert '--rebuild-index' in lab.run('queue', 'why', ident).stdout
        assert 'queue-damaged' in lab.log() and words in lab.log()
        for verb in ('retry', 'hold', 'release', 'bounce'):
            r = lab.run('queue', verb, ident, check=False)
            assert r.returncode == 2 and '1 entry damaged; `pennypost queue why`' in r.stderr, r
        r = lab.run('fsck', check=False)
        assert r.returncode == 2 and 'entry %s: %s' % (ident, words) in r.stdout and 'queue delete' in r.stdout, r.stdout
        assert lab.stop() == 0
        lab.run('fsck', '--rebuild-index')
        lab.start()
        wait_until(lambda: len(sink.letters) == 3, 30)
        wait_empty(lab)
        assert sorted(l.rcpts[0] for l in sink.letters) == ['joe@one.example', 'joe@three.example', 'joe@two.example']
        assert lab.run('fsck').returncode == 0


def test_damaged_record_deleted(make_lab):
    with Sink(lambda verb, arg: NOT_NOW.get(verb)) as sink:
        lab = make_lab(sets=outward(sink.target))
        put_in(lab, 'two.example')
        tried(lab)
        assert lab.stop() == 0
        spoil(lab, 'index', b'joe@two.example', b'joe@two\nexample')
        lab.start()
        [e] = wait_until(lambda: queue(lab), 30)
        assert e['state'] == 'damaged'
        for choice in ('--older=0s', '--from=*', '--domain=*'):  # which nobody can tell of it
            r = lab.run('queue', 'delete', choice, '--yes', check=False)
            assert r.returncode != 0 and 'no entry fits' in r.stderr, r
        assert '1 entry deleted' in lab.run('queue', 'delete', e['id']).stdout
        assert not queue(lab)
        assert lab.run('fsck').returncode == 0


def test_stopped_for_longer_than_it_lives(make_lab):
    """What nobody could try is tried once more, and nobody is told that it is late; then it comes back."""
    asked = []

    def reply(verb, arg):
        if verb != 'RCPT':
            return None
        asked.append(arg)
        return '451 4.7.1 not now' if len(asked) <= 2 or 'two' in arg else None

    with Sink(reply) as sink:
        lab = make_lab(sets=outward(sink.target) + ['queue.retry_first=20s', 'queue.lifetime=10s', 'queue.warn=9s'])
        put_in(lab, 'one.example', 'two.example')
        wait_until(lambda: len(asked) == 2, 8)
        assert lab.stop() == 0
        time.sleep(25)
        lab.start()
        report = only_report(lab, 'alice@example.com', 60)
        assert {a: f['action'] for a, f in report.rcpts.items()} == {'joe@two.example': 'failed'}
        wait_empty(lab)
        assert [l.rcpts for l in sink.letters] == [('joe@one.example',)]
        assert len(asked) == 4, asked


@pytest.mark.parametrize('end', ['451 4.7.1 not now', '250 2.0.0 taken'])
@pytest.mark.parametrize('crash', [False, True])
def test_delete_what_is_tried(make_lab, end, crash):
    """It is deleted when the attempt is over, also by the next store; unless the letter is gone by then."""
    going = threading.Event()

    def reply(verb, arg):
        if verb != 'DOT':
            return None
        going.set()
        return 5 * SLOW, end

    with Sink(reply) as sink:
        lab = make_lab(sets=outward(sink.target) + ['relays=1'])
        put_in(lab, 'one.example')
        assert going.wait(30)
        [e] = queue(lab)
        said = lab.run('queue', 'delete', e['id']).stdout
        assert said.startswith('1 entry being tried: deleted when that is over.\n'), said
        if crash:
            [pid] = lab.roles('store')
            os.kill(pid, signal.SIGKILL)
        else:
            assert 'if it is still here then, it is deleted' in ' '.join(lab.run('queue', 'why', e['id']).stdout.split())
        wait_until(lambda: lab.run('queue', 'list', '--json', check=False).returncode == 0, 30)
        wait_empty(lab, 60)
        assert len(sink.letters) == (end[0] == '2')
        assert not lab.letters('alice@example.com')


def test_bounce_and_hold_what_is_tried(make_lab):
    """With the reason that was given; release takes a hold back."""
    with Sink(lambda verb, arg: (3 * SLOW, '451 4.7.1 not now') if verb == 'DOT' else None) as sink:
        lab = make_lab(sets=outward(sink.target) + ['queue.retry_first=1h', 'queue.window_first=3'])
        put_in(lab, 'one.example', 'two.example', 'three.example')
        wait_until(lambda: all(e['state'] == 'active' for e in queue(lab)) and len(queue(lab)) == 3, 30)
        for verb, domain in (('hold', 'two.example'), ('hold', 'three.example'), ('release', 'three.example')):
            lab.run('queue', verb, '--domain', domain)
        lab.run('queue', 'bounce', '--domain', 'one.example', '--reason', 'Fritz has moved')
        report = only_report(lab, 'alice@example.com', 60)
        assert list(report.rcpts) == ['joe@one.example'] and 'Fritz has moved' in report.text
        wait_until(lambda: {e['domain']: e['state'] for e in queue(lab)} ==
                   {'two.example': 'held', 'three.example': 'waiting'}, 60)


def test_what_is_to_end_is_not_held_instead(make_lab):
    """Neither hold nor release takes back silently that an entry is to be deleted or bounced: both say that it ends."""
    with Sink(lambda verb, arg: (4 * SLOW, '451 4.7.1 not now') if verb == 'DOT' else None) as sink:
        lab = make_lab(sets=outward(sink.target) + ['queue.retry_first=1h'])
        put_in(lab, 'one.example', 'two.example')
        wait_until(lambda: all(e['state'] == 'active' for e in queue(lab)) and len(queue(lab)) == 2, 30)
        ids = {e['domain']: e['id'] for e in queue(lab)}
        for verb in ('delete', 'bounce'):
            lab.run('queue', verb, ids[{'delete': 'one', 'bounce': 'two'}[verb] + '.example'])
        assert {e['domain']: e['wish'] for e in queue(lab)} == {'one.example': 'delete', 'two.example': 'bounce'}
        text = lab.run('queue', 'list').stdout
        assert ' to be deleted when its attempt is over\n' in text and ' to be given back when' in text, text
        assert '\nTo be     deleted, if it is still here' in lab.run('queue', 'show', ids['one.example']).stdout
        for words in (('hold', ids['one.example']), ('hold', '--all'), ('release', ids['two.example'])):
            r = lab.run('queue', *words, check=False)
            assert r.returncode == 2 and 'to be bounced or deleted when its attempt is over, which stays so' in r.stderr, r
        wait_empty(lab, 60)
        assert list(only_report(lab, 'alice@example.com', 60).rcpts) == ['joe@two.example']


def test_held_with_a_reason(make_lab):
    """It is told as long as it is held, whatever is started meanwhile. And which entries are meant by what went wrong."""
    with Sink(lambda verb, arg: '450 4.2.0 letter later, connect again' if verb == 'RCPT' else None) as sink:
        lab = make_lab(sets=outward(sink.target) + ['queue.retry_first=1h'])
        put_in(lab, 'one.example')
        e = tried(lab, trouble='rcpt')
        for error, n in (('rcpt', 1), ('later', 1), ('4xx', 1), ('letter', 0), ('Connect', 0), ('5xx', 0)):
            assert len(queue(lab, '--error', error)) == n, error
        lab.run('queue', 'hold', e['id'], '--reason', 'account is \033stolen')
        lab.stop()
        lab.start()
        wait_until(lambda: lab.run('queue', 'list', check=False).returncode == 0, 60)
        assert '\nHeld      by an administrator: account is \\x1bstolen\n' in lab.run('queue', 'why', e['id']).stdout
        assert why(lab, e['id'])['reason'] == 'account is \033stolen'
        lab.run('queue', 'release', e['id'])
        wait_until(lambda: queue(lab)[0]['state'] == 'waiting', 60)
        assert why(lab, e['id'])['reason'] == '' and 'stolen' not in lab.run('queue', 'why', e['id']).stdout


def test_held_by_a_route(make_lab):
    """A route holds until it is another: release says so."""
    with Sink() as sink:
        lab = make_lab(sets=outward(sink.target, 'two.example') + ['route.one.example=hold:'])
        put_in(lab, 'one.example')
        [e] = queue(lab)
        assert e['state'] == 'held'
        r = lab.run('queue', 'release', e['id'], check=False)
        assert r.returncode != 0 and 'held by a route' in r.stderr and 'pennypost reload' in r.stderr, r
        assert '\nHeld ' not in lab.run('queue', 'why', e['id']).stdout
        assert 'its route is another' in ' '.join(lab.run('queue', 'why', e['id']).stdout.split())


@pytest.mark.parametrize('size, part', [(100000, 'log'), (3000000, 'blob')])
def test_damaged_letter(make_lab, size, part):
    """It does not leave; whatever is left of it says what helps."""
    replies = dict(NOT_NOW)
    line = b'0123456789' * 7 + b'\r\n'
    with Sink(lambda verb, arg: replies.get(verb)) as sink:
        lab = make_lab(sets=outward(sink.target) + ['queue.retry_first=1h'])
        put_in(lab, 'one.example', letter=b'Subject: y\r\n\r\n' + line * (size // len(line)) + b'the end of it\r\n')
        e = tried(lab)
        assert lab.stop() == 0
        spoil(lab, part, b'the end of it', b'the END of it')
        replies.clear()
        lab.start()
        lab.run('queue', 'retry', '--all')
        e = wait_until(lambda: [e for e in queue(lab) if e['state'] == 'held'], 30)[0]
        assert e['trouble'] == 'damaged' and "octets are damaged" in e['text'], e
        assert not sink.letters
        words = ' '.join(lab.run('queue', 'why', e['id']).stdout.split())
        assert 'pennypost fsck' in words and 'queue bounce' in words, words
        r = lab.run('fsck', check=False)
        assert r.returncode == 2, r.stdout
        lab.run('queue', 'bounce', e['id'])
        report = only_report(lab, 'alice@example.com')
        assert list(report.rcpts) == ['joe@one.example']
        assert report.enclosed is None


def test_ten_thousand_domains(make_lab):
    """As many as RCPT takes, with a report about a list besides."""
    with Sink(lambda verb, arg: NOT_NOW.get(verb)) as sink:
        lab = make_lab(sets=outward(sink.target, max_connections=2) + [
            'limit.rcpts_per_msg=10000', 'store.segment_bytes=67108864',
            'alias.list@example.com=one@d1.example,two@d2.example'])
        with lab.talk() as t:
            t.begin()
            t.ask('MAIL FROM:<alice@example.com>', 250)
            t.ask('RCPT TO:<list@example.com> NOTIFY=SUCCESS', 250)
            for first in range(3, 10001, 500):
                some = range(first, min(first + 500, 10001))
                t.send(''.join('RCPT TO:<joe@d%d.example>\r\n' % i for i in some))
                for _ in some:
                    assert t.reply()[0] == 250
            assert t.ask('RCPT TO:<joe@d10001.example>')[0] == 452
            t.ask('DATA', 354)
            t.ask('Message-ID: <%s@example.com>\r\n\r\ny\r\n.' % ('x' * 900), 250)
        assert lab.json('queue', 'list', '--limit', '1')['state']
        report = only_report(lab, 'alice@example.com', 60)
        assert list(report.rcpts) == ['list@example.com']
        wait_until(lambda: json.loads(lab.run('queue', 'top', '--json').stdout)['entries'] == 10000, 60)


def test_full_disk(make_lab):
    """452 at the door; what was delivered meanwhile and could not be written down is not delivered again."""
    try:
        disk = powercut.Disk(megabytes=128)
    except powercut.NotPermitted as e:
        pytest.skip('a small disk of its own is not permitted here (%s)' % e)
    ballast, lab, room = os.path.join(disk.path, 'ballast'), None, threading.Event()

    def reply(verb, arg):
        return None if verb != 'DOT' or room.is_set() else (1, '250 2.0.0 taken')

    def fill():
        with open(ballast, 'ab', buffering=0) as f:
            try:
                while True:
                    f.write(bytes(1 << 16))
            except OSError:
                pass

    try:
        with Sink(reply) as sink:
            lab = make_lab(dir=os.path.join(disk.path, 'lab'),
                           sets=outward(sink.target) + ['limit.disk_low=off', 'store.segment_bytes=1M', 'queue.window_most=2'])
            put_in(lab, *['d%d.example' % i for i in range(20)])
            fill()
            taken, letter = 20, b'Subject: full\r\n\r\n' + (b'z' * 70 + b'\r\n') * 2000
            while True:
                with lab.smtp() as s:
                    s.ehlo()
                    s.mail('alice@example.com')
                    s.rcpt('joe@d%d.example' % taken)
                    code, _ = s.data(letter)
                if code != 250:
                    break
                taken += 1
                fill()
            assert code == 452
            wait_until(lambda: sink.letters, 30)
            time.sleep(3)  # nothing new is begun while results cannot be written
            assert queue(lab)
            os.unlink(ballast)
            room.set()
            wait_empty(lab, 60)
            assert sorted(l.rcpts for l in sink.letters) == sorted(('joe@d%d.example' % i,) for i in range(taken))
            assert lab.run('fsck', check=False).returncode == 0
            assert lab.stop() == 0
    finally:
        if lab:
            lab.stop()
        disk.close()
