"""What the customer said: stars and texts, how lately, how soon after a delivery.

Texts are read by a model learned from the shop's own stars (`models/sentiment.py`), or by one of
your own (`texts_read_by`). No text is read by a model that was fitted on it: the customers' texts
are split into two halves by hash, and each half is read by what the other half taught. Else the
texts that the model was fitted on would tell more of their stars than any text that comes later.

What a state says is told in steps: a text's probability in twentieths, the shop's mean in quarters
of a star. The state is fitted anew at every cutoff, and the exact value of a text that many write
("very good") would name the cutoff to a tree. In a shop that never changes, whose customers write
one of 20 texts, a small tree told late cutoffs from early ones with an AUC of .76 from exact values
and of .50 from these.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import polars as pl

from ppi_ml.declare import Aggregate, Expression, Family, Feature, Learned, Seen, State, View
from ppi_ml.errors import UsageError
from ppi_ml.features._kit import DAYS
from ppi_ml.instants import DAY_US
from ppi_ml.models.sentiment import OWN_STARS, TextModel

STARS = 1_000.0
"""Stars, and probabilities, are stored in thousandths."""
LOW_E3 = 2_000
"""Two stars or fewer are few."""
SOON_DAYS = 14
MOST_TEXTS = 20_000
"""So many texts at most teach the model, drawn by hash."""
_STEP_E3, _STAR_STEP_E3 = 50, 250
_HALVES = (0, 1)
_UNSEEN = "no review table, or less than a quarter of the window was observed"
_NO_STARS = "no stars given"
_NO_TEXT = "no text, or too few of the shop's texts have stars to learn from"
_NOT_SOON = f"no text within {SOON_DAYS} days of a known delivery, or nothing learned"


def _drawn(reviews: pl.DataFrame) -> pl.Series:
    """A number for every review (n,) that depends on the customer and the text alone."""
    # of an occasion, customer_id is the number: `who` is the customer
    who = "who" if "who" in reviews.columns else "customer_id"
    both = zip(reviews[who], reviews["text"].fill_null(""), strict=True)
    return pl.Series([crc32(f"{name}\n{text}".encode()) for name, text in both], dtype=pl.UInt32)


def _collect(seen: Seen) -> pl.DataFrame:
    """Texts with stars, at most `MOST_TEXTS` of them, and one row with the sums of all stars."""
    rated = seen("reviews").filter(pl.col("rating_e3").is_not_null())
    written = rated.filter(pl.col("text").is_not_null())
    texts = written.select(
        draw=_drawn(written), text="text", low=pl.col("rating_e3") <= LOW_E3,
        rated=pl.lit(0, dtype=pl.Int64), stars_e3=pl.lit(0, dtype=pl.Int64),
    )  # fmt: skip
    sums = rated.select(
        draw=pl.lit(None, dtype=pl.UInt32), text=pl.lit(None, dtype=pl.String),
        low=pl.lit(None, dtype=pl.Boolean), rated=pl.len().cast(pl.Int64),
        stars_e3=pl.col("rating_e3").sum(),
    )  # fmt: skip
    return pl.concat([_first(texts), sums])


def _first(texts: pl.DataFrame) -> pl.DataFrame:
    """The texts with the smallest hashes: the same ones however the customers are split."""
    return texts.sort("draw", "text", "low").head(MOST_TEXTS)


def _fit(model: TextModel) -> Callable[[pl.DataFrame], State]:
    """The shop's mean of stars, and for each half the model fitted on the other half."""

    def fit(partial: pl.DataFrame) -> State:
        rated, stars = partial.select(pl.col("rated", "stars_e3").sum()).row(0)
        texts = _first(partial.filter(pl.col("text").is_not_null()))
        others = [texts.filter(pl.col("draw") % 2 != half) for half in _HALVES]
        return {
            "mean_e3": _STAR_STEP_E3 * round(stars / rated / _STAR_STEP_E3) if rated else None,
            "halves": [model.fit(o["text"], o["low"].to_numpy()) for o in others],
        }

    return fit


