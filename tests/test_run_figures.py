"""Figures of what a run kept, named in any way; and those that it leaves in its folder."""

import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ppi_ml import bundle as bundles
from ppi_ml import kept, plots, run_figures, training
from ppi_ml.errors import IntegrityError, UsageError
from ppi_ml.models import drawing
from ppi_ml.scoring import Scorer

Text = pytest.importorskip("matplotlib.text").Text

TINY = {
    "target.horizon": "60d", "tune.trials": 1, "folds.train_cutoffs": 4,
    "model.processes": ["mbg_nbd", "gaps"], "model.max_rows": 5_000, "baselines": ["kaplan_meier"],
    "model.stages": "process+glm", "engine.threads": 1,
}  # fmt: skip
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    def run(log, target="repurchase", **settings):
        folder = {"output.folder": str(tmp_path_factory.mktemp("runs"))}
        return training.train(log, target=target, settings=TINY | folder | settings, track=False)

    return run


@pytest.fixture(scope="module")
def run(train, shop):
    """Two years of a shop: with a season."""
    return train(shop)


@pytest.fixture(scope="module")
def ways(run):
    """Every way to name the run."""
    scorer = Scorer.load(run.bundle)
    latest = run.folder.parent / "latest"
    return [
        run, run.folder, str(run.folder), latest, run.bundle, bundles.load(run.bundle), scorer,
    ]  # fmt: skip


def drawn(figure):
    """What a figure shows, as numbers and texts."""
    lines = [np.round(line.get_xydata(), 9).tolist() for ax in figure.axes for line in ax.lines]
    return lines, [ax.get_title("left") for ax in figure.axes]


@pytest.mark.parametrize(
    "draw", [plots.calibration_at, plots.coverage_by_segment, plots.season_effect]
)
def test_all_ways_to_name_a_run_draw_the_same(draw, ways):
    first, *others = (drawn(draw(way)) for way in ways)
    assert first[0]
    assert all(other == first for other in others)


def test_calibration_of_a_run_is_that_of_its_eligible_rows(run):
    table = pl.read_parquet(run.folder / "backtest.parquet").filter("eligible")
    figure = plots.calibration_at(run)
    days = [14, 30, 60]
    assert len(figure.axes) == 1 + len(days)
    for ax, day in zip(figure.axes, [7, *days], strict=True):
        came = table.filter(pl.col("purchased") & (pl.col("days") <= day)).height
        predicted = (1 - table[f"no_event_by_{day}d"]).sum()
        said = f"purchase within {day} days\n{predicted:,.0f} predicted, {came:,} came"
        assert ax.get_title("left") == said
    assert len(plots.calibration_at(run, [45]).axes) == 1
    with pytest.raises(UsageError, match="reaches day 60"):
        plots.calibration_at(run, [61])


def test_the_season_of_a_run_is_that_of_its_regression(run):
    glm = kept.regression_of(run)
    assert any(name.startswith("season_") for name in glm.names)
    assert drawn(plots.season_effect(run)) == drawn(plots.season_effect(glm))


def test_the_coverage_of_a_run_is_that_of_its_scorecard(run):
    figure = plots.coverage_by_segment(run)
    assert drawn(figure) == drawn(plots.coverage_by_segment(run.scorecard))
    pooled = next(
        row for row in run.scorecard.rows
        if (row.model, row.metric, row.segment) == ("model", "coverage", "eligible")
    )  # fmt: skip
    assert [[pooled.value, 0.0]] in [
        np.round(line.get_xydata(), 6).tolist()
        for line in figure.axes[0].lines
        if line.get_color() == drawing.PALETTE[0]
    ]


# ------------------------------------------------------------------ what a run leaves
def test_a_run_leaves_its_figures_and_the_scorecard_shows_them(run):
    names = {path.name for path in (run.folder / "plots").iterdir()}
    assert names == {"calibration.png", "coverage.png", "season.png"}
    page = (run.folder / "scorecard.md").read_text()
    assert page.startswith(run.scorecard.to_markdown())
    assert set(re.findall(r"!\[.+\]\((.+)\)", page)) == {f"plots/{name}" for name in names}
    for name in names:
        assert (run.folder / "plots" / name).read_bytes().startswith(PNG)


