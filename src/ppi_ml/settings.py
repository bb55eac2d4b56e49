"""Settings before they are checked: YAML, `--set`, the environment, and wrong ones explained.

A setting has a path such as `tune.trials`. Values on the command line and in the environment are
read as YAML: `50` is a number, `[30d, 90d]` a list, nothing is null. What starts as no YAML value
can, such as %d.%m.%Y or a comma, is the text that it is; in a file it needs quotes.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ppi_ml.errors import ConfigError

PREFIX = "PPI_ML_"
_SHOWN = 60  # characters of a wrong value that a message repeats
_OF_NAME = "[key]"  # where pydantic says that a name is wrong, and not what it names
_NO_START = ("%", ",", "@", "`")  # nothing in YAML starts with these
_SETTING = re.compile(r"[\s-]*(\w+:) +(\S.*?)\s*(?:\s#.*)?")
_RARE_BREAKS = re.compile("[\x85\u2028\u2029]")


class _Loader(yaml.SafeLoader):
    """YAML without its surprises: no dates, no yes/no, no 12:30 = 750, no key given twice."""

    # a dict of its own: the one of SafeLoader belongs to everybody
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise yaml.YAMLError(f'"{key}" is given twice in the section at line {line}')
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that `_Loader`, or any other YAML reader, would take for something else."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # PyYAML writes rare line breaks as they are, and reads them back as blanks
        style = '"' if _RARE_BREAKS.search(data) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)

for _tag, _pattern, _first in (
    ("null", r"(~|null|)\Z", ["~", "n", ""]),
    ("bool", r"(true|false)\Z", ["t", "f"]),
    ("int", r"-?(0|[1-9]\d*)\Z", list("-0123456789")),
    ("float", r"-?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?\Z", list("-0123456789.")),
):
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def parse(text: str) -> object:
    """The value of a YAML text; `yaml.YAMLError` where it is none."""
    return yaml.load(text, Loader=_Loader)


def write(values: Mapping[str, Any]) -> str:
    """YAML of nested plain values, in the order given; `parse` of it gives the same values."""
    return yaml.dump(
        dict(values),
        Dumper=_Dumper,
        default_flow_style=None,  # innermost lists and sections on one line
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def read_mapping(source: str | Path | Mapping[str, Any] | None) -> dict[str, Any]:
    """A private copy of the settings in a YAML file or a dict; None holds none.

    Raises:
        ConfigError: the file is missing, unreadable, not YAML, or not made of sections.
    """
    if source is None or isinstance(source, Mapping):
        return copy.deepcopy(dict(source or {}))
    try:
        text = Path(source).read_text(encoding="utf-8")
        values = parse(text)
    except FileNotFoundError:
        raise ConfigError(f"{source}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(
            f"{source}: a folder; expected a config, a YAML file with sections such as data: and "
            "target:"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        why = _unquoted(text, error) or " ".join(str(error).split())
        raise ConfigError(f"{source}: not YAML: {why}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: expected sections such as data: and target:")
    return values


def _unquoted(text: str, error: Exception) -> str:
    """Which value lacks quotes, and the line to write, if that is what YAML stumbled over."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    sign = text[mark.index : mark.index + 1] if mark else ""
    if mark is None or sign not in _NO_START:
        return ""
    found = _SETTING.fullmatch(text.splitlines()[mark.line])
    known = found is not None and found[2].startswith(sign) and '"' not in found[2]
    example = f'{found[1]} "{found[2]}"' if found and known else 'dates: "%d.%m.%Y"'
    return f"line {mark.line + 1}: a value that starts with {sign} needs quotes, as in {example}"


def from_sets(sets: Mapping[str, object] | Iterable[str]) -> Iterator[tuple[str, object]]:
    """(path, value) of each override; texts look like `tune.trials=50`."""
    if isinstance(sets, Mapping):
        yield from sets.items()
        return
    for text in sets:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            raise ConfigError(f'expected a setting such as tune.trials=50, got "{text}"')
        yield path.strip(), _parse_value(path.strip(), value)


def from_environment(
    environ: Mapping[str, str], schema: Mapping[str, Any]
) -> dict[str, tuple[str, object]]:
    """{path: (variable, value)} of `PPI_ML_SECTION__SETTING` and of `PPI_ML_SEED` and its like.

    Other variables of the prefix are no settings and are left alone, unless one spells a
    setting with too few underscores: ignoring that would train something else than asked.
    """
    known = {path.replace(".", "_").upper(): path for path in paths(schema)}
    found = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        name = variable.removeprefix(PREFIX)
        if "__" in name or known.get(name) == name.lower():
            value = _parse_value(f"{variable} in the environment", environ[variable])
            found[name.lower().replace("__", ".")] = (variable, value)
        elif name in known:
            right = PREFIX + known[name].replace(".", "__").upper()
            raise ConfigError(f"{variable} in the environment: did you mean {right}?")
    return found


def _parse_value(path: str, text: str) -> object:
    if text.strip().startswith(_NO_START):
        return text.strip()
    try:
        return parse(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f'{path}: not a YAML value: "{_short(text)}"; text with signs of YAML in it needs '
            "double quotes of its own, as in '\"[x\"'"
        ) from error


