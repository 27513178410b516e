"""`pennypost talk`: conversations by hand, on a terminal and from a pipe."""
import os
import re
import socket
import stat
import subprocess

import pytest

from server import BINARY, SLOW
from talking import Server, Talk, environment, piped

EHLO = ('ehlo', '250-mail.example.com Hello\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n')
MAIL = ('mail', '250 2.1.0 Sender ok\r\n')
RCPT = ('rcpt', '250 2.1.5 Recipient ok\r\n')
DATA = ('data', '354 go ahead\r\n')
DOT = (r'\.$', '250 2.0.0 accepted\r\n')
QUIT = ('quit', '221 bye\r\n')


# --- from a pipe

def test_pipe_as_with_telnet(tmp_path):
    s = Server(EHLO, QUIT)
    out, err, status = piped(tmp_path, 'ehlo me.example.com\nquit\n', '127.0.0.1', s.port)
    assert status == 0, err
    assert 'Trying 127.0.0.1...\n' in out
    assert "Escape character is '^]'.\n" in out
    assert 's: 220 mail.example.com ESMTP\nc: ehlo me.example.com\ns: 250-mail.example.com Hello\n' in out
    assert out.count('Connection closed by foreign host.\n') == 1
    assert '\x1b' not in out
    assert s.lines() == ['ehlo me.example.com', 'quit']


def test_pipe_waits_for_each_answer(tmp_path):
    out, err, status = piped(tmp_path, 'ehlo x\nmail from:<a>\nrcpt to:<b>\nquit\n', '127.0.0.1',
                             Server(EHLO, MAIL, RCPT, QUIT).port)
    assert re.findall(r'^[cs]: (\S+)', out, re.M) == ['220', 'ehlo', '250-mail.example.com', '250-SIZE', '250-STARTTLS',
                                                     '250-AUTH', '250', 'mail', '250', 'rcpt', '250', 'quit', '221']


def test_pipe_that_ends_closes(tmp_path):
    s = Server(EHLO, close=False)
    out, err, status = piped(tmp_path, 'ehlo x', '127.0.0.1', s.port)
    assert status == 0 and s.lines() == ['ehlo x']


def test_pipeline(tmp_path):
    seen = []

    def answer(conn):
        seen.append(len(s.got))
        conn.sendall(b'250 a\r\n250 b\r\n550 no\r\n')
    s = Server(('rcpt to:<c>', answer), QUIT)
    out, err, status = piped(tmp_path, 'mail from:<a>\nrcpt to:<b>\nrcpt to:<c>\nquit\n', '--pipeline', '127.0.0.1',
                             s.port)
    assert seen == [3] and status == 11, out


@pytest.mark.parametrize('turns,text,status', [
    ([('ehlo', '500 what\r\n'), QUIT], 'ehlo x\nquit\n', 7),
    ([('ehlo', '500 what\r\n'), ('helo', '250 ok\r\n'), QUIT], 'ehlo x\nhelo x\nquit\n', 0),
    ([('mail', '550 no\r\n'), QUIT], 'mail from:<a>\nquit\n', 9),
    ([MAIL, ('rcpt', '550 no\r\n'), QUIT], 'mail from:<a>\nrcpt to:<b>\nquit\n', 10),
    ([MAIL, RCPT, ('rcpt', '550 no\r\n'), QUIT], 'mail from:<a>\nrcpt to:<b>\nrcpt to:<c>\nquit\n', 11),
    ([MAIL, RCPT, DATA, (r'\.$', '554 no\r\n'), QUIT], 'mail from:<a>\nrcpt to:<b>\ndata\nx\n.\nquit\n', 12),
    ([('mail', '')], 'mail from:<a>\nquit\n', 14),
    ([('auth plain', '535 no\r\n'), QUIT], 'auth plain AGEAYg==\nquit\n', 8),
])
def test_exit_status(tmp_path, turns, text, status):
    args = ['--allow-cleartext'] if 'auth' in text else []
    out, err, got = piped(tmp_path, text, *args, '127.0.0.1', Server(*turns).port)
    assert got == status, out + err


