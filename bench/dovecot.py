"""dovecot: Dovecot out of Debian's packages, unpacked, not installed, as a server that is compared. Its paths
are compiled in, so it runs in a mount namespace of its own, where the unpacked tree lies over /usr."""
import glob
import os
import shutil
import socket
import subprocess
import time

from servers import ROOT, Server, Trouble

PEER = os.path.join(ROOT, 'build', 'peers', 'dovecot')
# Accounts that every Debian has lend it their names.
CONF = """\
base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/dovecot.log
info_log_path = /dev/null
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/tls/cert.pem
ssl_key = <{dir}/tls/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain
auth_cache_size = 16M
default_internal_user = news
default_internal_group = news
default_login_user = games
default_client_limit = 22000
default_process_limit = 12000
default_vsz_limit = 0
first_valid_uid = 1
mail_location = {format}:~/{format}
mail_max_userip_connections = 0
hostname = mx.bench.example.com
{hibernate}
passdb {{
  driver = passwd-file
  args = username_format=%n {dir}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {dir}/users
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
  service_count = 0
  process_min_avail = 2
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
  service_count = 0
}}
service imap {{
  unix_listener imap-master {{
    user = news
    mode = 0600
  }}
}}
service imap-hibernate {{
  unix_listener imap-hibernate {{
    mode = 0666
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
  client_limit = 1
  process_limit = 300
}}
"""


class Dovecot(Server):
    def __init__(self, directory, port, mail='maildir', users=('user',), password_hash='{PLAIN}bench', hibernate=False):
        super().__init__(directory, port)
        self.format = mail
        self.name = 'dovecot-' + mail + ('-hibernate' if hibernate else '')
        self.imap, self.imaps, self.pop3, self.lmtp = port, port + 1, port + 2, port + 3
        self.users = users
        self.hash = password_hash
        self.hibernate = hibernate

    def write(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        for name, mode in (('', 0o755), ('run', 0o755), ('tls', 0o755), ('mail', 0o1777)):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
            os.chmod(os.path.join(self.dir, name), mode)
        made = subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                               '-days', '30', '-subj', '/CN=mx.bench.example.com', '-keyout', self.dir + '/tls/key.pem',
                               '-out', self.dir + '/tls/cert.pem'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode:
            raise Trouble('openssl made no certificate: ' + made.stdout)
        with open(os.path.join(self.dir, 'users'), 'w') as f:
            for i, user in enumerate(self.users):
                f.write('%s:%s:%d:%d::%s/mail/%s::\n' % (user, self.hash, 20000 + i, 20000, self.dir, user))
        with open(os.path.join(self.dir, 'dovecot.conf'), 'w') as f:
            f.write(CONF.format(dir=self.dir, format=self.format, imap=self.imap, imaps=self.imaps, pop3=self.pop3,
                                lmtp=self.lmtp, hibernate='imap_hibernate_timeout = 2s' if self.hibernate else ''))

    def start(self):
        if not os.path.exists(os.path.join(PEER, 'usr', 'sbin', 'dovecot')):
            raise Trouble('%s is missing: tools/setup.sh bench unpacks it' % PEER)
        if os.getuid() != 0:
            raise Trouble('Dovecot starts only as root')
        if not os.path.exists(os.path.join(self.dir, 'dovecot.conf')):
            self.write()
        self.launch(['unshare', '--mount', '--propagation', 'private', 'sh', '-c',
                     'mount -t overlay overlay -o "lowerdir=$1:/usr" /usr && exec dovecot -F -c "$2"', 'sh',
                     os.path.join(PEER, 'usr'), os.path.join(self.dir, 'dovecot.conf')],
                    env={**os.environ, 'LD_LIBRARY_PATH': '/usr/lib/dovecot'})
        for port, word in ((self.imap, b'* OK'), (self.pop3, b'+OK'), (self.lmtp, b'220')):
            self.wait(port, word)

    def wait(self, port, word):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(('127.0.0.1', port), timeout=5) as s:
                    if s.recv(512).startswith(word):
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise Trouble('Dovecot does not greet at port %d (status %s):\n%s' % (port, self.process.poll(), self.log()))

    def log(self):
        try:
            with open(os.path.join(self.dir, 'dovecot.log'), errors='replace') as f:
                return super().log() + f.read()[-3000:]
        except OSError:
            return super().log()

    def forget(self):
        """What it has parsed before; its other indexes are part of the store."""
        for path in glob.glob(os.path.join(self.dir, 'mail', '**', 'dovecot.index.cache*'), recursive=True):
            os.unlink(path)
