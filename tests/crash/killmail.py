#!/usr/bin/python3
"""killmail.py [--build DIR] [--deliveries N] [KIND...]: `make kill`: kill -9 of each kind of process in the middle
of ten thousand deliveries, here and elsewhere.

For each kind a server of its own, with senders that go on until N deliveries are acknowledged; meanwhile one
process of that kind after another is killed. Then everything acknowledged is there, what is here is here once, and
of what is elsewhere twice it is shown that the connection broke off behind the end mark at one of the kills, and that
the answer never came to our disk (tests/e2e/outbound.py). A line for each kind; the last is "N passed, N failed".
"""
import argparse
import os
import shutil
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'e2e'))
ROW = '%-8s %7s %8s %11s %7s %11s %7s %6s %9s'
HEAD = ('killed', 'seconds', 'letters', 'deliveries', 'here', 'elsewhere', 'twice', 'kills', 'left over')


def one(kind, deliveries, keep):
    """A row of the table."""
    import outbound
    from server import Lab
    begin = time.monotonic()
    place = tempfile.mkdtemp(prefix='pennypost-kill-')
    os.chmod(place, 0o755)
    with outbound.World(os.path.join(place, 'world')) as world:
        lab = Lab(os.path.join(place, 'lab'), sets=world.sets, args=world.args)
        try:
            lab.start()
            crowd = outbound.Crowd(lab, world, deliveries)
            crowd.kill_while_sending(kind)
            t = crowd.check(kind in outbound.DOUBLE)
        except BaseException:
            shutil.copy(lab.log_path, os.path.join(keep, 'kill-%s.log' % kind))
            raise
        finally:
            lab.stop()
            lab.close()
            shutil.rmtree(place, ignore_errors=True)
    return ROW % (kind, '%.0f' % (time.monotonic() - begin), t.letters, t.deliveries, t.here, t.elsewhere, t.twice, t.kills, t.left)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default=os.path.join(ROOT, 'build'))
    p.add_argument('--deliveries', type=int, default=10000)
    p.add_argument('kinds', nargs='*', metavar='KIND')
    o = p.parse_args()
    os.environ['PENNYPOST'] = os.path.join(os.path.abspath(o.build), 'pennypost')
    import outbound
    unknown = set(o.kinds) - set(outbound.KINDS)
    if unknown:
        p.error('no such kind: %s; there are %s' % (' '.join(unknown), ' '.join(outbound.KINDS)))
    keep = os.path.join(ROOT, 'build', 'crash')
    os.makedirs(keep, exist_ok=True)
    print(ROW % HEAD, flush=True)
    failed, kinds = 0, o.kinds or outbound.KINDS
    for kind in kinds:
        try:
            print(one(kind, o.deliveries, keep), flush=True)
        except AssertionError as e:
            failed += 1
            print('FINDING %s: %s\n  look at %s/kill-%s.log' % (kind, e, keep, kind), flush=True)
    print('%d passed, %d failed' % (len(kinds) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
