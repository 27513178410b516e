"""pennypost send: one letter against our server, and against servers that behave badly."""
import email
import email.policy
import json
import os
import re
import socket
import subprocess
import threading

import pytest

import others
from nameserver import NameServer
from puppet import Puppet
from server import BINARY, SLOW, free_base


def send(*words, port=None, input=None, password='secret', timeout=30, env=None):
    where = ['127.0.0.1:%d' % port] if port else []
    return subprocess.run([BINARY, 'send', '--color=never', '--timeout', '5', *words, *where], input=input,
                          stdin=subprocess.DEVNULL if input is None else None, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout * SLOW,
                          env=dict(os.environ, PENNYPOST_PASSWORD=password, HOME='/nonexistent', **(env or {})))


def results(r):
    """{recipient: row} of --json."""
    rows = [json.loads(line) for line in r.stdout.decode().splitlines()]
    return {row['to']: row for row in rows if row['ev'] == 'recipient'}


# --- our server

def test_letter(make_lab, tmp_path):
    lab = make_lab()
    picture = tmp_path / 'ü "p".png'
    picture.write_bytes(bytes(range(256)) * 10)
    r = send('--from', 'Bob@example.net', '--to', 'alice@example.com,bob@example.com', '--subject', 'Grüße an Jörg',
             '--text', 'Hallo Wörld\n.dot\n..\n', '--attach', str(picture), '--header', 'X-Test: yes', port=lab.port())
    assert r.returncode == 0, r.stdout + r.stderr
    for who in ('alice', 'bob'):
        m = email.message_from_bytes(lab.only_letter(who + '@example.com'), policy=email.policy.default)
        assert m['Subject'] == 'Grüße an Jörg' and m['X-Test'] == 'yes' and m['Message-ID'] and m['Date']
        assert m.get_body(('plain',)).get_content().replace('\r\n', '\n') == 'Hallo Wörld\n.dot\n..\n'
        parts = list(m.iter_attachments())
        assert parts[0].get_content() == bytes(range(256)) * 10 and parts[0].get_content_type() == 'image/png'
        assert parts[0].get_filename() == 'ü "p".png'


@pytest.mark.parametrize('words', [[], ['--pipeline'], ['--chunking'], ['--chunking=7'], ['--pipeline', '--chunking=3'],
                                   ['--tls=never'], ['--segments=keystroke'], ['--max-rcpt', '1']])
def test_octets(make_lab, words):
    """What is sent as it is arrives as it is."""
    lab = make_lab()
    letter = b'From: a@example.net\r\nSubject: x\r\n\r\n.\r\n..\r\n.a\r\nno end'
    r = send('--from', 'a@example.net', '--to', 'alice@example.com', '--to', 'bob@example.com', '--data', '-',
             '--lint=off', *words, port=lab.port(), input=letter)
    assert r.returncode == 0, r.stdout + r.stderr
    for who in ('alice', 'bob'):
        assert lab.only_letter(who + '@example.com').split(b'\r\n\r\n', 1)[1].rstrip(b'\r\n') == b'.\r\n..\r\n.a\r\nno end'


def test_recipients(make_lab, tmp_path):
    lab = make_lab()
    names = tmp_path / 'names'
    names.write_text('# people\nalice@example.com\n\n<nobody@example.com>\n')
    r = send('--from', 'a@example.net', '--to', '@' + str(names), '--to', 'x@elsewhere.example', '--json', port=lab.port())
    assert r.returncode == 11
    rows = results(r)
    assert rows['alice@example.com']['result'] == 'sent' and rows['alice@example.com']['code'] == 250
    assert rows['nobody@example.com']['result'] == 'refused' and rows['nobody@example.com']['enh'] == '5.1.1'
    assert rows['x@elsewhere.example']['code'] == 550
    r = send('--from', 'a@example.net', '--to', 'nobody@example.com', port=lab.port())
    assert r.returncode == 10
    r = send('--from', 'a@example.net', '--to', 'alice@example.com', '--mail-param', 'NOSUCH=1', port=lab.port())
    assert r.returncode == 9


@pytest.mark.parametrize('mech', ['PLAIN', 'LOGIN', 'SCRAM-SHA-1', 'SCRAM-SHA-256', 'SCRAM-SHA-1-PLUS',
                                  'SCRAM-SHA-256-PLUS', ''])
