"""Plain Python as an independent judge of every column and every state of pairs.

Regressions are least squares on the rows themselves, not on sums of them.
"""

from collections import defaultdict
from functools import cache

import numpy as np
import pytest
from tests import shops
from tests.pairs_oracle import Oracle, each, last, mean, rate, ratio, std, within
from tests.shops import CATEGORY, SKU

from ppi_ml.entities import PRODUCT

CUTOFFS = ("2018-10-29T06:30:00", "2019-04-01", "2019-11-15T13:45:10")
CASES = [pytest.param(entity, cutoff, id=f"{entity.product}-{cutoff}")
         for entity in (SKU, CATEGORY) for cutoff in CUTOFFS]  # fmt: skip


def rhythm(o, pair):
    days = o.days[pair]
    gaps, seen = [d["gap"] for d in days if d["gap"]], min(days[0]["age"], o.watched("order_lines"))
    told = {"elapsed__days_since": days[-1]["age"], "gap__mean": mean(gaps),
            "gap__median": float(np.median(gaps)) if gaps else None, "gap__std": std(gaps),
            "gap__min": min(gaps, default=None), "gap__max": max(gaps, default=None),
            "gap__last": last(gaps), "purchases__count": len(days), "age__max": days[0]["age"],
            "value__mean": mean(d["value"] for d in days),
            "elapsed_over_max_gap": ratio(days[-1]["age"], max(gaps, default=None))}  # fmt: skip
    for window in (60, 180):
        inside = within(days, window, seen)
        told[f"gap__mean__{window}d"] = mean(each(inside, "gap"))
    for window in (7, 14, 30, 90, 365):
        told[f"recent__count__{window}d"] = sum(d["age"] <= window for d in days)
    return told


def bought(o, pair):
    days = o.days[pair]
    price = [None if d["value"] is None else d["value"] / d["units"] for d in days]
    off = [None if d["value"] is None else ratio(d["discount"], d["value"] + d["discount"])
           for d in days]  # fmt: skip
    promoted = [d["coded"] or d["discount"] > 0 for d in days]
    half = [(0.5 ** ((len(days) - 1 - i) / 2), d["gap"]) for i, d in enumerate(days) if d["gap"]]
    return {
        "amount__last": days[-1]["amount"], "amount__mean": mean(d["amount"] for d in days),
        "units__last": days[-1]["units"], "price__last": last(price), "price__mean": mean(price),
        "off__last": last(off), "off__mean": mean(off), "promoted__share": mean(promoted),
        "recent_gap": ratio(sum(w * g for w, g in half), sum(w for w, _ in half)) if half else None,
    }  # fmt: skip


def shopping(o, pair):
    days, trips = o.days[pair], o.trips[pair[0]]
    began = o.watched("order_lines")
    seen, known = min(days[0]["age"], began), min(trips[0]["age"], began)
    recent = within(trips, 90, known)
    told = {"last__days_since": trips[-1]["age"],
            "gap__mean__90d": mean(each(recent, "gap")),
            "gap__std__90d": std(each(recent, "gap")),
            "lines__mean__90d": mean(each(recent, "lines"))}  # fmt: skip
    for window in (14, 30, 60, 90, 180):
        went, had = within(trips, window, known), within(days, window, seen)
        if window in (14, 30, 90):
            told[f"days__rate__{window}d"] = rate(went, window, known)
        told[f"bought__rate__{window}d"] = rate(had, window, seen)
        if window in (30, 90):
            counts = [None if rows is None else len(rows) for rows in (had, went)]
            told[f"bought__count__{window}d"], told[f"days__count__{window}d"] = counts
            told[f"bought_per_trip__{window}d"] = ratio(*counts)
    return told