def test_exit_status_of_the_greeting_and_the_connection(tmp_path):
    assert piped(tmp_path, 'quit\n', '127.0.0.1', Server(greeting='554 no\r\n').port)[2] == 6
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    assert piped(tmp_path, '', '127.0.0.1', s.getsockname()[1])[2] == 3
    assert piped(tmp_path, '', '--timeout', '1', '127.0.0.1', Server(greeting='', close=False).port)[2] in (0, 15)
    out, err, status = piped(tmp_path, 'noop\n', '--timeout', '1', '127.0.0.1', Server(('noop', ''), close=False).port)
    assert status == 15 and 'did not answer' in err + out


def test_no_server_named(tmp_path):
    out, err, status = piped(tmp_path, '')
    assert status == 1
    s = Server(QUIT)
    out, err, status = piped(tmp_path, 'quit\n', REMOTE_SRV='127.0.0.1:%d' % s.port)
    assert status == 0, err


def test_dots_are_doubled(tmp_path):
    s = Server(MAIL, RCPT, DATA, DOT, QUIT)
    piped(tmp_path, 'mail from:<a>\nrcpt to:<b>\ndata\n.x\n. \n..\ntext\n.\nquit\n', '127.0.0.1', s.port)
    assert s.lines()[2:] == ['data', '..x', '.. ', '...', 'text', '.', 'quit']


def test_strict_typing_sends_what_is_typed(tmp_path):
    s = Server(('mail', '250 ok\r\n'), ('rcpt', '250 ok\r\n'), DATA, DOT, ('/quit', '500 what\r\n'), QUIT)
    piped(tmp_path, 'mail from a\nrcpt b\ndata\n. \n.x\n.\n/quit\nquit\n', '--strict-typing', '127.0.0.1', s.port)
    assert s.lines() == ['mail from a', 'rcpt b', 'data', '. ', '.x', '.', '/quit', 'quit']


def test_password_in_clear_is_refused(tmp_path):
    s = Server(EHLO, close=False)
    out, err, status = piped(tmp_path, 'ehlo x\nauth login\ndXNlcg==\ncGFzcw==\nquit\n', '127.0.0.1', s.port)
    assert status == 8 and '--allow-cleartext' in out + err
    assert s.lines() == ['ehlo x']


def test_typed_login_is_masked(tmp_path):
    s = Server(('auth', '334 VXNlcm5hbWU6\r\n'), ('.*', '334 UGFzc3dvcmQ6\r\n'), ('.*', '235 ok\r\n'), QUIT)
    log = tmp_path / 'log'
    out, err, status = piped(tmp_path, 'auth login\ndXNlcm5hbWU=\ncGFzc3dvcmQ=\nquit\n', '--allow-cleartext',
                             '--transcript', log, '127.0.0.1', s.port)
    assert status == 0
    assert s.lines() == ['auth login', 'dXNlcm5hbWU=', 'cGFzc3dvcmQ=', 'quit']
    assert 'c: <user name, base64>\n' in out and 'c: <password hidden>\n' in out
    assert 'asks: Username:' in out
    for text in (out, log.read_text()):
        assert 'cGFzc3dvcmQ=' not in text and 'dXNlcm5hbWU=' not in text


def test_login_by_itself(tmp_path):
    s = Server(EHLO, ('auth plain AHVzZXIAcGFzcw==$', '235 ok\r\n'), QUIT)
    (tmp_path / 'pw').write_text('pass\n')
    out, err, status = piped(tmp_path, 'quit\n', '--auth=PLAIN', '--user', 'user', '--password-file', tmp_path / 'pw',
                             '--tls=never', '--allow-cleartext', '127.0.0.1', s.port)
    assert status == 0, out + err
    assert 'AHVzZXIAcGFzcw' not in out and 'c: AUTH PLAIN <' in out


