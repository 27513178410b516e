"""`pennypost roundtrip`: a letter there and back."""
import imaplib
import json
import subprocess

import pytest

from server import BINARY, SLOW
from talking import Server, environment
from test_imap_basic import trusting


def roundtrip(tmp_path, *args, **env):
    env.setdefault('PENNYPOST_READ_PASSWORD', 'secret')
    p = subprocess.run([BINARY, 'roundtrip', '--insecure'] + [str(a) for a in args], capture_output=True, text=True,
                       stdin=subprocess.DEVNULL, env=environment(tmp_path, **env), timeout=90 * SLOW)
    return p.stdout, p.stderr, p.returncode


def url(lab, scheme, user='bob@example.com'):
    port = {'imap': 143, 'imaps': 993, 'pop3': 110, 'pop3s': 995}[scheme]
    return '%s://%s@127.0.0.1:%d' % (scheme, user, lab.port(port))


def count(lab, user='bob@example.com'):
    with imaplib.IMAP4_SSL('127.0.0.1', lab.port(993), ssl_context=trusting()) as m:
        m.login(user, 'secret')
        return int(m.select()[1][0])


@pytest.mark.parametrize('scheme', ('imap', 'imaps', 'pop3', 'pop3s'))
def test_there_and_back(shared, tmp_path, scheme):
    before = count(shared)
    out, err, status = roundtrip(tmp_path, '--to', 'bob@example.com', '--read', url(shared, scheme),
                                 '127.0.0.1:%d' % shared.port(25))
    assert status == 0, out + err
    for text in ('accepted ', 'in the mailbox ', ', and deleted', 'hop 1 ', 'octet by octet', 'Received'):
        assert text in out, out
    assert count(shared) == before


def test_json_and_keep(shared, tmp_path):
    before = count(shared)
    out, err, status = roundtrip(tmp_path, '--to', 'bob@example.com', '--from', 'a@example.net', '--keep', '--json',
                                 '--repeat', 2, '--read', url(shared, 'imaps') + '/INBOX',
                                 '127.0.0.1:%d' % shared.port(25))
    assert status == 0, err
    found = [o for o in map(json.loads, out.splitlines()) if o['ev'] == 'roundtrip']
    assert len(found) == 2 and found[0]['token'] != found[1]['token']
    for one in found:
        assert one['ok'] and one['body'] == 'exact' and not one['deleted'] and not one['lost'] and not one['changed']
        assert one['return_path'] == '<a@example.net>' and len(one['hops']) == 1
        assert one['accepted_ms'] > 0 and one['bytes_came'] > one['bytes_sent']
    assert 'secret' not in out and count(shared) == before + 2


def test_submission_with_a_login(shared, tmp_path):
    out, err, status = roundtrip(tmp_path, '--to', 'bob@example.com', '--from', 'alice@example.com', '--auth', '--user',
                                 'alice@example.com', '--read', url(shared, 'imap'), '--tls=must',
                                 '127.0.0.1:%d' % shared.port(587), PENNYPOST_PASSWORD='secret')
    assert status == 0, out + err


@pytest.mark.parametrize('args,env,status', [
    (['--to', 'nobody@example.com'], {}, 10),
    (['--to', 'bob@example.com'], {'PENNYPOST_READ_PASSWORD': 'wrong'}, 8),
    (['--to', 'alice@example.com', '--wait', '1'], {}, 15),
    (['--to', 'alice@example.com,bob@example.com'], {}, 1),
])
def test_what_goes_wrong(shared, tmp_path, args, env, status):
    out, err, got = roundtrip(tmp_path, *args, '--read', url(shared, 'imaps'), '127.0.0.1:%d' % shared.port(25), **env)
    assert got == status, out + err
    assert err


@pytest.mark.parametrize('text', ('bob@127.0.0.1', 'http://bob@h/', 'imap://127.0.0.1', 'imap://b@h:0', 'imap://b%4@h'))
def test_urls(tmp_path, text):
    out, err, status = roundtrip(tmp_path, '--to', 'a@b', '--read', text, '127.0.0.1:1')
    assert status == 1 and '--read' in err


@pytest.mark.parametrize('greeting', ('* OK ' + 'x' * 100000 + '\r\n', '* BYE no\r\n', '+OK\r\n', '\x00\xff\r\n'))
def test_harm(tmp_path, greeting):
    s = Server(('.*', '* OK nothing\r\n'), greeting=greeting)
    out, err, status = roundtrip(tmp_path, '--to', 'a@b', '--timeout', 3, '--read', 'imap://b@127.0.0.1:%d' % s.port,
                                 '127.0.0.1:1')
    assert status in (6, 14, 15), (status, out + err)
    assert '\x00' not in out + err
