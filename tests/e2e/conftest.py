"""A Pennypost server for each test that asks for one: fixtures `lab` and `make_lab`."""
import pytest

from server import Lab


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == 'call':
        item.failed = report.failed


@pytest.fixture
def make_lab(request, tmp_path):
    """make_lab(**options of server.Lab) -> a started server; all are stopped at the end."""
    labs = []

    def make(start=True, **options):
        options.setdefault('dir', tmp_path / ('lab%d' % len(labs)))
        one = Lab(**options)
        labs.append(one)
        if start:
            one.start()
        return one

    yield make
    trouble = []
    for one in labs:
        was_running = one.running()
        status = one.stop()
        if was_running and status != 0:
            trouble.append('the server ended with status %s' % status)
        if one.sanitizer_reports():
            trouble.append('a sanitizer complained')
        one.close()
    if getattr(request.node, 'failed', False) or trouble:
        for one in labs:
            print('--- log of the server in %s:' % one.dir)
            print(one.log()[-20000:])
    assert not trouble, trouble


@pytest.fixture
def lab(make_lab):
    """A server with alice@example.com and bob@example.com."""
    return make_lab()
