"""What the documents say is so."""
import glob
import json
import os
import re
import shutil
import subprocess

import pytest

from server import BINARY, ROOT


def text_of(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as f:
        return f.read()


def pennypost(*words):
    return subprocess.run([BINARY, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)


def commands():
    return re.findall(r'^  (\w+) +\S', pennypost('help').stdout, re.M)


def test_help():
    names = commands()
    assert {'lab', 'serve', 'config', 'user', 'domain', 'alias', 'mailbox', 'trace', 'status', 'fsck', 'run'} <= set(names)
    for name in names:
        r = pennypost(name, '--help')
        assert r.returncode == 0 and r.stdout.startswith('Usage: pennypost ' + name) and not r.stderr, name
        assert len(r.stdout.split('\n')) > 4, name
        assert all(len(line) <= 100 for line in r.stdout.split('\n')), name
    assert pennypost('--version').stdout.startswith('pennypost ')


def test_wrong_use_is_exit_status_1():
    for words in (['frob'], [], ['mailbox'], ['mailbox', 'frob'], ['status', '--frob'], ['run'], ['lab', '--frob'],
                  ['run', '--jobs', 'x', 'f.conv'], ['config', 'frob']):
        r = pennypost(*words)
        assert r.returncode == 1 and r.stderr, words


def test_readme_commands_exist():
    text = text_of('README.md')
    names = set(commands())
    used = set(re.findall(r'(?:^|[\s`$/])pennypost ([a-z]+)\b', text))
    assert used, 'README shows no command'
    assert used & names, used
    for block in re.findall(r'^\$ (?:build/)?pennypost ([a-z]+)', text, re.M):
        assert block in names, block
    for target in re.findall(r'`?make ([a-z]+)', text):
        if target in ('run', 'test', 'bench', 'fuzz', 'install', 'clean'):
            assert re.search(r'^%s:' % target, text_of('Makefile'), re.M), target


def test_files_named_in_documents_exist():
    for name in ['README.md', 'CONTRIBUTING.md'] + [os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, 'docs', '*.md'))]:
        for path in re.findall(r'`((?:src|docs|tests|tools|data|fuzz|man|bench)/[\w./-]+)`', text_of(name)):
            assert glob.glob(os.path.join(ROOT, path.rstrip('/'))), '%s names %s' % (name, path)


def test_project_files():
    for name in ('README.md', 'LICENSE', 'CHANGELOG.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'docs/format.md',
                 'docs/decisions.md'):
        assert len(text_of(name)) > 200, name


def man_pages():
    """Sources and what the build has made of them."""
    build = os.path.dirname(BINARY)
    pages = {}
    for place in (os.path.join(ROOT, 'man'), os.path.join(build, 'man')):
        for path in glob.glob(os.path.join(place, '*.[1-8]')):
            pages[os.path.basename(path)] = path
    return pages


def test_man_pages_are_there():
    assert {'pennypost.1', 'pennypost.conf.5', 'pennypost-lab.1'} <= set(man_pages())


def test_man_pages_are_clean():
    if not shutil.which('mandoc'):
        pytest.skip('mandoc is not installed')
    for path in man_pages().values():
        r = subprocess.run(['mandoc', '-T', 'lint', '-W', 'warning', path], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        assert r.returncode == 0, r.stdout


def test_every_key_is_documented():
    keys = [k['name'] for k in json.loads(pennypost('config', 'keys', '--json').stdout)]
    assert len(keys) > 50
    with open(man_pages()['pennypost.conf.5'], encoding='utf-8') as f:
        page = f.read().replace('\\-', '-').replace('\\&', '')
    missing = [k for k in keys if k not in page]
    assert not missing, missing


def test_every_command_is_in_the_manual():
    with open(man_pages()['pennypost.1'], encoding='utf-8') as f:
        page = f.read()
    missing = [c for c in commands() if not re.search(r'\b%s\b' % c, page)]
    assert not missing, missing


def test_example_configuration_is_good():
    found = [p for place in ('data', 'docs', 'etc', 'dist', 'man', 'share') for p in
             glob.glob(os.path.join(ROOT, place, '**', 'pennypost.conf*'), recursive=True)]
    found = [p for p in found if not p.endswith('.5')]
    assert found, 'there is no example configuration'
    for path in found:
        r = pennypost('config', 'check', path)
        assert r.returncode == 0, r.stdout + r.stderr


def test_completion():
    for shell in ('bash', 'zsh', 'fish'):
        r = pennypost('completion', shell)
        if r.returncode == 1:
            continue
        assert 'mailbox' in r.stdout, shell
    r = pennypost('completion', 'bash')
    assert r.returncode == 0
    assert subprocess.run(['bash', '-n'], input=r.stdout, text=True).returncode == 0
