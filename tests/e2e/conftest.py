"""A Pennypost server for each test that asks for one: fixtures `lab` and `make_lab`; `shared` is one for a file."""
import contextlib

import pytest

from server import Lab


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == 'call':
        item.failed = report.failed


@contextlib.contextmanager
def making(request, directory):
    labs = []

    def make(start=True, **options):
        options.setdefault('dir', directory / ('lab%d' % len(labs)))
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
def make_lab(request, tmp_path):
    """make_lab(**options of server.Lab) -> a started server; all are stopped at the end."""
    with making(request, tmp_path) as make:
        yield make


@pytest.fixture
def lab(make_lab):
    """A server with alice@example.com and bob@example.com."""
    return make_lab()


@pytest.fixture(scope='module')
def shared(request, tmp_path_factory):
    """One such server for all tests of a file that do not mind what the others left in it."""
    with making(request, tmp_path_factory.mktemp('shared')) as make:
        yield make()
