"""What every message of the package has to be: one line of what, expected, got, and what to do."""

import re


def assert_one_line(message: str, expected: str, got: str, fix: str) -> None:
    """Check the form of a message, and each part by a regular expression."""
    parts = re.fullmatch(
        r"(?P<what>[^:\n]+): expected (?P<expected>[^\n]+), got (?P<got>[^\n]+); (?P<fix>[^;\n]+)", message
    )
    assert parts, f"not one line of what, expected, got and fix: {message!r}"
    assert re.search(expected, parts["expected"]), message
    assert re.search(got, f"got {parts['got']};"), message
    assert re.search(fix, parts["fix"]), message
