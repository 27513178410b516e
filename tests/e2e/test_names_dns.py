"""The role dns: where mail goes, and what DNSSEC says of it. NSD with zones signed well, badly and not at all."""
import os
import time

import pytest

import role
from nameserver import NameServer
from role import Role
from zones import PEERS, Zones

HASH = '3 1 1 ' + 'ab' * 32
OTHER = '2 0 1 ' + 'cd' * 32

pytestmark = pytest.mark.skipif(not os.path.exists(PEERS), reason='NSD is not unpacked (tools/setup.sh test)')

RECORDS = {
    ('good.example', 'MX'): ['20 b.good.example', '10 A.good.example', '10 c.good.example'],
    ('a.good.example', 'A'): ['127.0.0.2', '127.0.0.3'],
    ('a.good.example', 'AAAA'): ['::1'],
    ('_25._tcp.a.good.example', 'TLSA'): [HASH, OTHER],
    ('b.good.example', 'A'): ['127.0.0.4'],
    ('c.good.example', 'CNAME'): ['d.good.example'],
    ('d.good.example', 'A'): ['127.0.0.5'],
    ('_25._tcp.d.good.example', 'TLSA'): [OTHER],
    ('_25._tcp.c.good.example', 'TLSA'): [HASH],
    ('_mta-sts.good.example', 'TXT'): ['v=STSv1; id=20261122;'],
    ('_smtp._tls.good.example', 'TXT'): [['v=TLSRPTv1; rua=mailto:tls@', 'good.example'], 'something else'],
    # an alias whose own TLSA counts, as the name behind it has none
    ('alias.example', 'MX'): ['10 mx.alias.example'],
    ('mx.alias.example', 'CNAME'): ['b.good.example'],
    ('_25._tcp.mx.alias.example', 'TLSA'): [HASH],
    # an alias that leads out of DNSSEC
    ('out.example', 'MX'): ['10 mx.out.example', '20 mx2.out.example'],
    ('mx.out.example', 'CNAME'): ['mx.plain.example'],
    ('_25._tcp.mx.out.example', 'TLSA'): [HASH],
    ('mx2.out.example', 'A'): ['127.0.0.6'],
    ('_25._tcp.mx2.out.example', 'TLSA'): [HASH],
    # unsigned: its TLSA records are nobody's
    ('plain.example', 'MX'): ['10 mx.plain.example', '10 mx.good.plain.example'],
    ('mx.plain.example', 'A'): ['127.0.0.7'],
    ('_25._tcp.mx.plain.example', 'TLSA'): [HASH],
    ('mx.good.plain.example', 'CNAME'): ['a.good.example'],
    ('secure-mx.plain.example', 'MX'): ['5 a.good.example'],
    # names and no names
    ('null.good.example', 'MX'): ['0 .'],
    ('nulls.good.example', 'MX'): ['0 .', '10 a.good.example'],
    ('implicit.good.example', 'A'): ['127.0.0.8'],
    ('empty.good.example', 'MX'): ['10 nothing.good.example', '20 text.good.example'],
    ('text.good.example', 'TXT'): ['x'],
    ('number.good.example', 'MX'): ['10 192.0.2.1'],
    ('half.good.example', 'MX'): ['10 nothing.good.example', '20 a.good.example'],
    ('old.good.example', 'CNAME'): ['good.example'],
    ('twosts.good.example', 'MX'): ['10 a.good.example'],
    ('_mta-sts.twosts.good.example', 'TXT'): ['v=STSv1; id=1;', 'v=STSv1; id=2;'],
    ('_smtp._tls.twosts.good.example', 'TXT'): ['v=TLSRPTv1; rua=mailto:tls@a', 'v=TLSRPTv1; rua=mailto:tls@b'],
    # one record of which is not what it was
    ('tlsa.good.example', 'MX'): ['10 old-tlsa.good.example', '20 b.good.example'],
    ('old-tlsa.good.example', 'A'): ['127.0.0.9'],
    ('_25._tcp.old-tlsa.good.example', 'TLSA'): [HASH],
    ('addr.good.example', 'MX'): ['10 forged-a.good.example'],
    ('forged-a.good.example', 'A'): ['127.0.0.10'],
    ('mx.good.example', 'MX'): ['10 b.good.example'],
    ('expired.example', 'MX'): ['10 b.good.example'],
    ('forged.example', 'MX'): ['10 b.good.example'],
    ('lost.example', 'MX'): ['10 b.good.example'],
    ('many.good.example', 'MX'): ['%d m%d.good.example' % (n, n) for n in range(30)],
    **{('m%d.good.example' % n, 'A'): ['127.0.%d.%d' % (n + 1, k + 1) for k in range(20)] for n in range(30)},
}
SPOIL = {('_25._tcp.old-tlsa.good.example', 'TLSA'): 'expired', ('forged-a.good.example', 'A'): 'forged',
         ('mx.good.example', 'MX'): 'forged'}
