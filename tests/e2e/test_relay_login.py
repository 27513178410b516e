"""Logins at smarthosts that need no password: a certificate of ours whose key stays in auth (EXTERNAL, and no AUTH at all), and
Kerberos, by a process of its own that gets tickets (GSSAPI)."""
import hashlib
import os
import shutil
import ssl

import pytest

import kerberos
import others
from nameserver import NameServer
from relaying import outward, queue, tried, why
from secure import authority, memory_of
from server import wait_until
from test_relay_peers import LETTER, BODY, arrived, free

HUB = 'hub.example.org'


def with_certificate(make_lab, pair, sets, name='us'):
    """A lab that has a certificate before it starts."""
    lab = make_lab(start=False, sets=sets)
    os.makedirs(lab.dir + '/tls')
    for path, end in zip(pair, ('crt', 'key')):
        shutil.copyfile(path, '%s/tls/%s.%s' % (lab.dir, name, end))
        os.chmod('%s/tls/%s.%s' % (lab.dir, name, end), 0o600)
    lab.start()
    return lab


def gone(lab):
    wait_until(lambda: not queue(lab), 30, 0.1)


def trace(lab):
    """All that was told of the only letter."""
    return lab.run('trace', '--from', 'alice@example.com').stdout


# --- EXTERNAL


@pytest.fixture(scope='module')
def ours(tmp_path_factory):
    """(certificate of the authority, pair for us.example.com and alice@example.com)"""
    ca, sign = authority(tmp_path_factory.mktemp('ours'))
    return ca, sign('us', 'DNS:us.example.com,email:alice@example.com,email:joe@example.org', ('rsa:2048',))


def hub_of(make_lab, ca, *more):
    return make_lab(users=['alice@example.com', 'joe@example.org'], domains=['example.org'],
                    sets=['mechs=EXTERNAL', 'hostname=' + HUB, 'tls.client_ca=' + ca, *more])


def test_external(make_lab, ours):
    """Our own server, as smarthost: it knows us by the certificate; nothing else is said."""
    ca, pair = ours
    hub = hub_of(make_lab, ca)
    lab = with_certificate(make_lab, pair, outward('smtp:127.0.0.1:%d' % hub.port(587), tls='must', login='alice@example.com',
                                                   certificate='us.example.com'))
    lab.send(LETTER, 'joe@example.org', 'alice@example.com')
    wait_until(lambda: hub.count('joe@example.org') == 1, 30, 0.2)
    assert BODY in hub.only_letter('joe@example.org')
    gone(lab)
    told = trace(lab)
    assert 'certificate was asked for, and shown' in told and 'AUTH EXTERNAL' in told
    with open(pair[1], 'rb') as f:
        secret = f.read().split(b'\n')[3]
    assert all(secret not in memory_of(pid) for pid in lab.roles('relay'))


def test_external_where_nobody_asks(make_lab, ours):
    """A server that asks for no certificate: the letter waits, and says why."""
    ca, pair = ours
    hub = make_lab(users=['joe@example.org'], domains=['example.org'], sets=['mechs=PLAIN', 'hostname=' + HUB])
    lab = with_certificate(make_lab, pair, outward('smtp:127.0.0.1:%d' % hub.port(587), tls='must', login='alice@example.com',
                                                   certificate='us.example.com'))
    lab.send(LETTER, 'joe@example.org', 'alice@example.com')
    entry = tried(lab)
    assert entry['trouble'] == 'login' and 'has not asked for the certificate us.example.com' in entry['text']


def test_no_such_certificate(make_lab, ours):
    ca, pair = ours
    hub = hub_of(make_lab, ca)
    lab = with_certificate(make_lab, pair, outward('smtp:127.0.0.1:%d' % hub.port(587), tls='must', login='alice@example.com',
                                                   certificate='them.example.com'))
    lab.send(LETTER, 'joe@example.org', 'alice@example.com')
    assert tried(lab)['trouble'] == 'login'
    assert 'no certificate of this server has the name them.example.com' in trace(lab)


