"""A small shop that was loaded in a way of its own, and how its model is asked afterwards."""

import pytest
from tests.conftest import PRESENT
from typer.testing import CliRunner

from ppi_ml import cli, inputs
from ppi_ml.events import RawTable, load_tables

SMALL = {
    "target.horizon": "60d", "tune.trials": 1, "folds.train_cutoffs": 3, "model.max_rows": 10_000,
    "model.processes": ["mbg_nbd"], "model.stages": "process+glm", "baselines": ["base_rate"],
    "engine.threads": 1,
}  # fmt: skip
"""Settings of a training of seconds."""


def shop_of(frames, **how):
    """The log of frames that cover 2018 and 2019; `how` is for `load_tables`."""
    raw = {name: RawTable(frame, observed_from="2018-01-01", observed_until="2020-01-01")
           for name, frame in frames.items()}  # fmt: skip
    return load_tables(raw, **{"timezone": "Europe/London", "currency": "GBP", **how})


def from_folder(scorer, frames, folder):
    """The log of frames that were written to a folder, read as the model's was."""
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    return inputs.load_log(inputs.data_settings(folder, scorer.config.data), now=PRESENT)


def how_read(run, folder):
    """What `validate` says, last of all, of how it read a folder for the model of a run."""
    args = ["validate", str(folder), "--against", str(run.folder), "--quiet"]
    return CliRunner().invoke(cli.app(), args).stdout.splitlines()[-1]


def check_requests(scorer, log, frames, customers):
    """One by one, customers are told what the log of all is told of them."""
    scores = scorer.score(log, "2020-01-01", everyone=True).set_index("customer_id")
    asked = [customer for customer in customers if customer in scores.index][:3]
    assert asked
    for customer in asked:
        own = {name: frame.filter(customer_id=customer) for name, frame in frames.items()}
        said = scorer.one(own, "2020-01-01").values["churn_probability"]
        assert said == pytest.approx(scores.loc[customer, "churn_probability"], abs=1e-9)
