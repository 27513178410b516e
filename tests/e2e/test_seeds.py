"""Each of the five seed documents, acted out with `pennypost talk` alone: what it must be like, and that
docs/seeds and docs/talk.svg show what it is like now. acting.py tells how; `acting.py --write` makes the documents again."""
import pytest

import acting

ACTS = acting.all_acts()


@pytest.fixture(scope='module')
def played():
    if acting.way() is None:
        pytest.skip('namespaces cannot be made here, or there is no tmux')
    acting.play(acting.stages(ACTS))


@pytest.mark.parametrize('act', [a for _, _, a in ACTS], ids=['%s-%d' % (n, i + 1) for n, i, _ in ACTS])
def test_act(played, act):
    if act.result is None:
        pytest.skip('needs root and %s in build/peers' % act.server)
    assert 'wrong' not in act.result, act.result['wrong']


@pytest.mark.parametrize('number', acting.SEEDS + ('picture',))
def test_document(played, number):
    if any(act.result is None for act in acting.seed(number).ACTS):
        pytest.skip('a server of it cannot be had here')
    assert all('text' in act.result for act in acting.seed(number).ACTS)
    made, there = (acting.generalize(t).split('\n') for t in (acting.render(number), acting.stored(number)))
    assert made == there, 'tests/e2e/acting.py --write makes it again'
