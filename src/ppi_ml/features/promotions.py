"""What the customer pays less for: codes, money off, and whether a code follows what was shown.

An order is coded if one of its lines bears a promo code, reduced if money came off one of them. A
shop that never recorded a code (or money off) by the cutoff says nothing of codes: null, not 0.
Depth is money off over the price before it, null where the price of a line is not known.
"""

from __future__ import annotations

import polars as pl

from ppi_ml.declare import Expression, Family, Feature, Learned, Seen, State, View
from ppi_ml.features._kit import MONEY
from ppi_ml.features._orders import firsts, lines, orders, orders_of, with_following
from ppi_ml.instants import DAY_US

WITHIN_DAYS = 14
"""A coded order so soon after an exposure is said to redeem it."""
_E4 = 10_000
_DEPTH_E6 = 1_000_000
_NO_CODES = "the shop has recorded no promo code yet"
_NOTHING_OFF = "the shop has recorded no money off yet"
_NO_ORDER = "no order in the window, or less than a quarter of it observed"
_UNPRICED = "no order with known prices"
_CODES_365 = f"{_NO_CODES}; {_NO_ORDER}"
_NO_RIPE = (
    f"no table of exposures; {_NO_CODES}; nothing shown in the window after the first order and 14 "
    "days ago or more; or less than a quarter of it observed"
)


def _off() -> pl.Expr:
    """Money off a line in ten-thousandths."""
    return (pl.col("discount").fill_null(0.0) * _E4).round().cast(pl.Int64)


def _coded() -> pl.Expr:
    return pl.col("promo_code").is_not_null()


def _orders(seen: Seen) -> pl.DataFrame:
    """Orders with `coded`, `off_e4` (money off) and `gross_e4` (before it; null: unknown)."""
    price = (pl.col("value_e4") + _off()).sum()
    unknown = pl.col("value_e4").is_null().any()
    gross = pl.when(unknown).then(None).otherwise(price)
    return orders(seen, coded=_coded().any(), off_e4=_off().sum(), gross_e4=gross)


def _collect(seen: Seen) -> pl.DataFrame:
    """How many lines of a bucket bear a code, and off how many money came."""
    return lines(seen).select(
        coded=_coded().cast(pl.Int64).sum(), reduced=(_off() > 0).cast(pl.Int64).sum()
    )


def _fit(parts: pl.DataFrame) -> State:
    """Whether the shop has recorded any code, and any money off."""
    return {name: bool(parts[name].sum() > 0) for name in ("coded", "reduced")}


def _said(state: State, name: str) -> pl.Expr:
    return pl.lit(bool(state[name]))


def _baskets(seen: Seen, state: State) -> pl.DataFrame:
    """Orders with what of them is known of codes and money off, the oldest first."""
    codes, money = _said(state, "coded"), _said(state, "reduced")
    coded, reduced = pl.col("coded"), pl.col("off_e4") > 0
    priced = money & (pl.col("gross_e4") > 0)
    last_coded = pl.col("age_us").filter(coded).min().over("customer_id")
    depth = (pl.col("off_e4") / pl.col("gross_e4") * _DEPTH_E6).round().cast(pl.Int64)
    return _orders(seen).with_columns(
        codes=codes,
        coded=codes & coded,
        was_coded=pl.when(codes).then(coded.cast(pl.Int64)),
        money=money,
        reduced=money & reduced,
        full_since=codes & ~coded & ~reduced & (pl.col("age_us") < last_coded),
        off_e4=pl.when(priced).then("off_e4"),
        gross_e4=pl.when(priced).then("gross_e4"),
        depth_e6=pl.when(priced).then(depth),
        reduced_depth_e6=pl.when(priced & reduced).then(depth),
    )


def _shown(seen: Seen, state: State) -> pl.DataFrame:
    """Exposures after the first order and 14 days old: whether a coded order followed."""
    bought, rows = lines(seen), seen("exposures")
    rows = rows.join(firsts(bought), on="customer_id", how="left", maintain_order="left")
    rows = with_following(rows, orders_of(bought.filter(_coded())), WITHIN_DAYS)
    after_first = (pl.col("age_us") <= pl.col("first_us")).fill_null(value=False)
    ripe = after_first & (pl.col("age_us") >= WITHIN_DAYS * DAY_US) & _said(state, "coded")
    return rows.with_columns(
        ripe=ripe,
        redeemed=pl.col("following") > 0,
        following=pl.when(ripe).then("following"),
    )


