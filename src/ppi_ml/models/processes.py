"""The registry of processes: the names that `model.processes` of the config may hold."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ppi_ml.models.btyd import BG_NBD, MBG_NBD, PARETO_NBD
from ppi_ml.models.gaps import GAPS
from ppi_ml.models.histories import Process

_ALL: tuple[Process, ...] = (MBG_NBD, BG_NBD, PARETO_NBD, GAPS)

PROCESSES: Mapping[str, Process] = MappingProxyType({process.name: process for process in _ALL})
