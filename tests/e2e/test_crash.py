"""Promise 1 when the power goes or the disk fails: a short slice of `make crash`.

docs/durability.md says what each of these proves. PENNYPOST_SEED chooses another slice.
"""
import os
import subprocess
import sys

import pytest

from server import BINARY, ROOT, SLOW

sys.path.insert(0, os.path.join(ROOT, 'tests', 'crash'))
import bugs  # noqa: E402
import powercut  # noqa: E402

BUILD = os.path.dirname(BINARY)
SEED = os.environ.get('PENNYPOST_SEED', '1')


@pytest.fixture(scope='module')
def crash():
    return bugs.crash_program(BUILD)


def run(crash, *words):
    r = subprocess.run([crash, *words, '--seed', SEED], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(r.stdout)
    assert r.returncode == 0, r.stdout[-4000:]
    return r.stdout


def test_simulated_power_cuts(crash):
    text = run(crash, 'sim', '--rounds', '3' if SLOW == 1 else '1', '--states', '100' if SLOW == 1 else '40')
    assert ' 0 states' not in text


def test_failing_calls(crash):
    text = run(crash, 'faults', '--ops', '40', '--stride', '6' if SLOW == 1 else '20')
    assert ' 0 fault positions' not in text


@pytest.mark.skipif(SLOW > 1, reason='the plain build has done it')
@pytest.mark.parametrize('row', [r for r in bugs.BUGS if r[0] in bugs.QUICK], ids=lambda r: r[0])
def test_a_bug_is_found(crash, row):
    found, said = bugs.is_found(BUILD, row, int(SEED))
    assert found, said


def test_every_bug_still_fits():
    """The texts that bugs.py replaces are there: `make crash` tries them all."""
    for row in bugs.BUGS:
        with open(os.path.join(ROOT, row[1])) as f:
            text = f.read()
        for old, _ in row[2]:
            assert text.count(old) == 1, '%s: %s has this text %d times:\n%s' % (row[0], row[1], text.count(old), old)


def test_power_cut_of_ext4(crash):
    disk = None
    try:
        disk = powercut.Disk()
        for i in range(2):
            powercut.engine_cut(crash, disk, int(SEED) + i)
    except powercut.NotPermitted as e:
        pytest.skip('a loop-mounted ext4 is not permitted here (%s); the simulated cuts have run' % e)
    finally:
        if disk:
            disk.close()
