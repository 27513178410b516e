#!/usr/bin/env python3
"""What a million letters leave behind: delivered and deleted in waves, with some kept among them.

    bench/space.py [--letters N] [--kept N] [--size OCTETS] [--wave N] [--segment OCTETS] [--binary FILE]

After each wave, and after its deletion, it prints the octets of live letters and the disk space of
log, blobs and index; at the end, when the server has had time to compact, whether all is within
twice the live data. Histories are told apart: they are kept for `trace.days`, whatever becomes of
their letters.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'e2e'))


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--letters', type=int, default=1000000)
    p.add_argument('--kept', type=int, default=100000)
    p.add_argument('--size', type=int, default=4096)
    p.add_argument('--wave', type=int, default=50000)
    p.add_argument('--segment', type=int, default=16 << 20)
    p.add_argument('--binary', default=os.path.join(ROOT, 'build', 'pennypost'))
    p.add_argument('--dir', help='where to work (a new directory there); default: the system\'s')
    return p.parse_args()


def main():
    o = options()
    os.environ['PENNYPOST'] = os.path.abspath(o.binary)
    import test_space as space
    from server import Lab
    began = time.monotonic()
    peak = 0

    def row(what, delivered, dir):
        nonlocal peak
        now, live = space.used(dir), space.live(dir)
        peak = max(peak, sum(now.values()))
        print('%7.1f %-8s %9d %9.1f %9.1f %9.1f %9.1f %9.1f %6.2f %13.1f' % (
            time.monotonic() - began, what, delivered, live / 1e6, now['log'] / 1e6, now['blob'] / 1e6,
            now['index'] / 1e6, sum(now.values()) / 1e6, sum(now.values()) / max(live, 1),
            space.used(dir, ['trace'])['trace'] / 1e6), flush=True)
        return now, live

    commit = subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--dirty'], capture_output=True, text=True)
    print('# bench/space.py --letters %d --kept %d --size %d --wave %d --segment %d; commit %s' % (
        o.letters, o.kept, o.size, o.wave, o.segment, commit.stdout.strip()))
    print('#  second what     delivered   live MB    log MB   blob MB  index MB    all MB  times  histories MB')
    with tempfile.TemporaryDirectory(prefix='pennypost-space-', dir=o.dir) as place:
        lab = Lab(os.path.join(place, 'lab'), sets=[
            'store.segment_bytes=%d' % o.segment, 'limit.msgs_per_session=off'])
        lab.start()
        try:
            space.waves(lab.dir, lab.port(), o.letters, o.kept, o.size, o.wave, row)
            try:
                space.settled(lab.dir, 0, 120)
                verdict = 'within twice the live data'
            except AssertionError as e:
                verdict = 'NOT within twice the live data: %s' % e
            row('settled', o.letters, lab.dir)
            print('# peak %.1f MB; %s' % (peak / 1e6, verdict))
            fsck = lab.run('fsck', check=False)
            print('# fsck: %s' % fsck.stdout.strip().splitlines()[-1])
        finally:
            lab.stop()
            lab.close()
    return 0 if verdict.startswith('within') and fsck.returncode == 0 else 1


if __name__ == '__main__':
    sys.exit(main())
