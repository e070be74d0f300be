"""What every part of a document is made of: closed and frozen models, durations, percentages, checked text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")

Items = Annotated[tuple[T, ...], Strict(strict=False)]
"""A list of a document. Lists and tuples will do, also in Python; what is in it stays strict."""


class Model(BaseModel):
    """A closed, strict, frozen part of a document: snake_case in Python, camelCase in the text."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        validate_default=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        alias_generator=to_camel,
        validate_by_name=True,  # for Python; a document's text is read by alias only
        validate_by_alias=True,
    )


def refusal(what: str, hint: str) -> PydanticCustomError:
    """Say what is wrong with a value and what would be right, in the two halves of a `Problem`."""
    return PydanticCustomError("document", "{what}; {hint}", {"what": what, "hint": hint})


# --- durations -------------------------------------------------------------------------------------------------------

_DURATION: Final = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?")
_LONGEST: Final = timedelta(days=366)
_FORM: Final = 'write text with a unit (s, m, h, d), such as "90s" or "1h30m"'


def parse_duration(text: str) -> timedelta:
    """Read a duration, 1 second to 366 days, as `format_duration` writes it. Raises a refusal with its remedy."""
    parts = _DURATION.fullmatch(text)
    if parts is None or not text:
        raise refusal(f'"{text}" is no duration', _remedy(text))
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    value = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if value < timedelta(seconds=1):
        raise refusal(f'"{text}" is no time at all', "write 1s or more")
    if value > _LONGEST:
        raise refusal(f'"{text}" is longer than a year', "write 366d or less")
    return value


def _remedy(text: str) -> str:
    plain = text.strip().lower().replace(" ", "")
    if _DURATION.fullmatch(plain) and plain:
        return f'write "{plain}"'
    if re.fullmatch(r"[0-9]+ms", plain):
        return 'the smallest unit is the second, as in "1s"'
    if re.fullmatch(r"[0-9]*\.[0-9]+[smhd]", plain):
        value = float(plain[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[plain[-1]]
        whole = timedelta(seconds=round(value))
        if timedelta(seconds=1) <= whole <= _LONGEST:
            return f'no fractions: write "{format_duration(whole)}"'
    return _FORM


def format_duration(value: timedelta) -> str:
    """Write a duration in the largest units that hold it: 90 s is ``1m30s``; parts of a second are dropped."""
    rest = int(value.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        count, rest = divmod(rest, size)
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts) + (f"{rest}s" if rest or not any(parts) else "")


def _duration(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise refusal(f"{value} is a number without a unit", f'write "{value}s" for seconds, "{value}m" for minutes')
    if isinstance(value, timedelta):
        return value
    raise refusal("is no duration", _FORM)


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
            "examples": ["90s", "5m", "1h30m"],
        }
    ),
]
"""One second to 366 days, written with units: ``90s``, ``1h30m``."""

# --- numbers and text ------------------------------------------------------------------------------------------------

Percent = Annotated[int, Field(ge=0, le=100)]
"""A whole number from 0 to 100, without a percent sign."""


@dataclass(frozen=True, slots=True)
class Text:
    """Text of a given form, for ``Annotated[str, Text(...)]``; ``secret`` keeps what was written out of messages."""

    pattern: str
    meaning: str
    examples: tuple[str, ...] = ()
    secret: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the form after the type."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Give editors the same form."""
        found = {**handler(schema), "pattern": f"^({self.pattern})$"}
        return found | ({"examples": list(self.examples)} if self.examples else {})

    def check(self, value: str) -> str:
        """Return the text, or refuse it and say what would be right."""
        if re.fullmatch(self.pattern, value):
            return value
        example = " or ".join(self.examples[:2])
        quoted = "what is written here" if self.secret else f'"{shortened(value)}"'
        raise refusal(f"{quoted} is not {self.meaning}", f"write something like {example}" if example else "write one")


def shortened(text: str, width: int = 40) -> str:
    """Cut text that is quoted in a message, so that the message stays a line."""
    line = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return line if len(line) <= width else f"{line[: width - 1]}…"


_NAME: Final = ("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a name of 1-63 lower-case letters, digits and dashes")

GroupName = Annotated[str, Text(*_NAME, ("prod-use1",))]
PoolName = Annotated[str, Text(*_NAME, ("general",))]
WindowName = Annotated[str, Text(*_NAME, ("nights",))]
_WORD: Final = ("[A-Za-z0-9_.-]{1,128}", "a name of 1-128 letters, digits, dashes, dots and underscores")

Datacenter = Annotated[str, Text(*_WORD, ("dc1",))]
Region = Annotated[str, Text(*_WORD, ("global",))]
Driver = Annotated[str, Text(*_WORD, ("docker", "exec"))]
Secret = Annotated[
    str,
    Text(
        "(ssm:/|secretsmanager:)[^\\s]+",
        "a reference to a secret",
        ("ssm:/nomad/gossip", "secretsmanager:nomad-bootstrap"),
        secret=True,
    ),
]
"""Where a secret is, never the secret itself."""
