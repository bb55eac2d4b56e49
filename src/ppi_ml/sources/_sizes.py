"""What grocers write on a shelf label about the size of a pack, as an amount and a unit.

A multipack is count x size (`6PK 12 OZ`, `6/12 OZ` and `12-12 OZ` alike); `1/2 GAL` and `9 5/8 OZ`
are fractions; `2 LB 11 OZ` is a sum. What stands beside a count of pieces is their weight together
(`10 CT/12 OZ` of biscuits) or what each holds (`20 CT/13 GAL` of bags), so the weight counts in the
first case and the pieces in the second. A few labels state the weight of all packs behind the packs
(`8 PK/24.8 OZ` of yogurt); these cannot be told from the others and come out too large. Letters
before the size, article numbers and words after it (`12 OZ BTL`) do not matter. What could mean
several things (`48-54 CT`, `18 PK/12`, `11 X17 IN`) or names no amount (`LARGE`) is not guessed at.

Units have one spelling: OZ, FLOZ, ML, G, CT, IN, FT and so on. Pounds become ounces, dozens pieces,
litres millilitres; gallons, quarts and pints become fluid ounces, but `dry` quarts and pints, as of
berries, stay what they are. OZ stays OZ: whether it is fluid, the label does not tell.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import polars as pl

_SPELLED = {
    "OZ": ("OZ", "OZS", "Z"),
    "FLOZ": ("FL OZ",),
    "REC OZ": ("REC OZ",),  # of infant formula, once it is made up
    "LB": ("LB",),
    "G": ("G", "GM", "GR"),
    "GAL": ("GAL", "GA", "GALON", "GALLON"),
    "QT": ("QT",),
    "PT": ("PT", "PTS"),
    "CUP": ("CUP", "CUPS", "CP"),
    "L": ("L", "LT", "LTR", "LRT"),
    "ML": ("ML",),
    "PK": ("PK", "PKS", "P"),
    "CT": ("CT", "PC", "PCS", "EA"),
    "DZ": ("DZ", "DZN", "DOZ"),
    "STEM": ("STEM", "STEMS"),
    "ROLL": ("ROLL", "ROLLS"),
    "SHEET": ("SHEET", "SHEETS"),
    "LOAD": ("LOAD", "LOADS", "LD", "LDS"),
    "USE": ("USE", "USES"),
    "KIT": ("KIT",),
    "PAIR": ("PAIR",),
    "IN": ("IN",),
    "FT": ("FT",),
    "YD": ("YD", "YDS"),
    "CM": ("CM",),
    "MM": ("MM",),
    "SQFT": ("SQ FT", "S FT"),
}
_UNITS = {spelling: unit for unit, spellings in _SPELLED.items() for spelling in spellings}
_WEIGHTS = ("OZ", "LB", "G", "REC OZ")
_PIECES = ("CT", "DZ", "STEM", "ROLL", "SHEET", "LOAD", "USE", "KIT", "PAIR")
_VOLUMES = ("FLOZ", "GAL", "QT", "PT", "CUP", "L", "ML")
_LENGTHS = ("IN", "FT", "YD", "CM", "MM", "SQFT")
_KINDS = (_WEIGHTS, _PIECES, _VOLUMES, _LENGTHS)  # of two sizes, the one that counts
_INTO = {"LB": ("OZ", 16), "DZ": ("CT", 12), "L": ("ML", 1000), "PK": ("CT", 1)}
_FLUID = {"GAL": ("FLOZ", 128), "QT": ("FLOZ", 32), "PT": ("FLOZ", 16)}
_ALONE = ("GAL", "QT", "PT", "L", "DZ")  # a unit without a number is one of these

_MOST_PACKS = 36  # more before a slash is a range of sizes, such as 56/64 CT of peaches
_HEAVIEST_OF_A_PACK = 64  # OZ: more is what the whole pack weighs, or an error
_FRACTIONS = (2, 3, 4, 8, 16)

_NUMBER = r"(?:\d*\.\d+|\d+)"
_AMOUNT = rf"{_NUMBER}(?: ?[/X-] ?{_NUMBER}| \d+/\d+|-\d+/\d+)?"
_SIZE = re.compile(rf"(?<![\d.])({_AMOUNT})[.-]? ?(FL OZ|SQ FT|S FT|REC OZ|[A-WYZ][A-Z]*)(?![A-Z])")
_MIXED = re.compile(r"(?:(\d+)[ -])?(\d+)/(\d+)")
_TWO = re.compile(rf"({_NUMBER}) ?([/X-]) ?({_NUMBER})")
_SUM = re.compile(rf"({_NUMBER}) LB ({_NUMBER}) OZ")
_OTHERWISE = re.compile(r"\b(?:UNDER|OVER)\b")  # the weight of the dog, not of the pack
_NOT_SIZES = (
    (r"\([^)]*\)", " "),  # in brackets: the inner packs of a case
    (r"[_*]", " "),
    (r"\bH(?:A)?LF ", "1/2 "),
    (r"(?<=[A-Z])\.(?!\d)", ""),
    (r"(?<=[A-Z])(?=[\d.])|(?<=\d)(?=[A-Z])", " "),
    (r"/ ?SZ \d+", ""),
    (r"\s+", " "),
    (r"^[^\d.]+(?=[\d.])", ""),  # letters that mark a shelf or a deal
    (r"^(?:\d{3,}|0\d+) (?=[\d.])", ""),  # article numbers
    (r"(?<=[A-Z]) \d{3,}$", ""),
)


class Size(NamedTuple):
    """How much a pack holds: an amount above 0 and its unit."""

    amount: float
    unit: str


def size_of(label: str, *, dry: bool = False) -> Size | None:
    """The size that a label states, None where it states none or is not understood."""
    text = label.upper().strip()
    if _OTHERWISE.search(text):
        return None
    if text in _UNITS and _UNITS[text] in _ALONE:
        return _converted(1.0, _UNITS[text], dry)
    for pattern, instead in _NOT_SIZES:
        text = re.sub(pattern, instead, text).strip()
    if summed := _SUM.match(text):
        return _converted(16 * float(summed[1]) + float(summed[2]), "OZ", dry)
    if re.search(r"\d", _SIZE.sub("", text)):
        return None
    known = []
    for stated, spelling in _SIZE.findall(text):
        if unit := _UNITS.get(spelling):
            amount = _amount(stated, unit)
            if amount is None:
                return None
            known.append((amount, unit))
    return _one_of(known, dry) if known else None


def sizes(labels: pl.Series, dry: pl.Series) -> pl.DataFrame:
    """Columns unit_size (Float64) and unit_of_measure, null where a label is not understood.

    Args:
        labels: what is written on the shelf (n,), text or null.
        dry: where quarts and pints are no fluid measures (n,), boolean.
    """
    pairs = pl.DataFrame({"label": labels, "dry": dry})
    known = pairs.unique().drop_nulls()
    found = [size_of(label, dry=dry) for label, dry in known.iter_rows()]
    table = known.with_columns(
        pl.Series("unit_size", [size and size.amount for size in found], dtype=pl.Float64),
        pl.Series("unit_of_measure", [size and size.unit for size in found], dtype=pl.String),
    )
    joined = pairs.join(table, on=["label", "dry"], how="left", maintain_order="left")
    return joined.select("unit_size", "unit_of_measure")


def _one_of(found: list[tuple[float, str]], dry: bool) -> Size | None:
    """The size that counts among those of one label, times the packs."""
    packs = [amount for amount, unit in found if unit == "PK"]
    kind, others = _counting([(amount, unit) for amount, unit in found if unit != "PK"])
    if len(packs) > 1 or (len(others) > 1 and _differ(kind, others)):
        return None
    count = packs[0] if packs else 1.0
    if not others or (packs and kind is _LENGTHS):
        return _converted(count, "CT", dry)
    amount, unit = others[0]
    if packs and unit == "OZ" and amount > _HEAVIEST_OF_A_PACK:
        return None
    return _converted(count * amount, unit, dry)


def _counting(
    found: list[tuple[float, str]],
) -> tuple[tuple[str, ...], list[tuple[float, str]]]:
    """The kind of size that counts, and the sizes of that kind."""
    for kind in _KINDS:
        if of_kind := [(amount, unit) for amount, unit in found if unit in kind]:
            return kind, of_kind
    return (), []


def _differ(kind: tuple[str, ...], found: list[tuple[float, str]]) -> bool:
    """Whether two sizes of one kind say different things: two sides, or two weights in ounces."""
    units = [unit for _, unit in found]
    return kind is _LENGTHS or (kind is _WEIGHTS and not {"G", "REC OZ"} & set(units))


def _amount(text: str, unit: str) -> float | None:
    """A number, a fraction, or count x size; None for a range, a code or two sides."""
    if mixed := _MIXED.fullmatch(text):
        whole, above, below = int(mixed[1] or 0), int(mixed[2]), int(mixed[3])
        if above < below and below in _FRACTIONS and (above % 2 or below % 2):
            return whole + above / below
        if mixed[1]:
            return None
    if two := _TWO.fullmatch(text):
        count, sign, size = float(two[1]), two[2], float(two[3])
        measured = unit in _WEIGHTS + _VOLUMES and unit != "LB"
        counted = unit not in _LENGTHS if sign == "/" else measured
        whole = count.is_integer() and 1 <= count <= _MOST_PACKS
        return count * size if counted and whole else None
    return None if len(text) > 4 and text.isdigit() else float(text)


def _converted(amount: float, unit: str, dry: bool) -> Size | None:
    rates = _INTO if dry and unit in ("QT", "PT") else _INTO | _FLUID
    into, rate = rates.get(unit, (unit, 1))
    total = round(amount * rate, 6)
    return Size(total, into) if total > 0 else None