def _off_share() -> pl.Expr:
    gross = pl.col("promotions__gross__sum__365d")
    return pl.col("promotions__off__sum__365d") / pl.when(gross > 0).then(gross)


def _full_price_since() -> pl.Expr:
    coded = pl.col("promotions__coded__days_since").is_not_null()
    return pl.when(coded).then(pl.col("promotions__full_price__count__365d"))


def _codes_lately() -> pl.Expr:
    return pl.col("promotions__coded__share__90d") - pl.col("promotions__coded__share")


FAMILY = Family(
    name="promotions",
    entity="customer",
    needs=("order_lines", "cancellations", "exposures"),
    learned=Learned(_collect, _fit),
    views=(View("baskets", "order_lines", _baskets), View("shown", "exposures", _shown)),
    features=(
        Feature("coded", "share", "baskets", "share of orders with a code", _CODES_365,
                of="codes", where="coded", windows=(90, 365)),
        Feature("coded", "share", "baskets", "share of orders with a code", _NO_CODES,
                of="codes", where="coded"),
        Feature("coded", "first", "baskets", "1 if the first order bears a code", _NO_CODES,
                of="was_coded"),
        Feature("coded", "last", "baskets", "1 if the last order bears a code", _NO_CODES,
                of="was_coded"),
        Feature("coded", "days_since", "baskets", "days since the last order with a code",
                "no order with a code yet", where="coded"),
        Feature("full_price", "count", "baskets",
                "orders at full price since the last one with a code",
                "less than a quarter of the window was observed", where="full_since",
                windows=(365,), trees=False),
        Feature("reduced", "share", "baskets", "share of orders with money off",
                f"{_NOTHING_OFF}; {_NO_ORDER}", of="money", where="reduced", windows=(365,)),
        Feature("depth", "mean", "baskets", "money off over price, mean of orders",
                f"{_NOTHING_OFF}; {_UNPRICED}; or less than a quarter of the window was observed",
                of="depth_e6", scale=_DEPTH_E6, windows=(365,)),
        Feature("depth", "last", "baskets", "money off over price",
                f"{_NOTHING_OFF}; or {_UNPRICED}", of="depth_e6", scale=_DEPTH_E6),
        Feature("depth_reduced", "mean", "baskets",
                "money off over price, mean of the orders with money off",
                f"{_NOTHING_OFF}; {_UNPRICED} and money off; or less than a quarter of the window "
                "was observed", of="reduced_depth_e6", scale=_DEPTH_E6, windows=(365,)),
        Feature("off", "sum", "baskets", "money off", f"{_NOTHING_OFF}; or {_UNPRICED}",
                of="off_e4", scale=MONEY, windows=(365,), trees=False),
        Feature("gross", "sum", "baskets", "money before anything came off",
                f"{_NOTHING_OFF}; or {_UNPRICED}", of="gross_e4", scale=MONEY, windows=(365,),
                trees=False),
        Feature("redeemed", "share", "shown",
                "share of exposures with a coded order in the 14 days after", _NO_RIPE,
                of="ripe", where="redeemed", windows=(365,)),
        Feature("redeemed", "mean", "shown", "coded orders in the 14 days after an exposure",
                _NO_RIPE, of="following", windows=(365,)),
    ),
    expressions=(
        Expression("off_share", "share of the money before anything came off",
                   f"{_NOTHING_OFF}; or {_UNPRICED} in 365 days", "baskets", _off_share),
        Expression("full_price_since_code",
                   "orders of 365 days at full price since the last one with a code",
                   "no order with a code yet, or less than a quarter of the window was observed",
                   "baskets", _full_price_since, needs=("promotions__full_price__count__365d",)),
        Expression("coded_lately", "share of orders with a code in 90 days less that of all",
                   _CODES_365, "baskets", _codes_lately,
                   needs=("promotions__coded__share__90d",)),
    ),
)  # fmt: skip