def test_auth_away(make_lab, ours):
    """auth dies again and again: what waits for its signature or its word is tried again, and gets there."""
    ca, pair = ours
    hub = hub_of(make_lab, ca)
    lab = with_certificate(make_lab, pair, ['queue.retry_first=1'] + outward(
        'smtp:127.0.0.1:%d' % hub.port(587), tls='must', login='alice@example.com', certificate='us.example.com'))
    for n in range(20):
        lab.send(LETTER, 'joe@example.org', 'alice@example.com')
        if n in (5, 12):
            os.kill(wait_until(lambda: lab.roles('auth'), 30)[0], 9)
    wait_until(lambda: hub.count('joe@example.org') == 20, 60, 0.2)


needs_peers = pytest.mark.skipif(not others.namespaces(), reason='needs root, and mount namespaces')
POSTFIX = '''
smtpd_tls_ask_ccert = yes
smtpd_tls_fingerprint_digest = sha256
relay_clientcerts = inline:{ %s=us }
smtpd_recipient_restrictions = permit_tls_clientcerts, reject
'''


@needs_peers
@pytest.mark.parametrize('shown', [True, False])
def test_postfix_knows_the_certificate(make_lab, ours, shown):
    """No AUTH: Postfix takes mail from whom the certificate names, and from nobody else."""
    if not others.there('postfix'):
        pytest.skip('tools/setup.sh test unpacks postfix')
    ca, pair = ours
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(open(pair[0]).read())).hexdigest().upper()
    with others.postfix(free(), POSTFIX % ':'.join(digest[i:i + 2] for i in range(0, 64, 2))) as server:
        more = {'certificate': 'us.example.com'} if shown else {}
        lab = with_certificate(make_lab, pair, outward('smtp:127.0.0.1:%d' % server.port, tls='must', **more))
        lab.send(LETTER, 'joe@example.org', 'alice@example.com')
        if shown:
            arrived(server)
            gone(lab)
        else:
            wait_until(lambda: lab.count('alice@example.com') == 1, 30, 0.2)
            assert not server.letters()


EXTERNAL = '''ext:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = $tls_in_certificate_verified
  server_param2 = ${certextract {subj_altname,mail,>:} {$tls_in_peercert}}
  server_condition = ${if forany {$auth2} {eq {$item}{joe@example.org}}}
  server_set_id = joe@example.org
'''


@needs_peers
def test_exim_external(make_lab, ours):
    if not others.there('exim'):
        pytest.skip('tools/setup.sh test unpacks exim')
    ca, pair = ours
    with open(ca) as f:
        text = f.read()
    with others.exim(free(), 'tls_try_verify_hosts = *\ntls_verify_certificates = /etc/peer/ca.pem\n', EXTERNAL,
                     {'/peer/ca.pem': text}) as server:
        lab = with_certificate(make_lab, pair, ['relay.authorities=' + server.cert] + outward(
            'smtp:127.0.0.1:%d' % server.port, tls='verify', login=others.USER, certificate='us.example.com'))
        lab.send(LETTER, 'you@far.example', 'alice@example.com')
        assert b'esmtpsa' in arrived(server)[0]
        gone(lab)
        assert 'AUTH EXTERNAL' in trace(lab)


# --- GSSAPI


@pytest.fixture(scope='module')
def kdc(tmp_path_factory):
    missing = kerberos.missing()
    if missing:
        pytest.skip('%s not here; tools/setup.sh test unpacks krb5' % ' '.join(missing))
    k = kerberos.Kdc(tmp_path_factory.mktemp('kdc'))
    try:
        k.start()
        k.service('smtp/' + HUB, 'keytab')
        k.service('alice', 'client')
        yield k
    finally:
        k.stop()


@pytest.fixture
def names():
    with NameServer({(HUB, 'A'): ['127.0.0.1']}) as ns:
        yield ns