ZONES = {'good.example': 'signed', 'alias.example': 'signed', 'out.example': 'signed', 'plain.example': 'unsigned',
         'expired.example': 'expired', 'forged.example': 'forged', 'lost.example': 'lost'}


@pytest.fixture(scope='module')
def zones(tmp_path_factory):
    with Zones(tmp_path_factory.mktemp('names'), RECORDS, ZONES, SPOIL) as z:
        yield z


@pytest.fixture(scope='module')
def relay(zones):
    with Role('dns', dns=zones.address, dns_trust_anchor=zones.anchor) as r:
        yield r.peer('relay', 3)


def short(answer):
    return [(h['name'], h['tlsa'], h['tlsa_base'], len(h['records'])) for h in answer['hosts']]


def test_good(relay):
    a = role.mx(relay, 'good.example')
    assert a['verdict'] == 'ok' and a['secure'] and not a['implicit'] and a['canonical'] == '' and 0 < a['ttl'] <= 60
    assert a['sts_id'] == '20261122' and a['rua'] == 'mailto:tls@good.example'
    assert [(h['preference'], h['name']) for h in sorted(a['hosts'], key=lambda h: (h['preference'], h['name']))] == [
        (10, 'a.good.example'), (10, 'c.good.example'), (20, 'b.good.example')]
    first, behind, last = sorted(a['hosts'], key=lambda h: (h['preference'], h['name']))
    assert last == a['hosts'][2]
    assert first['addrs'][0] == '::1' and sorted(first['addrs'][1:]) == ['127.0.0.2', '127.0.0.3']
    assert first['secure'] and first['tlsa'] == 'secure' and first['tlsa_base'] == 'a.good.example'
    assert sorted(first['records']) == sorted([HASH, OTHER])
    assert (behind['tlsa'], behind['tlsa_base'], behind['records']) == ('secure', 'd.good.example', [OTHER])
    assert behind['addrs'] == ['127.0.0.5']
    assert (last['tlsa'], last['tlsa_base'], last['records'], last['secure']) == ('none', '', [], True)


@pytest.mark.parametrize('name, secure, hosts', [
    ('alias.example', True, [('mx.alias.example', 'secure', 'mx.alias.example', 1)]),
    ('out.example', True, [('mx.out.example', 'secure', 'mx.out.example', 1), ('mx2.out.example', 'secure', 'mx2.out.example', 1)]),
    ('plain.example', False, [('mx.good.plain.example', 'none', '', 0), ('mx.plain.example', 'none', '', 0)]),
    ('secure-mx.plain.example', False, [('a.good.example', 'secure', 'a.good.example', 2)]),
    ('nulls.good.example', True, [('a.good.example', 'secure', 'a.good.example', 2)]),
    ('tlsa.good.example', True, [('b.good.example', 'none', '', 0), ('old-tlsa.good.example', 'failed', '', 0)]),
    ('twosts.good.example', True, [('a.good.example', 'secure', 'a.good.example', 2)]),
    ('implicit.good.example', True, [('implicit.good.example', 'none', '', 0)]),
    ('GOOD.example.', None, None),
])
def test_hosts(relay, name, secure, hosts):
    if hosts is None:
        relay.send(role.MX_ASK, b'\x01\x01\x00\x19' + role.text(name.lower()), 1)
        assert role.mx_read(relay.recv()[2])['verdict'] == 'ok'
        return
    a = role.mx(relay, name)
    assert a['verdict'] == 'ok' and a['secure'] == secure and sorted(short(a)) == hosts
    assert a['implicit'] == name.startswith('implicit') and a['sts_id'] == '' and a['rua'] == ''


@pytest.mark.parametrize('name, verdict, why', [
    ('null.good.example', 'no-mail', 'null MX'),
    ('nothing.good.example', 'no-domain', 'there is no domain'),
    ('text.good.example', 'no-host', 'neither MX records nor an address'),
    ('empty.good.example', 'no-host', 'have no address'),
    ('number.good.example', 'no-host', 'name no host'),
    ('nowhere.test', 'no-domain', ''),
    ('expired.example', 'forged', 'expired'),
    ('forged.example', 'forged', 'signature'),
    ('lost.example', 'forged', 'no signatures'),
    ('mx.good.example', 'forged', ''),
    ('addr.good.example', 'forged', 'forged-a.good.example'),
    ('a..b', 'no-domain', 'no name'),
    ('127.0.0.1', 'no-domain', 'no name'),
    ('x' * 64 + '.example', 'no-domain', 'no name'),
    ('a.' * 127 + 'b', 'no-domain', 'no name'),
])
def test_nowhere(relay, name, verdict, why):
    a = role.mx(relay, name)
    assert a['verdict'] == verdict and why in a['why'] and not any(h['addrs'] for h in a['hosts']), a


