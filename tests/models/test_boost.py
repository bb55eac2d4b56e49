"""Trees repeat to the byte, learn what is there, and refuse what they were not trained on."""

import numpy as np
import pytest

from ppi_ml.errors import IntegrityError
from ppi_ml.models import boost

NAMES = ("a", "b", "c")
SETTINGS = {"num_leaves": 6, "learning_rate": 0.1, "min_data_in_leaf": 50, "lambda_l2": 1.0}
ALL_INPUTS = SETTINGS | {"feature_fraction": 1.0}  # their draw differs with a loss of our own


def sample(seed=0, n=3000, effect=1.5, objective="poisson"):
    """Targets that depend on all inputs, a and c together, from a score that knows the mean."""
    draw = np.random.default_rng(seed)
    inputs = draw.normal(size=(n, 3)).astype(np.float32)
    inputs[draw.random((n, 3)) < 0.1] = np.nan
    a, b, c = (inputs > 0).T
    score = -1 + effect * (0.5 * a + 0.5 * b + 0.5 * c + (a & c))
    if objective == "poisson":
        target = draw.poisson(np.exp(score)).astype(float)
        return boost.Sample(inputs, target, np.full(n, np.log(target.mean())))
    target = (draw.random(n) < 1 / (1 + np.exp(-score))).astype(float)
    share = target.mean()
    return boost.Sample(inputs, target, np.full(n, np.log(share / (1 - share))))


def train(seed=7, threads=2, rounds=30):
    return boost.train("poisson", sample(), NAMES, SETTINGS, rounds=rounds, seed=seed,
                       threads=threads)  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_model_repeats_to_the_byte_for_any_number_of_threads(threads):
    def model(trees):  # the text ends with the parameters, the number of threads among them
        return trees.text.split("parameters:")[0]

    assert model(train(threads=threads)) == model(train(threads=1))


def test_another_seed_gives_other_trees():
    assert train(seed=8).text != train().text


def test_trees_are_their_text():
    trees = train()
    back = boost.Trees.read(trees.text, NAMES)
    inputs = sample(1).inputs
    assert back.rounds == trees.rounds == 30
    assert back.score(inputs).tolist() == trees.score(inputs).tolist()
    assert trees.score(inputs).std() > 0.3
    assert trees.score(inputs[:0]).shape == (0,)


def test_one_row_scores_as_among_others():
    trees, inputs = train(), sample(2).inputs
    alone = [trees.score(inputs[[i]])[0] for i in range(20)]
    assert alone == trees.score(inputs)[:20].tolist()


@pytest.mark.parametrize("names", [("a", "c", "b"), ("a", "b"), ("a", "b", "d")])
def test_trees_of_other_inputs_are_refused(names):
    with pytest.raises(IntegrityError, match="different inputs"):
        boost.Trees.read(train().text, names)


@pytest.mark.parametrize("objective", ["poisson", "binary"])
def test_rounds_are_found_where_there_is_something_to_learn(objective):
    learn, check = sample(3, objective=objective), sample(4, objective=objective)
    rounds = boost.best_rounds(objective, learn, check, NAMES, SETTINGS, seed=1, threads=2)
    assert 5 < rounds < boost.MOST_ROUNDS
    trees = boost.train(objective, learn, NAMES, SETTINGS, rounds=rounds, seed=1, threads=2)

    def loss(score):
        if objective == "poisson":
            return np.mean(np.exp(score) - check.target * score)
        return np.mean(np.logaddexp(0, score) - check.target * score)

    assert loss(check.start + trees.score(check.inputs)) < loss(check.start) - 0.02


@pytest.mark.parametrize("objective", ["poisson", "binary"])
def test_no_rounds_where_the_rule_does_not_hold_on_the_check(objective):
    learn = sample(3, effect=1.5, objective=objective)
    check = sample(4, effect=-1.5, objective=objective)
    assert boost.best_rounds(objective, learn, check, NAMES, SETTINGS, seed=1, threads=2) == 0


@pytest.mark.parametrize("objective", ["poisson", "binary"])
def test_no_rounds_where_the_inputs_say_nothing(objective):
    made = sample(5, objective=objective)
    blank = boost.Sample(np.zeros_like(made.inputs), made.target, made.start)
    assert boost.best_rounds(objective, blank, blank, NAMES, SETTINGS, seed=1, threads=2) == 0


