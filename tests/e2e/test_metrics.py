"""The server's figures as Prometheus reads them: every line is checked as strictly as its parser does."""
import contextlib
import http.client
import os
import re
import socket
import subprocess

import pytest

from rawimap import Socket
from relaying import Sink
from server import BINARY, SLOW, Lab, free_base, wait_until

LETTER = b'From: a@example.net\r\nSubject: counted\r\n\r\nx\r\n'
NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
SAMPLE = re.compile(r'(%s)(?:\{(%s(?:,%s)*)\})? (\S+)$' % (NAME, LABEL, LABEL))
NUMBER = re.compile(r'[0-9]+(\.[0-9]+)?$')


def family_of(name, types):
    for suffix in ('', '_bucket', '_sum', '_count'):
        base = name[:len(name) - len(suffix)] if suffix else name
        if name.endswith(suffix) and base in types and (not suffix) != (types[base] == 'histogram'):
            return base
    raise AssertionError('a sample of no family: %s' % name)


def check_histogram(name, samples):
    """Buckets ascend in bound and count, end in +Inf, and agree with _count."""
    groups = {}
    for (sample, labels), value in samples.items():
        rest = tuple(p for p in labels if p[0] != 'le')
        groups.setdefault(rest, {}).setdefault(sample[len(name):], []).append((dict(labels).get('le'), value))
    for parts in groups.values():
        bounds = [float(le) for le, _ in parts['_bucket']]
        counts = [v for _, v in parts['_bucket']]
        assert bounds == sorted(set(bounds)) and bounds[-1] == float('inf'), name
        assert counts == sorted(counts) and counts[-1] == parts['_count'][0][1], name
        assert len(parts['_sum']) == len(parts['_count']) == 1


UNITS = {'ms', 'msec', 'us', 'usec', 'ns', 'sec', 'secs', 'minutes', 'hours', 'days', 'kb', 'mb', 'kib', 'mib', 'octets', 'percent'}


def lint(name, kind, words):
    """What `promtool check metrics` objects to."""
    parts = name.split('_')
    assert re.fullmatch('pennypost(_[a-z0-9]+)+', name), name
    assert not UNITS & set(parts), 'not a base unit: ' + name
    assert not {'counter', 'gauge', 'histogram', 'summary'} & set(parts), 'its type is in its name: ' + name
    assert not name.endswith(('_bucket', '_sum', '_count', '_info')), name
    assert 'total' not in parts or name.endswith('_total'), name
    assert words[0].isupper() or words[0].isdigit(), words
    assert not re.search(r'\\(?![\\n])', words), 'HELP escapes only backslash and line feed: ' + words


def parse(text):
    """{(name, ((label, value), ...)): number} of a text in the format 0.0.4; strict."""
    assert text.endswith('\n') and '\r' not in text
    types, helps, samples, order = {}, {}, {}, []
    for line in text[:-1].split('\n'):
        if line.startswith('# HELP '):
            name, words = line[7:].split(' ', 1)
            assert re.fullmatch(NAME, name) and words and name not in helps, line
            helps[name] = words
        elif line.startswith('# TYPE '):
            name, kind = line[7:].split(' ')
            assert kind in ('counter', 'gauge', 'histogram') and name in helps and name not in types, line
            assert (kind == 'counter') == name.endswith('_total'), line
            lint(name, kind, helps[name])
            types[name] = kind
            order.append(name)
        else:
            m = SAMPLE.match(line)
            assert m and NUMBER.match(m[3]), line
            assert not re.search(r'(^|[{,])(le|quantile)=', m[2] or '') or m[1].endswith('_bucket'), line
            assert all(re.fullmatch('[a-z][a-z0-9_]*', k) for k in re.findall(r'(\w+)="', m[2] or '')), line
            labels = tuple(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or ''))
            assert len({k for k, _ in labels}) == len(labels), line
            assert family_of(m[1], types) == order[-1], 'the samples of a family stand together: ' + line
            assert (m[1], labels) not in samples, 'twice: ' + line
            samples[m[1], labels] = float(m[3])
    for name, kind in types.items():
        own = {k: v for k, v in samples.items() if family_of(k[0], types) == name}
        assert own, 'a family without samples: ' + name
        if kind == 'histogram':
            check_histogram(name, own)
    return samples


CONFIG = '''
hostname = "mail.example.com";
data_dir = "%(dir)s";
fronts = 2;
store: { segment_bytes = "8M"; };
domains = [ "example.com" ];
listen = ( { port = %(smtp)d; address = "127.0.0.1"; },
              { protocol = "imap"; port = %(imap)d; address = "127.0.0.1"; auth_cleartext = "allow"; },
              { protocol = "metrics"; port = %(metrics)d; },
              { protocol = "metrics"; address = "unix:metrics.sock"; } );
%(more)s
'''