def test_starttls_refused(tmp_path):
    s = Server(EHLO, ('starttls', '554 TLS not supported here\r\n'), close=False)
    out, err, status = piped(tmp_path, '', '-connect', '127.0.0.1:%d' % s.port, '-starttls', 'smtp', '-crlf')
    assert status == 5
    assert 'TLS was advertised and refused.' in out
    assert '--tls=must (implied by -starttls) stops here.' in out + err


def test_second_recipient_adds(tmp_path):
    out, _, _ = piped(tmp_path, 'mail from:<a>\nrcpt to:<b>\nrcpt to:<c>\nquit\n', '127.0.0.1',
                      Server(MAIL, RCPT, RCPT, QUIT).port)
    assert '#  2 recipients now: RCPT adds, it does not replace.' in out


def test_local_commands_in_a_pipe(tmp_path):
    s = Server(EHLO, MAIL, RCPT, ('noop', '250 ok\r\n'), QUIT)
    out, err, status = piped(tmp_path, 'ehlo x\n/caps\n/from a@example.com\n/to b@example.com\n/raw "NOOP\\r\\n"\n'
                             '/explain 550 5.1.1 no such user\n/nonsense\n/save %s\nquit\n' % (tmp_path / 'saved'),
                             '127.0.0.1', s.port)
    assert 'logins, by these mechanisms' in out
    assert s.lines() == ['ehlo x', 'MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.com>', 'NOOP', 'quit']
    assert 'meaning' in out and 'There is no /nonsense' in out
    assert 's: 250 8BITMIME' in (tmp_path / 'saved').read_text() or '250 8BITMIME' in (tmp_path / 'saved').read_text()


def test_send_file(tmp_path):
    (tmp_path / 'letter').write_text('Subject: x\n\n.dot\nend')
    s = Server(MAIL, RCPT, DATA, DOT, QUIT)
    out, err, status = piped(tmp_path, 'mail a\nrcpt b\n/send %s\nquit\n' % (tmp_path / 'letter'), '127.0.0.1', s.port)
    assert s.lines()[2:] == ['DATA', 'Subject: x', '', '..dot', 'end', '.', 'quit'], out


def test_bdat(tmp_path):
    s = Server(MAIL, RCPT, ('bdat 5 last', ''), ('abc', '250 ok\r\n'), QUIT)
    out, err, status = piped(tmp_path, 'mail a\nrcpt b\nbdat 5 last\nabc\nquit\n', '127.0.0.1', s.port)
    assert s.lines()[2:] == ['bdat 5 last', 'abc', 'quit'], out
    s = Server(MAIL, RCPT, ('bdat 9 last', ''), ('y', '250 ok\r\n'), QUIT)
    out, err, status = piped(tmp_path, 'mail a\nrcpt b\nbdat\n.x..\ny\n.\nquit\n', '127.0.0.1', s.port)
    assert s.lines()[2:] == ['BDAT 9 LAST', '.x..', 'y', 'quit'], out


def test_lint(tmp_path):
    text = 'mail from:<a@b>\nrcpt to:<b@b>\ndata\nSubject: x\n\nContent-Type: text/html\n\n<b>\n.\nquit\n'
    s = Server(MAIL, RCPT, DATA, DOT, QUIT)
    out, err, status = piped(tmp_path, text, '127.0.0.1', s.port)
    assert status == 0 and re.search(r'#  Line 3: .*body', out), out
    s = Server(MAIL, RCPT, DATA, DOT, QUIT)
    out, err, status = piped(tmp_path, text, '--lint', 'off', '127.0.0.1', s.port)
    assert status == 0 and 'Line 3' not in out


def test_raw(tmp_path):
    s = Server(('GET /', 'HTTP/1.0 200 OK\r\n\r\nhello\n'), greeting='')
    out, err, status = piped(tmp_path, 'GET / HTTP/1.0\n\n', '--proto', 'raw', '127.0.0.1', s.port)
    assert status == 0 and 's: hello' in out, out + err