@pytest.mark.parametrize('tls', ['must', 'implicit'])
def test_login(make_lab, mech, tls):
    lab = make_lab()
    port = lab.port(587 if tls == 'must' else 465)
    auth = '--auth=' + mech if mech else '--auth'
    for words in ([], ['--no-initial-response']):
        r = send(auth, '--user', 'alice@example.com', '--to', 'bob@example.com', '--insecure', '--tls=' + tls, *words,
                 port=port)
        assert r.returncode == 0, r.stdout + r.stderr
        assert b'secret' not in r.stdout + r.stderr
        r = send(auth, '--user', 'alice@example.com', '--to', 'bob@example.com', '--insecure', '--tls=' + tls, *words,
                 port=port, password='wrong')
        assert r.returncode == 8


@pytest.mark.parametrize('mech', ['CRAM-MD5', 'DIGEST-MD5', 'NTLM'])
def test_old_login(make_lab, mech):
    lab = make_lab(sets=['mechs=PLAIN CRAM-MD5 DIGEST-MD5 NTLM'])
    lab.run('user', 'add', 'carol@example.com', '--recoverable', '--password-stdin', input='secret\n')
    for password, status in (('secret', 0), ('wrong', 8)):
        r = send('--auth=' + mech, '--user', 'carol@example.com', '--to', 'bob@example.com', '--tls=must', '--insecure',
                 port=lab.port(587), password=password)
        assert r.returncode == status, r.stdout + r.stderr


def test_lmtp(make_lab):
    lab = make_lab()
    r = send('--proto', 'lmtp', '--null-sender', '--to', 'alice@example.com,nobody@example.com', '--json',
             port=lab.port(24))
    assert r.returncode == 11
    assert results(r)['alice@example.com']['result'] == 'sent'


def test_xclient(make_lab):
    """Whose session it is, told to a server that trusts us; one that does not gets no letter."""
    lab = make_lab(sets=['xclient_peers=127.0.0.0/8'])
    words = ['--from', 'a@example.net', '--to', 'alice@example.com', '--xclient', 'ADDR=192.0.2.7 NAME=mail.example.net']
    r = send(*words, port=lab.port())
    assert r.returncode == 0, r.stdout + r.stderr
    assert b'[192.0.2.7]' in lab.only_letter('alice@example.com')
    r = send(*words, port=make_lab().port())
    assert r.returncode == 7 and b'does not offer XCLIENT' in r.stderr


def test_stopping_at_recipients_tells_who_is_refused(make_lab):
    lab = make_lab()
    words = '--from', 'a@example.net', '--quit-after', 'rcpt', '--quiet', '--to'
    r = send(*words, 'alice@example.com,nobody@example.com', port=lab.port())
    assert r.returncode == 11 and b'the server takes 1 of 2 recipients' in r.stderr, r.stdout + r.stderr
    assert re.search(rb'^s: 550 5\.1\.1 <nobody@example\.com>', r.stdout, re.M), r.stdout
    assert send(*words, 'nobody@example.com', port=lab.port()).returncode == 10
    assert send(*words, 'alice@example.com', port=lab.port()).returncode == 0


@pytest.mark.parametrize('step, last', [('connect', None), ('greeting', None), ('ehlo', 'EHLO'), ('starttls', 'EHLO'),
                                        ('mail', 'MAIL'), ('rcpt', 'RCPT'), ('data', 'DATA')])
@pytest.mark.parametrize('how', ['--quit-after', '--drop-after'])
def test_stops(make_lab, how, step, last):
    lab = make_lab()
    r = send(how, step, '--from', 'a@example.net', '--to', 'alice@example.com', port=lab.port())
    assert r.returncode == 0, r.stdout + r.stderr
    sent = [line for line in r.stdout.decode().splitlines() if line.startswith('c: ')]
    if how == '--quit-after' and step != 'data':
        assert sent.pop() == 'c: QUIT'
    assert (sent[-1].split()[1] if sent else None) == last
    assert lab.count('alice@example.com') == 0


def test_lint(tmp_path, make_lab):
    lab = make_lab()
    letter = tmp_path / 'letter'
    letter.write_text('From: a@example.net\nDate: x\nMessage-ID: <x@x>\n\nContent-Type: text/html\n\n<p>\n')
    words = ['--from', 'a@example.net', '--to', 'alice@example.com', '--data', str(letter)]
    r = send(*words, '--lint=error', port=lab.port())
    assert r.returncode == 17 and b'line 5' in r.stdout + r.stderr
    assert b'Content-Type is after the blank line, so it is body text' in r.stdout + r.stderr
    assert lab.count('alice@example.com') == 0
    assert send(*words, port=lab.port()).returncode == 0


