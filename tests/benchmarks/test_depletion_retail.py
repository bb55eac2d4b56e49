"""What is told of the scorecards of Online Retail II."""

import depletion_retail
from ppi_ml.runs import Run
from ppi_ml.score_rows import ScoreRow
from ppi_ml.scorecard import Scorecard, Verdict


def row(model, value, difference=None, cutoff="pooled", metric="ibs"):
    ends = (None, None) if difference is None else (difference - 0.01, difference + 0.01)
    return ScoreRow(0, cutoff, "eligible", model, metric, value, None, None, 70, difference, *ends)


def scorecard(status="better"):
    verdict = Verdict(status, "ibs", "near", -0.02, -0.03, -0.01, f"{status}: so it is")
    pooled = (row("model", 0.1), row("near", 0.105, -0.005), row("far", 0.2, -0.1))
    others = (row("model", 0.9, cutoff="2011-01-01"), row("model", 0.81, metric="coverage"))
    return Scorecard(verdict, (*pooled, *others))


def test_what_the_scorecard_says_of_an_origin():
    run = Run(None, None, scorecard(), None, None, None, "depletion", ("2011-01-01",), 10, 70)
    found = depletion_retail.Origin.of("2011-09-10", run)
    assert found.losses == {"model": 0.1, "near": 0.105, "far": 0.2}
    assert (found.pairs, found.more) == (70, {"coverage": 0.81})
    lost = depletion_retail.Origin.of(
        "2011-12-09",
        Run(None, None, scorecard("worse"), None, None, None, "depletion", (), 10, 70),
    )
    part = depletion_retail.part_of([found, lost], {"origins": 2})
    assert [check.passed for check in part.checks] == [True, False]
    assert part.checks[0].found == "better (0.1000; best baseline near 0.1050)"
    assert "| 2011-09-10 | -50.0%* | -4.8% |" in part.tables