def realm(make_lab, kdc, names, keytab='client', **more):
    """(the smarthost, the lab that sends there)"""
    hub = make_lab(users=['alice@example.com', 'joe@example.org'], domains=['example.org'], args=['--hostname', HUB],
                   sets=['mechs=GSSAPI', 'gssapi.keytab=' + kdc.path('keytab'), 'gssapi.krb5_conf=' + kdc.path('krb5.conf')])
    lab = make_lab(args=['--dns', names.address], sets=[
        'queue.retry_first=2', 'gssapi.client_keytab=' + kdc.path(keytab), 'gssapi.krb5_conf=' + kdc.path('krb5.conf')] + outward(
        'smtp:%s:%d' % (HUB, hub.port(587)), tls='must', login='alice', mechs='GSSAPI PLAIN', **more))
    return hub, lab


def test_gssapi(make_lab, kdc, names):
    """A ticket is got with the keytab, by a process that has nothing else; auth and relay never see the key."""
    hub, lab = realm(make_lab, kdc, names)
    role = lab.roles('gssapi-out')
    assert len(role) == 1 and not lab.roles('gssapi')
    lab.send(LETTER, 'joe@example.org', 'alice@example.com')
    wait_until(lambda: hub.count('joe@example.org') == 1, 60, 0.2)
    gone(lab)
    assert 'AUTH GSSAPI' in trace(lab)
    for n in range(3):  # with the same ticket
        lab.send(LETTER, 'joe@example.org', 'alice@example.com')
    wait_until(lambda: hub.count('joe@example.org') == 4, 60, 0.2)
    assert lab.roles('gssapi-out') == role
    rows = [r for r in lab.json('status')['roles'] if r['role'] == 'gssapi-out']
    assert rows and 'seccomp' in str(rows)
    lab.stop()
    assert os.listdir(lab.dir + '/gssapi-out') == []


def test_gssapi_away(make_lab, kdc, names):
    """Its process dies: the letters wait for the next one."""
    hub, lab = realm(make_lab, kdc, names)
    os.kill(lab.roles('gssapi-out')[0], 9)
    for n in range(5):
        lab.send(LETTER, 'joe@example.org', 'alice@example.com')
    wait_until(lambda: hub.count('joe@example.org') == 5, 60, 0.2)


def test_gssapi_without_keytab(make_lab, kdc, names, tmp_path):
    """A keytab that is not there: the letter waits, and says so; parent opens it anew for each process."""
    path = kdc.path('later')
    hub, lab = realm(make_lab, kdc, names, keytab='later')
    lab.send(LETTER, 'joe@example.org', 'alice@example.com')
    entry = tried(lab)
    assert entry['trouble'] == 'login' and 'gssapi.client_keytab' in entry['text'], entry
    shutil.copyfile(kdc.path('client'), path)
    os.kill(lab.roles('gssapi-out')[0], 9)
    wait_until(lambda: hub.count('joe@example.org') == 1, 60, 0.2)


def test_gssapi_unknown_server(make_lab, kdc, names):
    """A principal that the realm does not know: the letter waits, with Kerberos's words."""
    with NameServer({('other.example.org', 'A'): ['127.0.0.1']}) as ns:
        hub = make_lab(users=['alice@example.com', 'joe@example.org'], domains=['example.org'], args=['--hostname', HUB],
                       sets=['mechs=GSSAPI', 'gssapi.keytab=' + kdc.path('keytab'), 'gssapi.krb5_conf=' + kdc.path('krb5.conf')])
        lab = make_lab(args=['--dns', ns.address], sets=[
            'gssapi.client_keytab=' + kdc.path('client'), 'gssapi.krb5_conf=' + kdc.path('krb5.conf')] + outward(
            'smtp:other.example.org:%d' % hub.port(587), tls='must', login='alice', mechs='gssapi'))
        lab.send(LETTER, 'joe@example.org', 'alice@example.com')
        entry = tried(lab)
        assert entry['trouble'] == 'login' and 'GSSAPI' in entry['text'] and why(lab, entry['id'])['text']
