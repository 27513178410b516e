"""Mail to and from real servers of Debian's packages: Postfix as destination and as source, Exim, OpenSMTPD,
Dovecot by LMTP, and as smarthosts that ask for a login."""
import contextlib
import email
import email.policy
import re
import socket
import time

import pytest

import others
from relaying import Report, outward, queue, why
from server import wait_until

pytestmark = pytest.mark.skipif(not others.namespaces(), reason='needs root, and mount namespaces')
LETTER = (b'From: Alice <alice@example.com>\r\nTo: joe@example.org\r\nSubject: to %s\r\nMessage-ID: <1@example.com>\r\n'
          b'Date: Fri, 27 Apr 2012 23:29:54 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n'
          b'Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n.dot\r\n..two\r\nFrom here\r\n\r\nlast\r\n')
BODY = LETTER.split(b'\r\n\r\n', 1)[1]


def free():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def peer(name):
    if not others.there(name):
        pytest.skip('tools/setup.sh test unpacks %s' % name)
    make = {'exim': lambda: others.exim(free()), 'postfix': lambda: others.postfix(free()),
            'opensmtpd': lambda: others.opensmtpd(free(), free()), 'dovecot': lambda: others.dovecot_lmtp(free(), free())}
    with make[name]() as server:
        yield server


def text_of(octets):
    """The text of a letter that others have kept, with their line ends and quoting taken off."""
    octets = octets.replace(b'\r\n', b'\n')
    if octets.startswith(b'From '):
        octets = re.sub(rb'(?m)^>(?=From )', b'', octets.split(b'\n', 1)[1]).rstrip(b'\n') + b'\n'
    letter = email.message_from_bytes(octets, policy=email.policy.default)
    return letter, letter.get_payload(decode=True).replace(b'\n', b'\r\n')


def arrived(server, n=1):
    return wait_until(lambda: len(server.letters()) >= n and server.letters(), 60, 0.2)


@pytest.mark.parametrize('name', ['postfix', 'exim', 'opensmtpd'])
def test_destination(make_lab, name):
    """One recipient it has, one it has not: one letter there, one report here."""
    with peer(name) as server:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % server.port))
        lab.send(LETTER, ['joe@example.org', 'nobody@example.org'], 'alice@example.com')
        letter, text = text_of(arrived(server)[0])
        assert text == BODY or letter['Content-Transfer-Encoding'] != '8bit' and text.rstrip() == BODY.rstrip()
        assert letter['Return-Path'] in (None, '<alice@example.com>')
        wait_until(lambda: lab.count('alice@example.com') == 1, 30, 0.2)
        report = Report(lab.only_letter('alice@example.com'))
        assert list(report.rcpts) == ['nobody@example.org']
        fields = report.rcpts['nobody@example.org']
        assert fields['action'] == 'failed' and fields['status'].startswith('5.')
        assert fields['diagnostic-code'].startswith('smtp;') and fields['remote-mta'].startswith('dns;')
        assert not queue(lab)
        if name == 'exim':  # Postfix does not tell; OpenSMTPD's handshakes fail: it got the letter in clear
            assert b'esmtps' in server.letters()[0]
        time.sleep(1)
        assert len(server.letters()) == 1


@pytest.mark.parametrize('where', ['tcp', 'unix'])
def test_dovecot_lmtp(make_lab, where):
    """Recipients apart behind the one dot."""
    with peer('dovecot') as server:
        target = 'lmtp:127.0.0.1:%d' % server.port if where == 'tcp' else 'lmtp:%s/lmtp' % server.spool
        lab = make_lab(sets=outward(target, tls='never'))
        lab.send(LETTER, ['joe@example.org', 'nobody@elsewhere.example'], 'alice@example.com')
        letter, text = text_of(arrived(server)[0])
        assert text == BODY
        wait_until(lambda: not queue(lab), 30, 0.2)


@pytest.mark.parametrize('name', ['exim', 'opensmtpd', 'postfix'])
def test_many_letters(make_lab, name):
    """A hundred, over few connections; each once."""
    with peer(name) as server:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % server.port))
        with lab.smtp() as s:
            for i in range(100):
                s.sendmail('alice@example.com', ['joe@example.org'], LETTER.replace(b'to %s', b'number %d' % i))
        arrived(server)
        wait_until(lambda: not queue(lab), 120, 0.5)

        def numbers():
            return sorted(int(n) for octets in server.letters() for n in re.findall(rb'Subject: number (\d+)', octets))
        assert wait_until(lambda: len(numbers()) >= 100 and numbers(), 60, 0.5) == list(range(100))
        assert lab.count('alice@example.com') == 0


# --- Postfix on both sides

SOURCE = '''
mynetworks = 127.0.0.0/8
relay_domains =
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
relayhost = [127.0.0.1]:%d
smtp_tls_security_level = may
'''


