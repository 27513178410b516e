"""PROXY, XCLIENT, XFORWARD: peers who may say for whom they speak, and everybody else."""
import re
import socket
import struct

import pytest

from secure import context
from server import Talk

SIG = b'\r\n\r\n\0\r\nQUIT\n'


def v2(source, target, sport=40000, dport=25, command=1, family=1, tlv=b''):
    if family == 1:
        body = socket.inet_aton(source) + socket.inet_aton(target)
    else:
        body = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    body += struct.pack('>HH', sport, dport) + tlv
    return SIG + bytes([0x20 | command, family << 4 | 1]) + struct.pack('>H', len(body)) + body


def received(lab):
    return re.search(rb'(?m)^Received:(.*(?:\r\n[ \t].*)*)', lab.letters('alice@example.com')[-1]).group(1)


def letter(t):
    for line, code in (('EHLO me', 250), ('MAIL FROM:<ann@example.net>', 250), ('RCPT TO:<alice@example.com>', 250), ('DATA', 354)):
        t.ask(line, code)
    t.send('Subject: x\r\n\r\ntext\r\n.\r\n')
    assert t.reply()[0] == 250


@pytest.mark.parametrize('header, address', [
    (b'PROXY TCP4 192.0.2.7 127.0.0.1 40000 25\r\n', b'192.0.2.7'),
    (b'PROXY TCP6 2001:db8::7 ::1 40000 25\r\n', b'2001:db8::7'),
    (v2('192.0.2.8', '127.0.0.1'), b'192.0.2.8'),
    (v2('2001:db8::8', '::1', family=2), b'2001:db8::8'),
    (v2('192.0.2.9', '127.0.0.1', tlv=b'\x04\0\x03abc'), b'192.0.2.9'),
    (v2('192.0.2.9', '127.0.0.1', command=0), b'127.0.0.1'),   # LOCAL: the proxy itself
    (b'PROXY UNKNOWN\r\n', b'127.0.0.1'),
])
def test_proxy(make_lab, header, address):
    lab = make_lab(sets=['proxy_peers=127.0.0.1'])
    for pieces in ([header], [header[i:i + 1] for i in range(len(header))]):
        with lab.talk() as t:
            for p in pieces:
                t.send(p)
            assert t.reply()[0] == 220
            letter(t)
        assert address in received(lab)


@pytest.mark.parametrize('header', [b'EHLO me\r\n', b'PROXY TCP4 1.2.3 127.0.0.1 1 2\r\n', b'PROXY TCP4 192.0.2.7 127.0.0.1 99999 25\r\n',
                                    SIG + b'\x31\x11\0\x0c' + b'\0' * 12, b'PROXY ' + b'x' * 200])
def test_bad_proxy(make_lab, header):
    lab = make_lab(sets=['proxy_peers=127.0.0.1'])
    with lab.talk() as t:
        t.send(header)
        assert t.at_end()
    with lab.talk(host='::1') as t:  # no proxy_peer: greeted at once
        t.begin()


def test_proxy_before_tls(make_lab):
    lab = make_lab(sets=['proxy_peers=127.0.0.1'])
    s = lab.connect(465)
    s.sendall(v2('192.0.2.10', '127.0.0.1'))
    t = Talk(context().wrap_socket(s, server_hostname='localhost'))
    assert t.reply()[0] == 220
    assert '192.0.2.10' in t.ask('EHLO me', 250)[1]


def test_not_a_proxy(lab):
    with lab.talk() as t:
        t.begin()
        assert t.ask('PROXY TCP4 192.0.2.7 127.0.0.1 40000 25')[0] == 500
        assert 'XCLIENT' not in t.ask('EHLO me', 250)[1]
        assert t.ask('XCLIENT ADDR=192.0.2.7')[0] in (500, 550)


def test_xclient(make_lab):
    lab = make_lab(sets=['xclient_peers=127.0.0.0/8', 'relay_ip=192.0.2.0/24'])
    with lab.talk() as t:
        assert 'XCLIENT' in t.begin()[1]
        t.ask('XCLIENT NAME=mx.example.org ADDR=192.0.2.77 HELO=mx.example.org PROTO=ESMTP', 220)
        assert '192.0.2.77' in t.ask('EHLO again', 250)[1]
        letter(t)
    assert b'192.0.2.77' in received(lab)
    with lab.talk() as t:
        t.begin()
        t.ask('XCLIENT ADDR=IPV6:2001:db8::99', 220)
        letter(t)
    assert b'2001:db8::99' in received(lab)
    with lab.talk() as t:
        t.begin()
        for bad in ('XCLIENT', 'XCLIENT ADDR=1.2.3', 'XCLIENT WHAT=x', 'XCLIENT ADDR=192.0.2.1 NAME=+GG'):
            assert t.ask(bad)[0] in (501, 550), bad
        t.ask('MAIL FROM:<ann@example.net>', 250)
        assert t.ask('XCLIENT ADDR=192.0.2.77')[0] == 503


def test_xforward(make_lab):
    lab = make_lab(sets=['xforward_peers=127.0.0.0/8'])
    with lab.talk() as t:
        assert 'XFORWARD' in t.begin()[1]
        t.ask('XFORWARD NAME=spike.example.org ADDR=192.0.2.78 PROTO=ESMTP HELO=spike', 250)
        letter(t)
    assert '192.0.2.78' in lab.log() or '192.0.2.78' in lab.run('trace', lab.json('mailbox', 'show', 'alice@example.com')[0]['letter']).stdout