def test_usage(tmp_path):
    assert send('--from', 'a@b.example', port=1).returncode == 1
    assert send('--to', 'a@b.example', port=1).returncode == 1
    assert send('--from', 'a@b.example', '--to', 'a@b.example').returncode == 1
    assert send('--from', 'a@b.example', '--to', 'a@b.example', '--data', str(tmp_path / 'none'), port=1).returncode == 18
    assert send('--from', 'a@b.example', '--to', 'a@b.example', port=1).returncode == 3
    r = send('--form', 'a@b.example', port=1)
    assert r.returncode == 1 and b'--from' in r.stderr


# --- servers that behave badly

class Odd:
    """Plays a list: octets to send, a word to wait for, None to close, 'flood' to send without end."""

    def __init__(self, *play):
        self.play = play
        self.got = b''
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        s, _ = self.listener.accept()
        s.settimeout(20 * SLOW)
        try:
            for act in self.play:
                if act is None:
                    break
                if act == 'flood':
                    for _ in range(4000):
                        s.sendall(b'250-' + b'x' * 60000 + b'\r\n')
                elif isinstance(act, bytes):
                    s.sendall(act)
                else:
                    while act.encode() not in self.got:
                        piece = s.recv(65536)
                        if not piece:
                            return
                        self.got += piece
            if self.play and self.play[-1] is not None:
                while b'QUIT' not in (s.recv(65536) or b'QUIT'):
                    pass
        except OSError:
            pass
        finally:
            s.close()
            self.listener.close()


HI = [b'220 hi\r\n', 'EHLO', b'250-x\r\n250 SIZE\r\n', 'MAIL', b'250 ok\r\n', 'RCPT', b'250 ok\r\n']


@pytest.mark.parametrize('play, status', [
    ([None], 14),
    ([b'554 go away\r\n'], 6),
    ([b'421 busy\r\n', None], 6),
    ([b'HTTP/1.1 400 Bad Request\r\n\r\n', None], 6),
    ([b'220 hi\r\n', 'EHLO', None], 14),
    ([b'220 hi\r\n', 'EHLO', b'550 no\r\n', 'HELO', b'550 no\r\n'], 7),
    ([b'220 hi\r\n', 'EHLO', 'flood'], 14),
    ([b'220 ' + b'x' * 10000000 + b'\r\n', 'EHLO', b'451 no\r\n'], 7),
    ([b'220 \x1b]0;owned\x07\0hi\r\n', 'EHLO', b'451 no\r\n'], 7),
    (HI[:4] + [b'550 no\r\n'], 9),
    (HI[:4] + [b'421 no\r\n', None], 9),
    (HI[:6] + [b'550 no\r\n'], 10),
    (HI[:6] + [b'250-a\r\n', None], 14),
    (HI + ['DATA', b'554 no\r\n'], 12),
    (HI + ['DATA', b'354 go\r\n', '\r\n.\r\n', b'554 no\r\n'], 12),
    (HI + ['DATA', b'354 go\r\n', '\r\n.\r\n', None], 14),
    (HI + ['DATA', b'354 go\r\n', '\r\n.\r\n', b'250 ok\r\n', None], 0),
    (HI + ['DATA', b'354 go\r\n', '\r\n.\r\n', b'250 ok\r\n', 'QUIT', None], 0),
    (HI + ['DATA', b'354 go\r\n', '\r\n.\r\n'], 15),
])
def test_odd_servers(play, status):
    odd = Odd(*play)
    r = send('--from', 'a@example.net', '--to', 'b@example.com', '--tls=never', '--timeout', '2', port=odd.port)
    assert r.returncode == status, r.stdout[-2000:] + r.stderr
    assert b'\x1b' not in r.stdout and b'\0' not in r.stdout and b'\x07' not in r.stdout
    if status:
        assert r.stderr.startswith(b'pennypost: ')
        assert len(r.stderr.splitlines()) < 10


def test_silence_behind_the_letter():
    """Nobody knows (RFC 1047)."""
    odd = Odd(*HI, 'DATA', b'354 go\r\n', '\r\n.\r\n', 'never')
    r = send('--from', 'a@b.example', '--to', 'a@b.example', '--json', '--timeout', '1', port=odd.port)
    assert r.returncode == 15 and results(r)['a@b.example']['result'] == 'unknown', r.stdout + r.stderr


def test_starttls_refused():
    """K2-09."""
    hello = [b'220 hi\r\n', 'EHLO', b'250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n', 'STARTTLS', b'554 TLS not supported here\r\n']
    odd = Odd(*hello)
    assert send('--from', 'a@b.example', '--to', 'a@b.example', '--tls=must', port=odd.port).returncode == 5
    odd = Odd(*hello)
    r = send('--from', 'a@b.example', '--to', 'a@b.example', '--auth', '--user', 'joe', port=odd.port)
    assert r.returncode == 8 and b'--allow-cleartext' in r.stderr
    assert b'AUTH' not in odd.got
    odd = Odd(*hello, 'MAIL', b'250 ok\r\n', 'RCPT', b'250 ok\r\n', 'DATA', b'354 go\r\n', '\r\n.\r\n', b'250 ok\r\n')
    assert send('--from', 'a@b.example', '--to', 'a@b.example', port=odd.port).returncode == 0