def test_half(relay):
    a = role.mx(relay, 'half.good.example')
    assert a['verdict'] == 'ok' and [(h['name'], len(h['addrs'])) for h in a['hosts']] == [
        ('nothing.good.example', 0), ('a.good.example', 3)]


def test_alias_of_domain(relay):
    a = role.mx(relay, 'old.good.example')
    assert a['verdict'] == 'ok' and a['canonical'] == 'good.example' and len(a['hosts']) == 3 and a['sts_id'] == ''


def test_only_host(relay):
    a = role.mx(relay, 'a.good.example', mx=False)
    assert a['verdict'] == 'ok' and short(a) == [('a.good.example', 'secure', 'a.good.example', 2)]
    a = role.mx(relay, 'a.good.example', mx=False, port=587)
    assert short(a) == [('a.good.example', 'none', '', 0)]
    a = role.mx(relay, 'a.good.example', mx=False, tlsa=False)
    assert short(a) == [('a.good.example', 'none', '', 0)] and a['hosts'][0]['secure']
    assert role.mx(relay, 'nothing.good.example', mx=False)['verdict'] == 'no-domain'
    assert role.mx(relay, 'text.good.example', mx=False)['verdict'] == 'no-host'


def test_many(relay):
    a = role.mx(relay, 'many.good.example')
    assert a['verdict'] == 'ok' and [h['name'] for h in a['hosts']] == ['m%d.good.example' % n for n in range(20)]
    assert all(len(h['addrs']) == 16 for h in a['hosts'])


def test_without_anchor(zones):
    with Role('dns', dns=zones.address) as r:
        a = role.mx(r.peer('relay'), 'good.example')
        assert a['verdict'] == 'ok' and not a['secure'] and all(h['tlsa'] == 'none' and not h['secure'] for h in a['hosts'])
        assert role.mx(r.peer('relay'), 'expired.example')['verdict'] == 'ok'


# --- name servers that do not do what they should

def test_asked_once():
    records = {('example.net', 'MX'): ['10 mx.example.net'], ('mx.example.net', 'A'): ['127.0.0.2']}
    with NameServer(records) as ns, Role('dns', dns=ns.address) as r:
        peers = [r.peer('relay', n) for n in range(2)]
        for n in range(50):
            role.mx_ask(peers[n % 2], 'example.net', id=n)
        answers = {}
        for n in range(50):
            kind, id, body = peers[n % 2].recv()
            answers[id] = role.mx_read(body)
        assert set(answers) == set(range(50)) and all(a['verdict'] == 'ok' for a in answers.values())
        assert role.mx(peers[0], 'example.net')['verdict'] == 'ok'
        asked = [a for a in ns.asked if a[0] == 'example.net' and a[1] == 'MX']
        assert len(asked) == 1, ns.asked


def test_servers_that_fail():
    records = {('fail.example', 'MX'): 'servfail', ('bad.example', 'MX'): 'garbage', ('no.example', 'MX'): 'refused',
               ('half.example', 'MX'): ['10 a.half.example', '20 b.half.example'], ('a.half.example', 'A'): 'servfail',
               ('a.half.example', 'AAAA'): 'servfail', ('b.half.example', 'A'): ['127.0.0.3'],
               ('one.example', 'MX'): ['10 a.one.example'], ('a.one.example', 'A'): ['127.0.0.4'],
               ('a.one.example', 'AAAA'): 'servfail', ('_mta-sts.one.example', 'TXT'): 'servfail'}
    with NameServer(records) as ns, Role('dns', dns=ns.address) as r:
        p = r.peer('relay')
        for name in ('fail.example', 'bad.example', 'no.example'):
            a = role.mx(p, name)
            assert a['verdict'] == 'later' and name in a['why'], a
        a = role.mx(p, 'half.example')
        assert a['verdict'] == 'ok' and [len(h['addrs']) for h in a['hosts']] == [0, 1]
        a = role.mx(p, 'one.example')
        assert a['verdict'] == 'ok' and a['hosts'][0]['addrs'] == ['127.0.0.4']


