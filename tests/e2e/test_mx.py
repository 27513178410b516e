"""pennypost mx: where mail goes, and everything a name server may do to whoever asks."""
import pytest

from nameserver import NameServer
from puppet import client, objects

RECORDS = {
    ('example.com', 'MX'): ['20 mx2.example.com', '10 mx1.example.com', '30 alias.example.com', '40 gone.example.com'],
    ('mx1.example.com', 'A'): ['192.0.2.1'],
    ('mx1.example.com', 'AAAA'): ['2001:db8::1'],
    ('mx2.example.com', 'A'): ['10.0.0.1'],
    ('alias.example.com', 'CNAME'): ['mx1.example.com'],
    ('example.com', 'TXT'): ['v=spf1 mx +all', 'v=spf10 is another', 'rubbish \x1b[31m'],
    ('_dmarc.example.com', 'TXT'): ['v=DMARC1; p=reject', 'v=DMARC1; p=none'],
    ('_mta-sts.example.com', 'TXT'): [['v=STSv1; ', 'id=2026']],
    ('1.2.0.192.in-addr.arpa', 'PTR'): ['mx1.example.com'],
    ('_25._tcp.mx1.example.com', 'TLSA'): ['3 1 1 abcdef'],
    ('_25._tcp.mx2.example.com', 'TLSA'): ['3 1 1 012345'],
    ('_submissions._tcp.example.com', 'SRV'): ['0 1 465 mail.example.com'],
    ('_imap._tcp.example.com', 'SRV'): ['0 0 0 .'],
    ('null.example', 'MX'): ['0 .'],
    ('mixed.example', 'MX'): ['0 .', '5 mx1.example.com'],
    ('address.example', 'MX'): ['0 192.0.2.1'],
    ('implicit.example', 'A'): ['192.0.2.9'],
    ('nothing.example', 'TXT'): ['x'],
    ('servfail.example', 'MX'): 'servfail',
    ('refused.example', 'MX'): 'refused',
    ('formerr.example', 'MX'): 'formerr',
    ('garbage.example', 'MX'): 'garbage',
    ('silent.example', 'MX'): 'silent',
    ('large.example', 'MX'): 'truncated',
    ('large.example', 'MX', 'tcp'): ['%d mx1.example.com' % i if i == 7 else '%d h%d.example.com' % (i, i) for i in range(40)],
    ('circle.example', 'CNAME'): ['circle2.example'],
    ('circle2.example', 'CNAME'): ['circle.example'],
    ('xn--bcher-kva.example', 'MX'): ['0 mx1.example.com'],
}
SECURE = ['_25._tcp.mx1.example.com', 'example.com']


@pytest.fixture(scope='module')
def names():
    with NameServer(RECORDS, SECURE) as ns:
        yield ns


def ask(names, *words):
    return client('mx', '--dns', names.address, '--timeout', '1', *words)


def test_table(names):
    r = ask(names, 'example.com')
    assert r.returncode == 0 and r.stderr == ''
    lines = r.stdout.splitlines()
    assert lines[0] == 'example.com: 4 hosts take its mail, verified by DNSSEC'
    order = [line.split()[1] for line in lines[1:] if line.split()[0].isdigit()]
    assert order == ['mx1.example.com', 'mx2.example.com', 'alias.example.com', 'gone.example.com']
    for text in ('192.0.2.1', '2001:db8::1', 'mx1.example.com: 3 1 1 abcdef (verified by DNSSEC)',
                 'mx2.example.com: 3 1 1 012345 (not verified)', 'v=spf1 mx +all', 'v=STSv1; id=2026', 'mail.example.com:465',
                 'alias.example.com is an alias (CNAME)', 'gone.example.com: there is no such name (NXDOMAIN)',
                 '10.0.0.1, an address that cannot be reached from outside', 'SPF ends in +all', 'there are 2 DMARC records',
                 'MTA-STS: https://mta-sts.example.com/.well-known/mta-sts.txt: there is no such name', 'senders pass them over'):
        assert text in r.stdout, text
    assert 'spf10' not in r.stdout and '\x1b' not in r.stdout


