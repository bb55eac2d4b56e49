"""What the customer answers when asked: would you recommend us, were you content.

Scores are as the shop gives them: NPS runs from 0 to 10 (promoters say 9 or 10, detractors 6 or
less), CSAT on whatever scale the shop has, always the same. An empty score is a survey that was not
answered.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Family, Feature, Seen, State, View

POINTS = 1_000.0
"""Scores are stored in thousandths."""
PROMOTER, DETRACTOR = 9_000, 6_000
"""Least score of a promoter, most of a detractor, in thousandths (Reichheld 2003)."""
_UNSEEN = "no table of surveys, or less than a quarter of the window was observed"
_NONE = "no table of surveys, or no such answer yet"


def _answers(seen: Seen, _state: State) -> pl.DataFrame:
    """Surveys with the score of each kind apart, and the change since the answer before."""
    rows = seen("surveys")
    score = pl.col("score_e3")
    of = {kind: pl.when(pl.col("kind") == kind).then(score) for kind in ("nps", "csat")}
    nps = of["nps"]
    before = {
        f"{kind}_change_e3": value - value.forward_fill().shift(1).over("customer_id")
        for kind, value in of.items()
    }
    return rows.with_columns(
        nps_e3=nps,
        csat_e3=of["csat"],
        promoter=(nps >= PROMOTER).cast(pl.Int64),
        detractor=(nps <= DETRACTOR).cast(pl.Int64),
        of_nps=nps.is_not_null(),
        of_csat=of["csat"].is_not_null(),
        **before,
    )


FAMILY = Family(
    name="surveys",
    entity="customer",
    needs=("order_lines", "surveys"),
    views=(View("answers", "surveys", _answers),),
    features=(
        Feature("nps", "last", "answers", "points, 0-10", _NONE, of="nps_e3", scale=POINTS),
        Feature("nps", "mean", "answers", "points, 0-10", _NONE, of="nps_e3", scale=POINTS),
        Feature("nps", "min", "answers", "points, 0-10",
                "no such answer in the window, or less than a quarter of it observed",
                of="nps_e3", scale=POINTS, windows=(365,)),
        Feature("nps_change", "last", "answers", "points since the answer before",
                "fewer than two such answers", of="nps_change_e3", scale=POINTS),
        Feature("promoter", "last", "answers", "1 if the last NPS is 9 or 10", _NONE,
                of="promoter"),
        Feature("detractor", "last", "answers", "1 if the last NPS is 6 or less", _NONE,
                of="detractor"),
        Feature("csat", "last", "answers", "points of the shop's scale", _NONE, of="csat_e3",
                scale=POINTS),
        Feature("csat", "mean", "answers", "points of the shop's scale", _NONE, of="csat_e3",
                scale=POINTS),
        Feature("csat_change", "last", "answers", "points since the answer before",
                "fewer than two such answers", of="csat_change_e3", scale=POINTS),
        Feature("nps", "days_since", "answers", "days", _NONE, where="of_nps"),
        Feature("csat", "days_since", "answers", "days", _NONE, where="of_csat"),
        Feature("last", "days_since", "answers", "days since a survey, answered or not",
                "no table of surveys, or none yet"),
        Feature("surveys", "count", "answers", "surveys", _UNSEEN, windows=(90, 365)),
        Feature("surveys", "rate", "answers", "per day", _UNSEEN, windows=(90, 365)),
    ),
)  # fmt: skip
