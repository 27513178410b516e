"""More destinations than one relay keeps connections for, and than anybody wants to look at."""
import resource

import pytest

from outbound import Names
from relaying import Sink, queue
from server import wait_until

LETTERS, EACH = 4, 300  # recipients of one letter, each at a domain of its own
IDLE_MOST = 1000  # connections that rest, of one relay


def test_resting_connections(make_lab):
    """A connection that rests for the next letter keeps no other destination from having one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip('needs 4096 open files')
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    with Sink() as sink, Names({('mail.test', 'A'): ['127.0.0.1']}) as names:
        lab = make_lab(args=['--dns', names.address], sets=[
            'relay_ip=127.0.0.0/8', 'relay.port=%d' % sink.port, 'relays=1', 'relay.idle_seconds=300', 'relay.tls=may',
            'limit.rcpts_per_hour=off'])
        for n in range(LETTERS):
            lab.send(b'Subject: many\r\n\r\nx\r\n', ['joe@n%dd%d.mx.test' % (n, i) for i in range(EACH)], 'alice@example.com')
        wait_until(lambda: len(sink.letters) == LETTERS * EACH, 60, 0.2)
        wait_until(lambda: sink.open <= IDLE_MOST, 20, 0.2)
        assert sink.open > IDLE_MOST // 2 and not queue(lab)


def test_top_of_many(make_lab):
    """Of 2500 destinations those with most letters are told, most first."""
    lab = make_lab(sets=['relay_ip=127.0.0.0/8', 'limit.rcpts_per_hour=off', 'dns='])
    busy = ['joe@busy%d.test' % i for i in range(3)]
    for n in range(5):
        lab.send(b'Subject: many\r\n\r\nx\r\n', ['joe@n%dd%d.test' % (n, i) for i in range(500)] + busy[:n], 'alice@example.com')
    told = lab.json('queue', 'top')
    rows = [(d['waiting'] + d['active'], d['target']) for d in told['destinations']]
    assert len(rows) == 500 and told['entries'] == 2500 + 4 + 3 + 2
    assert rows[:3] == [(4, 'mx:busy0.test'), (3, 'mx:busy1.test'), (2, 'mx:busy2.test')]
    assert {n for n, _ in rows[3:]} == {1}
    assert told['targets'] == 2503
    shown = lab.run('queue', 'top').stdout.splitlines()
    assert shown[-1] == '... and %d more' % (2503 - 19) and len(shown) == 4 + 20, shown