def test_injection():
    """Octets in clear behind the answer to STARTTLS (CVE-2011-0411)."""
    odd = Odd(b'220 hi\r\n', 'EHLO', b'250-x\r\n250 STARTTLS\r\n', 'STARTTLS', b'220 go\r\n250 injected\r\n')
    r = send('--from', 'a@b.example', '--to', 'a@b.example', port=odd.port)
    assert r.returncode == 4


def test_clear_login_is_refused():
    odd = Odd(b'220 hi\r\n', 'EHLO', b'250-x\r\n250 AUTH PLAIN LOGIN\r\n')
    r = send('--to', 'a@b.example', '--auth', '--user', 'joe@b.example', port=odd.port)
    assert r.returncode == 8 and b'--allow-cleartext' in r.stderr
    odd = Odd(b'220 hi\r\n', 'EHLO', b'250-x\r\n250 AUTH PLAIN LOGIN\r\n', 'AUTH PLAIN', b'235 ok\r\n', *HI[3:],
              'DATA', b'354 go\r\n', '\r\n.\r\n', b'250 ok\r\n')
    r = send('--to', 'a@b.example', '--auth', '--user', 'joe@b.example', '--allow-cleartext', port=odd.port)
    assert r.returncode == 0, r.stdout + r.stderr
    assert b'secret' not in r.stdout and b'AGpvZU' in odd.got and b'AGpvZU' not in r.stdout
    odd = Odd(b'220 hi\r\n', 'EHLO', b'250 x\r\n', 'AUTH LOGIN', b'334 VXNlcm57uWU6\r\n', 'am9l', b'334 ??\r\n', 'c2VjcmV0',
              b'535 no\r\n')
    r = send('--to', 'a@b.example', '--auth=LOGIN', '--force-auth', '--user', 'joe@b.example', '--allow-cleartext', port=odd.port)
    assert r.returncode == 8


LOGIN = [b'220 hi\r\n', 'EHLO', b'250-x\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n']
LETTER = [*HI[3:], 'DATA', b'354 go\r\n', '\r\n.\r\n', b'250 ok\r\n']


@pytest.mark.parametrize('code, status', [(504, 0), (534, 0), (535, 8), (454, 8)])
def test_next_mechanism(code, status):
    """Refused for the mechanism: the next one of the list. Never behind a wrong password."""
    odd = Odd(*LOGIN, 'AUTH CRAM-MD5', b'%d no\r\n' % code, *([] if status else ['AUTH LOGIN', b'504 no\r\n', 'AUTH PLAIN',
                                                                             b'235 ok\r\n', *LETTER]))
    r = send('--to', 'a@b.example', '--auth=CRAM-MD5,LOGIN,PLAIN', '--user', 'joe@b.example', '--allow-cleartext', port=odd.port)
    assert r.returncode == status, r.stdout + r.stderr
    assert (b'AUTH LOGIN' in odd.got) == (status == 0)


def test_mechanisms_end():
    odd = Odd(*LOGIN, 'AUTH PLAIN', b'504 no\r\n')
    r = send('--to', 'a@b.example', '--auth=PLAIN', '--user', 'joe@b.example', '--allow-cleartext', port=odd.port)
    assert r.returncode == 8 and b'504' in r.stderr and odd.got.count(b'AUTH') == 1


def test_extensions():
    hello = [b'220 hi\r\n', 'EHLO', b'250-x\r\n250-MT-PRIORITY\r\n250 FUTURERELEASE\r\n']
    for words, said in ((['--priority=-3', '--hold', '3600'], b'> HOLDFOR=3600 MT-PRIORITY=-3\r\n'),
                        (['--hold=2026-11-22T07:30:00Z', '--no-size'], b'> HOLDUNTIL=2026-11-22T07:30:00Z\r\n')):
        odd = Odd(*hello, *LETTER)
        r = send('--from', 'a@b.example', '--to', 'a@b.example', *words, port=odd.port)
        assert r.returncode == 0 and said in odd.got, r.stdout + r.stderr + odd.got
    for words in (['--priority', '10'], ['--hold', 'tomorrow'], ['--hold', '0']):
        assert send('--from', 'a@b.example', '--to', 'a@b.example', *words, port=1).returncode == 1
    odd = Odd(*hello)
    r = send('--from', 'a@b.example', '--to', 'a@b.example', '--requiretls', port=odd.port)
    assert r.returncode == 12 and b'REQUIRETLS' in r.stderr