def others(o, pair):
    """Days on which another product of the group was bought since; the day is its first order."""
    silent, dates = o.days[pair][-1]["age"], defaultdict(list)
    for (who, product), rows in o.lines.items():
        alike = o.group[product] is not None and o.group[product] == o.group[pair[1]]
        if who == pair[0] and product != pair[1] and alike:
            for date in {r["at"].date() for r in rows}:
                first = max(r["age"] for r in rows if r["at"].date() == date)
                if first < silent:
                    dates[date].append(first)
    days = [max(ages) for ages in dates.values()]
    return {"days__count": len(days), "last__days_since": min(days, default=None)}


def sent_back(o, pair):
    last_day = o.days[pair][-1]
    older = {r["order_id"] for r in o.lines[pair] if r["age"] > last_day["age"]}
    since = [r["quantity"] for r in o.of("returns", pair)
             if r["age"] <= last_day["age"] and r["order_id"] not in older]  # fmt: skip
    return {"returned__sum": sum(since) if since else None,
            "returned_share": min(sum(since) / last_day["units"], 1.0)}  # fmt: skip


def arrived(o, pair):
    orders = {r["order_id"]: r["age"] for r in o.lines[pair]}
    came = defaultdict(list)
    for row in o.tables["deliveries"]:
        came[row["order_id"]].append(row["age"])
    there = sorted(((-age, -min(came[i])) for i, age in orders.items() if came[i]))
    ways = [max(arrival - order, 0.0) for order, arrival in there]
    waiting = [age for i, age in orders.items() if not came[i] and age <= 30]
    return {"last__days_since": min((-arrival for _, arrival in there), default=None),
            "way__last": last(ways), "way__mean": mean(ways),
            "on_the_way__count__30d": len(waiting)}  # fmt: skip


def used(o, pair):
    reports, silent = o.of("usage", pair), o.days[pair][-1]["age"]
    seen = min(o.days[pair][0]["age"], o.watched("usage"))
    since = [r for r in reports if r["age"] <= silent]
    told = {"last__days_since": min((r["age"] for r in reports), default=None),
            "since_purchase__count": len(since)}  # fmt: skip
    for name, kinds in (("opened", ("first_use", "refill")), ("metered", ("telemetry",))):
        own, new = ([r["amount"] for r in rows if r["kind"] in kinds and r["amount"] is not None]
                    for rows in (reports, since))  # fmt: skip
        told |= {f"{name}__sum": sum(new) if new else None, f"{name}__mean": mean(own)}
    for kind, name in (("first_use", "first_use"), ("refill", "refill"), ("telemetry", "reading")):
        told[f"{name}__days_since"] = min((r["age"] for r in reports if r["kind"] == kind),
                                          default=None)  # fmt: skip
    for window in (30, 90):
        told[f"reports__rate__{window}d"] = rate(within(reports, window, seen), window, seen)
    return told


class Parcels:
    """Orders of every type: when each was placed, when its last parcel came, what is usual."""

    def __init__(self, o):
        self.placed, self.came, self.of = {}, defaultdict(list), defaultdict(set)
        for row in o.tables["order_lines"]:
            order = row["order_id"]
            self.placed[order] = max(self.placed.get(order, 0.0), row["age"])
            if row["product"] is not None:
                self.of[row["customer_id"]].add(order)
        for row in o.tables["deliveries"]:
            self.came[row["order_id"]].append(row["age"])
        old = [i for i, age in self.placed.items() if 30 < age <= 60]
        self.recorded = sum(bool(self.came[i]) for i in old) / len(old)
        self.usual = mean(w for w in map(self.way, self.placed) if w is not None)

    def way(self, order):
        if not self.came[order]:
            return None
        return min(max(self.placed[order] - min(self.came[order]), 0.0), 30.0)

    def arrived(self, order, who):
        """Days since it came, below 0 until it does."""
        ways = [w for w in map(self.way, self.of[who]) if w is not None]
        usual = (sum(ways) + 3 * self.usual) / (len(ways) + 3)
        old = [i for i in self.of[who] if self.placed[i] > 30]
        heard = sum(bool(self.came[i]) for i in old)
        heard = (heard + 0.5 * self.recorded) / (len(old) + 0.5) >= 0.5
        age = self.placed[order]
        if self.came[order]:
            return min(self.came[order])
        return min(age - usual, 0.0) if heard and age <= 30 else max(age - usual, 0.0)


