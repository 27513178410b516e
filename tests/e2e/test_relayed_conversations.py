"""The conversations of seed 001 whose letters are for elsewhere, as they stand in tests/conversations, with a server at the
other end: what they only see accepted arrives there. Those that end at RCPT go on with a letter."""
import glob
import os
import re

import pytest

from relaying import Sink
from server import ROOT, SLOW
from test_run import case, run

LETTER = 'C: data\nS: 354 .*\nC: Subject: further\nC:\nC: on its way\nC: .\nS: 250 .*\n'
HERE = re.compile('^C: quit$', re.M | re.I)


@pytest.mark.parametrize('name, sender, rcpt, words', [
    ('001-03', 'testing@example.com', 'someoneelse@somesite.com', ['To: bogusemail@example.com\r\n', '\r\n\r\nJust a test.\r\n']),
    ('001-05', 'testing@example.com', 'moonpoint@somesite.com', ['\r\n\r\nThis is a test message.\r\n']),
    ('001-11', 'testing@example.com', 'someone@someothersite.com', ['\r\n\r\non its way\r\n']),
    ('001-12', 'boss@example.com', 'someone@someothersite.com', ['\r\n\r\non its way\r\n']),
    ('001-13', 'tim@example.com', 'someone@someothersite.com', ['\r\n\r\non its way\r\n']),
])
def test_it_arrives(tmp_path, name, sender, rcpt, words):
    path, = glob.glob(os.path.join(ROOT, 'tests', 'conversations', name + '-*.conv'))
    with open(path, encoding='utf-8') as f:
        text = f.read()
    with Sink() as sink:
        before_quit = ('' if 'C: data' in text.replace('Data', 'data') else LETTER) + 'W: %d\n' % (1500 * SLOW)
        at = [m.start() for m in HERE.finditer(text)][-1]
        text = text[:at] + before_quit + text[at:]
        text = text.replace('@proto smtp\n', '@proto smtp\n@set route.*=%s\n@set route.*.tls=never\n' % sink.target, 1)
        r = run(case(tmp_path, text))
        assert r.returncode == 0, r.stdout + r.stderr
        assert [(l.sender, l.rcpts) for l in sink.letters] == [(sender, (rcpt,))]
        letter = sink.letters[0].octets.decode()
        assert letter.startswith('Received: from ') and all(w in letter for w in words), letter