def test_json(tmp_path):
    import json
    out, err, status = piped(tmp_path, 'ehlo x\nquit\n', '--json', '127.0.0.1', Server(EHLO, QUIT).port)
    events = [json.loads(line) for line in out.splitlines()]
    assert [e['code'] for e in events if e['ev'] == 'reply'] == [220, 250, 221]


def test_print_manual(tmp_path):
    s = Server(EHLO, QUIT)
    out, err, status = piped(tmp_path, 'ehlo x\nquit\n', '--print-manual', '127.0.0.1', s.port)
    assert out.endswith('# By hand, with other programs:\ntelnet 127.0.0.1 %d\nehlo x\nquit\n' % s.port), out


# --- what servers may do

@pytest.mark.parametrize('say', [b'250 ' + b'x' * 10_000_000 + b'\r\n', b'250 \0\0\x1b[2J\x9b31m\xff\xfe ok\r\n',
                                 b'250-more\r\n' * 100_000 + b'250 end\r\n', b'250 ok\n', b'250\r\n',
                                 b'rubbish\r\n250 ok\r\n', b'250-a\r\n550 b\r\n'],
                         ids=['long', 'controls', 'endless', 'lf', 'bare', 'rubbish', 'mixed'])
def test_odd_replies(tmp_path, say):
    s = Server(('noop', lambda c: c.sendall(say)), QUIT)
    out, err, status = piped(tmp_path, 'noop\nquit\n', '127.0.0.1', s.port)
    assert status in (0, 12) and s.lines() == ['noop', 'quit'], err
    assert not re.search('[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]', out)


def test_flood_at_a_terminal_can_be_left(tmp_path):
    def flood(conn):
        while True:
            conn.sendall(b'250-on and on\r\n' * 1000)
    with Talk(tmp_path, '127.0.0.1', Server(greeting=flood).port) as t:
        t.see('on and on').keys('\x03')
        t.see('^C').keys('\x03')
        assert t.status() == 130


# --- on a terminal