def in_the_house(o, pair):
    parcels = Parcels(o)
    lines = [r for r in o.tables["order_lines"] if (r["customer_id"], r["product"]) == pair]
    bought = {r["order_id"] for r in lines if r["order_type"] == "one_off"}
    boxes = sorted({(parcels.placed[r["order_id"]], r["order_id"]) for r in lines
                    if r["order_type"] != "one_off"})  # fmt: skip
    came = min(parcels.arrived(i, pair[0]) for i in bought)
    box = boxes[0][1] if boxes else None
    sent = sum(r["quantity"] * np.exp(r["pack"]) for r in lines if r["order_id"] == box)
    told = {"came__last": came, "box__days_since": boxes[0][0] if boxes else None,
            "box_came__last": parcels.arrived(box, pair[0]) if boxes else None,
            "box_amount__last": np.log(sent) if boxes else None,
            "usual_way__last": parcels.usual}  # fmt: skip
    reports = [r for r in o.of("usage", pair) if r["kind"] in ("first_use", "refill")
               or (r["kind"] == "telemetry" and r["amount"] is not None)]  # fmt: skip
    new = min((r["age"] for r in reports), default=None)
    opened = [r for r in reports if r["age"] == new and r["kind"] != "telemetry"]
    gone = [r["amount"] for r in reports if r["age"] <= came and r not in opened]
    opened = [r["amount"] * np.exp(r["pack"]) for r in opened if r["amount"]]
    gone = [a for a in gone if a is not None]
    days, span, packs, gaps = o.days[pair], 0.0, 0.0, 0
    recent = [r for r in reports if r["age"] <= 180 and r["amount"] is not None]
    for opens in (True, False):
        own = sorted((r for r in recent if (r["kind"] != "telemetry") == opens),
                     key=lambda r: r["age"])  # fmt: skip
        counted = [r for r in own if r["age"] >= own[0]["age"] + 1] if opens else own[:-1]
        if counted and own[-1]["age"] - own[0]["age"] >= 1:
            span, gaps = span + own[-1]["age"] - own[0]["age"], gaps + len(counted)
            packs += sum(r["amount"] * np.exp(r["pack"]) for r in counted)
    told |= {"lasted__last": span / packs if gaps else None, "gaps__last": gaps or None}
    return told | {
        "used__days_since": new, "gone__last": sum(gone) if gone else None,
        "opened__last": np.log(sum(opened)) if opened else None,
        "value__mean": mean(d["value"] for d in days[:-1]),
        "price__last": last([None if d["value"] is None else d["value"] / d["units"]
                             for d in days]),
    }  # fmt: skip


@cache
def case(entity, cutoff):
    """(data, oracle) of a small pantry."""
    tables = shops.pantry(seed=5, customers=60)
    return shops.built(shops.load(tables), cutoff, entity=entity), Oracle(tables, entity, cutoff)


ROUNDED = {"packs__price": 2e-4, "house__price": 2e-4, "packs__recent_gap": 2e-2, "refills": 3e-5}
"""Money in ten-thousandths, weights in thousandths, and sums of rounded logarithms."""


def agree(data, name, expected):
    expected = np.array([np.nan if v is None else v for v in expected], dtype=float)
    atol = max([1e-5, *(most for stem, most in ROUNDED.items() if name.startswith(stem))])
    np.testing.assert_allclose(data.column(name), expected, rtol=2e-6, atol=atol, err_msg=name)
    return len(np.unique(expected[~np.isnan(expected)]))


