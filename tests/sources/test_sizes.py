"""Package sizes as they stand on real labels, and what is made of each."""

import polars as pl
import pytest

from ppi_ml.sources._sizes import size_of, sizes

UNDERSTOOD = {
    "plain": {
        "42 OZ": (42, "OZ"),
        "15.5 OZ": (15.5, "OZ"),
        ".25 LB": (4, "OZ"),
        "10. OZ": (10, "OZ"),
        "15.OZ": (15, "OZ"),
        "12 CT": (12, "CT"),
        "33 CT.": (33, "CT"),
        "12-CT": (12, "CT"),
        "3-LB BAG": (48, "OZ"),
        "750 ML.": (750, "ML"),
        "12_OZ": (12, "OZ"),
        "4800 SHEET": (4800, "SHEET"),
        "88 SQ FT": (88, "SQFT"),
        "250.5 S FT": (250.5, "SQFT"),
        "12 IN": (12, "IN"),
    },
    "one spelling": {
        "16 OZS": (16, "OZ"),
        "25.4 FL OZ": (25.4, "FLOZ"),
        "26 REC OZ": (26, "REC OZ"),
        "60 GM": (60, "G"),
        "64 LD": (64, "LOAD"),
        "25 LOADS": (25, "LOAD"),
        "120 USES": (120, "USE"),
        "6 ROLLS": (6, "ROLL"),
        "3 PC": (3, "CT"),
        "24 PK": (24, "CT"),
        "2 CP": (2, "CUP"),
    },
    "converted": {
        "5 LB": (80, "OZ"),
        "1 DOZ": (12, "CT"),
        "1.75 L": (1750, "ML"),
        "2 L*": (2000, "ML"),
        "1 GA": (128, "FLOZ"),
        "2.5 GAL": (320, "FLOZ"),
        "3 QT": (96, "FLOZ"),
        "1 PT": (16, "FLOZ"),
    },
    "a unit alone": {
        "GAL": (128, "FLOZ"),
        "QT": (32, "FLOZ"),
        "PT": (16, "FLOZ"),
        "L": (1000, "ML"),
        "DZ": (12, "CT"),
    },
    "fractions": {
        "1/2 GAL": (64, "FLOZ"),
        "HALF GAL": (64, "FLOZ"),
        "HLF GAL": (64, "FLOZ"),
        "3/4 OZ": (0.75, "OZ"),
        "2/3 OZ": (0.666667, "OZ"),
        "9 5/8 OZ": (9.625, "OZ"),
        "7-3/4 OZ": (7.75, "OZ"),
        "1 1/2 LB": (24, "OZ"),
        "1/2 DZ": (6, "CT"),
    },
    "packs": {
        "6PK 12 OZ": (72, "OZ"),
        "12 PK/12 OZ": (144, "OZ"),
        "30 PK  12 OZ": (360, "OZ"),
        "6 P/16.9 OZ": (101.4, "OZ"),
        "12 PK/16.9 Z": (202.8, "OZ"),
        "6/12 OZ": (72, "OZ"),
        "12/12 OZ CN": (144, "OZ"),
        "4/4 OZ": (16, "OZ"),
        "24/.5 L": (12000, "ML"),
        "24 PK/.5 LRT": (12000, "ML"),
        "10 / 1 OZ": (10, "OZ"),
        "12-12 OZ": (144, "OZ"),
        "3 - 8 OZ": (24, "OZ"),
        "2 X 9 OZ": (18, "OZ"),
        "12 OZ/12 PK": (144, "OZ"),
        "187 ML/4 PK": (748, "ML"),
        "3 PK/1 GAL": (384, "FLOZ"),
        "3/160 CT": (480, "CT"),
        "160 CT 3 PK": (480, "CT"),
        "6 PK 4 CM": (6, "CT"),
    },
    "two sizes": {
        "2 LB 11 OZ": (43, "OZ"),
        "2 LB(32 OZ)": (32, "OZ"),
        "10 CT/12 OZ": (12, "OZ"),
        "12 OZ/6 CT": (12, "OZ"),
        "40 CT/19.8 Z": (19.8, "OZ"),
        "20 CT/13 GAL": (20, "CT"),
        "10 CT/GAL": (10, "CT"),
        "30 CT/SZ 5": (30, "CT"),
        "2 T-3 T/29 CT": (29, "CT"),
        "9 IN/41 OZ": (41, "OZ"),
        "10 IN 8 CT": (8, "CT"),
        "200 OZ/48 LD": (200, "OZ"),
        "1 QT/946 ML": (32, "FLOZ"),
        "1.52 OZ/6 QT": (1.52, "OZ"),
        "48 G/1.69 OZ": (48, "G"),
    },
    "what does not matter": {
        "12 oz btl": (12, "OZ"),
        "P    14 OZ": (14, "OZ"),
        "B D  16 OZ": (16, "OZ"),
        "KIOSK16 OZ": (16, "OZ"),
        "L16 5/8 OZ": (16.625, "OZ"),
        "60 CT(3)": (60, "CT"),
        "(48)14.5 OZ": (14.5, "OZ"),
        "527911 5 PK": (5, "CT"),
        "06112 24 CT": (24, "CT"),
        "8 OZ 15141": (8, "OZ"),
        "22 CT344218": (22, "CT"),
        "3 OZ BIG BG": (3, "OZ"),
    },
}


@pytest.mark.parametrize(
    ("label", "size"),
    [pair for labels in UNDERSTOOD.values() for pair in labels.items()],
    ids=[f"{kind}: {label}" for kind, labels in UNDERSTOOD.items() for label in labels],
)
def test_understood(label, size):
    assert size_of(label) == size


NOT_GUESSED_AT = [
    "", "LARGE", "ONE SIZE", "SIZE 4", "CTN", "OZ", "PER LB", "0 OZ", "15 00 OZ", "75 O ML",
    "48-54 CT", "60-90 LB", "8-9 IN", "56/64 CT", "UNDER 15 LB", "11 X17 IN", "3/8 X 12 IN",
    "1 IN X 18 IN", "18 PK/12", "8 PK/24.80", "12 PK/300 OZ", "144 OZ/12 PK", "6/16 OZ 4 PK",
    "4/6/12 OZ", "4-6 OZ/1 LB", "22 OZ24 OZ", "12 16.9 OZ", "4. 5 OZ", "974220  PK", "1168978 YD",
    "0000012 OZ", "1.80/LB", "1.25 DIOPT", "E16 33 CT", "2-6 PK", "1/0 OZ", "1//2 OZ",
]  # fmt: skip


@pytest.mark.parametrize("label", NOT_GUESSED_AT)
def test_not_guessed_at(label):
    assert size_of(label) is None


@pytest.mark.parametrize(
    ("label", "size"),
    [("1/2 PT", (0.5, "PT")), ("QT", (1, "QT")), ("1 GAL", (128, "FLOZ")), ("3 LB", (48, "OZ"))],
)
def test_dry_quarts_and_pints_are_no_fluid_ounces(label, size):
    assert size_of(label, dry=True) == size


def test_a_column_keeps_its_order_and_its_gaps():
    labels = pl.Series(["1 PT", None, "LARGE", "6/12 OZ", "1 PT"])
    found = sizes(labels, pl.Series([True, False, False, False, False]))
    assert found.rows() == [
        (1.0, "PT"), (None, None), (None, None), (72.0, "OZ"), (16.0, "FLOZ"),
    ]  # fmt: skip
    empty = sizes(pl.Series([None], dtype=pl.String), pl.Series([False]))
    assert empty.schema == found.schema == {"unit_size": pl.Float64, "unit_of_measure": pl.String}
