"""`pennypost talk` with POP3 servers: the lab, and servers that mean harm."""
import re

import pytest

from talking import Server, Talk, piped
from test_talk_imap import LETTER

QUIT = ('quit', '+OK bye\r\n')
CAPA = ('CAPA', '+OK\r\nTOP\r\nUIDL\r\nUSER\r\n.\r\n')


def pop3(tmp_path, text, port, *args, **env):
    return piped(tmp_path, text, '--proto', 'pop3', '--insecure', *args, '127.0.0.1', port, **env)


def pop_server(*turns, **more):
    more.setdefault('greeting', '+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n')
    return Server(*turns, **more)


@pytest.mark.parametrize('mech', ('', '=SCRAM-SHA-256', '=PLAIN', '=LOGIN', '=USER'))
def test_session(shared, tmp_path, mech):
    shared.send(LETTER.replace('\n', '\r\n'), to='bob@example.com')
    out, err, status = pop3(tmp_path, 'list\nuidl\n/top 1\n/read 1\ndele 1\nquit\n', shared.port(110), '--tls=must',
                            '--auth' + mech, '--user', 'bob@example.com', PENNYPOST_PASSWORD='secret')
    assert status == 0, out + err
    assert 'c: STLS\n' in out and re.search(r'^#  TLSv1\.3, ', out, re.M) and out.count('c: CAPA\n') == 2
    assert 's: 1 ' in out and 'Subject: äöü € café' in out and 'Grüße: 5 €\nescape: \\x1b[31m red' in out
    assert '#  QUIT deletes 1 letter for good (1)' in out
    assert 'secret' not in out and '\x1b' not in out


def test_on_a_terminal(shared, tmp_path):
    shared.send(LETTER.replace('\n', '\r\n'), to='alice@example.com')
    with Talk(tmp_path, '--proto', 'pop3', '--insecure', '--tls=must', '127.0.0.1', shared.port(110)) as t:
        t.see('pop3(tls) > ').type('user alice@example.com')
        t.see('+OK').see('> ').type('pass')
        t.see('Password for alice@example.com: ').type('secret')
        t.see('pop3(tls,auth) 1 > ').type('dele 1')
        t.see('deleted:1 > ').type('quit')
        t.see('Quit? (yes/no) ').type('no').see('Not sent').type('rset')
        t.see('pop3(tls,auth) 1 > ').type('quit')
        assert t.status() == 0
        assert 'secret' not in t.screen()


def test_apop(tmp_path):
    """The example of RFC 1939 7."""
    s = pop_server(CAPA, ('APOP mrose c4c9334bac560ecc979e58001b3e22fb', '+OK maildrop has 1 message\r\n'),
                   ('STAT', '+OK 1 369\r\n'), QUIT)
    out, err, status = pop3(tmp_path, 'apop mrose\nquit\n', s.port, PENNYPOST_PASSWORD='tanstaaf')
    assert status == 0, out + err
    assert 'c4c9334bac560ecc979e58001b3e22fb' not in out


def test_a_server_without_capa(tmp_path):
    s = pop_server(('CAPA', '-ERR unknown\r\n'), ('noop', '+OK\r\n'), QUIT)
    out, err, status = pop3(tmp_path, 'noop\nquit\n', s.port)
    assert status == 0 and s.lines() == ['CAPA', 'noop', 'quit']


def test_dots(tmp_path):
    s = pop_server(CAPA, ('retr 1', '+OK\r\n..\r\n.. \r\n.\r\n'), ('retr 2', '-ERR [SYS/TEMP] later\r\n'), QUIT)
    out, err, status = pop3(tmp_path, 'retr 1\nretr 2\nquit\n', s.port)
    assert status == 0 and s.lines()[-1] == 'quit', out


def test_harm(tmp_path):
    evil = '+OK\r\nSubject: =?utf-8?q?=1b[2J?=\r\n\r\n\x1b]0;x\x07' + 'y' * 300000 + '\r\n.\r\n'
    s = pop_server(CAPA, ('retr 1', evil), ('TOP', evil), QUIT)
    out, err, status = pop3(tmp_path, 'retr 1\n/top 1\nquit\n', s.port)
    assert status == 0 and '\x1b' not in out and '\x07' not in out


def test_a_password_in_clear_is_not_sent_unasked(tmp_path):
    s = pop_server(CAPA, ('user', '+OK\r\n'), QUIT)
    out, err, status = pop3(tmp_path, 'user joe\npass secret word\nquit\n', s.port)
    assert s.lines() == ['CAPA', 'user joe', 'quit'] and status == 8
    assert 'nobody to ask' in out and 'Type yes' not in out
    s = pop_server(CAPA, ('user', '+OK\r\n'), ('pass', '+OK\r\n'), ('STAT', '+OK 0 0\r\n'), QUIT)
    out, err, status = pop3(tmp_path, 'user joe\npass secret word\nquit\n', s.port, '--allow-cleartext')
    assert s.lines()[2] == 'pass secret word' and 'secret word' not in out


def test_no_pop3_at_all(tmp_path):
    s = Server(greeting='220 smtp\r\n', close=False)
    out, err, status = pop3(tmp_path, '', s.port)
    assert 'no greeting of POP3' in out
