"""docs/format.md: its reader finds every letter in the log alone, while the server runs and after it."""
import os
import re
import shutil
import subprocess
import sys

from server import ROOT

LETTERS = [b'From: a@example.net\r\nDate: Fri, 27 Apr 2012 23:29:54 +0000\r\nSubject: %d\r\n\r\n%s\r\n' % (n, b'x' * size)
           for n, size in enumerate((0, 1, 80, 5000, 300000))]


def reader():
    with open(os.path.join(ROOT, 'docs', 'format.md'), encoding='utf-8') as f:
        blocks = re.findall(r'^```python\n(.*?)^```$', f.read(), re.M | re.S)
    assert len(blocks) == 1
    return blocks[0]


def read(script, directory, address):
    """[(mailbox, uid, letter)], as the reader writes them."""
    out = subprocess.run([sys.executable, script, directory, address], stdout=subprocess.PIPE, check=True,
                         timeout=120).stdout
    found = []
    while out:
        line, _, out = out.partition(b'\n')
        box, uid, size = map(int, line.split())
        assert len(out) >= size
        found.append((box, uid, out[:size]))
        out = out[size:]
    return found


def store_of(lab):
    """The directory that holds log/."""
    for top, names, _ in os.walk(lab.dir):
        if 'log' in names and 'blob' in names:
            return top
    raise AssertionError('no store below ' + lab.dir)


def test_reader_is_short():
    assert len(reader().splitlines()) <= 55


def test_reader_reads_the_log(lab, tmp_path):
    script = str(tmp_path / 'reader.py')
    with open(script, 'w', encoding='utf-8') as f:
        f.write(reader())
    for letter in LETTERS:
        lab.send(letter, to=['alice@example.com', 'bob@example.com'])
    want = lab.letters('alice@example.com')
    found = read(script, store_of(lab), 'alice@example.com')
    assert [(box, uid) for box, uid, _ in found] == [(1, n + 1) for n in range(len(LETTERS))]
    assert [letter for _, _, letter in found] == want
    assert all(letter.endswith(sent) for (_, _, letter), sent in zip(found, LETTERS))
    assert lab.stop() == 0
    shutil.rmtree(os.path.join(store_of(lab), 'index'))
    assert len(read(script, store_of(lab), 'bob@example.com')) == len(LETTERS)
    lab.start()
    assert lab.letters('alice@example.com') == want
