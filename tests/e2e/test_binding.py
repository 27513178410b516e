"""SCRAM with channel binding, by a client that takes the binding from its own end of the connection."""
import json
import shutil
import subprocess

import pytest

from server import SLOW

# Argument: {port, mech, header, binding, version, break}; prints the code of the last reply.
CLIENT = r'''
const tls = require('tls'), crypto = require('crypto');
const o = JSON.parse(process.argv[1]), hash = o.mech.includes('256') ? 'sha256' : 'sha1';
const s = tls.connect({port: o.port, host: '127.0.0.1', rejectUnauthorized: false, minVersion: o.version, maxVersion: o.version});
let text = '', wake = null;
s.setEncoding('utf8');
s.on('data', d => { text += d; wake && wake(); });
s.on('error', e => { console.error(e); process.exit(1); });
async function reply() {
  let m;
  while (!(m = text.match(/^(?:\d{3}-.*\r\n)*(\d{3}) (.*)\r\n/))) await new Promise(r => wake = r);
  text = text.slice(m[0].length);
  return [m[1], m[2]];
}
async function ask(line) { s.write(line + '\r\n'); return reply(); }
const b64 = x => Buffer.from(x).toString('base64'), unb64 = x => Buffer.from(x, 'base64');
const hmac = (k, t) => crypto.createHmac(hash, k).update(t).digest();
function binding() {
  switch (o.binding) {
  case 'tls-exporter': return s.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
  case 'tls-server-end-point': return crypto.createHash('sha256').update(s.getPeerCertificate(true).raw).digest();
  default: return Buffer.alloc(0);
  }
}
async function main() {
  await reply();
  await ask('EHLO me');
  const nonce = crypto.randomBytes(12).toString('hex'), bare = 'n=alice@example.com,r=' + nonce, cb = binding();
  if (o.break) cb[0] ^= 1;
  const first = await ask('AUTH ' + o.mech + ' ' + b64(o.header + bare));
  if (first[0] != '334') return first[0];
  const server = unb64(first[1]).toString(), [, r, salt, n] = server.match(/^r=([^,]+),s=([^,]+),i=(\d+)$/);
  const salted = crypto.pbkdf2Sync('secret', unb64(salt), Number(n), hash == 'sha1' ? 20 : 32, hash);
  const ending = 'c=' + Buffer.concat([Buffer.from(o.header), cb]).toString('base64') + ',r=' + r;
  const all = bare + ',' + server + ',' + ending, key = hmac(salted, 'Client Key');
  const proof = hmac(crypto.createHash(hash).update(key).digest(), all).map((x, i) => x ^ key[i]);
  let last = await ask(b64(ending + ',p=' + proof.toString('base64')));
  if (last[0] == '334') {
    if (unb64(last[1]).toString() != 'v=' + hmac(hmac(salted, 'Server Key'), all).toString('base64')) return 'no server of mine';
    last = await ask('');
  }
  return last[0];
}
main().then(code => { console.log(code); s.destroy(); });
'''


def attempt(lab, mech='SCRAM-SHA-256-PLUS', binding='tls-exporter', version='TLSv1.3', header=None, broken=False):
    words = {'port': lab.port(465), 'mech': mech, 'binding': binding, 'version': version, 'break': broken,
             'header': header or 'p=%s,,' % binding}
    r = subprocess.run(['node', '-e', CLIENT, json.dumps(words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW)
    assert r.returncode == 0, r.stderr.decode()
    return r.stdout.decode().strip()


@pytest.mark.skipif(not shutil.which('node'), reason='there is no node here')
def test_binding(shared):
    assert attempt(shared) == '235'
    assert attempt(shared, 'SCRAM-SHA-1-PLUS', 'tls-server-end-point') == '235'
    assert attempt(shared, version='TLSv1.2') == '235'
    assert attempt(shared, 'SCRAM-SHA-256', None, header='n,,') == '235'


@pytest.mark.skipif(not shutil.which('node'), reason='there is no node here')
def test_somebody_between(shared):
    """The binding of another connection; and a list of mechanisms somebody made shorter."""
    assert attempt(shared, broken=True) == '535'
    assert attempt(shared, 'SCRAM-SHA-256', None, header='y,,') == '535'
    assert attempt(shared, binding='tls-nonsense') in ('501', '535')