def test_postfix_as_source(make_lab):
    """Postfix brings us a letter that asks for a report of success, and gets it."""
    if not others.there('postfix'):
        pytest.skip('tools/setup.sh test unpacks it')
    port = free()
    lab = make_lab(start=False)
    lab.sets += outward('smtp:127.0.0.1:%d' % port)
    lab.start()
    with others.postfix(port, SOURCE % lab.port(25)) as server:
        with socket.create_connection(('127.0.0.1', port), timeout=60) as s:
            f = s.makefile('rwb')
            for say, code in ((b'', b'220'), (b'EHLO client.example.net', b'250'),
                              (b'MAIL FROM:<joe@example.org> ENVID=env1 RET=HDRS', b'250'),
                              (b'RCPT TO:<alice@example.com> NOTIFY=SUCCESS ORCPT=rfc822;alice@example.com', b'250'),
                              (b'RCPT TO:<nobody@example.com>', b'250'), (b'DATA', b'354'),
                              (b'Subject: source\r\nFrom: joe@example.org\r\n\r\ntext\r\n.', b'250')):
                if say:
                    f.write(say + b'\r\n')
                    f.flush()
                line = f.readline()
                while line[3:4] == b'-':
                    line = f.readline()
                assert line.startswith(code), line
        wait_until(lambda: lab.count('alice@example.com') == 1, 60, 0.2)
        letters = arrived(server, 2)  # ours, of success; its own, of what we refused
    found = {}
    for octets in letters:
        octets = re.sub(rb'\r?\n', b'\r\n', octets)
        report = Report(octets)
        assert report.message.get('original-envelope-id') == 'env1'
        for rcpt, fields in report.rcpts.items():
            found[rcpt] = fields['action'], report.message['reporting-mta']
    assert found['alice@example.com'][0] == 'delivered' and 'mx.example.org' not in found['alice@example.com'][1]
    assert found['nobody@example.com'][0] == 'failed'


# --- smarthosts


@pytest.mark.parametrize('mechs', ['', 'plain', 'login'])
def test_exim_as_smarthost(make_lab, tmp_path, mechs):
    """It takes mail for the world from whom it knows, behind TLS that we verify."""
    secret = tmp_path / 'secret'
    secret.write_text(others.PASSWORD + '\n')
    with peer('exim') as server:
        lab = make_lab(sets=['relay.authorities=' + server.cert] + outward(
            'smtp:127.0.0.1:%d' % server.port, tls='verify', login=others.USER, secret_file=secret, mechs=mechs))
        lab.send(LETTER, 'you@far.example', 'alice@example.com')
        assert b'you@far.example' in arrived(server)[0] or b'esmtpsa' in arrived(server)[0]
        wait_until(lambda: not queue(lab), 30, 0.2)


def test_wrong_password(make_lab, tmp_path):
    """The letter waits, and `why` says what is wrong."""
    secret = tmp_path / 'secret'
    secret.write_text('wrong\n')
    with peer('exim') as server:
        lab = make_lab(sets=['relay.authorities=' + server.cert] + outward(
            'smtp:127.0.0.1:%d' % server.port, tls='verify', login=others.USER, secret_file=secret))
        lab.send(LETTER, 'you@far.example', 'alice@example.com')
        [entry] = wait_until(lambda: [e for e in queue(lab) if e['attempts'] and e['state'] == 'waiting'], 30, 0.2)
        assert entry['trouble'] == 'login'
        assert why(lab, entry['id'])['text']
        assert 'wrong' not in lab.log()
        secret.write_text(others.PASSWORD + '\n')
        lab.run('tls', 'reload')
        lab.run('queue', 'retry', '--all')
        arrived(server)
        wait_until(lambda: not queue(lab), 30, 0.2)


def test_unverified_smarthost(make_lab, tmp_path):
    """No password goes to a server that nobody vouches for."""
    secret = tmp_path / 'secret'
    secret.write_text(others.PASSWORD + '\n')
    with peer('exim') as server:
        lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % server.port, tls='must', login=others.USER, secret_file=secret))
        lab.send(LETTER, 'you@far.example', 'alice@example.com')
        [entry] = wait_until(lambda: [e for e in queue(lab) if e['attempts'] and e['state'] == 'waiting'], 30, 0.2)
        assert entry['trouble'] == 'login' and 'verified' in entry['text']


@pytest.mark.parametrize('mech', ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN', 'LOGIN', 'CRAM-MD5'])
def test_ourselves_as_smarthost(make_lab, tmp_path, mech):
    """Two of ours: every mechanism that both know, with channel binding."""
    secret = tmp_path / 'secret'
    secret.write_text('secret\n')
    hub = make_lab(users=['alice@example.com', 'joe@example.org'], domains=['example.org'],
                   sets=['mechs=' + mech, 'hostname=hub.example.org'])
    lab = make_lab(sets=outward('smtp:127.0.0.1:%d' % hub.port(587), login='alice@example.com', secret_file=secret,
                                tls='must', mechs=mech.lower(), auth_cleartext='allow'))
    if mech == 'CRAM-MD5':
        hub.run('user', 'passwd', 'alice@example.com', '--recoverable', '--password-stdin', input='secret\n')
    lab.send(LETTER, 'joe@example.org', 'alice@example.com')
    wait_until(lambda: hub.count('joe@example.org') == 1, 30, 0.2)
    assert BODY in hub.only_letter('joe@example.org')
