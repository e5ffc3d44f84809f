"""What the guides' extractor takes for a command, and what it holds output to."""

from __future__ import annotations

from pathlib import Path

from tests.docs.guides import Typed, typed

TEXT = """\
# A
```sh
not run
```
```console
$ one --flag
first … line
$ two    # ends 20
```
prose
```console
$ three  # a comment of its own
```
"""


def test_commands_come_with_their_end_and_what_they_show(tmp_path: Path) -> None:
    guide = tmp_path / "a.md"
    guide.write_text(TEXT)
    assert typed(guide) == (
        Typed("one --flag", 0, ("first … line",)),
        Typed("two", 20, ()),
        Typed("three  # a comment of its own", 0, ()),
    )


def test_what_is_shown_must_come_in_its_order() -> None:
    one = Typed("x", 0, ("the fleet is …", "… of 9"))
    assert one.missing("a\nthe fleet is consistent\n3 of 9\n") == []
    assert one.missing("3 of 9\nthe fleet is consistent\n") == ["… of 9"]
    assert one.missing("") == ["the fleet is …", "… of 9"]
