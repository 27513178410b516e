#!/usr/bin/python3 -B
"""What the flight recorder costs: the same server with it and without (trace.size=0), in turns.

    bench/recorder.py                      letters over 50 connections into a mailbox, then a mail program that
                                           reads, marks and expunges them
    bench/recorder.py --letters 20000 --runs 5 --check

Without the recorder histories still go into the log, where `trace` finds them until it is compacted: that is how the
server works, and a price of each letter either way. Time is that of the driver, CPU that of all processes, with what
they still have to do then: told, not judged. Ends with status 3 when a rate is more than 5 % lower with the recorder
(--check).
"""
import argparse
import imaplib
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time

import probe
from servers import ROOT, Pennypost, Trouble, free_ports, say, tidy_up

MOST = 0.05  # of a rate, that the project promises
LOADS = ('letters', 'IMAP')
WAYS = {'with': (), 'without': ('trace.size=0',)}


def deliver(o, server):
    words = [os.path.join(o.build, 'bench', 'bench_smtp'), '-j', '-c', str(o.connections), '-m', str(o.letters),
             '-l', str(o.size), '-t', server.to, server.host_port]
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def read(o, server):
    """Each letter is marked as seen by itself, then all are expunged: an event for each, and one for many."""
    c = imaplib.IMAP4('127.0.0.1', server.port - 25 + 143)
    c.starttls(ssl._create_unverified_context())
    c.login(server.to, 'bench')
    n = int(c.select()[1][0])
    for i in range(1, min(n, o.marks) + 1):
        c.store(str(i), '+FLAGS.SILENT', '(\\Seen)')
    c.store('1:*', '+FLAGS.SILENT', '(\\Deleted)')
    c.expunge()
    c.logout()


def run(o, load, server):
    before = probe.usage(server.pids())[0]
    begin = time.monotonic()
    (deliver if load == 'letters' else read)(o, server)
    seconds = time.monotonic() - begin
    server.settle()
    time.sleep(0.5)  # the recorder follows ten times a second
    return {'seconds': seconds, 'cpu': (probe.usage(server.pids())[0] - before) / 1e6}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--letters', type=int, default=10000)
    p.add_argument('--size', type=int, default=4096)
    p.add_argument('--connections', type=int, default=50)
    p.add_argument('--marks', type=int, default=2000, help='letters that are marked one by one')
    p.add_argument('--runs', type=int, default=3)
    p.add_argument('--build', default=os.path.join(ROOT, 'build'))
    p.add_argument('--dir', default='/var/tmp', help='where to work (a new directory there)')
    p.add_argument('--check', action='store_true')
    return p.parse_args()


def measure(o, directory):
    binary = os.path.join(o.build, 'pennypost')
    servers, runs = {}, {}
    for way, sets in WAYS.items():
        servers[way] = Pennypost(os.path.join(directory, way), free_ports(150), binary, sets=sets)
        servers[way].start()
        run(o, 'letters', servers[way])  # to warm it
        read(o, servers[way])
    for number in range(o.runs):
        for load in LOADS:
            for way in WAYS if number % 2 else reversed(WAYS):
                one = run(o, load, servers[way])
                runs.setdefault((load, way), []).append(one)
                say('run %d: %-7s %-8s %6.2f s, %6.2f s of CPU' % (number + 1, load, way, one['seconds'], one['cpu']))
    for server in servers.values():
        server.stop()
    return runs


def judge(runs):
    worst = 0
    for load in LOADS:
        for what in ('seconds', 'cpu'):
            got = {way: statistics.median(one[what] for one in runs[load, way]) for way in WAYS}
            more = got['with'] / got['without'] - 1
            if what == 'seconds':
                worst = max(worst, more)
            print('%-7s %-7s %7.2f with, %7.2f without: %+.1f %%' % (load, what, got['with'], got['without'], 100 * more))
    return worst


def main():
    o = arguments()
    tidy_up()
    directory = tempfile.mkdtemp(prefix='bench-recorder-', dir=o.dir)
    try:
        worst = judge(measure(o, directory))
    except (Trouble, OSError, subprocess.CalledProcessError, imaplib.IMAP4.error) as e:
        say('recorder: %s' % e)
        return 2
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 3 if o.check and worst > MOST else 0


if __name__ == '__main__':
    sys.exit(main())
