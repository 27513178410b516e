"""OAuth tokens: by a key, and by asking a server of ours."""
import base64
import hmac
import http.server
import json
import os
import socket
import ssl
import threading
import time
import urllib.parse

import pytest

KEY = b'0123456789abcdef0123456789abcdef'


def b64url(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b'=')


def jwt(**claims):
    claims.setdefault('exp', int(time.time()) + 600)
    signed = b64url(b'{"alg":"HS256"}') + b'.' + b64url(json.dumps(claims).encode())
    return (signed + b'.' + b64url(hmac.digest(KEY, signed, 'sha256'))).decode()


def login(lab, token, mechanism='OAUTHBEARER', user='alice@example.com'):
    """The code of the answer; a refusal comes behind a challenge that tells why (RFC 7628 3.2.3)."""
    if mechanism == 'OAUTHBEARER':
        first = 'n,a=%s,\1host=localhost\1port=587\1auth=Bearer %s\1\1' % (user, token)
    else:
        first = 'user=%s\1auth=Bearer %s\1\1' % (user, token)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with lab.smtp(587) as s:
        s.starttls(context=context)
        s.ehlo()
        code, text = s.docmd('AUTH', mechanism + ' ' + base64.b64encode(first.encode()).decode())
        if code == 334:
            assert 'status' in json.loads(base64.b64decode(text))
            code, text = s.docmd('AQ==')
        return code


@pytest.mark.parametrize('mechanism', ['OAUTHBEARER', 'XOAUTH2'])
def test_key(make_lab, tmp_path, mechanism):
    key = tmp_path / 'jwt.key'
    key.write_bytes(b'secret:' + KEY)
    lab = make_lab(sets=('oauth.keys=%s' % key, 'mechs=OAUTHBEARER XOAUTH2'))
    assert login(lab, jwt(email='alice@example.com'), mechanism) == 235
    assert login(lab, jwt(email='bob@example.com'), mechanism) == 535
    assert login(lab, jwt(email='alice@example.com', exp=int(time.time()) - 600), mechanism) == 535
    assert login(lab, jwt(email='nobody@example.com'), mechanism, 'nobody@example.com') == 535
    assert login(lab, jwt(email='alice@example.com')[:-2] + 'xx', mechanism) == 535


class Provider(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers['Content-Length'])).decode())
        self.server.forms.append((form, self.headers.get('Authorization')))
        good = form.get('token') == ['a+b/c=']
        body = json.dumps({'active': good, 'email': 'alice@example.com'} if good else {'active': False}).encode()
        self.send_response(500 if form.get('token') == ['broken'] else 200)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as s:
        return s.getsockname()[1]


def test_introspection(make_lab, tmp_path):
    secret = tmp_path / 'client.secret'
    secret.write_text('hush\n')
    dir, port = tmp_path / 'lab', free_port()
    lab = make_lab(dir=dir, sets=('oauth.introspect_url=https://127.0.0.1:%d/check' % port,
                                  'oauth.introspect_client=pennypost', 'oauth.introspect_secret_file=%s' % secret,
                                  'oauth.introspect_ca=%s/tls/default.crt' % dir, 'mechs=OAUTHBEARER'))
    assert login(lab, 'a+b/c=') == 454, 'nobody answers there'
    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Provider)
    server.forms = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(dir, 'tls/default.crt'), os.path.join(dir, 'tls/default.key'))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert login(lab, 'a+b/c=') == 235
        assert server.forms[0][0]['token'] == ['a+b/c=']
        assert server.forms[0][1] == 'Basic ' + base64.b64encode(b'pennypost:hush').decode()
        assert login(lab, 'other') == 535
        assert login(lab, 'broken') == 454
        assert login(lab, 'a+b/c=', user='bob@example.com') == 535
    finally:
        server.shutdown()
        server.server_close()