def test_terminal_letter(tmp_path):
    s = Server(EHLO, MAIL, RCPT, RCPT, DATA, DOT, QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220 mail.example.com ESMTP').see('smtp > ').type('ehlo me')
        t.see('250 8BITMIME').see('smtp(ehlo) > ').type('mail from a@example.com')
        t.see('c: MAIL FROM:<a@example.com>').see('Sender ok').see('smtp(ehlo) mail:1 > ').type('rcpt b@example.com')
        t.see('rcpt:1 > ').type('rcpt c@example.com').see('RCPT adds').see('rcpt:2 > ').type('data')
        t.see('. to end > ').type('Subject: hello').see('. to end > ').type('').type('.x').see('dot is doubled')
        t.see('. to end > ').type('. ').see('(yes/no)').type('no').see('Kept as a line')
        t.type('~p').see('4 lines').type('~~x').type('/not local').type('.')
        t.see('2.0.0 accepted').see('smtp(ehlo) > ').type('quit').see('Connection closed by foreign host.')
        assert t.status() == 0
    assert s.lines()[4:] == ['data', 'Subject: hello', '', '..x', '.. ', '~x', '/not local', '.', 'quit']


def test_terminal_shows_each_line_once(tmp_path):
    with Talk(tmp_path, '127.0.0.1', Server(EHLO, QUIT).port, NO_COLOR='1') as t:
        t.see('220').type('ehlo me').see('8BITMIME').type('quit').see('closed')
        t.status()
        assert 'c: ehlo me' in t.screen()


def test_colours(tmp_path):
    with Talk(tmp_path, '127.0.0.1', Server(QUIT).port) as t:
        t.see('220').type('quit').see('closed').status()
        assert re.search('\x1b\\[[0-9]*1ms: 220', t.text)
    with Talk(tmp_path, '127.0.0.1', Server(QUIT).port, NO_COLOR='1') as t:
        t.see('220').type('quit').see('closed').status()
        assert '\x1b[91m' not in t.text and '\x1b[31m' not in t.text


def test_type_ahead_waits(tmp_path):
    import time

    def slowly(conn):
        time.sleep(0.5)
        assert s.got == [b'noop\r\n']
        conn.sendall(b'250 ok\r\n')
    s = Server(('noop', slowly), ('rset', '250 reset\r\n'), QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('noop').type('rset').see('250 ok').see('250 reset').type('quit')
        assert t.status() == 0
    assert s.lines() == ['noop', 'rset', 'quit']


def test_lines_of_the_server_while_one_types(tmp_path):
    import time

    def talks(conn):
        conn.sendall(b'220 hi\r\n')
        time.sleep(1)
        conn.sendall(b'421 too slow\r\n')
    with Talk(tmp_path, '127.0.0.1', Server(greeting=talks).port) as t:
        t.see('220 hi').see('> ').keys('mail fr').see('mail fr').see('421 too slow').see('closed by foreign host')
        t.status()


def test_password_asked_for_and_hidden(tmp_path):
    s = Server(EHLO, ('auth plain', '235 ok\r\n'), QUIT)
    with Talk(tmp_path, '--allow-cleartext', '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('ehlo x').see('smtp(ehlo) > ').type('auth').see('User name: ').type('user')
        t.see('Password').see(': ').type('geheim').see('c: AUTH PLAIN <').see('235 ok').see('smtp(ehlo,auth) > ')
        t.type('quit')
        assert t.status() == 0
        assert 'geheim' not in t.text and 'AHVzZXIAZ2VoZWlt' not in t.text
    assert s.lines()[1] == 'AUTH PLAIN AHVzZXIAZ2VoZWlt'
    kept = (tmp_path / 'state/pennypost/history/127.0.0.1').read_text()
    assert kept == 'ehlo x\nquit\n'


@pytest.mark.parametrize('answer,sent', [('no', 1), ('yes', 2)])
def test_clear_login_asks(tmp_path, answer, sent):
    s = Server(EHLO, ('auth plain|quit', '235 ok\r\n'), close=False)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('ehlo x').see('smtp(ehlo) > ').type('AUTH PLAIN AGEAYg==')
        t.see('in clear').see('yes to send it: ').type(answer)
        t.see('Not sent.' if answer == 'no' else '235 ok').type('/quit')
        t.status()
    assert len(s.lines()) == sent


def test_unverified_login_asks(tmp_path, lab):
    with Talk(tmp_path, '127.0.0.1', lab.port(587)) as t:
        t.see('220').see('> ').type('ehlo me').see('smtp(ehlo) > ').type('starttls').see('NOT VERIFIED').see('smtp(tls) > ')
        t.type('ehlo me').see('smtp(ehlo,tls) > ').type('auth plain AGEAYg==')
        t.see('was not verified').see('Type yes to send').type('no').see('Not sent.').see('> ').type('quit').status()
    text = 'ehlo me\nstarttls\nehlo me\nauth plain AGEAYg==\nquit\n'
    out, err, status = piped(tmp_path, text, '127.0.0.1', lab.port(587))
    assert status == 8 and 'not verified' in err and 'c: auth' not in out.lower()


def test_question_whose_time_has_passed(tmp_path):
    s = Server(EHLO, close=False)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('ehlo x').see('smtp(ehlo) > ').type('AUTH PLAIN AGEAYg==').see('yes to send it: ')
        t.keys('\x1d').see('pennypost> ').type('auth plain joe').see('Not sent.').see('yes to send it: ')
        t.keys('\x1d').see('pennypost> ').type('close').see('Not sent.').see('closed > ').type('yes').type('/quit')
        assert t.status() in (0, 14)
    assert s.lines() == ['ehlo x']


def test_password_at_the_wrong_prompt_is_not_kept(tmp_path):
    no = ('.*', '500 what?\r\n')
    s = Server(EHLO, ('auth', '535 no\r\n'), no, no, ('noop', '250 ok\r\n'), QUIT)
    with Talk(tmp_path, '--allow-cleartext', '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('ehlo x').see('8BITMIME').see('> ').type('auth plain AGEAYg==').see('535').see('> ')
        t.type('c2VjcmV0cGFzcw==').see('500').see('> ').type('geheime worte').see('500').see('> ')
        t.type('noop x').see('250 ok').see('> ').type('quit').status()
    assert (tmp_path / 'state/pennypost/history/127.0.0.1').read_text() == 'ehlo x\nnoop x\nquit\n'


# --- what comes from strangers

def test_letter_in_a_pipe_that_is_refused(tmp_path):
    """Its lines go to the server as they would by telnet; none of them is a command for this machine."""
    no = ('.*', '500 what?\r\n')
    s = Server(EHLO, ('data', '554 no\r\n'), no, no, no, QUIT)
    text = 'ehlo x\ndata\n!touch %s/a\n/save %s/b\n.\nquit\n' % (tmp_path, tmp_path)
    piped(tmp_path, text, '127.0.0.1', s.port)
    assert s.lines() == text.splitlines() and not (tmp_path / 'a').exists() and not (tmp_path / 'b').exists()


def test_pipe_runs_no_shell(tmp_path):
    s = Server(QUIT)
    out, err, status = piped(tmp_path, '!touch %s/a\n/shell touch %s/a\nquit\n' % (tmp_path, tmp_path), '127.0.0.1', s.port)
    assert s.lines() == ['quit'] and not (tmp_path / 'a').exists() and 'runs no commands' in out + err


@pytest.mark.parametrize('text,args,turns', [
    ('a1 LOGIN joe geheim\na2 logout\n', ['--proto', 'imap', '--strict-typing'], [('a1', 'a1 OK [CAPABILITY IMAP4rev1] in\r\n'), ('a2', 'a2 OK\r\n')]),
    ('a1 LOGIN joe {6}\ngeheim\na2 logout\n', ['--proto', 'imap'], [('a1', '+ go\r\n'), ('g', 'a1 OK [CAPABILITY IMAP4rev1] in\r\n'), ('a2', 'a2 OK\r\n')]),
    ('apop joe geheim\nquit\n', ['--proto', 'pop3'], [('capa', '-ERR\r\n'), ('apop', '+OK\r\n'), ('stat', '-ERR\r\n'), ('quit', '+OK\r\n')]),
    ('AUTHENTICATE "PLAIN" "geheim"\n', ['--proto', 'sieve', '--strict-typing'], [('AUTH', 'OK\r\n')]),
    ('PASS geheim\n', ['--proto', 'raw'], [('PASS', '+OK\r\n')]),
    ('AUTH LOGIN\ngeheim\n', ['--proto', 'raw'], [('AUTH', '334 VXNlcm5hbWU6\r\n'), ('g', '235\r\n')]),
])
def test_secrets_by_hand_are_masked(tmp_path, text, args, turns):
    greeting = {'imap': '* OK [CAPABILITY IMAP4rev1] hi\r\n', 'sieve': 'OK hi\r\n', 'raw': '220 hi\r\n', 'pop3': '+OK hi\r\n'}[args[1]]
    s = Server(*turns, greeting=greeting)
    out, err, status = piped(tmp_path, text, *args, '--allow-cleartext', '--timeout', '5', '--transcript', tmp_path / 't', '127.0.0.1', s.port)
    assert 'geheim' in ''.join(s.lines()), out + err
    assert 'geheim' not in out + err + (tmp_path / 't').read_text()


def test_challenges_without_end(tmp_path):
    def loops(conn):
        f = conn.makefile('rb')
        conn.sendall(b'220 hi\r\n')
        f.readline()
        conn.sendall(b'250-mx\r\n250 AUTH CRAM-MD5\r\n')
        while f.readline():
            conn.sendall(b'334 \r\n')
    (tmp_path / 'pw').write_text('geheim\n')
    out, err, status = piped(tmp_path, 'quit\n', '--allow-cleartext', '--auth=CRAM-MD5', '--user', 'joe', '--password-file',
                             tmp_path / 'pw', '127.0.0.1', Server(greeting=loops).port)
    assert status == 8 and out.count('c: *') < 4


def test_history_is_private_and_searched(tmp_path):
    for _ in range(2):
        s = Server(('noop', '250 ok\r\n'), QUIT)
        with Talk(tmp_path, '127.0.0.1', s.port) as t:
            t.see('220').see('> ')
            if _ == 0:
                t.type('noop something')
            else:
                t.keys('\x12somet').see('noop something').keys('\r')
            t.see('250 ok').type('quit').status()
        assert s.lines() == ['noop something', 'quit']
    path = tmp_path / 'state/pennypost/history/127.0.0.1'
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_completion(tmp_path):
    s = Server(EHLO, MAIL, RCPT, RCPT, QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').keys('eh\t').see('ehlo ').type('x').see('8BITMIME').see('> ')
        t.type('mail from:<a@b>').see('mail:1 > ').type('rcpt to:<someone@example.com>').see('rcpt:1 > ')
        t.keys('rcpt to:<som\t').see('someone@example.com').type('>').see('rcpt:2 > ')
        t.keys('/reco\t').see('/reco').keys('\x15').type('quit').status()
    assert s.lines()[3] == 'rcpt to:<someone@example.com >' or s.lines()[3] == 'rcpt to:<someone@example.com>'


def test_interrupt(tmp_path):
    s = Server(QUIT, close=False)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').keys('half a line\x03').see('^C once more').see('> ').type('quit').see('221')
    with Talk(tmp_path, '127.0.0.1', Server(close=False).port) as t:
        t.see('220').see('> ').keys('\x03').see('once more').see('> ').keys('\x03')
        assert t.status() == 130


def test_end_of_file_leaves(tmp_path):
    with Talk(tmp_path, '127.0.0.1', Server(close=False).port) as t:
        t.see('220').see('> ').keys('\x04')
        assert t.status() == 0


def test_escape_key_keeps_the_line(tmp_path):
    s = Server(('noop kept', '250 ok\r\n'), QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').keys('noop kept').see('noop kept').keys('\x1d').see('pennypost> ').type('env')
        t.see('timeout=').see('noop kept').type('').see('250 ok').type('quit').status()
    assert s.lines() == ['noop kept', 'quit']


def test_redo_and_fix(tmp_path):
    s = Server(MAIL, RCPT, ('rset', '250 reset\r\n'), MAIL, RCPT, QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('mail from:<a@b>').see('mail:1 > ').type('rcpt to:<c@d>').see('rcpt:1 > ')
        t.type('/redo').see('250 reset').see('mail from:<a@b>').keys('\r').see('Sender ok').see('rcpt to:<c@d>')
        t.keys('\x08' * 1 + 'x>\r').see('Recipient ok').type('quit').status()
    assert s.lines()[2:5] == ['RSET', 'mail from:<a@b>', 'rcpt to:<c@dx>'], s.lines()


def test_editor(tmp_path):
    editor = tmp_path / 'edit'
    editor.write_text('#!/bin/sh\nprintf "Subject: edited\\n\\nby hand\\n" > "$1"\n')
    editor.chmod(0o755)
    s = Server(MAIL, RCPT, DATA, DOT, QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port, EDITOR=str(editor)) as t:
        t.see('220').see('> ').type('mail a').see('mail:1 >').type('rcpt b').see('rcpt:1 >').type('data').see('to end > ')
        t.type('first').type('~e').see('3 lines.').type('.').see('accepted').type('quit').status()
    assert s.lines()[3:7] == ['Subject: edited', '', 'by hand', '.']


def test_attachment(tmp_path):
    (tmp_path / 'a.txt').write_text('attached\n')
    s = Server(MAIL, RCPT, DATA, DOT, QUIT)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('mail a@b').see('mail:1 >').type('rcpt b').see('rcpt:1 >').type('data')
        t.see('to end > ').type('Subject: x').type('').type('text').type('~a ~/a.txt').see('will be attached').type('.')
        t.see('accepted').type('quit').status()
    text = '\n'.join(s.lines())
    assert 'filename="a.txt"' in text and 'YXR0YWNoZWQK' in text and 'Subject: x' in text


def test_giving_up_a_letter_closes(tmp_path):
    s = Server(MAIL, RCPT, DATA, close=False)
    with Talk(tmp_path, '127.0.0.1', s.port) as t:
        t.see('220').see('> ').type('mail a@b').see('mail:1 >').type('rcpt b').see('rcpt:1 >').type('data')
        t.see('to end > ').type('text').type('~q').see('Not sent').see('closed > ').type('/quit').status()
    assert s.lines()[-1] == 'data'


def test_resizing_and_dumb_terminals(tmp_path):
    for term in ('dumb', 'linux', 'vt100', 'unheard-of'):
        with Talk(tmp_path, '127.0.0.1', Server(EHLO, QUIT).port, TERM=term) as t:
            t.see('220').see('> ').keys('ehl')
            t.p.setwinsize(10, 40)
            t.keys('o me\r').see('8BITMIME').type('quit')
            assert t.status() == 0


# --- against a real server

def test_starttls_by_hand(tmp_path, lab):
    with Talk(tmp_path, '--insecure', '127.0.0.1', lab.port(587)) as t:
        t.see('220').see('> ').type('ehlo me').see('smtp(ehlo) > ').type('starttls').see('220').see('TLSv1.3')
        t.see('Enter alone sends: EHLO').see('smtp(tls) > ').type('').see('smtp(ehlo,tls) > ')
        t.type('auth').see('User name: ').type('alice@example.com').see('Password').type('secret')
        t.see('235').see('smtp(ehlo,tls,auth) > ').type('/tls').see('subject').type('quit')
        assert t.status() == 0


def test_starttls_by_option(tmp_path, lab):
    out, err, status = piped(tmp_path, 'ehlo me\nquit\n', '-connect', '127.0.0.1:%d' % lab.port(587), '-starttls', 'smtp',
                             '--insecure')
    assert status == 0 and '#  TLSv1.3' in out, out + err
    out, err, status = piped(tmp_path, 'ehlo me\nquit\n', '-connect', '127.0.0.1:%d' % lab.port(587), '-starttls', 'smtp')
    assert status in (0, 4)


def test_lmtp(tmp_path, lab):
    out, err, status = piped(tmp_path, 'lhlo me\nmail a@example.com\nrcpt alice@example.com\nrcpt bob@example.com\ndata\n'
                             'Subject: x\n\ntext\n.\nquit\n', '--proto', 'lmtp', '127.0.0.1', lab.port(24))
    assert status == 0 and len(re.findall('^s: 250 2', out, re.M)) >= 5, out


def test_record_is_a_conversation(tmp_path, lab):
    record = tmp_path / 'r.conv'
    out, err, status = piped(tmp_path, 'ehlo me\nquit\n', '--record', record, '127.0.0.1', lab.port(25))
    assert status == 0
    p = subprocess.run([BINARY, 'run', str(record), '--to', '127.0.0.1:%d' % lab.port(25)], capture_output=True, text=True,
                       timeout=30 * SLOW)
    assert p.returncode == 0, p.stdout + p.stderr + record.read_text()


def test_many_addresses_and_names(tmp_path, lab):
    out, err, status = piped(tmp_path, 'ehlo me\nquit\n', '--resolve', 'mail.test:127.0.0.1', 'mail.test', lab.port(25))
    assert status == 0 and 'Connected to mail.test.' in out
