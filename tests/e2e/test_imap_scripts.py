"""The IMAP conversations of tests/data/imap-scripts against a server whose separator is a dot."""
import pytest

import imap_scripts
import secure
from server import SLOW

USERS = [('imapuser@example.com', 'secret'), ('imapuser2@example.com', 'secret')]
# (suite/script): what the RFC says that the script does not.
COUNT = 'A73 announces 11,976 octets and sends 11,975 in front of the CR LF that ends the command, others likewise: their literals ' \
    'end between CR and LF, and a bare LF is left (RFC 9051 2.2, 4.3)'
WRONG = {
    'Recent/Recent': 'wants \\Recent, RECENT responses and SEARCH RECENT, which RFC 9051 (appendix E) has dropped',
    'UidSearch/UidSearchCombinations': COUNT,
    'UidSearchOnIndex/UidSearchAtomsIndexer': COUNT,
}
ENTRIES = [e for e in imap_scripts.manifest() if not imap_scripts.skipped(e)]


@pytest.fixture(scope='module')
def runner(request, tmp_path_factory):
    from conftest import making
    with making(request, tmp_path_factory.mktemp('scripts')) as make:
        lab = make(users=[u for u, _ in USERS], sets=['imap_separator=.', 'limit.bad_commands=off'])

        def connect():
            sock = lab.connect(993)
            sock.settimeout(10 * SLOW)
            return secure.context().wrap_socket(sock, server_hostname='localhost')
        yield imap_scripts.Runner(connect, USERS)


@pytest.mark.parametrize('entry', ENTRIES, ids=lambda e: '%s/%s' % (e['suite'], e['script']))
def test_script(runner, entry):
    why = WRONG.get('%s/%s' % (entry['suite'], entry['script']))
    if why:
        with pytest.raises(imap_scripts.Fail):
            runner.run(entry)
    else:
        runner.run(entry)


@pytest.mark.parametrize('entry', [e for e in ENTRIES if WRONG.get('%s/%s' % (e['suite'], e['script'])) is COUNT], ids=lambda e: e['script'])
def test_counted_right(runner, entry):
    """The same with the octets counted right."""
    runner.run(entry, imap_scripts.recounted)