def assign(values: dict[str, Any], path: str, value: object) -> None:
    """Set a nested value in place, a copy of it, making the sections on its way."""
    *sections, last = path.split(".")
    for name in sections:
        if not isinstance(values.get(name), dict):
            values[name] = {}
        values = values[name]
    values[last] = copy.deepcopy(value)


def paths(schema: Mapping[str, Any]) -> list[str]:
    """The path of every setting that is not a section, in the order of the schema."""
    return list(_leaves(schema, schema, ""))


def _leaves(node: Mapping[str, Any], root: Mapping[str, Any], path: str) -> Iterator[str]:
    properties = _resolve(node, root).get("properties")
    if properties is None:
        yield path
        return
    for name, child in properties.items():
        yield from _leaves(child, root, f"{path}.{name}" if path else name)


def explain(
    errors: Iterable[Mapping[str, Any]], values: object, schema: Mapping[str, Any]
) -> list[str]:
    """One line per wrong setting: its path, what was expected, and what was found.

    Args:
        errors: what pydantic found, as `ValidationError.errors()` gives it.
        values: the settings that were checked.
        schema: the JSON schema that they should have followed.
    """
    lines: dict[tuple[str, ...], str] = {}
    for error in errors:
        path, node = _locate(error["loc"], schema)
        message = _complaint(error, path, node, _dig(values, path), schema)
        lines.setdefault(path, ": ".join([".".join(path), message] if path else [message]))
    inner = {path[:length] for path in lines for length in range(len(path))}
    return [line for path, line in lines.items() if path not in inner]


def _locate(
    loc: Iterable[str | int], schema: Mapping[str, Any]
) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """The path of a setting and its part of the schema; what pydantic adds to paths is left out."""
    path: list[str] = []
    node = schema
    for part in loc:
        if part == _OF_NAME:
            break
        node = _resolve(node, schema)
        if "items" in node and isinstance(part, int):
            node = node["items"]
        elif part in node.get("properties", {}):
            node = node["properties"][part]
        elif isinstance(node.get("additionalProperties"), dict):
            node = node["additionalProperties"]
        elif "properties" in node:  # an unknown setting
            node = {}
        else:  # the name of one branch of a union
            break
        path.append(str(part))
    return tuple(path), _resolve(node, schema)


def _complaint(
    error: Mapping[str, Any],
    path: tuple[str, ...],
    node: Mapping[str, Any],
    found: object,
    schema: Mapping[str, Any],
) -> str:
    if error["loc"][-1:] == (_OF_NAME,):
        return "expected text as a name; write it in quotes"
    match error["type"]:
        case "extra_forbidden":
            return f"unknown setting. {_nearest(path, schema)}"
        case "missing":
            return f"is required and missing: {node.get('description', 'a setting')}"
        case "value_error":
            return str(error["ctx"]["error"])
    shown = _short(json.dumps(found, ensure_ascii=False, default=str))
    return f"expected {_expected(node, schema)}, got {shown}"


def _nearest(path: tuple[str, ...], schema: Mapping[str, Any]) -> str:
    _, section = _locate(path[:-1], schema)
    siblings = [".".join((*path[:-1], name)) for name in section.get("properties", {})]
    everywhere = paths(schema)
    near = difflib.get_close_matches(".".join(path), siblings + everywhere, n=1, cutoff=0.75)
    near = near or [other for other in everywhere if other.split(".")[-1] == path[-1]]
    return f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(siblings)}."


def _dig(values: object, path: tuple[str, ...]) -> object:
    for name in path:
        if isinstance(values, Mapping):
            values = values.get(name)
        elif isinstance(values, list | tuple) and name.isdigit():
            values = values[int(name)]
    return values


def _resolve(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = node.get("$ref")
    if reference is None:
        return node
    target: Mapping[str, Any] = schema["$defs"][reference.rsplit("/", 1)[-1]]
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _expected(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a part of the schema accepts, in words."""
    node = _resolve(node, schema)
    if "anyOf" in node:
        return " or ".join(_expected(branch, schema) for branch in node["anyOf"])
    if "const" in node or "enum" in node:
        return " or ".join(json.dumps(value) for value in node.get("enum", [node.get("const")]))
    match node.get("type"):
        case "integer":
            return "a whole number" + _bounds(node)
        case "number":
            return "a number" + _bounds(node)
        case "array":
            some = "a non-empty list" if node.get("minItems") else "a list"
            return f"{some} of {_expected(node['items'], schema)}"
        case "object":
            names = ", ".join(node.get("properties", {}))
            return f"a section with {names}" if names else "a section of names and values"
        case "null":
            return "null"
        case "boolean":
            return "true or false"
        case "string":
            examples = node.get("examples")
            return f"text such as {json.dumps(examples[0])}" if examples else "text"
    return "another value"


def _bounds(node: Mapping[str, Any]) -> str:
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{text} {node[key]:.10g}" for key, text in words.items() if key in node]
    return f" {' and '.join(bounds)}" if bounds else ""


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
