"""`pennypost talk` with IMAP and ManageSieve servers: the lab, Dovecot, and servers that mean harm."""
import os
import re
import socket
import subprocess
import threading

import pytest

import dovecot
from server import BINARY, SLOW
from talking import Server, Talk, environment, piped

OK = '* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n'
LETTER = ('From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\nTo: bob@example.com\n'
          'Subject: =?utf-8?B?w6TDtsO8IOKCrA==?= =?iso-8859-1?Q?_caf=E9?=\nMIME-Version: 1.0\n'
          'Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=iso-8859-15\n'
          'Content-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe: 5 =A4\nescape: =1B[31m red\n'
          '--b\nContent-Type: application/pdf; name="plan.pdf"\nContent-Disposition: attachment; filename="plan.pdf"\n'
          'Content-Transfer-Encoding: base64\n\nJVBERi0xLjQK\n--b--\n')


def imap(tmp_path, text, port, *args, **env):
    return piped(tmp_path, text, '--proto', 'imap', '--insecure', *args, '127.0.0.1', port, **env)


def imap_server(*turns, **more):
    more.setdefault('greeting', OK)
    return Server(*turns, **more)


# --- the lab

def test_session(shared, tmp_path):
    out, err, status = imap(tmp_path, 'starttls\nlogin alice@example.com secret\nselect INBOX\nx7 noop\nlogout\n',
                            shared.port(143))
    assert status == 0, out + err
    assert 'c: a001 starttls\n' in out and re.search(r'^#  TLSv1\.3, ', out, re.M)
    assert 'c: a002 CAPABILITY\n' in out  # K2-26: asked again by itself
    assert 'c: a003 login alice@example.com <password hidden>\n' in out and 'secret' not in out
    assert 'c: x7 noop\ns: x7 OK' in out  # a tag of one's own
    assert re.search(r'c: a\d+ logout\ns: \* BYE', out)  # K2-28


def test_login_is_not_sent_where_it_is_forbidden(shared, tmp_path):
    out, err, status = imap(tmp_path, 'login alice@example.com secret\nlogout\n', shared.port(143))
    assert 'LOGINDISABLED): nothing was sent' in out and 'c: a001 login' not in out
    assert 'c: a001 logout' in out and status == 8


@pytest.mark.parametrize('mech', ('', '=SCRAM-SHA-256', '=SCRAM-SHA-1-PLUS', '=PLAIN', '=LOGIN'))
def test_auth(shared, tmp_path, mech):
    out, err, status = imap(tmp_path, 'select INBOX\nlogout\n', shared.port(143), '--tls=must', '--auth' + mech,
                            '--user', 'alice@example.com', PENNYPOST_PASSWORD='secret')
    assert status == 0, out + err
    assert 'AUTHENTICATE ' + (mech[1:] or 'SCRAM-SHA-256-PLUS') in out
    assert 'SELECT completed' in out and 'secret' not in out and 'AGFsaWNl' not in out


def test_auth_with_a_wrong_password(shared, tmp_path):
    out, err, status = imap(tmp_path, 'logout\n', shared.port(993), '--tls=implicit', '--auth', '--user',
                            'alice@example.com', PENNYPOST_PASSWORD='wrong')
    assert status == 8, out + err


def test_letters(shared, tmp_path):
    path = tmp_path / 'letter.eml'
    path.write_text(LETTER)
    text = '/append INBOX %s\n/select INBOX\n/letters\n/structure 1\n/read 1\n/mailboxes\n/status\n' \
        'store 1 +flags (\\deleted)\nexpunge\nlogout\n' % path
    out, err, status = imap(tmp_path, text, shared.port(993), '--tls=implicit', '--auth', '--user', 'bob@example.com',
                            PENNYPOST_PASSWORD='secret')
    assert status == 0, out + err
    assert re.search(r'APPEND INBOX \(\\Seen\) \{%d\+\}' % len(LETTER.replace('\n', '\r\n')), out)
    assert 'From       Jürgen <j@example.com>' in out and 'Subject    äöü € café' in out
    assert re.search(r'^ +1 +text/plain  iso-8859-15  quoted-printable ', out, re.M)
    assert 'Grüße: 5 €\nescape: \\x1b[31m red\n' in out
    assert '\x1b' not in out
    assert re.search(r'^Drafts +\(.*\\Drafts\)', out, re.M) and 'INBOX: MESSAGES 1, ' in out
    assert 's: * 1 FETCH (BODY' not in out and 's: * LIST' not in out  # tables in their place