# ------------------------------------------------------------------ larger trees
@pytest.mark.parametrize(
    ("leaves", "small", "large", "expected"),
    [
        (6, (120, 0.5, False), None, (6, 120)),
        (6, (290, 0.5, True), (180, 0.4, False), (31, 180)),
        (6, (290, 0.5, True), (600, 0.4, True), (31, 600)),
        (6, (290, 0.5, True), (180, 0.5, False), (6, 290)),
        (31, (290, 0.5, True), None, (31, 290)),
    ],
    ids=["stop", "would not stop", "nor do larger ones", "larger ones are no better", "are large"],
)
def test_larger_trees_take_over_from_small_ones_that_would_not_stop(leaves, small, large, expected):
    ends, asked = {leaves: small, 31: large or small}, []

    def stopping(settings, most):
        asked.append((settings["num_leaves"], most))
        return boost._Stop(*ends[settings["num_leaves"]])

    found = boost._grown({"num_leaves": leaves, "lambda_l2": 2.0}, stopping)
    assert found == boost.Found({"num_leaves": expected[0], "lambda_l2": 2.0}, expected[1])
    most = [(6, boost.ENOUGH_ROUNDS)] * (leaves == 6) + [(31, boost.MOST_ROUNDS)] * (
        leaves == 31 or large is not None
    )
    assert asked == most


@pytest.mark.parametrize("of_our_own", [False, True])
def test_what_early_stopping_says_of_trees_that_grow(monkeypatch, of_our_own):
    learn, check = sample(3, objective="binary"), sample(4, objective="binary")
    few = ALL_INPUTS | {"num_leaves": 3, "learning_rate": 0.02}
    asked = {"seed": 1, "threads": 2}

    def found():
        if of_our_own:
            fit = (Coin(learn), learn.inputs, Coin(check), check.inputs)
            return boost.best_trees_of(*fit, NAMES, few, **asked)
        return boost.best_trees("binary", learn, check, NAMES, few, **asked)

    monkeypatch.setattr(boost, "ENOUGH_ROUNDS", 20)
    large = few | {"num_leaves": 31}
    rounds = boost.best_rounds("binary", learn, check, NAMES, large, **asked)
    assert found() == boost.Found(large, rounds)
    monkeypatch.setattr(boost, "ENOUGH_ROUNDS", 600)
    rounds = boost.best_rounds("binary", learn, check, NAMES, few, **asked)
    assert found() == boost.Found(few, rounds)
    assert 20 < rounds < 600 - boost.PATIENCE


def test_trees_know_the_leaves_of_the_largest():
    assert train().leaves == 6


class Coin:
    """The log-loss of a sample as a loss of our own: LightGBM has the same one built in."""

    def __init__(self, made):
        self.made = made

    def gradient(self, score):
        chance = 1 / (1 + np.exp(-(self.made.start + score)))
        return chance - self.made.target, chance * (1 - chance)

    def loss(self, score):
        whole = self.made.start + score
        return float(np.mean(np.logaddexp(0, whole) - self.made.target * whole))


def test_a_loss_of_our_own_gives_the_trees_of_the_same_one_built_in():
    made, fresh = sample(6, objective="binary"), sample(7, objective="binary").inputs
    asked = {"rounds": 25, "seed": 1, "threads": 2}
    own = boost.train_on(Coin(made), made.inputs, NAMES, ALL_INPUTS, **asked)
    built_in = boost.train("binary", made, NAMES, ALL_INPUTS, **asked)
    assert own.rounds == 25
    assert own.score(fresh).std() > 0.3
    assert own.score(fresh) == pytest.approx(built_in.score(fresh), abs=1e-4)


def test_the_rounds_of_a_loss_of_our_own_are_those_of_the_same_one_built_in():
    learn, check = sample(3, objective="binary"), sample(4, objective="binary")
    asked = (NAMES, ALL_INPUTS)
    own = boost.best_trees_of(
        Coin(learn), learn.inputs, Coin(check), check.inputs, *asked, seed=1, threads=2
    ).rounds
    assert own == boost.best_rounds("binary", learn, check, *asked, seed=1, threads=2)
    assert 5 < own < boost.MOST_ROUNDS


def test_no_rounds_of_a_loss_of_our_own_where_there_is_nothing_to_learn():
    learn, against = sample(3, objective="binary"), sample(4, effect=-1.5, objective="binary")
    blank = np.zeros_like(learn.inputs)
    for check, inputs in ((against, (learn.inputs, against.inputs)), (learn, (blank, blank))):
        rounds = boost.best_trees_of(
            Coin(learn), inputs[0], Coin(check), inputs[1], NAMES, SETTINGS, seed=1, threads=2
        ).rounds
        assert rounds == 0


def test_trees_of_a_loss_of_our_own_repeat_and_are_their_text():
    made = sample(6, objective="binary")
    asked = {"rounds": 20, "seed": 1}

    def trees(threads):
        return boost.train_on(Coin(made), made.inputs, NAMES, SETTINGS, threads=threads, **asked)

    one, two = trees(1), trees(2)
    assert one.text.split("parameters:")[0] == two.text.split("parameters:")[0]
    back = boost.Trees.read(one.text, NAMES)
    assert back.score(made.inputs).tolist() == one.score(made.inputs).tolist()


def test_a_sample_is_taken_by_mask():
    made = sample()
    mask = made.target > 0
    part = made.take(mask)
    assert len(part.inputs) == len(part.target) == len(part.start) == mask.sum()
    assert (part.target > 0).all()
