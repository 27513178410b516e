"""`pennypost explain`: codes, lines, bounces, the list; for people and as JSON."""
import glob
import json
import os
import pty
import re
import subprocess
import time

from server import BINARY, ROOT, SLOW

BOUNCES = os.path.join(ROOT, 'tests', 'data', 'bounces')


def explain(*words, input=None, status=0, env=None):
    r = subprocess.run([BINARY, 'explain', *words], input=input, capture_output=True, timeout=60,
                       env=dict(os.environ, **(env or {})))
    assert r.returncode == status, (r.returncode, r.stdout, r.stderr)
    return r.stdout.decode(), r.stderr.decode()


def test_the_line_of_the_ledger():
    out, err = explain('452 #4.3.1 server resources low - try again later')
    assert out.splitlines()[0] == ('452 4.3.1 temporary, server side (AsyncOS resource conservation: memory or queue '
                                   'over its watermark). Sender should retry.')
    for label in ('who acts', 'causes', 'next', 'source', 'also'):
        assert '\n  ' + label in out
    assert '\033' not in out and err == ''
    assert explain('--short', '452 #4.3.1 server resources low - try again later')[0].count('\n') == 1


def test_codes_and_words():
    assert explain('550')[0].startswith('550 permanent')
    assert 'Amazon' not in explain('535 5.7.8 authentication credentials invalid')[0].splitlines()[0]
    for text in ('535 4.7.8 authentication credentials invalid', '550 5.7.1 <a@b.example> relaying denied', '550 relaying denied',
                 '554 5.7.1 relaying denied', '554 5.4.6 <a@b.example> aliases lead in a circle',
                 '501 5.1.3 bad recipient address syntax'):
        first = explain(text)[0].splitlines()[0]
        assert not re.search('Amazon|Sendmail|Received|policy|Yandex', first), 'the words of this server, and no other'
    assert 'Sendmail' in explain('550 5.7.1 <a@b.example>... Relaying denied')[0].splitlines()[0]
    assert explain('5')[0].startswith('5xx permanent')
    assert 'authentication failed' in explain('8')[0]
    assert explain('452', '4.3.1')[0].startswith('452 4.3.1 temporary')
    assert 'no such mailbox' in explain('550', '5.1.1', 'user', 'unknown')[0]
    out = explain('421', '550', 'a1 NO [OVERQUOTA] full', '-ERR [IN-USE] busy', 'EPIPE')[0]
    assert out.count('who acts') == 5 and out.count('\n\n') == 4
    assert 'its class says' in explain('599 never heard')[0]


def test_unknown_and_wrong():
    out, err = explain('flurb', status=2)
    assert out == '' and 'nothing is known of "flurb"' in err and '--list' in err
    out, err = explain('550', 'flurb blurb', status=2)
    assert 'permanent' in out and 'flurb blurb' in err
    assert 'did you mean --short' in explain('--shrot', '550', status=1)[1]
    assert '--proto is one of' in explain('--proto', 'http', '550', status=1)[1]
    assert 'nothing is known' in explain(input=b'', status=2)[1]
    assert 'Examples:' in explain('--help')[0]


def test_nothing_reaches_the_terminal_raw():
    evil = '550 5.1.1 \033]0;x\007 \x9b31m user unknown \udcff\r\nmore'
    out, err = explain(evil, 'x\033[2Jy', status=2)
    assert '\033' not in out + err and '\x07' not in out + err and '\\x1b' in out + err
    out = explain('--json', evil)[0]
    assert json.loads(out)[0]['hits'][0]['code'] == '550' and '\033' not in out


def test_json():
    one = json.loads(explain('--json', '421', '550 5.7.606 banned')[0])
    assert [len(q['hits']) > 0 for q in one] == [True, True]
    hit = one[1]['hits'][0]
    assert hit['code'] == '550' and hit['enhanced'] == '5.7.606' and hit['kind'] == 'permanent'
    assert hit['source'] == 'Exchange Online' and hit['actor'] == "sender's administrator"
    assert json.loads(explain('--json', 'flurb', status=2)[0])[0]['hits'] == []


def test_bounces():
    files = sorted(glob.glob(os.path.join(BOUNCES, '*')))
    assert len(files) >= 10
    for path in files:
        text = open(path, 'rb').read()
        out = explain(input=text)[0]
        assert 'who acts' in out, path
        for failure in json.loads(explain('--json', input=text)[0]):
            assert failure['hits'] and failure['reply'], path
    out = explain(input=open(os.path.join(BOUNCES, 'postfix.txt'), 'rb').read())[0]
    assert 'bob@example.com, at mx1.example.com, at step RCPT\n' in out
    rows = json.loads(explain('--json', input=open(os.path.join(BOUNCES, 'postfix.eml'), 'rb').read())[0])
    assert [(r['recipient'], r['action']) for r in rows] == [('bob@example.com', 'failed'), ('carol@example.net', 'failed')]
    assert explain('-', input=b'250 OK\n')[0].startswith('250 good')


def test_list():
    out = explain('--list')[0]
    assert out.count('\n') > 1000
    assert 'Spamhaus' in explain('--list', 'spamhaus', 'PBL')[0]
    rows = json.loads(explain('--list', '--json', '--proto', 'imap')[0])
    assert len(rows) > 50 and {r['protocol'] for r in rows} == {'imap'}
    assert 'no record' in explain('--list', 'qwertzuiop', status=2)[1]


def on_terminal(words, columns, **more):
    """What stands on a terminal of that width."""
    pid, fd = pty.fork()
    if pid == 0:
        env = {k: v for k, v in os.environ.items() if k != 'NO_COLOR'}
        env.update(TERM='xterm', COLUMNS=str(columns), **more)
        os.execve(BINARY, ['pennypost', 'explain', *words], env)
    out = b''
    try:
        while True:
            piece = os.read(fd, 65536)
            if not piece:
                break
            out += piece
    except OSError:
        pass
    os.waitpid(pid, 0)
    return out.decode()


def test_width_and_color():
    import re
    for columns in (40, 80, 120):
        out = on_terminal(['550 5.7.1'], columns)
        assert '\033[1;31m' in out
        lines = re.sub(r'\033\[[0-9;]*m', '', out).splitlines()
        assert max(map(len, lines)) <= columns and max(map(len, lines)) > columns - 20
    assert '\033' not in on_terminal(['550 5.7.1'], 80, NO_COLOR='1')
    assert 'give a code or a line' in on_terminal([], 200)


def test_it_is_quick():
    best = 9
    for _ in range(5):
        start = time.monotonic()
        explain('550 5.7.1 <bob@example.com>... Relaying denied')
        best = min(best, time.monotonic() - start)
    assert best < 0.2 * SLOW