def test_unix_socket(tmp_path):
    """LMTP where mail servers on one machine have it."""
    path = str(tmp_path / 'lmtp')
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(1)
    odd = Odd.__new__(Odd)
    odd.play, odd.got, odd.listener = [b'220 hi\r\n', 'LHLO', b'250 x\r\n', *LETTER], b'', listener
    threading.Thread(target=odd.run, daemon=True).start()
    r = send('--from', 'a@b.example', '--to', 'a@b.example', 'unix:' + path)
    assert r.returncode == 0 and b'LHLO' in odd.got, r.stdout + r.stderr
    assert send('--from', 'a@b.example', '--to', 'a@b.example', 'unix:' + path).returncode == 3
    assert send('--from', 'a@b.example', '--to', 'a@b.example', 'unix:/' + 'x' * 200).returncode == 3


def test_next_mail_server():
    """RFC 5321 5.1: a host that says no at once is not the last one."""
    with Puppet('127.0.0.2', greeting='554 no mail here') as no, NameServer({
            ('example.com', 'MX'): ['10 a.example.com', '20 b.example.com'],
            ('a.example.com', 'A'): ['127.0.0.2'], ('b.example.com', 'A'): ['127.0.0.3']}) as names, \
            Puppet('127.0.0.3', no.port, DATA='354 go', DOT='250 ok') as other:
        r = send('--from', 'a@b.example', '--to', 'a@example.com', '--dns', names.address, '--mx', '--port', str(no.port))
    assert r.returncode == 0 and len(no.heard) == len(other.heard) == 1, r.stdout + r.stderr


def test_bounce_is_no_forgery():
    """A null sender differs from every From field."""
    odd = Odd(*HI, 'DATA', b'354 go\r\n', '\r\n.\r\n', b'250 ok\r\n')
    r = send('--null-sender', '--to', 'a@b.example', port=odd.port)
    assert r.returncode == 0 and b'differs' not in r.stdout + r.stderr


def test_temporary():
    odd = Odd(*HI[:6], b'451 later\r\n')
    assert send('--from', 'a@b.example', '--to', 'a@b.example', '--temp-exit', port=odd.port).returncode == 13


@pytest.mark.parametrize('dialect', ['exchange', 'postfix', 'sendmail', 'citadel', 'sendgrid', 'ironport', 'iis6', 'seed004'])
def test_dialects(make_lab, dialect):
    lab = make_lab(args=['--dialect', dialect])
    r = send('--from', 'a@example.net', '--to', 'alice@example.com', port=lab.port())
    assert r.returncode == 0, r.stdout + r.stderr
    assert lab.count('alice@example.com') == 1


def test_name_service_does_not_choose_who_gets_the_password():
    words = ['send', '--mx', '--to', 'a@b.example', '--auth', '--user', 'joe@b.example']
    r = subprocess.run([BINARY, *words], capture_output=True, text=True)
    assert r.returncode == 1 and '--verify-name' in r.stderr
    r = subprocess.run([BINARY, *words[:-1], 'joe\r\nRSET'], capture_output=True, text=True)
    assert r.returncode == 1 and 'control characters' in r.stderr


# --- other people's servers

@pytest.mark.parametrize('peer', ['exim', 'postfix', 'opensmtpd'])
def test_peers(peer):
    """Of Debian's packages; OpenSMTPD's TLS is broken there (others.py)."""
    if not others.there(peer) or not others.namespaces():
        pytest.skip('no ' + peer)
    tls = ['--tls=never'] if peer == 'opensmtpd' else ['--insecure']
    base, guard = free_base()
    port = base + 25
    with guard, getattr(others, peer)(*[port, base + 465][:1 + (peer == 'opensmtpd')]):
        r = send('--from', 'ann@example.net', '--to', 'joe@example.org', *tls, port=port, timeout=60)
        assert r.returncode == 0, r.stdout + r.stderr
        r = send('--from', 'ann@example.net', '--to', 'joe@example.org,joe@elsewhere.example', '--pipeline', *tls, port=port,
                 timeout=60)
        assert r.returncode == 11, r.stdout + r.stderr
        if peer == 'exim':  # the only one of them that knows its users
            r = send('--from', 'joe@example.org', '--to', 'x@elsewhere.example', '--quit-after', 'rcpt', '--auth', '--user',
                     others.USER, *tls, port=port, timeout=60, password=others.PASSWORD)
            assert r.returncode == 0, r.stdout + r.stderr
