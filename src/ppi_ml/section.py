"""What the sections of a config have in common: no unknown settings, numbers, lengths of time."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)

from ppi_ml.errors import UsageError
from ppi_ml.instants import parse_days


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


class Section(BaseModel):
    """What all sections share: frozen, no unknown settings, docstrings become descriptions."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )
