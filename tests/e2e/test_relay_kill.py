"""Promise 1 for mail that goes on: processes are killed in the middle of deliveries. What was acknowledged arrives:
here once, elsewhere at least once, and twice only where RFC 1047 cannot be helped: the other side took the letter, and
whoever would have remembered it died before it was written down (outbound.py looks at the sinks and at our trace).

PENNYPOST_KILL_DELIVERIES says in the middle of how many; `make kill` takes ten thousand for each kind of process.
"""
import os
import random
import signal
import time

import pytest

from outbound import DOUBLE, KINDS, Crowd, World

DELIVERIES = int(os.environ.get('PENNYPOST_KILL_DELIVERIES', '2000'))


@pytest.fixture
def world(tmp_path):
    with World(tmp_path / 'world') as w:
        yield w


@pytest.fixture
def crowd(world, make_lab):
    return Crowd(make_lab(sets=world.sets, args=world.args), world, DELIVERIES)


@pytest.mark.parametrize('kind', KINDS)
def test_kill(crowd, kind):
    """Only the end of whoever knows what the other side has said may double a letter there."""
    crowd.kill_while_sending(kind)
    assert crowd.lab.running()
    print(crowd.check(kind in DOUBLE))


def test_paused_relay(crowd):
    """A relay that sleeps and wakes does nothing twice."""
    for _ in range(3):
        time.sleep(random.uniform(0.2, 0.6))
        pids = crowd.lab.roles('relay')
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.5)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    crowd.wait()
    crowd.check(False)


def test_stop_under_load(crowd):
    """SIGTERM: no letter twice, none lost; what is on its way is finished or given back."""
    while crowd.sending():
        time.sleep(random.uniform(0.5, 2))
        assert crowd.lab.stop() == 0
        crowd.lab.start()
    crowd.wait()
    crowd.check(False)