def test_literals_by_hand(shared, tmp_path):
    text = 'append INBOX {16}\nSubject: hello\n\nappend INBOX {18+}\nSubject: hello\n\n\nlogout\n'
    out, err, status = imap(tmp_path, text, shared.port(993), '--tls=implicit', '--auth', '--user',
                            'alice@example.com', PENNYPOST_PASSWORD='secret')
    assert status == 0, out + err
    assert len(re.findall(r'OK \[APPENDUID \d+ \d+\]', out)) == 2, out


def test_compress(shared, tmp_path):
    out, err, status = imap(tmp_path, 'compress deflate\nlist "" *\nselect INBOX\nlogout\n', shared.port(993),
                            '--tls=implicit', '--auth', '--user', 'alice@example.com', PENNYPOST_PASSWORD='secret')
    assert status == 0, out + err
    assert 'Both directions are compressed' in out and 's: * LIST' in out and 'SELECT completed' in out


def test_on_a_terminal(shared, tmp_path):
    with Talk(tmp_path, '--proto', 'imap', '--insecure', '--tls=must', '127.0.0.1', shared.port(143)) as t:
        t.see('imap(tls) > ').type('login alice@example.com')
        t.see('Password for alice@example.com: ').type('secret')
        t.see('imap(tls,auth) > ').type('/select')
        t.see('imap(tls,auth) INBOX ').type('/idle')
        t.see('Any key ends it').see('idle > ')
        shared.send('Subject: news\r\n\r\nhi\r\n')
        t.see('EXISTS').type('')
        t.see('IDLE completed').type('/caps')
        t.see('COMPRESS=DEFLATE').see('RFC 4978').type('logout')
        assert t.status() == 0
        assert 'secret' not in t.screen()


# --- Dovecot, already logged in

@pytest.mark.skipif(not dovecot.there(), reason='no build/peers/dovecot')
def test_dovecot(tmp_path):
    peer = dovecot.Dovecot()
    listener = socket.socket()
    listener.bind(('127.0.0.1', 0))
    listener.listen(1)

    def serve():
        conn, _ = listener.accept()
        process = peer.connect()  # which has read the greeting
        conn.sendall(b'* PREAUTH ready\r\n')
        threading.Thread(target=pump, args=(lambda: conn.recv(65536), process.write), daemon=True).start()
        pump(process.read, conn.sendall)
        conn.close()
        process.close()

    def pump(take, give):
        try:
            while True:
                octets = take()
                if not octets:
                    return
                give(octets)
        except (OSError, ValueError):
            pass

    try:
        threading.Thread(target=serve, daemon=True).start()
        path = tmp_path / 'letter.eml'
        path.write_text(LETTER)
        text = 'create "Entw&APw-rfe"\n/mailboxes\n/append INBOX %s\n/select\n/letters\n/structure 1\n/read 1\n' \
            'search subject caf\nlogout\n' % path
        out, err, status = imap(tmp_path, text, listener.getsockname()[1])
        assert status == 0, out + err
        assert '* PREAUTH' in out and re.search(r'^Entwürfe', out, re.M)
        assert 'Subject    äöü € café' in out and 'Grüße: 5 €' in out and 'application/pdf' in out
    finally:
        peer.close()
        listener.close()


# --- servers that mean harm

def test_nothing_reaches_the_terminal(tmp_path):
    evil = ('* LIST () "/" "\x1b]0;owned\x07box"\r\n* 1 FETCH (ENVELOPE ("d" "=?utf-8?q?=1b[2J=9b31m?=" NIL NIL NIL '
            'NIL NIL NIL NIL NIL))\r\na001 OK \x1b[31mred\r\n')
    s = imap_server(('a001', evil), ('a002', '* BYE\r\na002 OK\r\n'))
    out, err, status = imap(tmp_path, '/pretty on\nnoop\nlogout\n', s.port)
    assert '\x1b' not in out and '\x07' not in out and '\\x1b' in out, out


def rss(pid):
    with open('/proc/%d/status' % pid) as f:
        return int(re.search(r'VmHWM:\s+(\d+)', f.read()).group(1)) * 1024


