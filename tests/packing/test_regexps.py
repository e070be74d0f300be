"""Go's patterns mean the same here, and what Go refuses matches nothing."""

from __future__ import annotations

import pytest

from reconciler.packing.regexps import search_re2


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("nux", "linux"),  # unanchored
        (r"^r[12]$", "r1"),
        ("(?i)LINUX", "linux"),
        ("a(?i)B|c", "aC"[:1] + "b"),
        ("x(?i)y|Z", "z"),  # an inline flag holds to the end of its group, later branches too
        ("(?i:A)b", "ab"),
        ("(?P<name>a)b", "ab"),
        ("(?<name>a)b", "ab"),
        (r"\Qa.b\Ec", "a.bc"),
        (r"\Qa+", "a+"),
        ("[[:alpha:]]+[[:digit:]]", "ab1"),
        (r"[\d_]\z", "a9"),
        (r"\x41\x{42}", "AB"),
        ("a{2,3}", "aa"),
        ("a{,3}", "a{,3}"),  # no counts: literal braces
        (r"\bfoo\b", "a foo b"),
        (r"\Afoo", "foo"),
        ("(?s)a.b", "a\nb"),
        ("(?m)^b$", "a\nb\nc"),
        ("(?-s)a", "a"),
        ("[]a]", "]"),
        ("[^]a]", "b"),
        ("[a-c^]", "^"),
        (r"[\s]", " "),
        (r"[\D]", "x"),
        (r"\D\W\S", "x-y"),
        ("a*?b+?c??", "ab"),
        ("", "anything"),
        ("a||b", ""),
        ("(?U)a+", "a"),
        ("[[:^alpha:]]", "1"),
        (r"[\n]", "\n"),
        (r"[\]]", "]"),
        ("[a-]", "-"),
        (r"[^\D]", "7"),
        ("(?i)[a-c]", "B"),
        (r"\Bx", "axb"),
        ("(ab){2}", "abab"),
        ("x{0}y", "y"),
        ("a.c", "abc"),
        (r"\.", "."),
        ("(a*)*b", "b"),
    ],
)
def test_a_pattern_is_found(pattern: str, text: str) -> None:
    assert search_re2(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("r1$", "r1\n"),  # Go's $ is the very end
        (r"\s", "\v"),  # no vertical tab in Go's \s
        (r"\d", "٣"),  # classes are ASCII
        (r"\w", "é"),
        ("a(?=b)", "ab"),  # lookaround
        (r"(a)\1", "aa"),  # backreference
        ("a++", "aa"),  # possessive
        ("(?>a)", "a"),
        ("(", "("),
        (")", ")"),
        ("[a", "a"),
        ("a{1001}", "a" * 1001),
        (r"\pL", "a"),
        ("[[:nope:]]", "n"),
        ("[[:^alpha:]]", "a"),
        ("a{2,1}", "aa"),
        ("a**", "a"),
        ("a+{2}", "aa"),
        ("[c-a]", "b"),
        (r"\x{110000}", "x"),
        ("((a{100}){100}){100}", "a"),
        ("a.c", "a\nc"),
        (r"\bx", "ax"),
        ("(ab){2}", "ab"),
        ("(a", "a"),
        (r"\xZZ", "x"),
        ("a\\", "a"),
        ("*a", "a"),
    ],
)
def test_a_pattern_is_not_found_or_is_none(pattern: str, text: str) -> None:
    assert not search_re2(pattern, text)


def test_a_pattern_that_would_backtrack_for_ever_is_told_at_once() -> None:
    assert not search_re2("(a+)+(b|$)c", "a" * 2000)
    assert search_re2("(x+x+)+y", "x" * 500 + "y")