@pytest.mark.parametrize(("family", "told"), [
    ("cadence", rhythm), ("packs", bought), ("trips", shopping), ("substitutes", others),
    ("refills", sent_back), ("arrivals", arrived), ("usage", used), ("house", in_the_house),
])  # fmt: skip
@pytest.mark.parametrize(("entity", "cutoff"), CASES)
def test_columns(entity, cutoff, family, told):
    data, oracle = case(entity, cutoff)
    pairs = data.keys.select(entity.keys).rows()
    assert pairs == sorted(oracle.days)
    expected = [told(oracle, pair) for pair in pairs]
    for what in expected[0]:
        values = agree(data, f"{family}__{what}", [e[what] for e in expected])
        assert values > 1 or cutoff != CUTOFFS[-1] or what == "usual_way__last", what


# ------------------------------------------------------------------ what is fitted on all pairs
def ridge(x, y, towards, weight):
    """The slope of y on x that is drawn towards a value as by so much squared x."""
    x, y = np.append(x, np.sqrt(weight)), np.append(y, np.sqrt(weight) * towards)
    return float(np.linalg.lstsq(x[:, None], y, rcond=None)[0][0])


def fitted(o, pairs, above):
    """What the pairs of one product (or group, or all) say, drawn to the level above."""
    x, y, own_x, own_y = [], [], [], []
    for pair in pairs:
        days = o.days[pair]
        q = np.array([d["amount"] for d in days[:-1]])
        g = np.log([d["gap"] for d in days[1:]])
        x, y = [*x, *q], [*y, *g]
        if len(q):
            own_x, own_y = [*own_x, *(q - q.mean())], [*own_y, *(g - g.mean())]
    top, products = above is None, {pair[1] for pair in pairs}
    above = above or {"exponent": 0.0, "ln_gap": 0.0, "ln_rate": 0.0, "again": 0.5}
    slope = float(np.clip(ridge(own_x, own_y, above["exponent"], 20.0), 0.0, 1.5))
    level = ridge(np.ones(len(x)), np.array(y) - slope * np.array(x), above["ln_gap"],
                  1e-9 if top else 10.0)  # fmt: skip
    prior, watched = (1e-9 if top else 5.0), sum(round(o.days[p][0]["age"]) for p in pairs)
    rate_ = (len(x) + prior) / (watched + prior / np.exp(above["ln_rate"]))
    again = sum(len(o.days[p]) > 1 for p in pairs)
    return {"exponent": slope, "ln_gap": level, "ln_rate": float(np.log(rate_)),
            "again": (again + prior * above["again"]) / (len(pairs) + prior),
            "penetration": float(np.log(len(pairs) / len(products)))}  # fmt: skip


def levels(o):
    """(everything, group -> numbers, product -> numbers)."""
    members, parents = defaultdict(list), defaultdict(list)
    for pair in sorted(o.days):
        members[pair[1]].append(pair)
        parents[o.group[pair[1]]].append(pair)
    top = fitted(o, sorted(o.days), None)
    groups = {g: fitted(o, of, top) for g, of in parents.items() if g is not None}
    products = {p: fitted(o, of, groups.get(o.group[p], top)) for p, of in members.items()}
    usual = np.mean([products[pair[1]]["penetration"] for pair in o.days])
    for numbers in (top, *groups.values(), *products.values()):
        numbers["penetration"] -= usual
    return top, groups, products


@pytest.mark.parametrize(("entity", "cutoff"), CASES)
def test_the_state_of_refills(entity, cutoff):
    data, oracle = case(entity, cutoff)
    state = data.states[str(data.cutoffs[0])]["refills"]
    top, groups, products = levels(oracle)
    assert state["all"] == pytest.approx(top, abs=1e-5)
    for level, expected in (("groups", groups), ("products", products)):
        assert state[level]["names"] == sorted(expected)
        for what in top:
            said = dict(zip(state[level]["names"], state[level][what], strict=True))
            assert said == pytest.approx({n: e[what] for n, e in expected.items()}, abs=1e-5)
    assert 0 < top["exponent"] < 1.5
    assert len({e["exponent"] for e in products.values()}) > 2


