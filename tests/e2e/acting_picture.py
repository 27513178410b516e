"""The screen that README and docs show: docs/talk.svg."""
from acting import Act

ACTS = [Act('talk, on a terminal', '002-07', 'pennypost talk mail.example.net 587', [
    (None, '220 '),
    ('ehlo me.example.com', '250 DSN'),
    ('starttls', 'Enter alone sends'),
    ('', '250 DSN'),
    ('auth', 'User name'),
    ('username', 'Password for'),
    ('password', '235 2.7.0'),
    ('mail from username@example.net', '250 2.1.0'),
    ('rcpt ann@example.net', '250 2.1.5'),
    ('rcpt nobody@example.net', '550 5.1.1')],
    at={'mail.example.net': ['192.0.2.25']}, more=['@mailbox ann@example.net'], shape=(100, 30))]
