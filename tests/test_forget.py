"""Erasure: every row of a customer goes, no other byte changes, and no id is ever printed."""

import hashlib
import json
import shutil
import subprocess
import sys

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import ppi_ml
from ppi_ml import bundle as bundles
from ppi_ml import cli, customer_list, erasure, inputs, run_outs
from ppi_ml.customer_list import Customers
from ppi_ml.errors import DataError, IntegrityError, UsageError
from ppi_ml.events import RawTable, load_tables
from ppi_ml.row_removal import Found, remove, search
from ppi_ml.runs import PRIVATE
from ppi_ml.spreadsheet import shown

GONE = ("c3", "c14", "c77", "c120")
NOBODY = "never-heard-of"


def forget(*args):
    return CliRunner().invoke(cli.app(), ["forget", *(str(arg) for arg in args)])


def seen_in(folder):
    """Path -> sha256 of every file below a folder, links aside."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }  # fmt: skip


def listed(customers):
    """The rows of a list of run-outs of these customers, as a run writes it."""
    rows = [
        {"customer_id": c, "product": f"tea | {i}", "status": "scored", "p_next_60d": 0.5,
         "runout_p10_date": None, "runout_p50_date": "2020-02-01", "runout_p90_date": None,
         "runout_p50_days": float(i), "nudge_date": None, "nudge_reason": "in time"}
        for i, c in enumerate(customers)
    ]  # fmt: skip
    return run_outs.listed(pl.DataFrame(rows).with_columns(
        pl.col("nudge_date").cast(pl.Date)), 60)  # fmt: skip


def quarantined():
    """What loading sets aside: cells that name a customer, and cells that name nobody."""
    lines = pl.DataFrame({
        "customer_id": ["c1", "c1", "c3", None, "c9"],
        "order_id": ["1", "1", "c3-77", "4", "5"],
        "line_id": ["1", "1", "1", "1", "1"],
        "occurred_at": ["2018-01-05", "2018-01-05", "2018-01-06", "2018-01-06", "c3 or c33"],
        "quantity": ["1", "1", "-2", "1", "1"],
    })  # fmt: skip
    again = pl.DataFrame({"customer_id": ["c3", "c3", "c33", "c33"], "region": list("abab")})
    raw = {"order_lines": RawTable(lines), "customers": RawTable(again)}
    return load_tables(raw, max_quarantined=1.0).report


@pytest.fixture
def runs(trained, tmp_path):
    """A folder as `mlruns/`: a run, its copy in MLflow, scores in every format, older things."""
    run, log = trained
    root = tmp_path / "mlruns"
    place = root / "runs" / run.folder.name
    shutil.copytree(run.folder, place)
    (root / "runs/latest").symlink_to(place.name, target_is_directory=True)
    quarantined().write_quarantine(place / "quarantine")
    names = sorted(log.customer_ids)[:90]
    rows = listed(names)
    rows.write_csv(place / "run_outs.csv")
    (place / "run_outs.md").write_text(run_outs.to_markdown(rows, "2020-01-01"))
    kept = root / "artifacts/0a/artifacts"
    kept.mkdir(parents=True)
    shutil.copytree(run.bundle, kept / "bundle")
    scores = pd.read_parquet(run.folder / "predictions.parquet")
    scores.to_csv(root / "scores.csv", index=False)
    scores.to_json(root / "scores.jsonl", orient="records", lines=True, date_format="iso")
    pairs = scores.assign(product="tea")[["customer_id", "product", "status"]]
    pairs.to_parquet(root / "pairs.parquet")
    features = ppi_ml.build_features(log, "2019-06-01", families=["orders"])
    features.to_parquet(root / "snapshot.parquet")
    (root / "mlflow.db").write_bytes(b"SQLite format 3\x00")
    return root


@pytest.fixture
def ids(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("\n".join([*GONE, "", NOBODY, GONE[0]]))
    return path


def names_in(path):
    """The customers of a table."""
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
    elif path.suffix == ".csv":
        frame = pl.read_csv(path, infer_schema=False)
    else:
        frame = pl.read_ndjson(path)
    return frame["customer" if "customer" in frame.columns else "customer_id"]


TABLES = ("scores.csv", "scores.jsonl", "pairs.parquet", "snapshot.parquet")
OF_RUN = ("predictions.parquet", "backtest.parquet", "run_outs.csv")


# ------------------------------------------------------------------ runs
def test_they_are_in_no_file_afterwards_and_everybody_else_is(runs, ids):
    place = next(p for p in (runs / "runs").iterdir() if not p.is_symlink())
    paths = [*(runs / name for name in TABLES), *(place / name for name in OF_RUN)]
    before = {path: names_in(path) for path in paths}
    assert all(names.is_in(GONE).any() for names in before.values())
    untouched = seen_in(runs)
    ended = forget("--ids", ids, "--root", runs, "--json", "--quiet")
    assert ended.exit_code == 0, ended.output
    answer = json.loads(ended.stdout)
    rows = {file["path"]: (file["rows"], file["left"]) for file in answer["files"]}
    for path, names in before.items():
        mine = names.is_in(GONE)
        assert names_in(path).to_list() == names.filter(~mine).to_list()
        assert rows[str(path)] == (mine.sum(), (~mine).sum())
    assert (answer["ids"], answer["found"], answer["unknown"]) == (5, 4, 1)
    assert answer["rows"] == sum(gone for gone, _ in rows.values())
    page = (place / "run_outs.md").read_text()
    assert page == run_outs.to_markdown(
        pl.read_csv(place / "run_outs.csv", infer_schema=False), "2020-01-01"
    )
    assert not [name for name in GONE if f"| {name} |" in page]
    changed = {name for name, sha in seen_in(runs).items() if untouched[name] != sha}
    assert changed == {str((runs / path).relative_to(runs)) for path in rows}
    rest = ("unread", "nameless", "damaged", "encoded")
    assert [answer[name] for name in rest] == [[]] * 4


def test_what_stays_in_a_table_is_what_was_there(runs, ids):
    place = next(p for p in (runs / "runs").iterdir() if not p.is_symlink())
    old = {p: pd.read_parquet(p) for p in (place / "predictions.parquet", runs / "pairs.parquet",
                                           runs / "snapshot.parquet")}  # fmt: skip
    lines = (runs / "scores.csv").read_text().splitlines(keepends=True)
    objects = (runs / "scores.jsonl").read_text().splitlines(keepends=True)
    assert forget("--ids", ids, "--root", runs, "--quiet").exit_code == 0
    for path, frame in old.items():
        new = pd.read_parquet(path)
        who = frame.reset_index()["customer_id"].isin(GONE).to_numpy()
        assert new.dtypes.equals(frame.dtypes)
        pd.testing.assert_frame_equal(
            new.reset_index(drop=path.stem != "snapshot"),
            frame[~who].reset_index(drop=path.stem != "snapshot"),
        )
    marks = [f"{name}," for name in GONE]
    kept = [line for line in lines if not line.startswith(tuple(marks))]
    assert (runs / "scores.csv").read_text() == "".join(kept)
    marks = [f'{{"customer_id":"{name}"' for name in GONE]
    kept = [line for line in objects if not line.startswith(tuple(marks))]
    assert (runs / "scores.jsonl").read_text() == "".join(kept)


@pytest.mark.parametrize("how", [(), ("--json",), ("--dry-run",)])
def test_no_id_is_printed(runs, ids, how):
    ended = forget("--ids", ids, "--root", runs, *how)
    assert ended.exit_code == 0, ended.output
    words = ended.output.replace('"', " ").replace(",", " ").split()
    assert not {*GONE, NOBODY} & set(words)
    assert NOBODY not in ended.output


def test_a_dry_run_says_the_same_and_does_nothing(runs, ids):
    before = seen_in(runs)
    said = json.loads(forget("--ids", ids, "--root", runs, "--json", "--dry-run").stdout)
    assert seen_in(runs) == before
    done = json.loads(forget("--ids", ids, "--root", runs, "--json").stdout)
    assert said.pop("dry_run") is True
    assert done.pop("dry_run") is False
    assert said == done


def test_the_second_time_there_is_nothing_to_do(runs, ids):
    forget("--ids", ids, "--root", runs, "--quiet")
    before = seen_in(runs)
    again = json.loads(forget("--ids", ids, "--root", runs, "--json").stdout)
    assert (again["found"], again["rows"], again["files"]) == (0, 0, [])
    assert seen_in(runs) == before
    assert {held["customers"] for held in again["bundles"]} == {None}


def test_bundles_whose_events_held_them_are_listed(runs, ids, trained):
    """The copy in MLflow has no predictions beside it, but was trained on the same events."""
    foreign = bundles.load(trained[0].bundle)
    files = {name: foreign.text(name) for name in foreign.manifest["files"]}
    about = {**foreign.manifest, "data": {"fingerprint": "of other events"}, "version": "other"}
    bundles.save(runs / "runs/other/bundle", files, about)
    answer = json.loads(forget("--ids", ids, "--root", runs, "--json").stdout)
    told = {held["bundle"]: (held["customers"], held["why"]) for held in answer["bundles"]}
    own = str(runs / "runs" / trained[0].folder.name / "bundle")
    assert told == {
        own: (4, "its run names 4 of them"),
        str(runs / "artifacts/0a/artifacts/bundle"): (
            4, "another run on the same events names 4 of them",
        ),
        str(runs / "runs/other/bundle"): (None, "no file of its run names them"),
    }  # fmt: skip
    shas = {held["sha256"] for held in answer["bundles"]}
    assert shas == {foreign.content_sha256}
    ppi_ml.Scorer.load(own)  # it still stands, whole


def test_an_id_that_a_list_for_people_shows_otherwise_is_found(tmp_path):
    """An apostrophe stands before it there, so that no spreadsheet runs it."""
    gone, stays = "=1+1", "'=1+1"
    rows = listed([gone, stays, "c4"])
    shown(rows).write_csv(tmp_path / "run_outs.csv")
    (tmp_path / "run_outs.md").write_text(run_outs.to_markdown(rows, "2020-01-01"))
    done = erasure.forget(Customers([gone]), tmp_path)
    assert done.found == 1
    left = pl.read_csv(tmp_path / "run_outs.csv", infer_schema=False)["customer"]
    assert left.to_list() == ["''=1+1", "c4"]
    page = (tmp_path / "run_outs.md").read_text()
    assert (f"| {stays} |" in page, f"| {gone} |" in page, "''" in page) == (True, False, False)
    assert "The first 2 of 2" in page


def test_without_anybody_to_find_no_bundle_is_accused(runs, tmp_path):
    (tmp_path / "none.txt").write_text(NOBODY)
    text = forget("--ids", tmp_path / "none.txt", "--root", runs).stdout
    assert "1 ids: 0 found, 1 in no table" in text
    assert "0 rows removed from 0 files" in text
    assert "to be trained again" not in text
    assert "nothing tells whether their events held them:\n" in text


def test_no_file_of_a_run_but_the_private_ones_names_a_customer(trained):
    """Which is why the others need not be rewritten."""
    run, log = trained
    every = [p for p in run.folder.rglob("*") if p.is_file()]
    public = [p for p in every if not {*p.relative_to(run.folder).parts} & set(PRIVATE)]
    assert {"config.yaml", "load_report.json", "scorecard.md", "manifest.json", "state.json",
            "tuning.json"} <= {p.name for p in public}  # fmt: skip
    texts = [p.read_text(encoding="utf-8") for p in public if p.suffix != ".png"]  # no text in it
    marks = [mark for c in log.customer_ids for mark in (f'"{c}"', f"| {c} |", f" {c}\n")]
    assert not [mark for mark in marks if any(mark in text for text in texts)]
    private = {p.name for p in every} - {p.name for p in public}
    assert private == {"predictions.parquet", "backtest.parquet"}


# ------------------------------------------------------------------ quarantine
def test_quarantined_rows_go_where_a_cell_names_them(tmp_path):
    quarantined().write_quarantine(tmp_path)
    before = pl.read_parquet(tmp_path / "order_lines.parquet")
    assert before["value"].to_list() == ["1, 1", "-2", None, "c3 or c33"]
    erasure.forget(Customers(["c3"]), tmp_path)
    left = pl.read_parquet(tmp_path / "order_lines.parquet")
    assert left["value"].to_list() == ["1, 1", "-2", None]  # nothing tells whose the -2 was
    assert pl.read_parquet(tmp_path / "customers.parquet")["value"].to_list() == ["c33"]


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("c3", "c3", True), ("c3", "order c3-77", True), ("c3", "c33", False),
        ("c3", "xc3", False), ("c3", None, False), ("17850", "17850.0, 1", True),
        ("17850", "117850", False), ("ann@x.org", "of ann@x.org.", True),
        ("ann@x.org", "joann@x.org", False), ("a.b", "axb", False), ("Zoë", "Zoë, 2", True),
        ("#7", "#7", True), ("#7", "#77", False), ("a b", "of a b, c", True),
    ],
)  # fmt: skip
def test_a_text_names_a_customer_by_whole_words(name, value, named):
    found = Customers([name, "somebody"]).within(pl.Series([value], dtype=pl.String))
    assert found.to_list() == [named]


# ------------------------------------------------------------------ files
CSV = (
    "\ufeffOrder;customer_id;text\r\n"
    '1;007;"two\r\nlines; and a ""quote"""\r\n'
    "2;7;plain\r\n"
    '3;" 007 ";5" pipe\r\n'
    "\r\n"
    "4;;\r\n"
    "5;8.0;last"
)


