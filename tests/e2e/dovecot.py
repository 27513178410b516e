"""Dovecot's imap process out of its package (build/peers/dovecot), on one mailbox of its own, without
its master: it speaks IMAP on its standard input, logged in."""
import glob
import os
import pwd
import shutil
import tempfile

from rawimap import Pipe

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEER = os.path.join(ROOT, 'build', 'peers', 'dovecot')
LIB = os.path.join(PEER, 'usr', 'lib', 'dovecot')
CONFIG = '''
base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/log
mail_location = {format}:{dir}/mail{options}
mail_fsync = never
ssl = no
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
libexec_dir = {lib}
mail_plugin_dir = {lib}/modules
stats_writer_socket_path =
first_valid_uid = 0
mail_uid = {uid}
mail_gid = {gid}
namespace inbox {{
  inbox = yes
  separator = {separator}
}}
'''


def there():
    return os.path.exists(os.path.join(LIB, 'imap'))


class Dovecot:
    def __init__(self, mail='maildir', separator='/', options=''):
        self.dir = tempfile.mkdtemp(prefix='pennypost-dovecot-')
        user = pwd.getpwnam('nobody') if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.user = user.pw_name
        for name in ('run', 'mail'):
            os.mkdir(os.path.join(self.dir, name))
        self.config = os.path.join(self.dir, 'dovecot.conf')
        with open(self.config, 'w') as f:
            f.write(CONFIG.format(dir=self.dir, lib=LIB, format=mail, options=options, separator=separator,
                                  uid=user.pw_uid, gid=user.pw_gid))
        if os.getuid() == 0:
            for name in ('', 'run', 'mail', 'dovecot.conf'):
                os.chown(os.path.join(self.dir, name), user.pw_uid, user.pw_gid)

    def connect(self):
        """One more session."""
        libs = [LIB] + glob.glob(os.path.join(PEER, 'usr/lib/*-linux-*')) + \
            glob.glob(os.path.join(PEER, 'lib/*-linux-*'))
        env = {'PATH': '/usr/bin:/bin', 'TZ': 'UTC', 'USER': self.user, 'HOME': self.dir,
               'LD_LIBRARY_PATH': ':'.join(libs)}
        return Pipe([os.path.join(PEER, 'usr/bin/doveconf'), '-f', 'service=imap', '-c', self.config,
                     '-m', 'imap', '-e', os.path.join(LIB, 'imap')], env)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)