def _unused(state: State) -> str | None:
    """Which texts are read by nothing, and why; None if all are read."""
    whys = [half["why"] for half in state["halves"] if "why" in half]
    if not whys:
        return None
    some = "the texts" if len(whys) == len(_HALVES) else "half of the texts"
    return f"{some} of reviews (each half is read by what the other teaches; {whys[0]})"


def _opinions(model: TextModel) -> Callable[[Seen, State], pl.DataFrame]:
    """Every review with `text_low_e3` by its text, `wait_us` since its delivery, `soon`, `low`."""

    def make(seen: Seen, state: State) -> pl.DataFrame:
        reviews = seen("reviews")
        waits = _waits(reviews, _parcels(seen))
        soon = pl.col("wait_us").is_between(0, SOON_DAYS * DAY_US)
        mean = pl.lit(state["mean_e3"], dtype=pl.Int64)
        return reviews.join(
            waits, on=("customer_id", "review_id"), how="left", maintain_order="left"
        ).with_columns(
            _read(reviews, model, state["halves"]),
            over_e3=pl.col("rating_e3") - mean,
            low=(pl.col("rating_e3") <= LOW_E3).fill_null(value=False),
            rated=pl.col("rating_e3").is_not_null(),
            soon=soon.fill_null(value=False),
        )

    return make


def _parcels(seen: Seen) -> pl.DataFrame:
    """What came: `came_us`, how long ago, and the order, which the shipment may know alone."""
    on = ("customer_id", "shipment_id")
    sent = seen("shipments").select(*on, sent_for="order_id")
    came = seen("deliveries").join(sent, on=on, how="left")
    order = pl.coalesce("order_id", "sent_for")
    return came.select("customer_id", order_id=order, came_us="age_us")


def _waits(reviews: pl.DataFrame, parcels: pl.DataFrame) -> pl.DataFrame:
    """`wait_us` of every review whose order had a parcel: since the last one before the review.

    Negative where the first parcel came after it.
    """
    wait = pl.col("came_us") - pl.col("age_us")
    both = reviews.join(parcels, on=("customer_id", "order_id")).with_columns(wait_us=wait)
    held = pl.col("wait_us").filter(pl.col("wait_us") >= 0).min()
    return both.group_by("customer_id", "review_id").agg(
        wait_us=pl.coalesce(held, pl.col("wait_us").max())
    )


def _read(reviews: pl.DataFrame, model: TextModel, halves: list[State]) -> pl.Series:
    """P(few stars) of every text (n,) in thousandths, by what the other half taught."""
    written = reviews.with_row_index("row").filter(pl.col("text").is_not_null())
    half = _drawn(written) % 2
    found = pl.Series("text_low_e3", [None], dtype=pl.Int64).new_from_index(0, reviews.height)
    for number, state in zip(_HALVES, halves, strict=True):
        part = written.filter(half == number)
        distinct = part["text"].unique()  # each is read once: it says the same wherever it stands
        said = _asked(model, state, distinct) * (STARS / _STEP_E3)
        low = said.fill_nan(None).round().cast(pl.Int64) * _STEP_E3
        read = part.join(pl.DataFrame({"text": distinct, "low": low}), on="text")
        found = found.scatter(read["row"], read["low"])
    return found


def _asked(model: TextModel, state: State, texts: pl.Series) -> pl.Series:
    """What the model says of texts (n,); `UsageError` if these are no n probabilities."""
    said = pl.Series(model.score(state, texts), dtype=pl.Float64)
    if len(said) != len(texts):
        raise UsageError(
            f"reviews: the text model gave {len(said)} numbers for {len(texts)} texts; `score` "
            "must give one for each, NaN where it has nothing to say"
        )
    if not said.drop_nans().is_between(0, 1).all():
        raise UsageError(
            "reviews: the text model gave a number outside 0 to 1; `score` must give the "
            "probability of few stars"
        )
    return said


def _over_shop() -> pl.Expr:
    prior = 2  # the shop's own mean weighs as much as so many reviews
    return pl.col("reviews__over_shop__sum") / (pl.col("reviews__rated__count") + prior)