@pytest.mark.parametrize(
    ("name", "left"),
    [("007", (0, 2, 4, 5, 6)), ("7", (0, 1, 3, 4, 5, 6)), ("8", (0, 1, 2, 3, 4, 5))],
)
def test_the_rest_of_a_csv_stays_byte_for_byte(tmp_path, name, left):
    path = tmp_path / "x.csv"
    path.write_bytes(CSV.encode())
    parts = ["\ufeffOrder;customer_id;text\r\n", '1;007;"two\r\nlines; and a ""quote"""\r\n',
             "2;7;plain\r\n", '3;" 007 ";5" pipe\r\n', "\r\n", "4;;\r\n", "5;8.0;last"]  # fmt: skip
    assert "".join(parts) == CSV
    found = search(path, Customers([name]))
    assert (found.rows, found.left) == (7 - len(left), 5 - (7 - len(left)))
    assert found.ids == {name}
    remove(path, Customers([name]))
    assert path.read_bytes() == "".join(parts[i] for i in left).encode()


def test_blank_lines_above_a_header_hide_nobody(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("\n ;\nn;customer_id\n1;c1\n2;c2\n")
    done = erasure.forget(Customers(["c2"]), tmp_path)
    assert (done.found, done.files) == (1, {str(path): (1, 1)})
    assert path.read_text() == "\n ;\nn;customer_id\n1;c1\n"
    path.write_text("\n\nKunde;n\nc2;1\n")
    assert erasure.forget(Customers(["c2"]), tmp_path).nameless == (str(path),)


def test_a_first_name_of_two_lines_hides_nobody(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('"Order\nNo.";"customer_id"\n1;c1\n2;c2\n')
    assert erasure.forget(Customers(["c2"]), tmp_path).files == {str(path): (1, 1)}
    assert path.read_text() == '"Order\nNo.";"customer_id"\n1;c1\n'


@pytest.mark.parametrize("rest", ["c2,x\nc3,y\n", 'c2,x\nc3,"y"\nc4,z\n'])
@pytest.mark.parametrize("gone", ["c1", "c3"])
def test_quotes_that_do_not_fit_take_nobody_along_and_hide_nobody(tmp_path, rest, gone):
    path = tmp_path / "x.csv"
    path.write_text(f'customer_id,text\nc0,a\nc1,"b\n{rest}')
    before = path.read_bytes()
    done = erasure.forget(Customers([gone]), tmp_path)
    assert (done.damaged, done.files) == ((str(path),), {})
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["float", "integer", "text", "category"])
def test_ids_of_any_type_are_found_in_parquet(tmp_path, kind):
    ids = {"float": [7.0, 8.0, None, 7.5], "integer": [7, 8, None, 9],
           "text": ["7.0", "8", None, "07"], "category": ["7", "8", None, "07"]}[kind]  # fmt: skip
    frame = pl.DataFrame({"customer_id": ids, "x": [1, 2, 3, 4]})
    if kind == "category":
        frame = frame.with_columns(pl.col("customer_id").cast(pl.Categorical))
    packed = {"float": "zstd", "integer": "lz4", "text": "uncompressed", "category": "gzip"}[kind]
    frame.write_parquet(tmp_path / "x.parquet", row_group_size=2, compression=packed)
    assert search(tmp_path / "x.parquet", Customers(["7"])) == Found(1, 3, frozenset({"7"}))
    remove(tmp_path / "x.parquet", Customers(["7"]))
    back = pl.read_parquet(tmp_path / "x.parquet")
    assert back.schema == frame.schema
    assert back["x"].to_list() == [2, 3, 4]
    remove(tmp_path / "x.parquet", Customers(["8", "9", "7.5", "07"]))
    remove(tmp_path / "x.parquet", Customers(["8", "9", "7.5", "07"]))
    assert pl.read_parquet(tmp_path / "x.parquet").schema == frame.schema


def test_a_table_of_a_page_and_what_stands_around_it(tmp_path):
    page = ("# c3\n\n| customer | n |\n| :-- | --: |\n| c3 | 1 |\n| c\\|4 | 2 |\n| c33 | 3 |\n\n"
            "c3 in words\n| other | n |\n| :-- | --: |\n| c3 | 9 |\n")  # fmt: skip
    path = tmp_path / "x.md"
    path.write_text(page)
    remove(path, Customers(["c3", "c|4"]))
    assert path.read_text() == page.replace("| c3 | 1 |\n| c\\|4 | 2 |\n", "")


def test_a_header_in_quotes_behind_a_byte_order_mark(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('"customer_id","n"\r\n"c3","1"\r\n"c4","2"\r\n', "utf-8-sig", newline="")
    assert search(path, Customers(["c3"]), "customer_id") == Found(1, 1, frozenset({"c3"}))
    remove(path, Customers(["c3"]))
    assert path.read_bytes() == b'\xef\xbb\xbf"customer_id","n"\r\n"c4","2"\r\n'


@pytest.mark.parametrize("column", [None, "customer_id", " customer_id"])
def test_blanks_around_the_name_of_a_column_hide_nobody(tmp_path, column):
    """Events are read without them, so a log knows whom such a file names."""
    file = tmp_path / "a.csv"
    file.write_text("t; customer_id \n1;c3\n2;c4\n")
    gone = Customers(["c3"], file)
    assert search(file, gone, column) == Found(1, 1, {"c3"})
    remove(file, gone, column)
    assert file.read_text() == "t; customer_id \n2;c4\n"


def test_lines_of_json_without_the_column_that_must_be_there_are_refused(tmp_path):
    path = tmp_path / "reviews.jsonl"
    path.write_text('{"client": "c3"}\n\n')
    with pytest.raises(DataError, match="no line has a customer_id to tell whose it is"):
        search(path, Customers(["c3"]), "customer_id")
    assert search(path, Customers(["c3"])) is None
    path.write_text("\n")
    assert search(path, Customers(["c3"]), "customer_id") == Found(0, 0)


def test_a_file_without_customers_is_no_business_of_ours(tmp_path):
    (tmp_path / "x.csv").write_text("sku,price\nc3,1\n")
    pl.DataFrame({"sku": ["c3"]}).write_parquet(tmp_path / "x.parquet")
    (tmp_path / "empty.csv").write_text("")
    before = seen_in(tmp_path)
    done = erasure.forget(Customers(["c3"]), tmp_path)
    assert done.files == {}
    assert done.nameless == (str(tmp_path / "x.csv"), str(tmp_path / "x.parquet"))
    assert search(tmp_path / "x.csv", Customers(["c3"])) is None
    assert seen_in(tmp_path) == before


def test_more_rows_than_are_read_at_once(tmp_path):
    """And a file of one customer alone keeps its head."""
    lines = [f"{i},c{i % 3}\n" for i in range(45_000)]
    (tmp_path / "x.csv").write_text("n,customer_id\n" + "".join(lines))
    found = erasure.forget(Customers(["c1"]), tmp_path).files
    assert found == {str(tmp_path / "x.csv"): (15_000, 30_000)}
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 30_001
    erasure.forget(Customers(["c0", "c2"]), tmp_path)
    assert (tmp_path / "x.csv").read_text() == "n,customer_id\n"


def test_what_cannot_be_read_is_told_and_the_rest_is_done(tmp_path):
    (tmp_path / "x.csv").write_text("customer_id\nc3\nc4\n")
    (tmp_path / "latin.csv").write_bytes("customer_id,t\nc3,é\n".encode("latin-1"))
    pl.DataFrame({"customer_id": ["c3"]}).write_parquet(tmp_path / "cut.parquet")
    whole = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    (tmp_path / "torn.jsonl").write_text('{"customer_id": "c3"}\n{"customer_')
    (tmp_path / "old.pkl").write_bytes(b"c3")
    (tmp_path / "ids").write_text("c3")
    ended = forget("--ids", tmp_path / "ids", "--root", tmp_path, "--json")
    assert ended.exit_code == 4
    assert "2 files cannot be read and may still name them" in ended.stderr
    answer = json.loads(ended.stdout)
    names = ["cut.parquet", "torn.jsonl"]
    assert answer["damaged"] == [str(tmp_path / name) for name in names]
    assert [told["path"] for told in answer["encoded"]] == [str(tmp_path / "latin.csv")]
    assert answer["unread"] == [str(tmp_path / "old.pkl")]
    assert (tmp_path / "x.csv").read_text() == "customer_id\nc4\n"


@pytest.mark.parametrize(
    ("name", "text", "encoding", "from_"),
    [
        ("returns.csv", "Kundennummer;Grund\nc3;gefällt nicht\n", "cp1252", "CP1252"),
        ("late.csv", "customer_id;t\n" + "c4;a\n" * 9_999 + "c3;ä\n", "cp1252", "CP1252"),
        ("marked.csv", "customer_id;t\nc3;a\n", "utf-16", "UTF-16"),
        ("bare.csv", "customer_id;t\nc3;a\n", "utf-16-le", "UTF-16"),
        ("page.md", "| customer |\n| -- |\n| c3 |\nä\n", "latin-1", "CP1252"),
        ("rows.jsonl", '{"customer_id": "c3", "t": "ä"}\n', "latin-1", "CP1252"),
    ],
)
@pytest.mark.parametrize("how", [(), ("--dry-run",)])
def test_a_text_in_another_encoding_is_told_with_the_way_to_convert_it(
    tmp_path, name, text, encoding, from_, how
):
    path = tmp_path / "it's" / name
    path.parent.mkdir()
    path.write_bytes(text.encode(encoding))
    (tmp_path / "ids").write_text("c3")
    ended = forget("--ids", tmp_path / "ids", "--root", path.parent, *how)
    assert ended.exit_code == 4
    assert f"not in UTF-8 (1):\n  {path}" in ended.stdout
    assert "1 files are not in UTF-8, were not looked into and may still name them" in ended.stderr
    assert "0 found, 1 in no table that was looked into" in ended.stdout
    assert f"iconv -f {from_} -t UTF-8 " in ended.stderr
    assert not [word for word in ("delete", "damaged") if word in ended.output]
    assert path.read_bytes() == text.encode(encoding)
    if from_ == "CP1252":
        command = ended.stderr.strip().split(", or: ")[1]
        subprocess.run(["sh", "-c", command], check=True)
        assert [p.name for p in path.parent.iterdir()] == [name]
        assert path.read_text() == text
        assert forget("--ids", tmp_path / "ids", "--root", path.parent, *how).exit_code == 0


@pytest.mark.parametrize(
    "start", [b"PK\x03\x04\x14\x00\xe9", b"\x1f\x8b\x08\x00", b"\xd0\xcf\x11\xe0"]
)
def test_what_is_no_text_is_not_to_be_converted(tmp_path, start):
    """The conversion of a workbook or of compressed rows would destroy them."""
    path = tmp_path / "root" / "x.csv"
    path.parent.mkdir()
    path.write_bytes(start + b"\x00c3\n\xff")
    (tmp_path / "ids").write_text("c3")
    ended = forget("--ids", tmp_path / "ids", "--root", path.parent)
    assert ended.exit_code == 4
    assert "1 files cannot be read and may still name them" in ended.stderr
    assert "iconv" not in ended.output
    with pytest.raises(UsageError, match=r"it is (an Excel|compressed)"):
        customer_list.ids_in(path)


def test_tables_that_do_not_say_whose_their_rows_are_are_listed(tmp_path):
    """But for our own that hold nobody: the tables of products and stock, a simulator's truth."""
    root = tmp_path / "root"
    (root / "shop/truth").mkdir(parents=True)
    (root / "shop/truth/truth.json").write_text("{}")
    pl.DataFrame({"content_tag": ["a"], "effect": [1]}).write_parquet(root / "shop/truth/t.parquet")
    (root / "products.csv").write_text("sku,category\ns,tea\n")
    pl.DataFrame({"sku": ["s"], "occurred_at": ["2020-01-01"]}).write_parquet(
        root / "stock.parquet"
    )
    (root / "page.md").write_text("| n |\n| -- |\n| 1 |\n")
    (root / "blank.jsonl").write_text("\n")
    ours = sorted(str(p.relative_to(root)) for p in root.rglob("*"))
    strange = {
        "marketing.csv": "Kundennummer;Score\nc3;0,5\n",
        "other/products.csv": "sku,Kundennummer\ns,c3\n",
        "rows.jsonl": '{"Kunde": "c3"}\n["c3"]\n',
    }
    for name, text in strange.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    for i in range(30):
        pl.DataFrame({"Kunde": ["c3"]}).write_parquet(root / f"z{i:02}.parquet")
    (tmp_path / "ids").write_text("c3")
    ended = forget("--ids", tmp_path / "ids", "--root", root, "--json", "--quiet")
    assert ended.exit_code == 0, ended.output
    answer = json.loads(ended.stdout)
    found = {path.removeprefix(f"{root}/") for path in answer["nameless"]}
    assert found == {*strange, *(f"z{i:02}.parquet" for i in range(30))}
    assert answer["not_looked_into"] == len(found)
    assert not found & set(ours)
    text = forget("--ids", tmp_path / "ids", "--root", root).stdout
    assert "not looked into: no column customer_id or customer (33):\n" in text
    assert "  and 13 more; --json lists all" in text
    assert "0 found, 1 in no table that was looked into" in text


def test_damage_that_shows_only_when_rewriting_leaves_the_file_and_is_told(tmp_path):
    path, ids = tmp_path / "x.parquet", [f"c{i}" for i in range(500)]
    frame = pl.DataFrame({"customer_id": ids, "x": [f"here{i:09}" for i in range(500)]})
    frame.write_parquet(path, compression="gzip", statistics=False)
    whole = path.read_bytes()
    with pq.ParquetFile(path) as file:
        start = file.metadata.row_group(0).column(1).data_page_offset
    path.write_bytes(whole[:start] + b"\xff" * 40 + whole[start + 40 :])
    before = seen_in(tmp_path)
    done = erasure.forget(Customers(["c3"]), tmp_path)
    assert (done.damaged, done.files) == ((str(path),), {})
    assert seen_in(tmp_path) == before


def test_a_column_that_holds_no_ids_is_told(tmp_path):
    frame = pl.DataFrame({"customer_id": [["c3"], ["c4"]]})
    frame.write_parquet(tmp_path / "x.parquet")
    assert erasure.forget(Customers(["c3"]), tmp_path).damaged == (str(tmp_path / "x.parquet"),)


def test_the_list_itself_and_what_lies_elsewhere_are_left_alone(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    root.mkdir()
    other.mkdir()
    (other / "x.csv").write_text("customer_id\nc3\n")
    (root / "ids.csv").write_text("customer_id\nc3\n")
    (root / "scores.csv").write_text("customer_id\nc3\n")
    (root / "away.csv").symlink_to(other / "x.csv")
    (root / "folder").symlink_to(other, target_is_directory=True)
    (root / "here.csv").symlink_to("scores.csv")
    done = erasure.forget(customer_list.read(root / "ids.csv"), root)
    assert list(done.files) == [str(root / "scores.csv")]
    assert done.unread == (str(root / "away.csv"), str(root / "folder"))
    assert {p.read_text() for p in (root / "ids.csv", other / "x.csv")} == {"customer_id\nc3\n"}
    assert (root / "here.csv").is_symlink()


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
from ppi_ml.cli import main
sys.argv = ["ppi-ml", "forget", "--ids", sys.argv[1], "--root", sys.argv[2], "--quiet"]
main()
"""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_disk_that_is_full_leaves_the_file_as_it_was(tmp_path, kind):
    """The process may write no file of more than 50 kB."""
    root = tmp_path / "root"
    root.mkdir()
    frame = pl.DataFrame({"customer_id": [f"c{i}" for i in range(60_000)]})
    if kind == "csv":
        frame.write_csv(root / "x.csv")
    else:
        frame.write_parquet(root / "x.parquet", compression="uncompressed")
    (tmp_path / "ids").write_text("c3")
    before = seen_in(root)
    ended = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "ids", root],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "File too large" in ended.stderr
    assert seen_in(root) == before


# ------------------------------------------------------------------ whom
@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("x.txt", "\ufeffc1\n\n c2 \r\nc1\n", ["c1", "c2"]),
        ("x.csv", "name;customer_id\nann;007\n\nbob; 8.0\n", ["007", "8"]),
        ("x.csv", "customer_id\n1,5\n", ["1"]),
        ("x.csv", "c1\nc2\n", ["c1", "c2"]),
        ("x", "a,b\nc\n", ["a,b", "c"]),
        ("x.csv", '"c1"\r\n "c2" \r\n', ["c1", "c2"]),
        ("x.txt", "\ufeffCustomer_ID;Name\r\nc2;a, b; c\r\nc1;\r\nc2;d\r\n", ["c2", "c1"]),
        ("x.csv", "customer,runout\nc1,2020-02-01\n", ["c1"]),
        ("x.csv", '"name"\t"customer_id"\n"two\nlines"\t"c1"\n', ["c1"]),
    ],
)  # fmt: skip
def test_ids_are_read_line_by_line_or_from_their_column(tmp_path, name, text, found):
    (tmp_path / name).write_text(text, newline="")
    assert customer_list.ids_in(tmp_path / name) == found
    assert customer_list.read(tmp_path / name).ids.to_list() == sorted(found)


def test_names_in_another_encoding_beside_plain_ids_do_no_harm(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("customer_id;Name\r\nc2;Jos\xe9 \x85\r\nc1;M\xfcller\r\n".encode("latin-1"))
    assert customer_list.ids_in(path) == ["c2", "c1"]
    path.write_bytes("customer_id;Name\r\nm\xfcller;c1\r\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"an id is no plain text.*iconv -f CP1252") as caught:
        customer_list.ids_in(path)
    assert "ller" not in str(caught.value)


def test_score_and_forget_read_one_list_alike(runs, trained, make_shop, tmp_path):
    path, out = tmp_path / "ids.csv", tmp_path / "scores.csv"
    path.write_text(f"\ufeffcustomer_id;Name\r\nc3;M\r\n{NOBODY};N\r\n", newline="")
    exported(make_shop(seed=1, customers=400, quitters=True), tmp_path / "events")
    scored = CliRunner().invoke(cli.app(), [
        "score", "--model", str(trained[0].bundle), "--data", str(tmp_path / "events"), "--cutoff",
        "end", "--out", str(out), "--ids", str(path), "--allow-stale", "--json", "--quiet",
    ])  # fmt: skip
    assert scored.exit_code == 0, scored.output
    assert pd.read_csv(out)["customer_id"].tolist() == ["c3", NOBODY]
    told = json.loads(scored.stdout)["notes"]
    assert "1 of 2 ids asked for are in no table of this log" in told
    forgot = json.loads(forget("--ids", path, "--root", runs, "--json", "--dry-run").stdout)
    assert (forgot["ids"], forgot["found"]) == (2, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names nobody; expected one id a line"),
        ("id,name\n1,ann\n", "expected a column customer_id"),
        ('customer_id,name\n1,"ann\n2,bob\n', "a quote is opened and not closed again"),
        ('customer_id,name\n1,"ann\n2,"bob"\n3,eve\n', "a quote is opened and not closed"),
        (None, "x.csv: No such file; expected"),
    ],
)
def test_a_file_without_ids_is_refused(tmp_path, text, message):
    path = tmp_path / "x.csv"
    if text is not None:
        path.write_text(text)
    ended = forget("--ids", path, "--root", tmp_path)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert message in ended.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--root", "nowhere"], "nowhere: no such folder"),
        (["--data", "nowhere"], "nowhere: expected a folder of tables"),
        (["--data", "configs/demo.yaml"], "events of the source online_retail are not rewritten"),
        (["--data", "configs/late_delivery.yaml"], "name the file or folder itself"),
    ],
)
def test_what_cannot_be_understood_is_refused_before_anything_is_done(
    runs, ids, monkeypatch, more, message
):
    monkeypatch.chdir(inputs.demo_config().parents[1])
    before = seen_in(runs)
    ended = forget("--ids", ids, "--root", runs, *more)
    assert ended.exit_code == 2
    assert message in ended.stderr
    assert seen_in(runs) == before


# ------------------------------------------------------------------ events
def exported(frames, folder):
    """A folder of tables as a shop has it: order lines in parts, returns as CSV, one more file."""
    (folder / "order_lines").mkdir(parents=True)
    lines = frames["order_lines"]
    half = lines.height // 2
    lines[:half].write_parquet(folder / "order_lines/1.parquet")
    lines[half:].write_parquet(folder / "order_lines/2.parquet")
    stamp = pl.col("occurred_at", "known_at").dt.strftime("%Y-%m-%dT%H:%M:%S%z")
    frames["returns"].with_columns(stamp).write_csv(folder / "returns.csv", separator=";")
    granted = pl.DataFrame({"customer_id": ["c3", "c5"], "purpose": "profiling", "granted": "no",
                            "occurred_at": "2018-05-01T10:00:00Z"})  # fmt: skip
    granted.write_csv(folder / "consents.csv")
    pl.DataFrame({"sku": ["s1"], "category": ["tea"]}).write_csv(folder / "products.csv")
    return folder


def read(folder):
    """The log of a folder."""
    like = inputs.data_settings(folder).model_copy(update={"timezone": "Europe/London"})
    return inputs.load_log(like)


def never_had(frames):
    return {name: f.filter(~pl.col("customer_id").is_in(GONE)) for name, f in frames.items()}


@pytest.fixture
def folders(make_shop, tmp_path, ids):
    """(a folder after they were forgotten, one that never had them)."""
    frames = make_shop(customers=200)
    one, other = exported(frames, tmp_path / "one"), exported(never_had(frames), tmp_path / "other")
    (other / "consents.csv").write_text(
        "".join((one / "consents.csv").read_text().splitlines(keepends=True)[::2])
    )
    before = read(one)
    assert read(other).fingerprint != before.fingerprint
    (tmp_path / "root").mkdir()
    ended = forget("--ids", ids, "--root", tmp_path / "root", "--data", one, "--json")
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["found"] == len(GONE)
    return one, other


def test_forget_then_rebuild_equals_a_log_that_never_had_them(folders):
    one, other = map(read, folders)
    assert not set(GONE) & set(one.customer_ids)
    assert one.fingerprint == other.fingerprint
    assert (folders[0] / "returns.csv").read_text() == (folders[1] / "returns.csv").read_text()


def test_and_so_does_the_model(folders, tmp_path):
    settings = {
        "target.horizon": "60d", "tune.trials": 1, "folds.train_cutoffs": 3,
        "model.processes": ["mbg_nbd"], "model.stages": "process", "baselines": ["base_rate"],
        "output.folder": str(tmp_path / "runs"),
    }  # fmt: skip
    shas = {
        bundles.load(ppi_ml.train(read(folder), settings=settings, track=False).bundle)
        .content_sha256
        for folder in folders
    }  # fmt: skip
    assert len(shas) == 1


def test_without_data_no_event_is_touched(runs, ids, make_shop, tmp_path):
    folder = exported(make_shop(), tmp_path / "events")
    before = seen_in(folder)
    assert forget("--ids", ids, "--root", runs, "--quiet").exit_code == 0
    assert seen_in(folder) == before


def test_a_table_that_does_not_say_whose_its_rows_are_stops_all(make_shop, tmp_path, ids):
    folder = exported(make_shop(), tmp_path / "events")
    returns = (folder / "returns.csv").read_text().replace("customer_id", "Client", 1)
    (folder / "returns.csv").write_text(returns)
    (tmp_path / "root").mkdir()
    before = seen_in(folder)
    ended = forget("--ids", ids, "--root", tmp_path / "root", "--data", folder)
    assert ended.exit_code == 3
    assert "returns.csv: there is no column customer_id" in ended.stderr
    assert seen_in(folder) == before


def test_a_config_says_what_the_column_is_called(make_shop, tmp_path, ids):
    folder = exported(make_shop(), tmp_path / "events")
    returns = (folder / "returns.csv").read_text().replace("customer_id", "Client", 1)
    (folder / "returns.csv").write_text(returns)
    tables = {
        "order_lines": {"path": f"{folder}/order_lines/*.parquet"},
        "returns": {"path": f"{folder}/returns.csv", "columns": {"customer_id": "Client"}},
        "products": {"path": f"{folder}/products.csv"},
    }
    config = {"data": {"source": "files", "tables": tables}, "target": {"name": "churn"}}
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    (tmp_path / "root").mkdir()
    ended = forget(
        "--ids", ids, "--root", tmp_path / "root", "--data", tmp_path / "config.yaml", "--json"
    )
    assert ended.exit_code == 0, ended.output
    paths = {file["path"].removeprefix(f"{folder}/") for file in json.loads(ended.stdout)["files"]}
    assert paths == {"order_lines/1.parquet", "order_lines/2.parquet", "returns.csv"}
    left = pl.read_csv(folder / "returns.csv", separator=";", infer_schema=False)
    assert not left["Client"].is_in(GONE).any()


FLAT = "Client;order_id;order_timestamp\nc3;1;2019-01-01 10:00\nc4;2;2019-01-02 10:00\n"


@pytest.mark.parametrize("stated", [True, False])
def test_a_config_of_a_flat_table_names_a_file_too(tmp_path, ids, stated):
    flat, surveys = tmp_path / "flat.csv", tmp_path / "surveys.csv"
    flat.write_text(FLAT if stated else FLAT.replace("Client", "customer_id"))
    surveys.write_text("customer_id,survey_id\nc14,1\nc4,2\n")
    place = {"path": str(flat), "columns": {"customer_id": "Client"}}
    data = {
        "source": "flat", **({} if stated else {"path": str(flat)}),
        "tables": {"surveys": {"path": str(surveys)}, **({"flat": place} if stated else {})},
    }  # fmt: skip
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"data": data, "target": {"name": "churn"}}))
    (tmp_path / "root").mkdir()
    ended = forget("--ids", ids, "--root", tmp_path / "root", "--data", config)
    assert ended.exit_code == 0, ended.output
    assert "c3" not in flat.read_text() and "c4;2" in flat.read_text()
    assert surveys.read_text() == "customer_id,survey_id\nc4,2\n"


def test_a_config_of_a_folder_names_all_its_tables(make_shop, tmp_path, ids):
    folder = exported(make_shop(), tmp_path / "events")
    config = tmp_path / "config.yaml"
    data = {"source": "files", "path": str(folder)}
    config.write_text(json.dumps({"data": data, "target": {"name": "churn"}}))
    (tmp_path / "root").mkdir()
    ended = forget("--ids", ids, "--root", tmp_path / "root", "--data", config, "--json")
    assert ended.exit_code == 0, ended.output
    paths = {file["path"].removeprefix(f"{folder}/") for file in json.loads(ended.stdout)["files"]}
    assert paths == {
        "order_lines/1.parquet",
        "order_lines/2.parquet",
        "returns.csv",
        "consents.csv",
    }


STRANGE = "Bestellnummer;Kundennummer;Datum\nB1;c3;2025-01-01\n"


@pytest.mark.parametrize("more", ["", "products.csv", "README.md", "empty.csv", "rows.jsonl"])
@pytest.mark.parametrize("how", [(), ("--dry-run",), ("--json",)])
def test_a_folder_of_which_nothing_can_be_looked_into_is_refused(tmp_path, ids, more, how):
    """It would be the answer that nobody is in there."""
    folder, root = tmp_path / "events", tmp_path / "root"
    folder.mkdir()
    root.mkdir()
    (root / "scores.csv").write_text("customer_id\nc3\n")
    (folder / "orders.csv").write_text(STRANGE)
    if more:
        texts = {"products.csv": "sku\ns1\n", "rows.jsonl": '{"Kunde": "c3"}\n'}
        (folder / more).write_text(texts.get(more, ""))
    before = seen_in(tmp_path)
    ended = forget("--ids", ids, "--root", root, "--data", folder, *how)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert f"{folder}: none of its {2 if more else 1} tables was looked into" in ended.stderr
    assert "such as order_lines.csv (ppi-ml schema lists them)" in ended.stderr
    assert "order_lines: {path: FILE, columns: {customer_id: YOUR_COLUMN}}" in ended.stderr
    assert not [word for word in (*GONE, "Kundennummer", "B1") if word in ended.stderr]
    assert seen_in(tmp_path) == before


@pytest.mark.parametrize("as_config", [False, True])
def test_what_else_lies_in_a_folder_of_events_is_listed(make_shop, tmp_path, ids, as_config):
    data = folder = exported(make_shop(), tmp_path / "events")
    for name in ("orders.csv", "returns.xlsx", "more/orders.json", ".hidden", "shop.yaml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(STRANGE)
    pl.DataFrame({"sku": ["s1"], "Farbe": ["rot"]}).write_csv(folder / "products.csv")
    if as_config:
        data = tmp_path / "config.yaml"
        about = {"source": "files", "path": str(folder)}
        data.write_text(json.dumps({"data": about, "target": {"name": "churn"}}))
    (tmp_path / "root").mkdir()
    ended = forget("--ids", ids, "--root", tmp_path / "root", "--data", data, "--json")
    assert ended.exit_code == 0, ended.output
    answer = json.loads(ended.stdout)
    told = {p.removeprefix(f"{folder}/") for p in (*answer["unread"], *answer["nameless"])}
    assert told == {"orders.csv", "returns.xlsx", "more/orders.json"}
    assert answer["found"] == 4


def test_a_folder_of_parts_that_say_whose_they_are_needs_no_names(tmp_path, ids):
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "2024.csv").write_text("customer_id,order_id\nc3,1\nc4,2\n")
    (tmp_path / "root").mkdir()
    assert forget("--ids", ids, "--root", tmp_path / "root", "--data", folder).exit_code == 0
    assert (folder / "2024.csv").read_text() == "customer_id,order_id\nc4,2\n"


def test_events_below_the_root_are_read_as_their_config_says(tmp_path, ids, monkeypatch):
    """Whatever way leads there: here the config names the file from where we stand."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orders.csv").write_text(STRANGE)
    table = {"path": "orders.csv", "columns": {"customer_id": "Kundennummer"}}
    data = {"source": "files", "tables": {"order_lines": table}}
    (tmp_path / "c.yaml").write_text(json.dumps({"data": data, "target": {"name": "churn"}}))
    ended = forget("--ids", ids, "--root", tmp_path, "--data", "c.yaml", "--json")
    assert ended.exit_code == 0, ended.output
    answer = json.loads(ended.stdout)
    assert (answer["rows"], answer["nameless"]) == (1, [])
    assert "c3" not in (tmp_path / "orders.csv").read_text()


def test_one_file_of_events(tmp_path, ids):
    path = tmp_path / "lines.csv"
    path.write_text("customer_id,order_id\nc3,1\nc4,2\n")
    (tmp_path / "root").mkdir()
    assert forget("--ids", ids, "--root", tmp_path / "root", "--data", path).exit_code == 0
    assert path.read_text() == "customer_id,order_id\nc4,2\n"


def test_errors_of_the_library_are_those_of_the_tree(tmp_path):
    (tmp_path / "x.csv").write_text("sku\n1\n")
    with pytest.raises(DataError, match="no column client"):
        search(tmp_path / "x.csv", Customers(["c3"]), "client")
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match="cannot be read as parquet"):
        search(tmp_path / "x.parquet", Customers(["c3"]))
    with pytest.raises(UsageError, match="no such folder"):
        erasure.forget(Customers(["c3"]), tmp_path / "nowhere")
