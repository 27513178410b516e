"""Promise 1: nothing acknowledged is lost or doubled, whatever is killed, whenever.

Senders run and note what they were told (crowd.py); processes are killed at random moments; then
every letter that was acknowledged is there exactly once with every octet, none that was never
finished or was refused, and one whose answer nobody heard at most once. PENNYPOST_KILL_CYCLES says
how often.
"""
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from crowd import ADDRESSES, Crowd, check_all
from server import SLOW, alive, wait_until

CYCLES = int(os.environ.get('PENNYPOST_KILL_CYCLES', '5'))
PACE = min(SLOW, 2)


def test_kill_everything(make_lab, tmp_path):
    lab = make_lab(sets=['limit.conns_per_ip=off'])
    crowd = Crowd()
    for _ in range(CYCLES):
        def while_running():
            time.sleep(random.uniform(0.05, 1.0) * PACE)
            lab.kill()
        crowd.run(lab, while_running)
        lab.start()
        check_all(lab, crowd, tmp_path)
    assert crowd.acknowledged


def test_kill_parent(make_lab, tmp_path):
    """The roles see their channel close and end by themselves; the next start finds everything."""
    lab = make_lab(sets=['limit.conns_per_ip=off', 'fronts=2'])
    crowd = Crowd()
    for _ in range(max(2, CYCLES // 2)):
        def while_running():
            time.sleep(random.uniform(0.2, 0.8) * PACE)
            roles = list(lab.roles_all())
            lab.process.send_signal(signal.SIGKILL)
            lab.process.wait()
            wait_until(lambda: not any(alive(p) for p in roles), 30)
        crowd.run(lab, while_running)
        lab.start()
        check_all(lab, crowd, tmp_path)
    assert crowd.acknowledged


@pytest.mark.parametrize('role', ['store', 'front', 'reader', 'auth'])
def test_kill_one_role(make_lab, tmp_path, role):
    lab = make_lab(sets=['limit.conns_per_ip=off', 'fronts=2'])
    crowd = Crowd()

    def while_running():
        for _ in range(max(2, CYCLES // 2)):
            time.sleep(random.uniform(0.1, 0.8) * PACE)
            pids = lab.roles(role)
            if pids:
                os.kill(random.choice(pids), signal.SIGKILL)
            wait_until(lambda: lab.roles(role), 20)
        time.sleep(1.0 * PACE)
    crowd.run(lab, while_running)
    assert lab.running()

    def ready():
        try:
            return lab.count(ADDRESSES[0]) >= 0
        except (AssertionError, ValueError):
            return False
    wait_until(ready, 30, 0.2)
    check_all(lab, crowd, tmp_path)
    assert crowd.acknowledged
    assert lab.stop() == 0
    lab.start()
    check_all(lab, crowd, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which('strace'), reason='needs root and strace')
def test_killed_between_sync_and_reply(make_lab, tmp_path):
    """The letter is durable, and store dies in the very call that would have said so: front asks
    the next one and tells the client the truth."""
    lab = make_lab(sets=['fronts=1'])
    store = lab.roles('store')[0]
    with lab.talk() as t:
        t.begin()
        t.send('MAIL FROM:<a@example.net>\r\nRCPT TO:<%s>\r\nDATA\r\n' % ADDRESSES[0])
        assert [t.reply()[0] for _ in range(3)] == [250, 250, 354]
        t.send('Subject: between\r\n\r\nonce\r\n')
        said = tmp_path / 'strace'
        strace = subprocess.Popen(['strace', '-f', '-o', str(said), '-p', str(store), '-e', 'trace=fdatasync,sendmsg',
                                   '-e', 'inject=sendmsg:signal=KILL:when=1'], stderr=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: 'attached' in strace.stderr.readline(), 30)
            t.send('.\r\n')
            assert t.reply()[0] == 250
        finally:
            strace.terminate()
            strace.wait()
        t.ask('NOOP', 250)
    assert lab.roles('store') != [store]
    calls = [line.split('(')[0].split()[-1] for line in said.read_text().split('\n') if '(' in line]
    assert 'fdatasync' in calls and calls.index('fdatasync') < calls.index('sendmsg')
    wait_until(lambda: lab.count(ADDRESSES[0]) == 1, 30, 0.2)


def test_stop_under_load(make_lab, tmp_path):
    """SIGTERM in the middle of everything: the same promise, and a clean end."""
    lab = make_lab(sets=['limit.conns_per_ip=off'])
    crowd = Crowd()
    for _ in range(2):
        def while_running():
            time.sleep(random.uniform(0.2, 0.8) * PACE)
            assert lab.stop() == 0
        crowd.run(lab, while_running)
        lab.start()
        check_all(lab, crowd, tmp_path)
