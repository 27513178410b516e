"""POP3 with Python's poplib, over STLS and TLS."""
import contextlib
import poplib
import time

import pytest

from server import SLOW
from test_imap_basic import letter, trusting

poplib._MAXLINE = 1 << 20


@contextlib.contextmanager
def session(lab, user='alice@example.com', password='secret', tls=True, login=True):
    if tls:
        p = poplib.POP3_SSL('127.0.0.1', lab.port(995), context=trusting(), timeout=20 * SLOW)
    else:
        p = poplib.POP3('127.0.0.1', lab.port(110), timeout=20 * SLOW)
        p.stls(trusting())
    try:
        if login:
            p.user(user)
            p.pass_(password)
        yield p
    finally:
        p.close()


def fill(lab, n):
    for i in range(n):
        lab.send(letter('letter %d' % (i + 1), '.begins with a dot\r\nand ends'))


@pytest.mark.parametrize('tls', (True, False))
def test_login(shared, tls):
    with session(shared, tls=tls) as p:
        assert p.stat()[0] >= 0
        assert p.quit().startswith(b'+OK')


def test_login_refused(shared):
    with session(shared, login=False) as p:
        p.user('alice@example.com')
        with pytest.raises(poplib.error_proto) as e:
            p.pass_('wrong')
        assert b'[AUTH]' in e.value.args[0]
        p.user('alice@example.com')
        p.pass_('secret')


def test_no_login_in_clear(shared):
    p = poplib.POP3('127.0.0.1', shared.port(110), timeout=20 * SLOW)
    capabilities = p.capa()
    assert 'STLS' in capabilities and 'USER' not in capabilities
    with pytest.raises(poplib.error_proto):
        p.user('alice@example.com')
        p.pass_('secret')
    p.quit()


def test_capabilities(shared):
    with session(shared) as p:
        capabilities = p.capa()
        for name in ('TOP', 'UIDL', 'PIPELINING', 'RESP-CODES', 'AUTH-RESP-CODE', 'UTF8', 'LANG', 'EXPIRE', 'IMPLEMENTATION'):
            assert name in capabilities, capabilities
        assert capabilities['EXPIRE'] == ['NEVER']


def test_everything(lab):
    fill(lab, 3)
    with session(lab) as p:
        n, size = p.stat()
        assert n == 3
        sizes = [int(row.split()[1]) for row in p.list()[1]]
        assert len(sizes) == 3 and sum(sizes) == size
        uidl = [row.split()[1] for row in p.uidl()[1]]
        assert len(set(uidl)) == 3
        for i in range(3):
            lines = p.retr(i + 1)[1]
            text = b''.join(line + b'\r\n' for line in lines)
            assert len(text) == sizes[i]
            assert text.endswith(letter('letter %d' % (i + 1), '.begins with a dot\r\nand ends'))
        top = p.top(2, 1)[1]
        assert top[-1] == b'Dear Alice,' and top[-2] == b'' and b'Subject: letter 2' in top
        assert p.dele(2).startswith(b'+OK')
        with pytest.raises(poplib.error_proto):
            p.retr(2)
        assert p.stat()[0] == 2
        p.rset()
        assert p.stat()[0] == 3
        p.dele(1)
        assert p.quit().startswith(b'+OK')
    with session(lab) as p:
        assert [row.split()[1] for row in p.uidl()[1]] == uidl[1:]
        p.dele(1)
    # without QUIT nothing goes
    with session(lab) as p:
        assert [row.split()[1] for row in p.uidl()[1]] == uidl[1:]
        p.dele(1)
        p.dele(2)
        p.quit()
    assert lab.count('alice@example.com') == 0


def test_large_letter(lab):
    text = ('%070d\r\n' * 30000) % tuple(range(30000))
    lab.send(letter('large', text))
    with session(lab) as p:
        lines = p.retr(1)[1]
        assert b'\r\n'.join(lines[-30001:]).startswith(b'0' * 70)
        assert len(lines) > 30000


def test_pipelining(lab):
    fill(lab, 2)
    with session(lab) as p:
        p.sock.sendall(b'STAT\r\nUIDL 1\r\nRETR 2\r\nDELE 1\r\nNOOP\r\nQUIT\r\n')
        text = p.file.read()
        assert text.count(b'+OK') == 6
    assert lab.count('alice@example.com') == 1


def test_authenticate(shared):
    with session(shared, login=False) as p:
        p.sock.sendall(b'AUTH PLAIN AGFsaWNlQGV4YW1wbGUuY29tAHNlY3JldA==\r\n')
        assert p.file.readline().startswith(b'+OK')
        assert p.stat()[0] >= 0


def test_apop(make_lab):
    """RFC 1939 7: off by default; only for accounts that keep their password."""
    lab = make_lab(sets=['995:pop3_apop=yes'])
    lab.run('user', 'add', 'carol@example.com', '--recoverable', '--password-stdin', input='tanstaaf\n')
    stamps = set()
    for user, password, code in (('carol@example.com', 'tanstaaf', None), ('CAROL@example.com', 'tanstaaf', None),
                                 ('carol@example.com', 'wrong', b'AUTH'), ('nobody@example.com', 'tanstaaf', b'AUTH'),
                                 ('alice@example.com', 'secret', b'AUTH')):
        with session(lab, login=False) as p:
            stamps.add(p.timestamp.search(p.welcome).group(0))
            if code:
                with pytest.raises(poplib.error_proto) as e:
                    p.apop(user, password)
                assert b'[' + code + b']' in e.value.args[0]
                p.user('alice@example.com')
                p.pass_('secret')
            else:
                p.apop(user, password)
            assert p.stat() == (0, 0)
            p.quit()
    assert len(stamps) == 5
    with session(lab, tls=False, login=False) as p:
        assert not p.timestamp.match(p.welcome)
        with pytest.raises(poplib.error_proto):
            p._shortcmd('APOP carol@example.com ' + 32 * 'a')


def test_login_delay(make_lab):
    """RFC 2449 8.1.1: too soon after the last login, whichever way that was."""
    lab = make_lab(sets=['995:pop3_login_delay=%d' % (4 * SLOW)])
    with session(lab) as p:
        assert p.capa()['LOGIN-DELAY'] == [str(4 * SLOW)]
        p.quit()
    for command in (b'PASS secret\r\n', b'PASS secret\r\n'):
        with session(lab, login=False) as p:
            p.user('alice@example.com')
            p.sock.sendall(command)
            assert p.file.readline().startswith(b'-ERR [LOGIN-DELAY]')
    with session(lab, login=False) as p:  # wrong is wrong
        p.user('alice@example.com')
        with pytest.raises(poplib.error_proto) as e:
            p.pass_('wrong')
        assert b'[AUTH]' in e.value.args[0]
    with session(lab, user='bob@example.com') as p:
        p.quit()
    time.sleep(4 * SLOW)
    with session(lab) as p:
        p.quit()
    with session(lab, tls=False) as p:  # no delay at this listener
        p.quit()
    with session(lab, login=False) as p:
        p.user('alice@example.com')
        with pytest.raises(poplib.error_proto) as e:
            p.pass_('secret')
        assert b'[LOGIN-DELAY]' in e.value.args[0]
