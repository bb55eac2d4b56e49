"""Buy till you die: BG/NBD, MBG/NBD and Pareto/NBD by maximum likelihood.

All three let customers buy at random at a rate of their own (Gamma over customers) until they
silently stop. They differ in when a customer may stop: after a repeat purchase (BG/NBD), after
any purchase, the first included (MBG/NBD), or at any time (Pareto/NBD).

References:
- Fader, Hardie, Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the
  Pareto/NBD Model, Marketing Science 24(2). BG/NBD.
- Batislam, Denizel, Filiztekin (2007), Empirical validation and comparison of models for customer
  base analysis, International Journal of Research in Marketing 24(3). MBG/NBD.
- Schmittlein, Morrison, Colombo (1987), Counting Your Customers: Who Are They and What Will They
  Do Next?, Management Science 33(1); Fader, Hardie (2005), A Note on Deriving the Pareto/NBD
  Model and Related Expressions. Pareto/NBD.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, expit, gammaln, logsumexp

from ppi_ml.models.histories import Histories, evaluate_survival
from ppi_ml.models.likelihood import compress, maximise, require_trainable

FloatArray = npt.NDArray[np.float64]

# The search runs over (ln r, ln(alpha / r), ln a, ln(b / a)): the mean rate and the mean chance to
# stop are well known where the shapes r and a are not, so these hardly depend on each other.
_TO_LOG_PARAMETERS: FloatArray = np.array(
    [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
)
# So wide a prior moves no published CDNOW digit (a test). A factor of e^8 = 3,000 either way is
# far beyond where customers can still be told apart.
_PRIOR_SD: FloatArray = np.full(4, 100.0)
_REACH: FloatArray = np.full(4, 8.0)
_NEGLIGIBLE = 40.0  # the integrand is followed until it has fallen by e^40

_legendre, _legendre_weight = np.polynomial.legendre.leggauss(24)
_NODES: FloatArray = (_legendre + 1.0) / 2.0
_LOG_WEIGHTS: FloatArray = np.log(_legendre_weight / 2.0)


@dataclass(frozen=True)
class Sample:
    """Distinct histories and how often each occurs; times in units of `scale` days, all (n,)."""

    repeats: FloatArray
    last: FloatArray
    age: FloatArray
    weight: FloatArray
    scale: float

    @classmethod
    def of(cls, histories: Histories) -> Sample:
        """Equal histories compressed, and time measured in mean ages."""
        scale = float(histories.age_days.mean())
        columns, weight = compress(histories.repeats, histories.last_days, histories.age_days)
        return cls(columns[0], columns[1] / scale, columns[2] / scale, weight, scale)

    @property
    def rate(self) -> float:
        """Repeat purchases per unit of time, all customers together."""
        return float(self.weight @ self.repeats / (self.weight @ self.age))

    @property
    def purchases(self) -> float:
        """All purchases, the first ones included."""
        return float(self.weight @ (self.repeats + 1.0))

    def log_likelihood_in_days(self, scaled: float) -> float:
        """The log-likelihood with time in days: each purchase has a density per unit of time."""
        return scaled - float(self.weight @ self.repeats) * float(np.log(self.scale))


@dataclass(frozen=True)
class BetaGeometric:
    """BG/NBD, and MBG/NBD if `early_exit`: the first purchase may be the last one by decision.

    Rate lambda ~ Gamma(r, alpha), chance p ~ Beta(a, b) to stop right after a purchase.
    State: r, alpha (days), a, b, customers, log_likelihood.
    """

    name: str
    early_exit: bool

    def fit(self, histories: Histories) -> dict[str, float]:
        """Maximum-likelihood state; `NotTrainableError` if the histories are too thin."""
        require_trainable(histories)
        sample = Sample.of(histories)
        found, value = _fit(
            lambda at: beta_geometric_likelihood(at, sample, self.early_exit), sample, 3.0
        )
        r, alpha, a, b = np.exp(found).tolist()
        return {
            "r": r,
            "alpha": alpha * sample.scale,
            "a": a,
            "b": b,
            "customers": float(len(histories)),
            "log_likelihood": sample.log_likelihood_in_days(value),
        }

    def survival(
        self, state: Mapping[str, float], histories: Histories, days: FloatArray
    ) -> FloatArray:
        """P(no purchase in (T, T + t] | x, t_x, T), (n, m); see `Process.survival`.

        Customers stop only right after a purchase, so who is alive at T stays so until the next
        one. Alive, the likelihood is lambda^x exp(-lambda T) times a factor in p, hence lambda ~
        Gamma(r + x, alpha + T) and

            S(t) = P(dead) + P(alive) ((alpha + T) / (alpha + T + t))^(r + x).

        Under BG/NBD P(alive) is 1 for every one-time buyer; S is right all the same, because
        their rate has come down.
        """

        def formula(part: Histories, at: FloatArray) -> FloatArray:
            r, alpha, a, b = (state[key] for key in ("r", "alpha", "a", "b"))
            x, age = part.repeats, part.age_days
            dead = expit(_log_odds_dead(r, alpha, a, b, x, part.last_days, age, self.early_exit))
            waited = np.log1p(at / (alpha + age)[:, None])
            silent = np.exp(-(r + x)[:, None] * waited)
            return np.asarray(dead[:, None] + (1.0 - dead[:, None]) * silent)

        return evaluate_survival(histories, days, formula)


@dataclass(frozen=True)
class ParetoNbd:
    """Pareto/NBD: rate lambda ~ Gamma(r, alpha), death at any time with rate mu ~ Gamma(s, beta).

    The closed form has a Gaussian hypergeometric function that over- and underflows; here the
    death time is integrated numerically, in logarithms throughout.
    State: r, alpha (days), s, beta (days), customers, log_likelihood.
    """

    name: str = "pareto_nbd"

    def fit(self, histories: Histories) -> dict[str, float]:
        """Maximum-likelihood state; `NotTrainableError` if the histories are too thin."""
        require_trainable(histories)
        sample = Sample.of(histories)
        found, value = _fit(lambda at: pareto_likelihood(at, sample), sample, 1.0)
        r, alpha, s, beta = np.exp(found).tolist()
        return {
            "r": r,
            "alpha": alpha * sample.scale,
            "s": s,
            "beta": beta * sample.scale,
            "customers": float(len(histories)),
            "log_likelihood": sample.log_likelihood_in_days(value),
        }

    def survival(
        self, state: Mapping[str, float], histories: Histories, days: FloatArray
    ) -> FloatArray:
        """P(no purchase in (T, T + t] | x, t_x, T), (n, m); see `Process.survival`.

        S(t) = 1 - P(alive) P(the next purchase comes by t and before death | alive). Alive at T,
        lambda ~ Gamma(r + x, A = alpha + T) and mu ~ Gamma(s, B = beta + T), so the next purchase
        has the density (r + x) A^(r + x) B^s (A + z)^-(r + x + 1) (B + z)^-s, integrated by
        quadrature from one asked day to the next.
        """

        def formula(part: Histories, at: FloatArray) -> FloatArray:
            r, alpha, s, beta = (state[key] for key in ("r", "alpha", "s", "beta"))
            shape, A, B = r + part.repeats, alpha + part.age_days, beta + part.age_days
            columns = _death_terms(part.repeats, part.last_days, part.age_days, r, alpha, s, beta)
            alive = np.exp(columns.terms[:, -1] - logsumexp(columns.terms, axis=1))
            _, log_mass = log_quadrature(
                np.concatenate([[0.0], at[:-1]]),
                at,
                (A[:, None], shape[:, None] + 1.0),
                (B[:, None], np.full((1, 1), s)),
            )
            log_level = np.log(shape) + shape * np.log(A) + s * np.log(B)
            steps = np.exp(log_level[:, None] + logsumexp(log_mass, axis=-1))
            return np.asarray(1.0 - alive[:, None] * np.minimum(np.cumsum(steps, axis=1), 1.0))

        return evaluate_survival(histories, days, formula, cells=len(_NODES))


BG_NBD = BetaGeometric("bg_nbd", early_exit=False)
MBG_NBD = BetaGeometric("mbg_nbd", early_exit=True)
PARETO_NBD = ParetoNbd()


def beta_geometric_likelihood(
    log_parameters: FloatArray, sample: Sample, early_exit: bool
) -> tuple[float, FloatArray]:
    """Log-likelihood of BG/NBD or MBG/NBD and its gradient in (ln r, ln alpha, ln a, ln b).

    With c = x chances to stop (x + 1 if `early_exit`), a customer contributes
    Gamma(r + x) / Gamma(r) alpha^r B(a, b + c) / B(a, b) (alpha + T)^-(r + x) (1 + odds), odds
    being those of dead against alive.
    """
    r, alpha, a, b = np.exp(log_parameters)
    x, last, age = sample.repeats, sample.last, sample.age
    chances = x + early_exit
    odds = _log_odds_dead(r, alpha, a, b, x, last, age, early_exit)
    value = (
        gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + age)
        + gammaln(b + chances) - gammaln(b) + gammaln(a + b) - gammaln(a + b + chances)
        + np.logaddexp(0.0, odds)
    )  # fmt: skip
    dead = expit(odds)
    alive = 1.0 - dead
    level = digamma(a + b) - digamma(a + b + chances)
    gradient = np.stack([
        r * (digamma(r + x) - digamma(r) + np.log(alpha)
             - alive * np.log(alpha + age) - dead * np.log(alpha + last)),
        r - alpha * (r + x) * (alive / (alpha + age) + dead / (alpha + last)),
        a * level + dead,
        b * (level + digamma(b + chances) - digamma(b) - dead / _stopped(b, chances)),
    ])  # fmt: skip
    return float(sample.weight @ value), gradient @ sample.weight


def pareto_likelihood(log_parameters: FloatArray, sample: Sample) -> tuple[float, FloatArray]:
    """Log-likelihood of Pareto/NBD and its gradient in (ln r, ln alpha, ln s, ln beta).

    A customer contributes Gamma(r + x) / Gamma(r) alpha^r beta^s times the sum of being alive,
    (alpha + T)^-(r + x) (beta + T)^-s, and of death at tau in (t_x, T), the integral of
    s (alpha + tau)^-(r + x) (beta + tau)^-(s + 1).
    """
    r, alpha, s, beta = np.exp(log_parameters)
    x = sample.repeats
    columns = _death_terms(x, sample.last, sample.age, r, alpha, s, beta)
    total = logsumexp(columns.terms, axis=1)
    posterior = np.exp(columns.terms - total[:, None])
    value = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta) + total
    dead = 1.0 - posterior[:, -1]
    by_alpha, by_beta = alpha + columns.until, beta + columns.until
    ends = posterior / by_beta
    gradient = np.stack([
        r * (digamma(r + x) - digamma(r) + np.log(alpha) - (posterior * np.log(by_alpha)).sum(1)),
        r - alpha * (r + x) * (posterior / by_alpha).sum(1),
        s * (np.log(beta) - (posterior * np.log(by_beta)).sum(1)) + dead,
        s - beta * ((s + 1.0) * ends.sum(1) - ends[:, -1]),
    ])  # fmt: skip
    return float(sample.weight @ value), gradient @ sample.weight


def log_quadrature(
    lower: FloatArray,
    upper: FloatArray,
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Nodes z and log-terms whose exponentials sum to the integral, from lower to upper, of
    (A + z)^-p (B + z)^-q, with first = (A, p) and second = (B, q).

    All arguments broadcast; both results have one more axis, the nodes. Gauss-Legendre in
    u = ln(c + z), c = min(A, B), where both factors are smooth, and only as far as the integrand
    matters: in u it falls ever faster, so its slope at `lower` bounds what lies beyond.
    """
    (A, p), (B, q) = first, second
    base = np.minimum(A, B) + lower
    stretch = np.log1p((upper - lower) / base)
    slope = p * base / (A + lower) + q * base / (B + lower) - 1.0
    reach = np.minimum(stretch, _NEGLIGIBLE / np.maximum(slope, 1e-9))
    steps = reach[..., None] * _NODES
    z = lower[..., None] + base[..., None] * np.expm1(steps)
    with np.errstate(divide="ignore"):  # an empty interval has log-mass -inf
        log_width = np.log(reach * base)
    log_terms = (
        log_width[..., None] + _LOG_WEIGHTS + steps
        - p[..., None] * np.log(A[..., None] + z) - q[..., None] * np.log(B[..., None] + z)
    )  # fmt: skip
    return z, log_terms


