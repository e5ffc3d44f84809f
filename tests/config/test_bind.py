"""Dataclasses are the schema: what fits is bound, what does not is told with its place and its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from dojo_deploy.config import bind, parse, unbind
from dojo_deploy.configuration.scalars import duration
from dojo_deploy.errors import ConfigError
from dojo_deploy.interfaces import Balancer, Probe, StoreKind
from dojo_deploy.secrets import Secret

from .families import LISTENS, Canary, Listens, Smoke


@dataclass(frozen=True)
class Shapes:
    text: str = ""
    count: int = 0
    wait: float = 0.0
    loud: bool = False
    secret: Secret | None = None
    either: str | Secret = ""
    mixed: tuple[int | str, ...] = ()
    words: tuple[str, ...] = ()
    names: Mapping[str, int] = field(default_factory=dict)
    mode: Literal["rollback", "halt"] = "rollback"
    inner: Smoke | None = None
    store: StoreKind | None = None
    balancer: Balancer | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict)


@dataclass(frozen=True)
class Open:
    kind: str = ""
    each: Mapping[str, Smoke] = field(default_factory=dict, metadata={"rest": True})


@dataclass(frozen=True)
class Inline:
    name: str
    smoke: Smoke = field(metadata={"rest": True})


def shapes(text: str) -> Shapes:
    return bind(parse(text, file="f.yml"), Shapes)


def refused(text: str, cls: type[Any] = Shapes) -> str:
    with pytest.raises(ConfigError) as caught:
        bind(parse(text, file="f.yml"), cls)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text: 0123456", Shapes(text="0123456")),
        ("text: no", Shapes(text="no")),
        ("text: '22'", Shapes(text="22")),
        ("count: 5", Shapes(count=5)),
        ("wait: 5", Shapes(wait=5.0)),
        ("wait: 1h30m", Shapes(wait=5400.0)),
        ("wait: 500ms", Shapes(wait=0.5)),
        ("loud: true", Shapes(loud=True)),
        ("secret: {env: X}", Shapes(secret=Secret("env", "X"))),
        ("secret: null", Shapes()),
        ("either: x", Shapes(either="x")),
        ("either: {cmd: pass x}", Shapes(either=Secret("cmd", "pass x"))),
        ("mixed: [1, 50%]", Shapes(mixed=(1, "50%"))),
        ("words: []", Shapes()),
        ("names: {on: 1}", Shapes(names={"on": 1})),
        ("mode: halt", Shapes(mode="halt")),
        ("inner: {run: x, deadline: 2m}", Shapes(inner=Smoke("x", 120.0))),
        (f"probes: {{a: {{kind: '{LISTENS}', port: 8080}}}}", Shapes(probes={"a": Listens(8080)})),
        (f"probes: {{a: '{LISTENS}'}}", Shapes(probes={"a": Listens()})),
    ],
)
def test_values_are_bound_to_the_types_of_the_fields(text: str, expected: Shapes) -> None:
    assert shapes(text) == expected
    assert type(shapes(text).wait) is float


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("txet: x", "f.yml:1: txet: unknown key; did you mean text?"),
        ("zzz: x", "f.yml:1: zzz: unknown key; there is: text, count, wait,"),
        ("text: 5", 'f.yml:1: text: wants text, got the number 5; write "5"'),
        ("text: 1.10", 'f.yml:1: text: wants text, got the number 1.10; write "1.10"'),
        ("text: true", 'f.yml:1: text: wants text, got true; write "true"'),
        ("text:", "f.yml:1: text: wants text, got nothing"),
        ("text: [a]", "f.yml:1: text: wants text, got a list"),
        ("count: five", 'f.yml:1: count: wants a whole number like 3, got the text "five"'),
        ("count: 010", 'got the text "010"; write 10 without the leading zero'),
        ("count: 1_000", 'got the text "1_000"; write 1000'),
        ("count: 22:22", '"22:22" is text, never a number in base 60'),
        ("count: 2.5", "count: wants a whole number like 3, got the number 2.5"),
        ("count: true", "count: wants a whole number like 3, got true"),
        ("wait: soon", "wants a number of seconds, or a duration like 30s, 10m or 1h30m, got the text"),
        ("wait: -5", "got the number -5"),
        ("wait: true", "got true"),
        ("wait: 10 m", 'got the text "10 m"'),
        ("loud: no", 'loud: wants true or false, got the text "no"; write false'),
        ("loud: 1", "loud: wants true or false, got the number 1"),
        ("words: npm ci", 'words: wants a list like [a, b], got the text "npm ci"; write ["npm ci"]'),
        ("words: web1", "write [web1]"),
        ("mixed: 1", "got the number 1; write [1]"),
        ("mixed: [1, [2]]", "f.yml:1: mixed[1]: wants a whole number like 3 or text, got a list"),
        ("names: {a: x}", "f.yml:1: names.a: wants a whole number like 3"),
        ("names: [a]", "names: wants a mapping like {name: value}, got a list"),
        ("mode: hatl", 'mode: wants one of: rollback, halt, got the text "hatl"; did you mean halt?'),
        ("inner: {deadline: 5}", "f.yml:1: inner.run: is missing; text"),
        ("inner: x", 'inner: wants a mapping with keys of run, deadline, got the text "x"'),
        ("inner:\n  run: x\n  deadlin: 5\n", "f.yml:3: inner.deadlin: unknown key; did you mean deadline?"),
        ("secret: {evn: X}", "f.yml:1: secret.evn: not where a secret can be; did you mean env?"),
        ("secret: {env: X, file: Y}", "a secret is never written here"),
        ("secret: {env: 5}", "secret.env: wants the name as text"),
        (
            "store: 5",
            "store: wants a kind (host, s3, directory), or a mapping with `kind` and its keys, got the number",
        ),
        ("store: {path: /x}", "store.kind: is missing; there is: host, s3, directory"),
        ("store: {kind: directoy, path: /x}", 'store.kind: unknown kind "directoy"; did you mean directory?'),
        ("store: {kind: directory, path: /x, paht: /x}", "store.paht: unknown key; did you mean path?"),
        ("store: nowhere", "store: 'nowhere' is not a store"),
        ("balancer: ngnix", "balancer: 'ngnix' is not a balancer; alb, nginx, none"),
        ("balancer: no.such:Thing", "balancer: there is no module no.such; is its folder on PYTHONPATH?"),
        ("balancer: {kind: 'json:Thing'}", "balancer.kind: json has no class Thing"),
        ("balancer: {kind: 'json:JSONDecoder'}", "json:JSONDecoder is no dataclass"),
        (f"balancer: {{kind: '{LISTENS}'}}", "Listens is no Balancer: it has no drained, drain, restore, serving"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place_and_its_remedy(text: str, said: str) -> None:
    message = refused(text)
    assert said in message
    assert message.startswith("f.yml:")
    assert "\n" not in message


@pytest.mark.parametrize("text", ["secret: hunter2", "either: 12345", "either: [hunter2]", "secret: [hunter2, 12345]"])
def test_what_may_be_a_secret_is_never_shown(text: str) -> None:
    message = refused(text)
    assert "hunter2" not in message
    assert "12345" not in message


def test_the_first_five_problems_are_told_one_line_each() -> None:
    lines = refused("".join(f"wrong{number}: 1\n" for number in range(1, 8))).splitlines()
    assert [line.partition(" unknown")[0] for line in lines[:5]] == [f"f.yml:{n}: wrong{n}:" for n in range(1, 6)]
    assert lines[5:] == ["f.yml: … and 2 more"]


def test_a_key_cannot_forge_a_line_or_a_colour() -> None:
    message = refused('"a\\nf.yml:1: all is well \\e[32m": 1')
    assert "\n" not in message
    assert "\x1b" not in message


def test_the_rest_of_the_keys_is_bound_too() -> None:
    found = bind(parse("{kind: x, a: {run: one}, b: {run: two}}", file="f"), Open)
    assert found == Open("x", {"a": Smoke("one"), "b": Smoke("two")})
    assert bind({"name": "n", "run": "r"}, Inline) == Inline("n", Smoke("r"))
    assert "deadlin: unknown key; did you mean deadline?" in refused("{name: n, run: r, deadlin: 5}", Inline)


def test_what_a_class_itself_refuses_is_told_with_its_place() -> None:
    assert refused("watch: 1m\nshare: 0\n", Canary) == "f.yml:2: share: 0 is no percentage; 1 to 100"
    assert refused("watch: 48h", Canary) == "f.yml:1: nobody watches for more than a day"


def test_plain_data_binds_like_a_file() -> None:
    assert bind({"wait": "2s", "secret": Secret("env", "X")}, Shapes) == Shapes(wait=2.0, secret=Secret("env", "X"))
    with pytest.raises(ConfigError, match=r"^wiat: unknown key; did you mean wait"):
        bind({"wiat": 1}, Shapes)
    with pytest.raises(ConfigError, match="a set cannot be part of a configuration"):
        bind({"words": {1}}, Shapes)


def test_unbinding_is_the_way_back() -> None:
    value = Canary(
        watch=0.25,
        smoke=Smoke("x"),
        hooks=(Smoke("y", 1.0),),
        token=Secret("file", "t"),
        env={"A": "1", "B": Secret("env", "B")},
        probe=Listens(81),
    )
    assert bind(unbind(value), Canary) == value
    assert bind(unbind(Open("k", {"a": Smoke("b")})), Open) == Open("k", {"a": Smoke("b")})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600),
        ("2s", 2),
        ("1h30m", 5400),
        ("24h", 86400),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("1d", 86400),
        ("1m500ms", 60.5),
        ("", None),
        ("10", None),
        ("m", None),
        ("1s1m", None),
        ("1 m", None),
        ("-1s", None),
    ],
)
def test_durations_are_seconds(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds
