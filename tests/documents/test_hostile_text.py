"""Text that means harm gets a clear refusal within a second."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.document import reader
from support.documents import SMALL, loaded

MIB = 1 << 20

HOSTILE = {
    "ten megabytes": ("x: " + "y" * (10 * MIB), "at most 1 MiB"),
    "a deep list in brackets": ("[" * 500_000, "nested deeper than 60"),
    "a deep map in braces": ("{a: " * 200_000, "nested deeper than 60"),
    "a deep list in dashes": ("- " * 500_000, "nested deeper than 60"),
    "deep keys": ("? " * 500_000, "nested deeper than 60"),
    "a million items": ("- a\n" * 200_000, "more than 20000 values"),
    "a million documents": ("---\n" * 200_000, "more than 20000 values"),
    "a million keys": ("{" + "a," * 500_000, "more than 20000 values"),
    "a long line without an end": ('"' + "\\x41" * 250_000, "never closed"),
    "lists never closed": ("[a," * 30 + "a: " * 300_000, "not closed"),
    "an alias bomb": (
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 20)),
        "more than 20000 values",
    ),
    "a merge bomb": (
        "a0: &a0 {k: v}\n" + "".join(f"a{i}: &a{i} {{x{i}: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 30)),
        "more than 20000 values",
    ),
    "ten thousand keys twice": ("a: 1\n" * 9_000, "twice"),
    "a number of a million digits": (SMALL + "  limits: {maxNodes: " + "9" * 1_000_000 + "}\n", "not a whole number"),
    "an enormous exponent": (SMALL + "  limits: {maxHourlyCost: 1e999}\n", "maxHourlyCost"),
    "aliases of aliases, each one deeper": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 190)) + "a: [*a189]\n",
        "is missing",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_within_a_second(name: str) -> None:
    text, reason = HOSTILE[name]
    began = time.process_time()
    result = loaded(text)
    took = time.process_time() - began

    assert result.groups == ()
    assert any(reason in str(problem) for problem in result.problems), result.problems[:3]
    assert took < 1, f"{took:.2f} s"
    assert len(result.problems) <= 102
    assert all(len(str(problem)) < 600 for problem in result.problems)


def test_the_c_parser_is_in_use() -> None:
    """Without ruamel.yaml.clib everything works, ten times slower: that must not happen unseen."""
    assert reader.FAST


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp037"])
def test_other_encodings_are_refused_as_such(encoding: str) -> None:
    problems = loaded(SMALL.encode(encoding)).problems

    assert len(problems) == 1
    assert "UTF-8" in str(problems[0]) or "binary" in str(problems[0]) or "NUL" in str(problems[0])


def test_a_byte_order_mark_of_utf_8_is_no_mistake() -> None:
    assert loaded("\ufeff" + SMALL).problems == loaded(SMALL.encode("utf-8-sig")).problems == ()


def test_windows_line_ends_are_no_mistake_and_count_as_one_line() -> None:
    broken = (SMALL + "  mode: x\n").replace("\n", "\r\n")

    assert [problem.line for problem in loaded(broken).problems] == [SMALL.count("\n") + 1]


@given(st.binary(max_size=200))
def test_any_bytes_give_problems_and_never_an_exception(data: bytes) -> None:
    result = loaded(data)

    assert result.problems
    assert result.groups == ()


@given(st.text(max_size=200))
def test_any_text_gives_problems_and_never_an_exception(text: str) -> None:
    assert loaded(text).problems


_YAML_BITS = st.sampled_from(
    [
        "a",
        "- ",
        ": ",
        "\n",
        "  ",
        "[",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "!t ",
        "'",
        '"',
        "|",
        ">",
        "#",
        "? ",
        "%",
        "<<: ",
        "---\n",
        ",",
    ]
)


@given(st.lists(_YAML_BITS, max_size=40).map("".join))
def test_any_pile_of_yaml_signs_gives_problems_and_never_an_exception(text: str) -> None:
    assert loaded(text).problems