def test_no_figure_of_a_run_names_a_customer(run):
    """Texts of the figures are those of shares, days and segments: PNG holds pixels alone."""
    customers = set(pl.read_parquet(run.folder / "backtest.parquet")["customer_id"])
    for draw in (plots.calibration_at, plots.coverage_by_segment, plots.season_effect):
        figure = draw(run)
        figure.draw_without_rendering()
        texts = {text.get_text() for text in figure.findobj(Text)}
        assert texts and not texts & customers


def test_a_churn_run_has_a_calibration_at_shorter_times_too(trained, tmp_path):
    run, _ = trained
    assert [ax.get_title("left").split("\n")[0] for ax in plots.calibration_at(run).axes] == [
        f"purchase within {day} days" for day in (7, 14, 30, 60)
    ]
    assert {path.name for path in (run.folder / "plots").iterdir()} <= {
        "calibration.png", "season.png"
    }  # fmt: skip
    page = (run.folder / "scorecard.md").read_text()
    assert "![what was predicted, and what came](plots/calibration.png)" in page
    assert "coverage" not in page.partition("## Figures")[2]


def test_where_nothing_was_judged_it_says_why(train, make_shop, as_log):
    run = train(as_log(make_shop(customers=900)).until("2018-03-20"))
    assert run.verdict.status == "unjudged"
    assert not (run.folder / "plots").exists()
    figures = (run.folder / "scorecard.md").read_text().partition("## Figures")[2]
    assert "No calibration: nothing was judged in this run: unjudged: the log is too" in figures
    assert "No coverage: this scorecard holds no coverage" in figures
    assert "No season: this model has no season: one takes 548 days" in figures
    with pytest.raises(UsageError, match="nothing was judged in this run"):
        plots.calibration_at(run)


def test_without_matplotlib_a_run_is_whole_and_says_what_is_missing(run, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    shutil.rmtree(folder / "plots")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert 'pip install "ppi_ml[plots]"' in run_figures.write(folder)
    assert not (folder / "plots").exists()


# ------------------------------------------------------------------ errors for people
def test_a_bundle_without_its_run_folder_has_no_calibration(run, tmp_path):
    alone = tmp_path / "bundle"
    shutil.copytree(run.bundle, alone)
    assert drawn(plots.season_effect(alone)) == drawn(plots.season_effect(run))
    with pytest.raises(UsageError, match=r"backtest\.parquet: missing; .* give that folder, whole"):
        plots.calibration_at(alone)


def test_the_table_of_an_older_version_or_a_damaged_one_is_refused(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    path = folder / "backtest.parquet"
    table = pl.read_parquet(path)
    table.drop(pl.selectors.starts_with("no_event_by_")).write_parquet(path)
    with pytest.raises(UsageError, match="older version of ppi_ml; train again"):
        plots.calibration_at(folder)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match=r"backtest\.parquet: damaged"):
        plots.calibration_at(folder)


@pytest.mark.parametrize(
    "draw", [plots.calibration_at, plots.coverage_by_segment, plots.season_effect]
)
def test_what_is_no_run_is_refused(draw, tmp_path):
    with pytest.raises(UsageError, match=r"expected a run, the folder of one .* got DataFrame"):
        draw(pl.DataFrame({"a": [1]}))
    with pytest.raises(IntegrityError, match=r"missing; is .* a bundle"):
        draw(tmp_path)
    with pytest.raises(IntegrityError, match="no bundle there"):
        draw(tmp_path / "none")


def test_a_run_whose_rows_are_not_eligible_has_nothing_to_draw(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    path = folder / "backtest.parquet"
    pl.read_parquet(path).with_columns(eligible=pl.lit(False)).write_parquet(path)
    with pytest.raises(UsageError, match="not one row was judged"):
        plots.calibration_at(replace(run, folder=folder))