def _fit(
    log_likelihood: Callable[[FloatArray], tuple[float, FloatArray]], sample: Sample, ratio: float
) -> tuple[FloatArray, float]:
    """Best log-parameters (4,) and their log-likelihood; ratio: where b / a or beta / s starts."""

    def turned(at: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = log_likelihood(_TO_LOG_PARAMETERS @ at)
        return value, gradient @ _TO_LOG_PARAMETERS

    start = np.log([0.5, 1.0 / sample.rate, 1.0, ratio])
    found = maximise(turned, start, _PRIOR_SD, _REACH, sample.purchases)
    log_parameters = _TO_LOG_PARAMETERS @ found
    return log_parameters, log_likelihood(log_parameters)[0]


@dataclass(frozen=True)
class _DeathTerms:
    """Log-terms of the likelihood, (n, nodes + 1): death at each node, and last being alive.

    until: when the customer stops being observed alive: the node, or T.
    """

    terms: FloatArray
    until: FloatArray


def _death_terms(
    x: FloatArray, last: FloatArray, age: FloatArray,
    r: float, alpha: float, s: float, beta: float,
) -> _DeathTerms:  # fmt: skip
    n = len(x)
    nodes, log_terms = log_quadrature(
        last, age, (np.full(n, alpha), r + x), (np.full(n, beta), np.full(n, s + 1.0))
    )
    alive = -(r + x) * np.log(alpha + age) - s * np.log(beta + age)
    return _DeathTerms(
        np.concatenate([np.log(s) + log_terms, alive[:, None]], axis=1),
        np.concatenate([nodes, age[:, None]], axis=1),
    )


def _log_odds_dead(
    r: float, alpha: float, a: float, b: float,
    x: FloatArray, last: FloatArray, age: FloatArray, early_exit: bool,
) -> FloatArray:  # fmt: skip
    """Log-odds of being dead against alive, (n,); -inf where there was no chance to stop."""
    chances = x + early_exit
    odds = np.log(a / _stopped(b, chances)) + (r + x) * np.log1p((age - last) / (alpha + last))
    return np.where(chances > 0, odds, -np.inf)


def _stopped(b: float, chances: FloatArray) -> FloatArray:
    """Second Beta parameter of the last choice to go on; 1 where nobody can be dead."""
    return np.where(chances > 0, b + chances - 1.0, 1.0)
