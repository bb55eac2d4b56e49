"""Segments: columns of customers that a shop names, from the file to the score."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tests import moments
from tests.by_hand import log_of, says
from tests.moments import A_LINE
from tests.test_cli import ppi_ml

import ppi_ml as ppi
from ppi_ml import customer_columns, dataset, occasion_data, reads
from ppi_ml.config import Config
from ppi_ml.errors import ConfigError, DataError, UsageError
from ppi_ml.events import RawTable, load_tables
from ppi_ml.instants import Cutoff
from ppi_ml.occasions import standing
from ppi_ml.scoring import Scorer
from ppi_ml.training import train

NAMED = ("loyalty_tier", "plan")
LINES = pl.DataFrame({"order_id": ["1", "2"], "line_id": ["1", "1"], "customer_id": ["a", "b"],
                      "occurred_at": ["2026-01-05 10:00", "2026-01-09 12:00"]})  # fmt: skip
PEOPLE = pl.DataFrame({"customer_id": ["a", "b"], "region": ["north", "south"],
                       "loyalty_tier": [" gold", "silver"], "plan": ["north", None],
                       "shoe": ["41", "42"]})  # fmt: skip
GOLD = {"customer_id": "a", "loyalty_tier": "gold"}


def load(people=PEOPLE, **how):
    return ppi.load({"order_lines": LINES, "customers": people}, **how)


def columns(log):
    return set(log.tables["customers"].frame.columns)


# ------------------------------------------------------------------ what is read
def test_what_is_named_is_read_and_the_rest_is_ignored_with_a_hint():
    log = load(segments=["plan", "loyalty_tier", "plan"])
    assert log.segments == NAMED
    frame = log.tables["customers"].frame
    assert frame["segment_loyalty_tier"].to_list() == ["gold", "silver"]
    assert frame["segment_plan"].to_list() == ["north", None]
    assert log.report.tables["customers"].repaired == {"surrounding spaces stripped": 1}
    hint = "data.segments makes features of columns of text that it names"
    assert f"customers: ignored columns shoe; {hint}" in log.report.notes
    assert f"customers: ignored columns loyalty_tier, plan, shoe; {hint}" in load().report.notes
    assert set(log.customers["segment_loyalty_tier"]) == {"gold", "silver"}
    assert log.fingerprint != load().fingerprint


def test_truths_are_the_same_words_from_a_frame_and_from_its_csv(tmp_path):
    people = pd.DataFrame({"customer_id": ["a", "b"], "member": [True, False]})
    people.to_csv(tmp_path / "customers.csv", index=False)
    logs = [load(source, segments=["member"]) for source in (people, tmp_path / "customers.csv")]
    assert [log.customers["segment_member"].to_list() for log in logs] == [["true", "false"]] * 2
    assert logs[0].fingerprint == logs[1].fingerprint
    told = [log.report.tables["customers"].repaired for log in logs]
    assert told == [{}, {"truth written with a capital letter": 2}]


def test_a_log_without_segments_is_as_it_was():
    assert load().segments == ()
    assert load().fingerprint == load(PEOPLE.drop(*NAMED, "shoe")).fingerprint
    assert not any(name.startswith("segment_") for name in columns(load()))


def test_a_column_of_our_name_for_it_is_not_taken_for_it():
    people = PEOPLE.with_columns(segment_plan=pl.lit("x"))
    log = load(people, segments=["plan"])
    assert log.tables["customers"].frame["segment_plan"].to_list() == ["north", None]
    assert any("segment_plan (not mapped)" in note for note in log.report.notes)


def test_two_columns_of_which_one_is_called_what_the_log_calls_the_other_are_both_read():
    people = PEOPLE.with_columns(segment_plan=pl.Series(["x", "y"]))
    frame = load(people, segments=["plan", "segment_plan"]).tables["customers"].frame
    assert frame["segment_plan"].to_list() == ["north", None]
    assert frame["segment_segment_plan"].to_list() == ["x", "y"]


def test_a_number_is_the_same_word_where_another_is_missing():
    """A frame makes floats of whole numbers as soon as one of them is missing."""
    words = [
        load(PEOPLE.with_columns(plan=pl.Series(plans, dtype=kind)), segments=["plan"])
        .tables["customers"].frame["segment_plan"].to_list()
        for plans, kind in (([1, 2], pl.Int64), (["1", None], pl.String), ([1, None], pl.Float64),
                            ([0.5, float("nan")], pl.Float32))
    ]  # fmt: skip
    assert words == [["1", "2"], ["1", None], ["1", None], ["0.5", None]]


def test_a_column_of_another_name_is_mapped():
    theirs = PEOPLE.rename({"loyalty_tier": "Loyalty Tier"})
    log = load(theirs, segments=["loyalty_tier"],
               columns={"customers": {"loyalty_tier": "Loyalty Tier"}})  # fmt: skip
    assert log.tables["customers"].frame["segment_loyalty_tier"].to_list() == ["gold", "silver"]
    with pytest.raises(DataError, match="columns: loyalty_tier is unknown"):
        load(theirs, columns={"customers": {"loyalty_tier": "Loyalty Tier"}})


def test_a_column_that_is_not_there_is_an_error_with_the_nearest_name():
    with pytest.raises(DataError, match=r"no column loyalty_teir\. Did you mean loyalty_tier\?"):
        load(segments=["loyalty_teir"])
    with pytest.raises(DataError, match="plan: these are columns of the table customers, which"):
        ppi.load({"order_lines": LINES}, segments=["plan"])
    with pytest.raises(DataError, match="column segment_plan holds List"):
        load(PEOPLE.with_columns(plan=pl.Series([["x"], ["y"]])), segments=["plan"])


@pytest.mark.parametrize(("names", "wrong"), [
    ("plan", "as a list"), (["region"], "knows already"), (["valid_from"], "knows already"),
    (["Loyalty Tier"], "letters, digits"), (["a__b"], "letters, digits"), ([3], "letters, digits"),
    (["x" * 41], "at most 40"), ([""], "letters, digits"),
])  # fmt: skip
def test_a_name_that_cannot_be_is_refused(names, wrong):
    with pytest.raises(UsageError, match=wrong):
        load(segments=names)
    whole = {"data": {"source": "files", "path": "x", "segments": names},
             "target": {"name": "churn"}}  # fmt: skip
    with pytest.raises(ConfigError, match=f"data.segments: .*{wrong}"):
        Config.read(whole, environ={})


def test_names_that_can_be_read_but_once_are_refused():
    with pytest.raises(UsageError, match="as a list"):
        load(segments=(name for name in NAMED))


@pytest.fixture
def folder(tmp_path):
    LINES.write_csv(tmp_path / "order_lines.csv")
    PEOPLE.rename({"plan": "Plan"}).write_csv(tmp_path / "customers.csv")
    return tmp_path


def config_of(data):
    return Config.read({"data": data, "target": {"name": "churn"}}, environ={}).data


def test_files_and_databases_are_read_the_same(folder):
    from ppi_ml.inputs import load_log

    mapped = {"customers": {"columns": {"plan": "Plan"}}}
    files = load_log(config_of({"source": "files", "path": str(folder), "segments": NAMED,
                                "tables": mapped}))  # fmt: skip
    place = f"sqlite:///{folder / 'shop.db'}"
    LINES.write_database("lines", place)
    PEOPLE.rename({"plan": "Plan"}).write_database("people", place)
    queries = {"order_lines": {"query": "SELECT * FROM lines"},
               "customers": {"query": "SELECT * FROM people", **mapped["customers"]}}  # fmt: skip
    database = load_log(config_of({"source": "sql", "url": place, "segments": NAMED,
                                   "tables": queries}))  # fmt: skip
    for log in (files, database):
        assert log.segments == NAMED
        assert log.fingerprint == load(segments=NAMED).fingerprint


# ------------------------------------------------------------------ what becomes of it
def people_of(*rows):
    """A log of customer a, whose rows of customers may have further columns."""
    line = {"customer_id": "a", "order_id": "1", "line_id": "1", "occurred_at": "2018-01-06"}
    raw = {"order_lines": RawTable(pl.DataFrame([line])),
           "customers": RawTable(pl.DataFrame(list(rows), infer_schema_length=None))}  # fmt: skip
    named = {name for row in rows for name in row} & set(NAMED)
    return load_tables(raw, timezone="UTC", currency="GBP", segments=named)


def profile(log, day=200):
    cutoff = Cutoff.parse("2018-01-01", "UTC").plus(day)
    data = dataset.build(log, [cutoff], dataset.families("profile", segments=log.segments))
    return dict(zip(data.names, data.values[0].tolist(), strict=True))


def codes_of(said, what):
    return [said[f"profile__{what}_{which}__last"] for which in "ab"]


def test_a_segment_is_a_word_as_a_region_is():
    said = profile(people_of({"customer_id": "a", "region": "gold", "loyalty_tier": "gold"}))
    assert codes_of(said, "segment_loyalty_tier") == codes_of(said, "region")
    assert not np.isnan(codes_of(said, "region")).any()
    assert said.keys() == {*profile(people_of({"customer_id": "a"})),
                           *(f"profile__segment_loyalty_tier_{w}__last" for w in "ab")}  # fmt: skip


def test_a_segment_that_is_empty_or_of_nobody_is_unknown():
    for people in ({**GOLD, "loyalty_tier": None}, {**GOLD, "customer_id": "b"}):
        assert np.isnan(codes_of(profile(people_of(people)), "segment_loyalty_tier")).all()


def test_a_segment_is_that_of_the_cutoff():
    later = {"customer_id": "a", "loyalty_tier": "none", "valid_from": "2018-06-01"}
    log = people_of({**GOLD, "valid_from": None}, later)
    for day, tier in ((150, "gold"), (151, "none")):
        alone = profile(people_of({**GOLD, "loyalty_tier": tier}), day)
        assert profile(log, day) == pytest.approx(alone, nan_ok=True)
    told = [codes_of(profile(log, day), "segment_loyalty_tier") for day in (150, 151)]
    assert told[0] != told[1]


def test_features_of_a_notebook_have_the_segments_of_their_log():
    made = ppi.build_features(people_of(GOLD), "2018-06-01", families=["profile"])
    assert "profile__segment_loyalty_tier_a__last" in made.columns


def test_orders_and_lines_know_the_segments_of_their_customer():
    frames = moments.busy(customers=20)
    who = frames["order_lines"]["customer_id"].unique().sort()
    tiers = pl.DataFrame({"customer_id": who, "tier": [f"t{i % 3}" for i in range(len(who))]})
    raw = {n: RawTable(f, observed_from=moments.START, observed_until=moments.day(moments.DAYS))
           for n, f in (frames | {"customers": tiers}).items()}  # fmt: skip
    log = load_tables(raw, timezone=moments.ZONE, currency="GBP", segments=["tier"])
    families = dataset.families("profile", entity=A_LINE.name, segments=log.segments)
    at = Cutoff.parse("2024-05-01", log.timezone)
    rows = standing(log, A_LINE, moments.BACK, at)
    states = {str(at): occasion_data.states_at(log, at, families, 1)}
    data = occasion_data.build(log, rows, [at], families, A_LINE, states, threads=1)
    told = data.column("profile__segment_tier_a__last")
    tier = data.keys.join(tiers, on="customer_id", how="left", maintain_order="left")["tier"]
    assert len({*zip(tier, told, strict=True)}) == len(set(told)) == 3


# ------------------------------------------------------------------ what names people is refused
def people_with(words):
    ids = [f"c{i}" for i in range(len(words))]
    return pl.DataFrame({"customer_id": ids, "segment_plan": words})


@pytest.mark.parametrize(("words", "refused"), [
    ([f"w{i}" for i in range(50)], True), ([f"w{i % 26}" for i in range(50)], True),
    ([f"w{i % 25}" for i in range(50)], False), ([f"w{i}" for i in range(20)], False),
    ([f"w{i}" for i in range(21)], True), ([None] * 30 + [f"w{i}" for i in range(25)], True),
])  # fmt: skip
def test_a_column_that_tells_who_somebody_is_is_refused(words, refused):
    frame = people_with(words)
    if not refused:
        customer_columns.refuse_ids(frame, ["plan"])
        return
    with pytest.raises(DataError, match=r"plan has \d+ different words for") as error:
        customer_columns.refuse_ids(frame, ["plan"])
    assert "w1" not in str(error.value)


def test_training_and_validate_refuse_it_and_scoring_a_few_does_not(folder, tmp_path):
    ids = [f"c{i}" for i in range(30)]
    many = pl.DataFrame({"order_id": ids, "customer_id": ids, "line_id": "1",
                         "occurred_at": "2026-01-05 10:00"})  # fmt: skip
    people = pl.DataFrame({"customer_id": ids, "email": [f"{i}@x.org" for i in ids]})
    log = ppi.load({"order_lines": many, "customers": people}, segments=["email"])
    with pytest.raises(DataError, match="email has 30 different words for 30 customers"):
        train(log, target="churn", track=False,
              settings={"output.folder": str(tmp_path / "runs")})  # fmt: skip
    many.write_csv(folder / "order_lines.csv")
    people.write_csv(folder / "customers.csv")
    config = tmp_path / "shop.yaml"
    config.write_text(f"data: {{source: files, path: {folder}, segments: [email]}}\n"
                      "target: {name: churn}\n")  # fmt: skip
    ended = ppi_ml("validate", config)
    assert ended.exit_code == 3
    assert "email has 30 different words" in ended.stderr


# ------------------------------------------------------------------ bundles and scores
CUTOFF = "2019-12-20"


@pytest.fixture(scope="module")
def shop_with(make_shop):
    """make(segments, people) -> the log of a shop whose customers have tiers that matter."""
    tables = make_shop(seed=1, customers=200, quitters=True)
    back = set(tables["returns"]["customer_id"])
    who = tables["order_lines"]["customer_id"].unique().sort()
    tiers = pl.DataFrame(
        {
            "customer_id": who,
            "region": "north",
            "tier": ["bronze" if name in back else "gold" for name in who],
        }
    )

    def make(segments=("tier",), people=tiers):
        raw = {n: RawTable(f, observed_from="2018-01-01" if n == "order_lines" else "2018-05-31",
                           observed_until="2020-01-01") for n, f in tables.items()}  # fmt: skip
        more = {} if people is None else {"customers": RawTable(people)}
        return load_tables(raw | more, timezone="Europe/London", currency="GBP", segments=segments)

    return make, tiers, tables


@pytest.fixture(scope="module")
def run(shop_with, tmp_path_factory):
    settings = {
        "target.horizon": "60d", "tune.trials": 1, "folds.train_cutoffs": 3,
        "model.processes": ["gaps"], "features.families": ["profile", "orders"],
        "model.stages": "process+glm+trees",
        "model.trees": {"num_leaves": 6, "learning_rate": 0.1, "min_data_in_leaf": 20},
        "baselines": ["base_rate"], "engine.threads": 1,
        "output.folder": str(tmp_path_factory.mktemp("runs")),
    }  # fmt: skip
    return train(shop_with[0](), target="churn", settings=settings, track=False)


def scores(scorer, log, **how):
    table = scorer.score(log, CUTOFF, everyone=True, **how)
    return table.drop(columns=["model_version"]), table.attrs["notes"]


def test_a_bundle_knows_its_segments(run, shop_with):
    scorer = Scorer.load(run.bundle)
    assert scorer.config.data.segments == ("tier",)
    assert "profile__segment_tier_a__last" in scorer.model.columns
    assert scorer.model.tables["customers"]["filled"]["segment_tier"] == 1.0
    _, notes = scores(scorer, shop_with[0]())
    assert not any("segment" in note for note in notes)


def test_a_log_without_them_is_told_and_scored_as_unknown(run, shop_with):
    make, tiers, _ = shop_with
    scorer = Scorer.load(run.bundle)
    unknown, _ = scores(scorer, make(people=tiers.with_columns(tier=pl.lit(None, pl.String))))
    assert not unknown.equals(scores(scorer, make())[0])
    for log in (make(segments=()), make(segments=(), people=tiers.drop("tier"))):
        found, notes = scores(scorer, log)
        assert found.equals(unknown)
        assert (
            "customers.segment_tier: the model was trained with this column, which is absent, or "
            "not named in segments when the log was loaded; features made of it are null"
        ) in notes
    assert any("customers: the model was trained with this table" in note
               for note in scores(scorer, make(segments=(), people=None))[1])  # fmt: skip


def test_more_segments_than_the_model_knows_change_nothing(run, shop_with):
    make, tiers, _ = shop_with
    scorer = Scorer.load(run.bundle)
    more = make(("size", "tier"), tiers.with_columns(size=pl.lit("xl")))
    assert scores(scorer, more)[0].equals(scores(scorer, make())[0])


def test_a_request_is_answered_like_the_batch(run, shop_with):
    make, tiers, tables = shop_with
    scorer, log = Scorer.load(run.bundle), make()
    table, _ = scores(scorer, log)
    name = table["customer_id"][3]
    at = Cutoff.parse(CUTOFF, log.timezone).at
    before = pl.col("known_at").dt.epoch("us") < at
    own = {n: f.filter(before, customer_id=name) for n, f in tables.items()}
    mine = tiers.filter(customer_id=name)
    whole = scorer.one(own | {"customers": mine}, CUTOFF)
    assert whole.values["churn_probability"] == pytest.approx(
        table["churn_probability"][3], rel=1e-12
    )
    bare = make(people=tiers.with_columns(
        tier=pl.when(pl.col("customer_id") != name).then("tier")))  # fmt: skip
    without = scorer.one(own | {"customers": mine.drop("tier")}, CUTOFF)
    expected = scores(scorer, bare)[0]["churn_probability"][3]
    assert without.values["churn_probability"] == pytest.approx(expected, rel=1e-12)


def test_a_folder_is_read_with_the_segments_of_the_bundle(run, shop_with, tmp_path):
    _, tiers, tables = shop_with
    for name, frame in (tables | {"customers": tiers}).items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    out = tmp_path / "scores.parquet"
    args = ("score", "--model", run.bundle, "--data", tmp_path, "--cutoff", CUTOFF, "--out", out,
            "--all", "--allow-stale")  # fmt: skip
    ended = ppi_ml(*args)
    assert ended.exit_code == 0, ended.stderr
    assert "segment_tier" not in ended.stderr
    tiers.drop("tier").write_parquet(tmp_path / "customers.parquet")
    ended = ppi_ml(*args)
    assert ended.exit_code == 0, ended.stderr
    assert "customers.segment_tier: the model was trained with this column" in ended.stderr


def test_a_config_need_not_name_what_the_bundle_knows(run, shop_with, tmp_path):
    _, tiers, tables = shop_with
    for name, frame in (tables | {"customers": tiers}).items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    config = tmp_path / "today.yaml"
    config.write_text(
        f"data: {{source: files, path: {tmp_path}, timezone: Europe/London, currency: GBP}}\n"
        "target: {name: churn}\n"
    )
    ended = ppi_ml("score", "--model", run.bundle, "--data", config, "--cutoff", CUTOFF,
                   "--out", tmp_path / "scores.csv", "--allow-stale")  # fmt: skip
    assert ended.exit_code == 0, ended.stderr
    assert "segment_tier" not in ended.stderr


def test_a_training_takes_the_segments_of_a_log_and_contradicts_none(shop_with, tmp_path):
    with pytest.raises(UsageError, match=r"data\.segments: the log that is given was loaded other"):
        train(shop_with[0](), target="churn", track=False,
              settings={"data.segments": ["plan"], "output.folder": str(tmp_path)})  # fmt: skip


def test_segments_are_read_by_whoever_reads_customers(shop_with):
    log = shop_with[0]()
    assert reads.filled(log)["customers"] == {"region": 1.0, "segment_tier": 1.0}
    assert says(log_of([("a", 1)]), "profile", 100).keys().isdisjoint({"segment_tier_a__last"})
