"""YAML without its surprises."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dojo_deploy.config import parse, read
from dojo_deploy.configuration.document import MAX_DEPTH
from dojo_deploy.errors import ConfigError


def refused(data: bytes | str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(data, file="site.yml")
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "N",
        "22:22",
        "2222:22",
        "010",
        "0123456",
        "1_000",
        "2026-11-23",
        "0x1F",
        "0o17",
        "1.2.3",
        "50%",
        ".inf",
        ".nan",
        "1e999",
        "1234567890123456789012",
        "0123e4",
        "<<x",
        "=",
        "1" * 5000,
    ],
)
def test_what_other_readers_bend_stays_text(text: str) -> None:
    assert parse(f"key: {text}", file="f").plain() == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("+3", 3),
        ("3000", 3000),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-2.5e-1", -0.25),
    ],
)
def test_the_core_of_yaml_1_2_has_its_values(text: str, value: object) -> None:
    found = parse(f"key: {text}", file="f").plain()["key"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["'no'", '"5"', "'true'", "|\n  5", ">-\n  null"])
def test_quoted_and_block_text_is_always_text(text: str) -> None:
    assert isinstance(parse(f"key: {text}", file="f").plain()["key"], str)


def test_keys_are_the_words_as_they_stand() -> None:
    assert parse("{on: 1, 010: 2, 22:22: 3, true: 4, 5: 6}", file="f").plain() == {
        "on": 1,
        "010": 2,
        "22:22": 3,
        "true": 4,
        "5": 6,
    }


def test_every_value_knows_its_line_and_column() -> None:
    node = parse("app:\n  name: x\n  run:\n    - a\n    - b\n", file="f")
    found = {path: node.at(*path) for path in [("app",), ("app", "name"), ("app", "run")]}
    assert [(item.line, item.column) for item in found.values()] == [(1, 1), (2, 3), (3, 3)]
    items = node.at("app", "run").value
    assert isinstance(items, tuple)
    assert [(item.line, item.column) for item in items] == [(4, 7), (5, 7)]


def test_a_duplicate_key_is_refused_with_both_lines() -> None:
    assert refused("app:\n  keep: 5\n  name: x\n  keep: 6\n") == (
        "site.yml:4: app.keep: the key stands twice, first on line 2"
    )


@pytest.mark.parametrize("text", ["app:\n\tname: x\n", "app:\n  name: x\n \tkeep: 5\n", "hosts:\n  web:\n\t- web1\n"])
def test_a_tab_is_explained(text: str) -> None:
    assert "a tab; YAML is indented with spaces only" in refused(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1\nb: *x\n", "site.yml:1: a: anchors and aliases (&x)"),
        ("a: *x\n", "site.yml:1: a: anchors and aliases (*x)"),
        ("a:\n  <<: {b: 1}\n", "site.yml:2: a: merge keys (<<)"),
        ("a: !!python/object:os.system x\n", 'site.yml:1: a: the tag "tag:yaml.org,2002:python/object:os.system"'),
        ("a: ! 5\n", 'site.yml:1: a: the tag "!"'),
        ("a: 1\n---\nb: 2\n", "site.yml:2: a second document"),
        ("- a\n- b\n", "site.yml:1: holds a list"),
        ("just text\n", "site.yml:1: holds one text"),
        ("", "site.yml: is empty"),
        ("# nothing\n", "site.yml: is empty"),
        ("[a]: 1\n", "site.yml:1: a key must be a word"),
        ("? {a: b}\n: 1\n", "site.yml:1: a key must be a word"),
        ("'': 1\n", "site.yml:1: an empty key"),
        ("a: b: c\n", "site.yml:1: a second `: ` here; put the value in quotes"),
        ("a: @b\n", 'site.yml:1: no value starts with "@"'),
        ("a: %b\n", 'site.yml:1: no value starts with "%"'),
        ("a: [b\n", "site.yml:2: not YAML:"),
        ('a: "\\UFFFFFFFF"\n', "site.yml: not YAML:"),
        ('a: "\\ud800"\n', "site.yml:1: a: half a surrogate pair"),
        ("a: \x07\n", "site.yml:1: the character U+0007 is not allowed"),
        (b"a: 1\nb: \xff\n", "site.yml:2: byte 0xff is not UTF-8"),
        ("%YAML " + "9" * 5000 + ".1\n---\na: 1\n", "site.yml"),
        ("a: " + "[" * 50 + "]" * 50, f"nested deeper than {MAX_DEPTH} levels"),
        (b"a" * (1 << 20) + b": 1", "site.yml: is larger than 1 MiB"),
    ],
)
def test_what_is_not_plain_values_is_refused_with_its_line(text: bytes | str, said: str) -> None:
    message = refused(text)
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{n}: &{n} [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n" for n in "bcdefghij"),
        "a: &a {x: &b {y: *a}}\n",
        "[" * 500_000,
        "{a: " * 250_000,
        "- " * 400_000,
        "? " * 400_000,
    ],
)
def test_bombs_are_refused_within_a_second(bomb: str) -> None:
    start = time.monotonic()
    refused(bomb)
    assert time.monotonic() - start < 1.0


def test_json_is_read_as_it_is(tmp_path: Path) -> None:
    data = {"a": [1, 2.5, None, True, "no"], "b": {"c": '\U0001f409 ü \\ / " \n'}, "d": {}}
    path = tmp_path / "x.json"
    for text in (json.dumps(data), json.dumps(data, indent=2), json.dumps(data, ensure_ascii=False)):
        path.write_text(text, "utf-8")
        assert read(path).plain() == data


def test_a_byte_order_mark_and_windows_lines_are_no_matter() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: x\r\n", file="f").plain() == {"a": 1, "b": {"c": "x"}}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yml"):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            read(path)
        assert str(path) in str(caught.value)