def _view(model: TextModel) -> View:
    return View("opinions", "reviews", _opinions(model))


def _of(
    what: str, aggregate: Aggregate, unit: str, null: str, *, of: str, scale: float = STARS,
    windows: tuple[int, ...] = (), where: str | None = None, trees: bool = True,
) -> Feature:  # fmt: skip
    return Feature(what, aggregate, "opinions", unit, null, of=of, scale=scale, windows=windows,
                   where=where, trees=trees)  # fmt: skip


def _texts() -> tuple[Feature, ...]:
    """What is made of the texts alone."""
    aggregates: tuple[Aggregate, ...] = ("mean", "last", "max")
    unit = "probability of two stars or fewer, by the text"
    return (
        *(_of("text_low", how, unit, _NO_TEXT, of="text_low_e3") for how in aggregates),
        *(_of("text_low_soon", how, unit, _NOT_SOON, of="text_low_e3", where="soon")
          for how in aggregates),
    )  # fmt: skip


def texts_read_by(model: TextModel, name: str) -> Family:
    """The columns of texts, read by a model of your own: `FAMILY` of a plug-in file `<name>.py`.

    The same views, halves and columns as here, called `<name>__text_low__mean` and so on; whatever
    `model.fit` learns is learned from the past of every cutoff and goes into the bundle.

        from ppi_ml.features.reviews import texts_read_by
        from ppi_ml.models.sentiment import TextModel

        FAMILY = texts_read_by(TextModel(fit=my_fit, score=my_score), name="my_reviews")
    """
    return Family(
        name=name,
        entity="customer",
        needs=("reviews", "shipments", "deliveries"),
        features=_texts(),
        views=(_view(model),),
        learned=Learned(_collect, _fit(model), _unused),
    )


FAMILY = Family(
    name="reviews",
    entity="customer",
    needs=("order_lines", "reviews", "shipments", "deliveries"),
    features=(
        _of("stars", "mean", "stars", _NO_STARS, of="rating_e3"),
        _of("stars", "mean", "stars", f"{_NO_STARS} in the window", of="rating_e3",
            windows=(180, 365)),
        _of("stars", "min", "stars", _NO_STARS, of="rating_e3"),
        _of("stars", "min", "stars", f"{_NO_STARS} in the window", of="rating_e3",
            windows=(180, 365)),
        _of("stars", "last", "stars", _NO_STARS, of="rating_e3"),
        Feature("low", "share", "opinions", "share of the reviews with stars", _NO_STARS,
                of="rated", where="low"),
        Feature("low", "days_since", "opinions", "days", "never two stars or fewer", where="low"),
        Feature("last", "days_since", "opinions", "days", "no review yet"),
        Feature("reviews", "count", "opinions", "reviews", _UNSEEN, windows=(180, 365)),
        Feature("reviews", "rate", "opinions", "per day", _UNSEEN, windows=(180, 365)),
        _of("wait", "mean", "days from the delivery; negative: before it",
            "no review of an order with a known delivery", of="wait_us", scale=DAYS),
        *_texts(),
        Feature("any", "count", "opinions", "reviews", "no review table yet", trees=False),
        Feature("purchases", "count", "purchases", "purchase days", "no review table yet",
                since="reviews", trees=False),
        Feature("rated", "count", "opinions", "reviews with stars", "no review table yet",
                where="rated", trees=False),
        _of("over_shop", "sum", "stars beyond the shop's mean, summed", _NO_STARS, of="over_e3",
            trees=False),
    ),
    expressions=(
        Expression("reviews_per_purchase", "reviews per purchase day",
                   "no purchase since reviews are recorded", "opinions",
                   lambda: pl.col("reviews__any__count") / pl.col("reviews__purchases__count")),
        Expression("stars_over_shop", "stars beyond the shop's mean, drawn to 0 by two reviews",
                   _NO_STARS, "opinions", _over_shop),
    ),
    views=(_view(OWN_STARS),),
    learned=Learned(_collect, _fit(OWN_STARS), _unused),
)  # fmt: skip
