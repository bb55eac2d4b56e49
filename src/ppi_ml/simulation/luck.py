"""Luck that follows from names and numbers, not from the order in which it is drawn.

The luck of the third order of customer 17 is a hash of the seed, 17, 3 and the name of what is
decided. So a dial changes what it is about and nothing else: two worlds of one seed have the same
customers, and the same order has the same parcel in both, though one comes days later. Whatever
differs between them is the effect of the dial.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", 2014), applied once per number.
"""

from __future__ import annotations

from math import lgamma
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ppi_ml.simulation.clock import FloatArray, IntArray

Keys = NDArray[np.uint64]
"""What the luck of n things hangs on: (n,) hashes, or of any other shape."""

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = (1 << 64) - 1
_STEP = 2.0**-53
_TAIL = 1e-12  # of a Poisson law beyond what is tabulated


def keys(seed: int, part: str, numbers: IntArray) -> Keys:
    """The keys of things that are told apart by their numbers, under a seed and a name."""
    start = np.array((seed * _GOLDEN) & _ALL, dtype=np.uint64)
    return below(_mixed(start.reshape(1)), part, numbers)


def below(above: Keys, part: str, numbers: IntArray | int) -> Keys:
    """The keys of parts of things: the thing's key, what the part is, and its number; broadcast."""
    odd = (np.atleast_1d(numbers).astype(np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN)
    return _mixed(above ^ odd ^ _name(part))


def uniform(of: Keys, part: str) -> FloatArray:
    """Evenly from the open interval (0, 1), of the shape of the keys."""
    hashed = _mixed(of ^ _name(part)) >> np.uint64(11)
    return np.asarray((hashed.astype(np.float64) + 0.5) * _STEP)


def exponential(of: Keys, part: str) -> FloatArray:
    """Exponential with mean 1."""
    return np.asarray(-np.log(uniform(of, part)))


def normal(of: Keys, part: str) -> FloatArray:
    """Normal with mean 0 and deviation 1."""
    return np.asarray(ndtri(uniform(of, part)), dtype=np.float64)


def chosen(of: Keys, part: str, weights: FloatArray) -> IntArray:
    """Numbers from 0 on, each as often as its weight (k,) says."""
    edges = np.cumsum(weights)
    place: IntArray = np.searchsorted(edges, uniform(of, part) * edges[-1], side="right")
    return np.minimum(place, len(edges) - 1)


def poisson(of: Keys, part: str, mean: float) -> IntArray:
    """Whole numbers from 0 on with that mean."""
    if not mean:
        return np.zeros(of.shape, dtype=np.int64)
    most = int(mean + 10 * np.sqrt(mean) + 20)
    count = np.arange(most + 1)
    logs = count * np.log(mean) - mean - np.array([lgamma(k + 1.0) for k in count])
    return np.asarray(np.searchsorted(np.cumsum(np.exp(logs)), uniform(of, part) * (1 - _TAIL)))


def _name(part: str) -> np.uint64:
    return np.uint64((crc32(part.encode()) * _SECOND) & _ALL)


def _mixed(bits: Keys) -> Keys:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_FIRST)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_SECOND)
    return np.asarray(bits ^ (bits >> np.uint64(31)))