@pytest.mark.parametrize(("entity", "cutoff"), CASES)
def test_pairs_on_the_clock_of_their_product(entity, cutoff):
    data, oracle = case(entity, cutoff)
    products, expected = levels(oracle)[2], []
    for pair in data.keys.select(entity.keys).rows():
        of, days = products[pair[1]], oracle.days[pair]
        gaps = np.log([d["gap"] for d in days[1:]]) - of["ln_gap"]
        gaps = gaps - of["exponent"] * np.array([d["amount"] for d in days[:-1]])
        kept = max(1 - sent_back(oracle, pair)["returned_share"], 0.05)
        scale = of["ln_gap"] + of["exponent"] * days[-1]["amount"] + np.log(kept)
        before = np.mean([d["amount"] for d in days[:-1]]) if len(days) > 1 else 0.0
        expected.append({
            "usual_amount": before, "usual_ln_scale": of["ln_gap"] + of["exponent"] * before,
            "penetration": of["penetration"], "ln_scale": scale,
            "own_ln_sum": gaps.sum(), "own_ln_sumsq": (gaps**2).sum(),
            "elapsed_over_usual": days[-1]["age"] / np.exp(scale), "again": of["again"],
            "own_over_usual": gaps.mean() if len(gaps) else None, "ln_rate": of["ln_rate"],
            "exponent": of["exponent"], "ln_usual_gap": of["ln_gap"],
        })  # fmt: skip
    for what in expected[0]:
        assert agree(data, f"refills__{what}", [e[what] for e in expected]) > 1


def test_a_new_product_falls_back_to_its_group_and_a_new_group_to_all():
    """States are replayed: products that they do not know have no numbers of their own."""
    entity, cutoff = SKU, CUTOFFS[-1]
    data, oracle = case(entity, cutoff)
    top, groups, products = levels(oracle)
    state = data.states[str(data.cutoffs[0])]["refills"]
    few = {level: {w: [v for n, v in zip(state[level]["names"], values, strict=True)
                       if n not in ("s0", "s1", "s6", "b")] for w, values in state[level].items()}
           for level in ("groups", "products")}  # fmt: skip
    log = shops.load(shops.pantry(seed=5, customers=60))
    only = {"names": ["refills"]}
    again = shops.built(log, cutoff, states={"refills": {"all": state["all"], **few}}, **only)
    assert not again.samples
    for name, of in (("s0", groups["a"]), ("s6", groups["c"]), ("s4", products["s4"])):
        rows = (again.keys[PRODUCT] == name).to_numpy()
        assert rows.any()
        np.testing.assert_allclose(again.column("refills__ln_usual_gap")[rows], of["ln_gap"], 1e-5)
        np.testing.assert_allclose(again.column("refills__exponent")[rows], of["exponent"], 2e-5)
    none = {"names": [], **{what: [] for what in top}}
    blank = {"all": state["all"], "groups": none, "products": none}
    again = shops.built(log, cutoff, states={"refills": blank}, **only)
    np.testing.assert_allclose(again.column("refills__ln_rate"), top["ln_rate"], 1e-5)


def test_the_data_hold_what_the_oracle_is_for():
    tables = shops.pantry(seed=5, customers=60)
    lines, parcels = tables["order_lines"], tables["deliveries"]
    assert (lines["known_at"] > lines["occurred_at"]).sum() > 30
    assert lines["sku"].null_count() > 5
    assert lines["unit_price"].null_count() > 10
    assert set(lines["order_id"]) - set(parcels["order_id"])
    found = case(SKU, CUTOFFS[-1])[0]
    assert (found.column("substitutes__days__count") > 1).sum() > 1
    assert (found.column("refills__returned_share") > 0).sum() > 3