def test_names_of_private_use(zones):
    """Outside a lab, too, the name server is asked for names that no public one has (RFC 6761, RFC 8375), and DNSSEC's
    root is no word against them; but not for what is nothing anywhere, or for no name server."""
    names, never = ['home.arpa', 'test'], ['invalid', 'onion']
    records = {}
    for name in names + never:
        records.update({('ok.' + name, 'MX'): ['10 mx.ok.' + name], ('mx.ok.' + name, 'A'): ['127.0.0.2']})
    with NameServer(records) as ns, Role('dns', dns=ns.address, lab='no') as r:
        p = r.peer('relay')
        for name in names:
            a = role.mx(p, 'ok.' + name)
            assert a['verdict'] == 'ok' and a['hosts'][0]['addrs'] == ['127.0.0.2'], a
        for name in never:
            assert role.mx(p, 'ok.' + name)['verdict'] == 'no-domain'
        assert {a[0].rsplit('.', 1)[-1] for a in ns.asked} == {'arpa', 'test'}, ns.asked
    with NameServer(records) as ns, Role('dns', dns=ns.address, dns_trust_anchor=zones.anchor, lab='no') as r:
        for name in names:
            a = role.mx(r.peer('relay'), 'ok.' + name)
            assert a['verdict'] == 'ok' and not a['secure'], a


def test_hostile_texts():
    """What would break a line of ours is as if it were not there."""
    texts = ['v=TLSRPTv1; rua=mailto:a@b,\r\nmailto:c@d', 'v=TLSRPTv1; rua=mailto:a@b\0c', 'v=TLSRPTv1; rua=mailto:\x7f',
             ['v=TLSRPTv1; rua='] + ['x' * 200] * 8]
    for n, text in enumerate(texts):
        name = 't%d.example' % n
        records = {(name, 'MX'): ['10 mx.' + name], ('mx.' + name, 'A'): ['127.0.0.2'], ('_smtp._tls.' + name, 'TXT'): [text],
                   ('_mta-sts.' + name, 'TXT'): ['v=STSv1; id=1\r\n;']}
        with NameServer(records) as ns, Role('dns', dns=ns.address) as r:
            a = role.mx(r.peer('relay'), name)
            assert a['verdict'] == 'ok' and a['rua'] == '' and a['sts_id'] == ''


def test_silence():
    records = {('mute.example', 'MX'): 'silent', ('slow.example', 'MX'): ['10 a.slow.example', '20 b.slow.example'],
               ('a.slow.example', 'A'): 'silent', ('a.slow.example', 'AAAA'): 'silent', ('b.slow.example', 'A'): ['127.0.0.3']}
    with NameServer(records) as ns, Role('dns', dns=ns.address) as r:
        p = r.peer('relay')
        begin = time.monotonic()
        role.mx_ask(p, 'mute.example', id=1)
        role.mx_ask(p, 'slow.example', id=2)
        got = {}
        for _ in range(2):
            kind, id, body = p.recv()
            got[id] = role.mx_read(body)
        assert time.monotonic() - begin < 40
        assert got[1]['verdict'] == 'later' and got[2]['verdict'] == 'ok'
        assert [len(h['addrs']) for h in got[2]['hosts']] == [0, 1]


def test_flood():
    """More questions than there is room for: all are answered, and it goes on."""
    records = {('example.net', 'MX'): ['10 mx.example.net'], ('mx.example.net', 'A'): ['127.0.0.2']}
    with NameServer(records) as ns, Role('dns', dns=ns.address) as r:
        p, seen = r.peer('relay'), set()
        for n in range(6000):
            role.mx_ask(p, 'n%d.example' % n, id=n)
        for _ in range(6000):
            kind, id, body = p.recv()
            assert role.mx_read(body)['verdict'] in ('no-domain', 'later')
            seen.add(id)
        assert len(seen) == 6000
        assert role.mx(p, 'example.net', id=7000)['verdict'] == 'ok'


def test_breach():
    with NameServer({}) as ns, Role('dns', dns=ns.address) as r:
        for body in (b'', b'\x02\x01\x00\x19' + role.text('example.net'), b'\x01\x01\x00\x19' + role.text('')):
            p = r.peer('relay')
            p.send(role.MX_ASK, body, 1)
            with pytest.raises((EOFError, ConnectionResetError)):
                p.recv(10)
        p = r.peer('front')
        role.mx_ask(p, 'example.net')
        with pytest.raises((EOFError, ConnectionResetError)):
            p.recv(10)
        assert role.mx(r.peer('relay'), 'example.net')['verdict'] == 'no-domain'