def up(lab):
    assert lab.running(), lab.log()
    try:
        return all(r['state'] == 'ready' for r in lab.json('status')['roles'])
    except (AssertionError, ValueError):
        return False


@contextlib.contextmanager
def serving(tmp_path, more=''):
    base, guard = free_base()
    dir = tmp_path / 'data'
    path = tmp_path / 'pennypost.conf'
    ports = {'smtp': base + 25, 'imap': base + 143, 'metrics': base + 325}
    path.write_text(CONFIG % dict(ports, dir=dir, more=more))
    lab = Lab(dir, config=str(path))
    lab.base, lab.metrics = base, ports['metrics']
    dir.mkdir()
    lab.start(wait=False)
    wait_until(lambda: up(lab), 30)
    lab.run('user', 'add', 'alice@example.com', '--password-stdin', input='secret\n')
    yield lab
    assert lab.stop() == 0
    lab.close()
    guard.close()


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path) as lab:
        yield lab


def get(lab, path='/metrics', method='GET', headers=None):
    c = http.client.HTTPConnection('127.0.0.1', lab.metrics, timeout=20 * SLOW)
    try:
        c.request(method, path, headers=headers or {})
        r = c.getresponse()
        return r, r.read().decode()
    finally:
        c.close()


def figures(lab):
    r, text = get(lab)
    assert r.status == 200 and r.getheader('Content-Type') == 'text/plain; version=0.0.4; charset=utf-8'
    return parse(text)


def value(samples, name, **labels):
    return samples[name, tuple(labels.items())]


def test_what_is_counted(server):
    before = figures(server)
    for i in range(3):
        server.send(LETTER)
    with server.talk() as t:
        t.begin()
        t.ask('MAIL FROM:<a@example.net>', 250)
        t.ask('RCPT TO:<nobody@example.com>', 550)
        c = Socket('127.0.0.1', server.port(143), 60 * SLOW)
        c.ok('LOGIN alice@example.com secret')
        after = figures(server)
        assert value(after, 'pennypost_connections', protocol='smtp') == 1
        assert value(after, 'pennypost_connections', protocol='imap') == 1
        c.close()
    assert value(after, 'pennypost_letters_accepted_total') - value(before, 'pennypost_letters_accepted_total') == 3
    assert value(after, 'pennypost_store_letters_total') == 3
    assert value(after, 'pennypost_accept_seconds_count') == 3 and value(after, 'pennypost_accept_seconds_sum') > 0
    assert value(after, 'pennypost_refusals_total') >= 1
    assert value(after, 'pennypost_auth_total', result='ok') == 1
    assert value(after, 'pennypost_accounts') >= 1
    for role in ('front', 'store', 'auth', 'reader'):
        assert value(after, 'pennypost_process_up', role=role, index='0') == 1
    for state in ('waiting', 'ready', 'active', 'held', 'turn', 'ending'):
        assert value(after, 'pennypost_queue_entries', state=state) == 0
    assert value(after, 'pennypost_deliveries_total', result='sent') == 0
    wait_until(lambda: value(figures(server), 'pennypost_trace_records_total') >= 3)


ELSEWHERE = '''
relay_ip = "127.0.0.0/8";
routes = ( { match = "*"; via = "smtp:[127.0.0.1]:%d"; tls = "%s"; } );
'''


@pytest.mark.parametrize('tls, policy, result', [('may', 'opportunistic', 'clear'), ('never', 'none', 'clear'), ('must', 'required', 'not_offered')])
def test_what_goes_out(tmp_path, tls, policy, result):
    """By destination and result, and by what was asked of TLS and what came of it. The server there has none."""
    def reply(verb, arg):
        return '550 5.1.1 no' if verb == 'RCPT' and 'nobody' in arg else None

    with Sink(reply=reply) as sink, serving(tmp_path, ELSEWHERE % (sink.port, tls)) as lab:
        lab.send(LETTER, to=['joe@one.example', 'nobody@one.example', 'ann@two.example'])

        def sessions():
            return value(figures(lab), 'pennypost_relay_tls_total', policy=policy, result=result)

        wait_until(lambda: sessions() >= 1, 30)
        if result == 'clear':
            def outcome(where, what):
                return figures(lab).get(('pennypost_destination_deliveries_total', (('destination', where), ('result', what))))
            where = 'smtp:[127.0.0.1]:%d' % sink.port  # what a route names is one destination
            wait_until(lambda: outcome(where, 'sent') == 3, 30)  # a report goes there, too
            assert outcome(where, 'refused') == 1 and outcome(where, 'later') == 0 and outcome('other', 'sent') == 0
        assert all(v == 0 or dict(labels) == {'policy': policy, 'result': result}
                   for (name, labels), v in figures(lab).items() if name == 'pennypost_relay_tls_total')


