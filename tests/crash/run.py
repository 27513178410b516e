#!/usr/bin/python3
"""run.py [--build DIR] [--seconds N] [--seed N]: `make crash`: all means in turns, for N seconds.

First the deliberate bugs (bugs.py): a test that does not notice them proves nothing. Then, in
turns: power cuts replayed from recorded writes and failing system calls (crash.c), power cuts of a
loop-mounted ext4 under the engine and under the whole server (powercut.py), kill -9 under load
(killloop.py). A finding's trace stays in build/crash/. The last lines are a table; the exit status
is 0 when nothing was found.
"""
import argparse
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, 'tests', 'crash')
KEEP = os.path.join(ROOT, 'build', 'crash')
COUNTS = [  # what is added up, and how it reads in the programs' last lines
    ('crash states', r'(\d+) states'),
    ('records of the traces', r'(\d+) records'),
    ('syncs in them', r'(\d+) syncs'),
    ('segments freed', r'(\d+) segments freed'),
    ('lives of a store', r'(\d+) lives'),
    ('of them killed', r'\((\d+) killed\)'),
    ('failing calls', r'(\d+) fault positions'),
    ('power cuts of ext4', r'(\d+) power cuts'),
    ('kill cycles', r'(\d+) kill cycles'),
    ('letters acknowledged', r'(\d+) letters acknowledged'),
    ('findings', r'(\d+) findings'),
]


class Totals:
    def __init__(self):
        self.counts = dict.fromkeys((name for name, _ in COUNTS), 0)
        self.said = []
        self.not_permitted = set()

    def take(self, name, status, text):
        last = text.strip().split('\n')[-1]
        findings = [l for l in text.split('\n') if l.startswith('FINDING')]
        if status == 77:
            self.not_permitted.add('%s: %s' % (name, last))
            return
        for what, pattern in COUNTS:
            m = re.search(pattern, last)
            if m:
                self.counts[what] += int(m.group(1))
        if status != 0 and not re.search(r'[1-9]\d* findings', last):
            self.counts['findings'] += 1
        if status != 0:
            self.said.append('%s, status %d:\n%s' % (name, status, '\n'.join(findings) or text[-2000:]))


def several(commands):
    """Runs them side by side; [(status, text)]."""
    running = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                                errors='replace') for c in commands]
    return [(p.wait(), text) for p, text in [(p, p.communicate()[0]) for p in running]]


def turns(o):
    """(name, commands): one after another, for ever."""
    crash = os.path.join(o.build, 'tests/crash/crash')
    python, n, seed = sys.executable, os.cpu_count() or 1, o.seed
    length = str(max(5, min(60, o.seconds // 12)))
    each = ['--seconds', length, '--keep', KEEP]
    while True:
        yield 'simulated power cuts', [[crash, 'sim', '--states', '400', '--seed', str(seed + i * 100000)] + each
                                       for i in range(n)]
        yield 'power cuts of ext4', [[python, HERE + '/powercut.py', '--build', o.build, '--seed', str(seed)] + each]
        yield 'failing calls', [[crash, 'faults', '--ops', str(30 + seed % 50), '--seed', str(seed + i)] + each for i in range(n)]
        yield 'kill -9', [[python, HERE + '/killloop.py', '--build', o.build] + each]
        yield 'simulated power cuts, long', [[crash, 'sim', '--states', '600', '--ops', '500', '--seed', str(seed + i * 100000 + 50000)] +
                                             each for i in range(n)]
        yield 'power cuts under the server', [[python, HERE + '/powercut.py', '--server', '--build', o.build] + each]
        seed += 1000


def bugs(o):
    p = subprocess.Popen([sys.executable, HERE + '/bugs.py', '--build', o.build], stdout=subprocess.PIPE, text=True)
    line = ''
    for line in p.stdout:
        print(line, end='', flush=True)
    return p.wait(), line.strip()


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--build', default=os.path.join(ROOT, 'build'))
    p.add_argument('--seconds', type=int, default=300)
    p.add_argument('--seed', type=int, default=int(time.time()) % 1000000 * 1000)
    o = p.parse_args()
    o.build = os.path.abspath(o.build)
    os.makedirs(KEEP, exist_ok=True)
    subprocess.run(['ninja', '-C', o.build, 'pennypost', 'tests/crash/crash'], stdout=subprocess.DEVNULL, check=True)
    start, totals = time.monotonic(), Totals()
    print('== deliberate bugs', flush=True)
    bugs_status, bugs_line = bugs(o)
    for name, commands in turns(o):
        left = o.seconds - (time.monotonic() - start)
        if left <= 0:
            break
        for status, text in several(commands):
            totals.take(name, status, text)
            print('%5.0f s  %-28s %s' % (time.monotonic() - start, name, text.strip().split('\n')[-1]), flush=True)
    print('\nseed %d, %.0f s; %s' % (o.seed, time.monotonic() - start, bugs_line))
    for name, n in totals.counts.items():
        print('%-24s %10d' % (name, n))
    for line in sorted(totals.not_permitted):
        print('not done: ' + line)
    for text in totals.said:
        print('\n' + text)
    return 1 if totals.counts['findings'] or bugs_status else 0


if __name__ == '__main__':
    sys.exit(main())
