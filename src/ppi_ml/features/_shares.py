"""Shares by group, learned from everybody and shrunk to the share of all.

A group of n cases with h hits in a shop with the share p counts as (h + k p) / (n + k): as if it
had k more cases of the usual kind. What is told is the difference of log odds to the shop's own
share, so that a level which everybody shares on a date stays out of the trees.
"""

from __future__ import annotations

from math import log

import polars as pl

from ppi_ml.declare import State

MOST_GROUPS = 20_000
_LEAST_SHARE = 1e-4


def summed(parts: pl.DataFrame, by: str) -> pl.DataFrame:
    """One row per group of the parts of all buckets, sums of every other column, sorted."""
    known = parts.drop_nulls(by)
    return known.group_by(by).agg(pl.exclude(by).sum()).sort(by)


def learned(cases: pl.DataFrame, by: str, prior: float) -> State:
    """Log odds over the shop's own by group.

    Args:
        cases: one row per group: `by`, `n` cases and `hits` among them.
        by: the column that names the group.
        prior: k, the weight of the shop's own share, in cases.

    Returns:
        `names` and `odds` of the groups with the most cases (at most 20,000), and `share`.
    """
    n, hits = (int(cases[name].sum() or 0) for name in ("n", "hits"))
    share = min(max(hits / max(n, 1), _LEAST_SHARE), 1 - _LEAST_SHARE)
    top = cases.sort("n", by, descending=[True, False]).head(MOST_GROUPS).sort(by)
    own = (top["hits"] + prior * share) / (top["n"] + prior)
    odds = (own / (1 - own)).log() - log(share / (1 - share))
    return {"names": top[by].to_list(), "odds": odds.round(6).to_list(), "share": share}


def odds(state: State, by: str) -> pl.Expr:
    """What was learned of each row's group; 0 where nothing was: the shop's own share."""
    names, values = state["names"], state["odds"]
    if not names:
        return pl.lit(0.0)
    known = (pl.Series(names, dtype=pl.String), pl.Series(values, dtype=pl.Float64))
    return pl.col(by).replace_strict(*known, default=0.0, return_dtype=pl.Float64)
