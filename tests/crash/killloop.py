#!/usr/bin/python3
"""killloop.py [--build DIR] [--cycles N | --seconds N]: kill -9 under load, again and again.

Each cycle kills one role, the parent, or everything, while senders run (tests/e2e/crowd.py); then
every letter that was acknowledged must be there once with every octet, and fsck must be clean.
"""
import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'e2e'))
VICTIMS = ('store', 'front', 'reader', 'auth', 'parent', 'all')


def kill_role(lab, role, alive, wait_until, slow):
    """Some of a role's processes, one after another; parent starts them again."""
    for _ in range(random.randint(1, 4)):
        time.sleep(random.uniform(0.05, 0.5) * slow)
        pids = wait_until(lambda: lab.roles(role), 30)
        os.kill(random.choice(pids), signal.SIGKILL)
    time.sleep(0.5 * slow)


def kill_parent(lab, alive, wait_until, slow):
    time.sleep(random.uniform(0.05, 1.0) * slow)
    roles = list(lab.roles_all())
    lab.process.send_signal(signal.SIGKILL)
    lab.process.wait()
    wait_until(lambda: not any(alive(p) for p in roles), 30)


def kill_loop(binary, cycles, seconds, senders=12, keep=None):
    """{victim: cycles}, letters acknowledged; AssertionError with what is wrong."""
    os.environ['PENNYPOST'] = binary
    import crowd
    import server
    server.BINARY = binary
    start, counts = time.monotonic(), dict.fromkeys(VICTIMS, 0)
    scratch = tempfile.mkdtemp(prefix='pennypost-kill-')
    os.chmod(scratch, 0o755)
    lab = server.Lab(dir=os.path.join(scratch, 'lab'), sets=['limit.conns_per_ip=off', 'fronts=2',
                                                             'store.segment_bytes=2097152'])
    people = crowd.Crowd()

    def ready():
        try:
            return lab.count(crowd.ADDRESSES[0]) >= 0
        except (AssertionError, ValueError, subprocess.TimeoutExpired):
            return False
    try:
        lab.start()
        while sum(counts.values()) < cycles if seconds is None else time.monotonic() - start < seconds:
            victim = random.choice(VICTIMS)

            def while_running():
                if victim == 'all':
                    time.sleep(random.uniform(0.05, 1.0) * server.SLOW)
                    lab.kill()
                elif victim == 'parent':
                    kill_parent(lab, server.alive, server.wait_until, server.SLOW)
                else:
                    kill_role(lab, victim, server.alive, server.wait_until, server.SLOW)
            people.run(lab, while_running, senders)
            if not lab.running():
                lab.start()
            server.wait_until(ready, 60, 0.1)
            crowd.check_all(lab, people, scratch)
            counts[victim] += 1
    except BaseException:
        if keep:
            lab.kill() if lab.running() else None
            shutil.copytree(scratch, os.path.join(keep, 'kill-%d' % time.time()), ignore=shutil.ignore_patterns('*.sock'))
        raise
    finally:
        if lab.running():
            lab.kill()
        lab.close()
        shutil.rmtree(scratch, ignore_errors=True)
    return counts, len(people.acknowledged)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default=os.path.join(ROOT, 'build'))
    p.add_argument('--cycles', type=int, default=12)
    p.add_argument('--seconds', type=int)
    p.add_argument('--keep')
    o = p.parse_args()
    start = time.monotonic()
    try:
        counts, letters = kill_loop(os.path.join(os.path.abspath(o.build), 'pennypost'), o.cycles, o.seconds, keep=o.keep)
    except AssertionError as e:
        print('FINDING kill loop: %s' % e)
        return 1
    print('%d kill cycles (%s), %d letters acknowledged, 0 findings, %.1f s' %
          (sum(counts.values()), ', '.join('%s %d' % c for c in counts.items()), letters, time.monotonic() - start))
    return 0


if __name__ == '__main__':
    sys.exit(main())
