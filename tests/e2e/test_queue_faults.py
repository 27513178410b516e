"""What must not grow or stop: reports about reports, and histories that cannot be kept."""
import os
import time

from relaying import Sink, outward
from server import wait_until


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