def test_json(names):
    r = ask(names, '--json', 'example.com', 'null.example')
    first, null = objects(r)
    assert r.returncode == 0
    assert [h['host'] for h in first['hosts']][:2] == ['mx1.example.com', 'mx2.example.com']
    assert first['hosts'][0]['addresses'][1] == {'address': '192.0.2.1', 'name': 'mx1.example.com'}
    assert first['hosts'][0]['tlsa'] == ['3 1 1 abcdef'] and first['hosts'][0]['tlsa_verified']
    assert not first['hosts'][1]['tlsa_verified'] and first['hosts'][2]['alias']
    assert first['hosts'][3]['status'] == 'nxdomain'
    assert first['services'] == {'submissions': 'mail.example.com:465', 'imap': '-'}
    assert first['dmarc'] == ['v=DMARC1; p=reject', 'v=DMARC1; p=none'] and first['verified']
    assert first['mta_sts_policy'] is None
    assert null['null_mx'] and null['hosts'] == []


@pytest.mark.parametrize('domain, text', [
    ('null.example', 'takes no mail (a null MX, RFC 7505)'),
    ('mixed.example', 'there is a null MX (RFC 7505) beside others'),
    ('address.example', '192.0.2.1 is an address; it must be the name of a host'),
    ('implicit.example', 'has no MX: its mail goes to the host of that name (RFC 5321 5.1)'),
    ('large.example', 'more than 32 MX records'),
    ('b\u00fccher.example', 'mx1.example.com'),
    ('joe@example.com', 'mx1.example.com'),
    ('[192.0.2.1]', '192.0.2.1'),
])
def test_found(names, domain, text):
    r = ask(names, domain)
    assert r.returncode == 0 and text in r.stdout, r.stdout


@pytest.mark.parametrize('domain, status, text', [
    ('nowhere.example', 2, 'there is no such name (NXDOMAIN)'),
    ('nothing.example', 2, 'the name exists, but has no such records'),
    ('servfail.example', 2, 'SERVFAIL'),
    ('refused.example', 2, 'REFUSED'),
    ('formerr.example', 2, 'FORMERR'),
    ('garbage.example', 2, 'damaged'),
    ('silent.example', 2, 'no name server answered in time'),
    ('circle.example', 2, 'lead in a circle'),
    ('a..b', 1, 'empty part'),
    ('a b', 1, 'cannot stand in a name'),
    ('a' * 64 + '.example', 1, 'longer than 63'),
])
def test_not_found(names, domain, status, text):
    r = ask(names, domain)
    assert r.returncode == status and text in r.stderr and r.stdout == '', r.stderr


def test_tcp(names):
    ask(names, 'large.example')
    assert ('large.example', 'MX', 'udp') in names.asked and ('large.example', 'MX', 'tcp') in names.asked


def test_equal_preference_is_shuffled():
    hosts = ['h%d.example.com' % i for i in range(6)]
    records = {('example.com', 'MX'): ['10 ' + h for h in hosts]}
    with NameServer(records) as names:
        seen = {tuple(h['host'] for h in objects(ask(names, '--json', 'example.com'))[0]['hosts']) for _ in range(8)}
    assert len(seen) > 1 and all(sorted(s) == hosts for s in seen)


def test_fixed(names):
    r = ask(names, '--resolve', 'example.com:192.0.2.77', 'example.com')
    assert r.returncode == 0 and '192.0.2.77' in r.stdout and 'mx1' not in r.stdout.splitlines()[1]


def test_no_server():
    r = client('mx', '--dns', '127.0.0.1:1', 'example.com')
    assert r.returncode == 2 and 'no name server can be reached' in r.stderr


def test_usage():
    assert client('mx').returncode == 1
    r = client('mx', '--dns', 'ns.example.com', 'example.com')
    assert r.returncode == 1 and 'write the address of a name server' in r.stderr
    r = client('mx', '--jsn', 'example.com')
    assert r.returncode == 1 and '--json' in r.stderr
    r = client('mx', '--help')
    assert r.returncode == 0 and 'Examples:' in r.stdout