@pytest.mark.parametrize('head,piece', (
    ('* 1 FETCH (BODY[] {100000000000000}\r\n', 'x' * 65536),
    ('* X ', '(' * 65536),
    ('* OK ', 'y' * 65536),
    ('', '* 1 EXISTS\r\n' * 5000),
), ids=('literal', 'list', 'line', 'lines'))
def test_answers_without_end(tmp_path, head, piece):
    """They cost neither memory nor the way out."""
    stop, flooded = threading.Event(), threading.Event()

    def flood(conn):
        conn.sendall(head.encode())
        for _ in range(400 // SLOW):
            if stop.is_set():
                break
            conn.sendall(piece.encode())
        flooded.set()
        stop.wait(60 * SLOW)
    s = imap_server(('a001', flood))
    with open(os.devnull, 'w') as null:
        p = subprocess.Popen([BINARY, 'talk', '--proto', 'imap', '127.0.0.1', str(s.port)], stdin=subprocess.PIPE,
                             stdout=null, stderr=null, env=environment(tmp_path))
        p.stdin.write(b'noop\n')
        p.stdin.flush()
        assert flooded.wait(30 * SLOW)
        used = rss(p.pid)
        stop.set()
        p.terminate()
        p.stdin.close()
        assert p.wait(10 * SLOW) is not None
    assert SLOW > 1 or used < 64 << 20, used  # sanitizers keep what was freed


def test_deep_lists_are_shown_all_the_same(tmp_path):
    s = imap_server(('a001', '* 1 FETCH (BODYSTRUCTURE ' + '(' * 100000 + ')' * 100000 + ')\r\na001 OK\r\n'),
                    ('a002', '* BYE\r\na002 OK\r\n'))
    out, err, status = imap(tmp_path, '/pretty on\nfetch 1 bodystructure\nlogout\n', s.port)
    assert status == 0 and 'there was more than is kept' in out


def test_no_imap_at_all(tmp_path):
    s = Server(greeting='SSH-2.0-OpenSSH_9.2\r\n', close=False)
    out, err, status = imap(tmp_path, '', s.port)
    assert 'no greeting of IMAP' in out


def test_tls_must_be_though_typing_is_strict(tmp_path):
    s = Server(('a001 CAPABILITY', '* CAPABILITY IMAP4rev1 STARTTLS\r\na001 OK\r\n'), ('a002 STARTTLS', 'a002 NO\r\n'),
               greeting='* OK hi\r\n')
    out, err, status = piped(tmp_path, 'a1 noop\n', '--proto', 'imap', '--strict-typing', '--tls=must', '127.0.0.1', s.port)
    assert status == 5 and len(s.lines()) == 2, out + err


def test_starttls_refused(tmp_path):
    s = imap_server(('a001', 'a001 NO not here\r\n'), close=False)
    out, err, status = imap(tmp_path, '', s.port, '--tls=must')
    assert status == 5


def test_a_password_in_clear_is_not_sent_unasked(tmp_path):
    s = imap_server(('a001', '* BYE\r\na001 OK\r\n'))
    out, err, status = imap(tmp_path, 'login joe password\nlogout\n', s.port)
    assert s.lines() == ['a001 logout']
    s = imap_server(('a001', 'a001 OK [CAPABILITY IMAP4rev1] in\r\n'), ('a002', '* BYE\r\na002 OK\r\n'))
    out, err, status = imap(tmp_path, 'login joe password\nlogout\n', s.port, '--allow-cleartext')
    assert s.lines()[0] == 'a001 login joe password' and 'joe <password hidden>' in out


# --- ManageSieve

GREETING = '"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\nOK "hello"\r\n'


def test_sieve(tmp_path):
    script = tmp_path / 'my.sieve'
    script.write_text('keep;\n')
    s = Server(('AUTHENTICATE "PLAIN" "AGpvZQBwYXNz"', 'OK "in"\r\n'), ('LISTSCRIPTS', '"a" ACTIVE\r\nOK\r\n'),
               (r'PUTSCRIPT "my" \{6\+\}', ''), ('keep', ''), ('^$', 'OK\r\n'),
               ('GETSCRIPT "my"', '{6}\r\nkeep;\n\r\nOK\r\n'), ('SETACTIVE "my"', 'NO (NONEXISTENT) "no"\r\n'),
               ('LOGOUT', 'OK "bye"\r\n'), greeting=GREETING)
    out, err, status = piped(tmp_path, '/scripts\n/put my %s\n/get my\n/activate my\nLOGOUT\n' % script, '--proto',
                             'sieve', '--allow-cleartext', '--auth', '--user', 'joe', '127.0.0.1', s.port,
                             PENNYPOST_PASSWORD='pass')
    assert status == 0, out + err
    assert 's: "a" ACTIVE' in out and 's: keep;' in out and 'AGpvZQBwYXNz' not in out
