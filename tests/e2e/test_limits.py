"""Limits; those that count across fronts do so with several fronts."""
import time

import pytest

from server import wait_until


def greeted(t):
    return t.reply()[0]


@pytest.mark.parametrize('key', ['limit.conns_per_ip', 'limit.conns_total', 'limit.conns_listener'])
def test_connections_count_over_all_fronts(make_lab, key):
    lab = make_lab(sets=['fronts=2', key + '=6'])
    assert len(lab.roles('front')) == 2
    inside = [lab.talk() for _ in range(6)]
    assert [greeted(t) for t in inside] == [220] * 6
    for _ in range(5):
        with lab.talk() as t:
            assert greeted(t) == 421
            assert t.at_end()
    inside.pop().close()

    def room():
        t = lab.talk()
        if greeted(t) == 220:
            inside.append(t)
            return True
        t.close()
        return False
    wait_until(room)
    with lab.talk() as t:
        assert greeted(t) == 421
    for t in inside:
        t.ask('NOOP', 250)
        t.close()


def test_limit_is_free_again_when_a_front_dies(make_lab):
    """A crashed front's connections are gone, so they do not count."""
    import os
    import signal
    lab = make_lab(sets=['fronts=2', 'limit.conns_per_ip=4'])
    inside = [lab.talk() for _ in range(4)]
    assert [greeted(t) for t in inside] == [220] * 4
    for pid in lab.roles('front'):
        os.kill(pid, signal.SIGKILL)

    def room():
        try:
            with lab.talk() as t:
                return greeted(t) == 220
        except (ConnectionError, AssertionError):
            return False
    wait_until(room)
    for t in inside:
        t.close()


def test_recipients_per_hour_over_all_fronts(make_lab):
    lab = make_lab(sets=['fronts=2', 'limit.rcpts_per_hour=10'])
    codes = []
    for _ in range(16):
        with lab.talk() as t:
            t.begin()
            t.ask('MAIL FROM:<a@example.net>', 250)
            codes.append(t.ask('RCPT TO:<alice@example.com>')[0])
    assert codes == [250] * 10 + [452] * 6


def test_size(make_lab):
    lab = make_lab(sets=['max_size=2000'])
    with lab.talk() as t:
        assert 'SIZE 2000' in t.begin()[1]
        t.ask('MAIL FROM:<a@example.net> SIZE=2001', 552)
        t.ask('MAIL FROM:<a@example.net> SIZE=2000', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.ask('DATA', 354)
        t.send(b'Subject: x\r\n\r\n' + b'y' * 3000 + b'\r\n.\r\n')
        assert t.reply()[0] == 552
        t.ask('MAIL FROM:<a@example.net>', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.send(b'BDAT 3000 LAST\r\n' + b'y' * 3000)
        assert t.reply()[0] == 552
        t.ask('NOOP', 250)
    assert lab.count('alice@example.com') == 0


def test_hops(lab):
    hop = b'Received: from a by b; Fri, 27 Apr 2012 23:29:55 +0000\r\n'
    for n, code in ((99, 250), (101, 554)):
        with lab.talk() as t:
            t.begin()
            t.ask('MAIL FROM:<a@example.net>', 250)
            t.ask('RCPT TO:<alice@example.com>', 250)
            t.ask('DATA', 354)
            t.send(hop * n + b'Subject: x\r\n\r\nx\r\n.\r\n')
            assert t.reply()[0] == code


def test_idle_client_is_let_go(make_lab):
    lab = make_lab(sets=['limit.idle_seconds=1'])
    with lab.talk() as t:
        t.begin()
        start = time.monotonic()
        assert t.reply()[0] == 421
        assert time.monotonic() - start > 0.5
        assert t.at_end()


def test_slow_data_is_let_go(make_lab):
    lab = make_lab(sets=['limit.data_seconds=1'])
    with lab.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<a@example.net>', 250)
        t.ask('RCPT TO:<alice@example.com>', 250)
        t.ask('DATA', 354)
        t.send(b'Subject: x\r\n')
        assert t.reply()[0] == 421
        assert t.at_end()
    assert lab.count('alice@example.com') == 0
