"""The .c files look as .clang-format says (its version 14, which Debian 12 has)."""
import glob
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FORMAT = shutil.which('clang-format-14') or shutil.which('clang-format')


def version_14():
    return FORMAT and 'version 14.' in subprocess.run([FORMAT, '--version'], capture_output=True, text=True).stdout


@pytest.mark.skipif(not version_14(), reason='clang-format 14 is not here')
def test_format():
    files = [f for place in ('src', 'tests', 'fuzz', 'bench') for f in glob.glob(os.path.join(ROOT, place, '**', '*.c'), recursive=True)]
    assert len(files) > 100
    r = subprocess.run([FORMAT, '--dry-run', '-Werror', *files], cwd=ROOT, capture_output=True, text=True)
    assert r.returncode == 0, 'run clang-format -i on:\n' + '\n'.join(l for l in r.stderr.split('\n') if 'error:' in l)
