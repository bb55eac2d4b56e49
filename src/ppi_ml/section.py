"""What sections of a config have in common: no unknown settings, lengths of time, tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from ppi_ml.errors import DataError, UsageError
from ppi_ml.instants import parse_days
from ppi_ml.schema import table_named

_PLUGINS = "plugins"


def _length(value: object, least: int) -> int:
    try:
        days = parse_days(value)  # type: ignore[arg-type]  # it refuses what it cannot read
    except UsageError as error:
        raise ValueError(str(error)) from error
    if days < least:
        raise ValueError(f'expected a length of at least {least}d, got "{days}d"')
    return days


def _days(least: int) -> tuple[object, ...]:
    schema = {"type": ["string", "integer"], "pattern": r"^\d+\s*d(ays?)?$", "minimum": least}
    return (
        BeforeValidator(lambda value: _length(value, least)),
        PlainSerializer(lambda days: f"{days}d", return_type=str),
        WithJsonSchema({**schema, "examples": ["90d"]}),
    )


Whole = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Lag = Annotated[int, *_days(0)]
Length = Annotated[int, *_days(1)]


def of_plugins(values: Mapping[str, object]) -> dict[str, bool]:
    """What the validators of a config's sections are told: whether plug-ins may bring tables."""
    return {_PLUGINS: bool(values.get("plugins"))}


def check_table(name: str, info: ValidationInfo) -> None:
    """`ValueError` for a table that is none; where plug-ins may bring it, loading looks again."""
    try:
        table_named(name)
    except DataError as error:
        if not (info.context or {}).get(_PLUGINS):
            raise ValueError(str(error)) from error


class Section(BaseModel):
    """What all sections share: frozen, no unknown settings, docstrings become descriptions."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )
