"""The process that has the secrets goes away: the other server is not blamed for it, and nothing goes out with less than its
route asks for."""
import base64
import os
import signal
import ssl
import threading
import time

import pytest

from puppet import Puppet
from relaying import outward, queue
from secure import authority
from server import wait_until
from test_names_relay import Mx
from test_relay_login import with_certificate

LETTER = b'From: alice@example.com\r\nSubject: x\r\n\r\nhello\r\n'


def send(lab):
    lab.send(LETTER, 'joe@example.org', 'alice@example.com')


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_auth_anew_within_a_login(make_lab, tmp_path):
    """auth is killed between two steps of a login: it is begun again at once, with the next auth."""
    killed = []

    def stall(s, line):
        if not killed:
            killed.extend(lab.roles('auth'))
            os.kill(killed[0], signal.SIGKILL)
            wait_until(lambda: lab.roles('auth') not in ([], killed), 30)
            time.sleep(1)
        return '334 ' + b64('Username:')

    secret = tmp_path / 'secret'
    secret.write_text('sesame\n')
    answers = {'EHLO': '250-mx.example.com\n250 AUTH LOGIN', 'AUTH': stall, b64('us').upper(): '334 ' + b64('Password:'),
               b64('sesame').upper(): '235 2.7.0 welcome', 'DOT': '250 2.0.0 taken'}
    with Puppet(**answers) as hub:
        lab = make_lab(sets=outward('smtp:' + hub.address, login='us', secret_file=secret, auth_cleartext='allow'))
        send(lab)
        wait_until(lambda: killed and not queue(lab), 40, 0.2)
        assert [line.split()[0] for line in hub.heard[0]][:2] == ['EHLO', 'AUTH']
        assert not any(line.startswith('MAIL') for line in hub.heard[0]) and 'DATA' in hub.heard[-1]


def test_a_secret_that_is_empty(make_lab, tmp_path):
    """It was read; who asks why the letter waits learns what to do, and need not look into the log."""
    secret = tmp_path / 'secret'
    secret.write_text('\nsesame\n')
    with Puppet(EHLO='250-mx.example.com\n250 AUTH LOGIN') as hub:
        lab = make_lab(sets=outward('smtp:' + hub.address, login='us', secret_file=secret, auth_cleartext='allow'))
        send(lab)
        wait_until(lambda: 'secret' in lab.run('queue', 'list').stdout, 20, 0.2)
        assert 'secret_file (%s) is empty' % secret in lab.run('queue', 'list').stdout


class Asking(Mx):
    """Asks for a certificate of the client; at the first handshakes auth is stopped, and killed a moment later."""

    def __init__(self, directory):
        ca, sign = authority(directory)
        os.rename(sign('hub', 'DNS:localhost')[0], directory / 'hub.pem')
        self.pair, self.shown, self.lab, self.rounds = sign('us', 'DNS:us.example.com'), [], None, 2
        super().__init__(directory, 'hub')
        self.real, self.ctx = self.ctx, self
        self.real.load_verify_locations(ca)
        self.real.verify_mode = ssl.CERT_OPTIONAL

    def wrap_socket(self, c, server_side):
        if self.rounds:
            self.rounds -= 1
            auth = self.lab.roles('auth')[0]
            os.kill(auth, signal.SIGSTOP)
            threading.Timer(1, os.kill, (auth, signal.SIGKILL)).start()
        t = self.real.wrap_socket(c, server_side=server_side)
        self.shown.append(bool(t.getpeercert()))
        return t


@pytest.mark.parametrize('tls', ['may', 'auto'])
def test_certificate_or_nothing(make_lab, tmp_path, tls):
    """auth goes away while it is to sign: the letter goes neither in clear nor without the certificate."""
    hub = Asking(tmp_path)
    lab = hub.lab = with_certificate(make_lab, hub.pair, outward('smtp:127.0.0.1:%d' % hub.port, tls=tls, certificate='us.example.com'))
    send(lab)
    wait_until(lambda: hub.letters, 60)
    assert [secure for secure, _ in hub.letters] == [True] and hub.shown == [True] and hub.rounds == 0
