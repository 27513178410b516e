"""What testssl says of our TLS, at 465 and behind STARTTLS at 25, with a certificate that a test authority signed.

`make test` takes some of its checks; PENNYPOST_LONG=1 all of them (some minutes).
"""
import json
import os
import shutil
import subprocess

import pytest

from secure import authority
from server import ROOT, SLOW

PEER = os.path.join(ROOT, 'build', 'peers', 'testssl')
NAME = 'mail.example.org'
LONG = os.environ.get('PENNYPOST_LONG')
HARMLESS = ('OK', 'INFO', 'LOW', 'DEBUG')
# Of the test's own certificate: how long it is good, and that nobody can take it back. Of its openssl: it has no GOST, and
# is sometimes gone before a ticket has come.
OF_THE_TEST = ('cert_expirationStatus', 'cert_notAfter', 'cert_validityPeriod', 'cert_revocation', 'cert_ocsp', 'OCSP', 'DNS_CAA',
               'engine_problem', 'sessionresumption_')
FEW = {465: ('--protocols', '--ccs-injection', '--heartbleed'), 25: ('--std',)}
VERSIONS = {'SSLv2': 'OK', 'SSLv3': 'OK', 'TLS1': 'INFO', 'TLS1_1': 'INFO', 'TLS1_2': 'OK', 'TLS1_3': 'OK'}


@pytest.fixture
def signed(make_lab, tmp_path):
    """(a server with such a certificate, the authority's)."""
    ca, sign = authority(tmp_path)
    lab = make_lab(start=False, sets=['limit.conns_per_ip=off'])
    os.makedirs(os.path.join(lab.dir, 'tls'))
    for path, ending in zip(sign(NAME, 'DNS:' + NAME), ('crt', 'key')):
        target = os.path.join(lab.dir, 'tls', 'own.' + ending)
        shutil.copyfile(path, target)
        os.chmod(target, 0o600)
    return lab.start(), ca


def begin(lab, ca, place, logical, checks):
    """It, begun. It wants a program that looks names up, though it is told to look none up."""
    program = os.path.join(PEER, 'usr', 'bin', 'testssl')
    assert os.path.exists(program), 'testssl is not there; tools/setup.sh test unpacks it'
    os.makedirs(place)
    with open(os.path.join(place, 'host'), 'w') as f:
        f.write('#!/bin/sh\nexit 1\n')
    os.chmod(f.name, 0o755)
    env = {**os.environ, 'TESTSSL_INSTALL_DIR': os.path.join(PEER, 'etc', 'testssl'), 'PATH': place + ':' + os.environ['PATH'],
           'TMPDIR': place}
    words = [program, '--warnings', 'batch', '--quiet', '--color', '0', '--ip', '127.0.0.1', '--nodns', 'none', '--add-ca', ca,
             '--jsonfile', os.path.join(place, 'found.json'), *checks, *(['--starttls', 'smtp'] if logical == 25 else []),
             '%s:%d' % (NAME, lab.port(logical))]
    return subprocess.Popen(words, cwd=place, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)


def findings(lab, ca, tmp_path, checks, seconds):
    """{port: {id: row}} of both doors at the same time."""
    running = {logical: begin(lab, ca, str(tmp_path / str(logical)), logical, checks.get(logical, ())) for logical in (465, 25)}
    found = {}
    try:
        for logical, p in running.items():
            text = p.communicate(timeout=seconds * SLOW)[0]
            with open(str(tmp_path / str(logical) / 'found.json')) as f:
                found[logical] = {row['id']: row for row in json.load(f)}
            print(text)
    finally:
        for p in running.values():
            p.kill()
            p.wait()
    return found


def judge(found):
    for logical, rows in found.items():
        bad = [(i, r['severity'], r['finding']) for i, r in rows.items()
               if r['severity'] not in HARMLESS and not i.startswith(OF_THE_TEST)]
        assert not bad, (logical, bad)


def judge_versions(rows):
    assert {i: rows[i]['severity'] for i in VERSIONS} == VERSIONS
    assert [rows[i]['finding'] for i in ('TLS1', 'TLS1_1')] == ['not offered'] * 2


@pytest.mark.skipif(SLOW > 1, reason='the plain build has done it')
@pytest.mark.skipif(bool(LONG), reason='all checks run below')
def test_some_checks(signed, tmp_path):
    found = findings(*signed, tmp_path, FEW, 110)
    judge(found)
    judge_versions(found[465])
    assert [found[465][i]['severity'] for i in ('heartbleed', 'CCS')] == ['OK'] * 2
    assert found[25]['cipherlist_STRONG']['severity'] == 'OK'


@pytest.mark.skipif(not LONG, reason='takes minutes: PENNYPOST_LONG=1')
def test_all_checks(signed, tmp_path):
    found = findings(*signed, tmp_path, {}, 1200)
    judge(found)
    for rows in found.values():
        judge_versions(rows)
        assert rows['cert_chain_of_trust']['finding'] == 'passed.'
        assert len(rows) > 80