def test_restarts_are_counted(server):
    reader = server.roles('reader')[0]
    os.kill(reader, 9)
    wait_until(lambda: server.roles('reader') not in ([], [reader]))
    wait_until(lambda: value(figures(server), 'pennypost_process_restarts_total', role='reader', index='0') == 1)


def test_only_that_path(server):
    for path in ('/', '/metric', '/metrics/', '/metrics/x', '/../metrics', '//metrics'):
        assert get(server, path)[0].status == 404, path
    assert get(server, '/metrics?x=y')[0].status == 200
    r, text = get(server, method='POST', headers={'Content-Length': '0'})
    assert r.status == 405 and r.getheader('Allow') == 'GET, HEAD'
    r, text = get(server, method='HEAD')
    assert r.status == 200 and text == '' and int(r.getheader('Content-Length')) > 1000


def raw(lab, octets):
    s = socket.create_connection(('127.0.0.1', lab.metrics), timeout=20 * SLOW)
    try:
        s.sendall(octets)
        got = b''
        while True:
            more = s.recv(65536)
            if not more:
                return got
            got += more
    finally:
        s.close()


@pytest.mark.parametrize('octets, status', [
    (b'EHLO x\r\n\r\n', 400),
    (b'GET /metrics HTTP/1.1\r\n\r\n', 400),
    (b'GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400),
    (b'GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc', 400),
    (b'GET /metrics HTTP/2.0\r\nHost: a\r\n\r\n', 505),
    (b'GET /metrics HTTP/1.1\r\nHost: a\r\nX: ' + b'y' * 9000, 431),
    (b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n', 400),
], ids=range(7))
def test_bad_requests(server, octets, status):
    got = raw(server, octets)
    assert got.startswith(b'HTTP/1.1 %d ' % status) and b'\r\nConnection: close\r\n' in got, got


def test_one_after_another(server):
    """Prometheus keeps its connection; what is pipelined is answered in order."""
    c = http.client.HTTPConnection('127.0.0.1', server.metrics, timeout=20 * SLOW)
    for i in range(5):
        c.request('GET', '/metrics')
        parse(c.getresponse().read().decode())
    c.close()
    one = b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n'
    got = raw(server, one + b'GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n' + one + one.replace(b'\r\n\r\n', b'\r\nConnection: close\r\n\r\n'))
    assert re.findall(rb'HTTP/1.1 (\d+)', got) == [b'404', b'200', b'404', b'404']


def test_unix_socket(server):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20 * SLOW)
    fd = os.open(server.dir, os.O_PATH)
    s.connect('/proc/self/fd/%d/metrics.sock' % fd)
    os.close(fd)
    s.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
    got = b''
    while True:
        more = s.recv(65536)
        if not more:
            break
        got += more
    s.close()
    parse(got.split(b'\r\n\r\n', 1)[1].decode())


def test_many_at_once(server):
    """Who is answered has all figures; the others are told that they have none."""
    conns = [http.client.HTTPConnection('127.0.0.1', server.metrics, timeout=20 * SLOW) for _ in range(60)]
    for c in conns:
        c.request('GET', '/metrics')
    statuses = []
    for c in conns:
        r = c.getresponse()
        text = r.read().decode()
        assert r.status != 200 or value(parse(text), 'pennypost_process_up', role='store', index='0') == 1
        statuses.append(r.status)
        c.close()
    assert set(statuses) <= {200, 503} and 200 in statuses


@pytest.mark.parametrize('listener, what', [
    ('{ protocol = "metrics"; address = "*"; }', 'this machine only'),
    ('{ protocol = "metrics"; address = "192.0.2.1"; }', 'this machine only'),
    ('{ protocol = "metrics"; max_size = "1M"; }', 'max_size is for'),
], ids=range(3))
def test_not_for_everybody(tmp_path, listener, what):
    path = tmp_path / 'x.conf'
    path.write_text('hostname = "mail.example.com"; data_dir = "%s"; listen = ( %s );' % (tmp_path, listener))
    r = subprocess.run([BINARY, 'config', 'check', '--config', str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert r.returncode != 0 and what in r.stdout, r.stdout
