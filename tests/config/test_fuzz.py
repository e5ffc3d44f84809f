"""Whatever a file holds: values, or one line per problem that names the file. Never a traceback."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from dojo_deploy.app.descriptions import graph, resolved
from dojo_deploy.config import (
    inventory_from_document,
    load_inventory,
    load_strategy,
    strategy_document,
    strategy_from_document,
)
from dojo_deploy.configuration.document import parse
from dojo_deploy.configuration.written import written
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
JUNK = (
    *("no", "on", "22:22", "0123456", "010", "1e999", ".nan", "~", "", "-", "-1", "1_000", "99999999999999999999"),
    *("&a x", "*a", "<<: *a", "!!python/name:os.system x", "! x", "|", ">", "[", "]", "{", "}", "[[[[[[", "{}", "[]"),
    *("'", '"', '"\\ud800"', '"\\UFFFFFFFF"', '"\\0"', "\t", "\x00", "\x1b[31m", "\ufeff", "\u2028", "é" * 300, "%x"),
    *("@x", "`x`", "? x", "? [a]", "---", "...", "# x", "a: b: c", "{env: A, file: B}", "{env: 5}", "{kind: x}"),
    *("kind: no_such_module:Class", "{kind: 'json:JSONDecoder'}", "web[1:99999]", "web[b:a]", "s3://", "ssh://", "/"),
    *("true", "null", "5", "2.5", "1h", "-5s", "x" * 5000, "../../etc", "$(reboot)", "{a: {b: {c: {d: e}}}}"),
)
INVENTORY = """\
app:
  name: tcgdojo
  root: /srv/tcgdojo
  build: {run: [npm ci], env: {A: b, C: {env: D}}, within: 20m}
  shared: [logs]
  env_file: {file: secrets/x.env}
  processes:
    kind: pm2
    web: {script: server.js, instances: 2, port: 3000}
    worker:
      script: worker.js
hosts:
  web:
    - web[01:02]
    - name: web3
      address: 10.0.0.3
      port: 2222
      ports: {web: {blue: 4000, green: 4001, proof: 4002}}
  lb: [lb1]
balancer: {kind: nginx, hosts: lb}
store: s3://bucket/prefix
ssh: {user: deploy, connect_within: 10s}
probes: {home: {kind: http, path: /}}
lock: {ttl: 1m}
strategies: {rolling: {gate: {within: 2m}}}
url: https://example.org
"""
FULL = {
    "production": (ROOT / "inventories/production.yml").read_text(),
    "alb": INVENTORY.replace(
        "balancer: {kind: nginx, hosts: lb}",
        """\
balancer:
  kind: alb
  front: arn:aws:elasticloadbalancing:eu-central-1:1:listener/app/x/1/2
  groups: {blue: shop-blue, green: shop-green}
  region: eu-central-1
  access_key: {env: KEY}""",
    ),
    "colours": INVENTORY.replace("  lb: [lb1]", "  left: [web01, web3]\n  right: [web02]\n  lb: [lb1]")
    + "colours: {blue: left, green: right}\n",
}
STRATEGIES = sorted(path.stem for path in (ROOT / "strategies").glob("*.yml"))
STRATEGY = "".join(
    f"{line.partition(' #')[0].rstrip()}\n"
    for line in (ROOT / "strategies/rolling.yml").read_text().splitlines()
    if line and not line.startswith("#")
)


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_inventory_is_values_or_lines_that_name_the_file(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    rng = random.Random(seed)
    loaded = 0
    for _ in range(220):
        path.write_bytes(mutated(INVENTORY, rng))
        site = told(lambda: load_inventory(path), path)
        if site is not None:
            loaded += 1
            assert inventory_from_document(site.document, path=path) == site
    assert 5 < loaded < 200


@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_strategy_is_values_or_lines_that_name_the_file(seed: int, tmp_path: Path, small: Inventory) -> None:
    path = tmp_path / "rolling.yml"
    rng = random.Random(1000 + seed)
    loaded = 0
    for _ in range(220):
        path.write_bytes(mutated(STRATEGY, rng))
        loaded += told(lambda: load_strategy(str(path), small), path) is not None
    assert 5 < loaded < 200


@pytest.mark.parametrize("name", ["production", "common", "alb", "colours"])
def test_a_full_inventory_that_was_mutated_is_values_or_lines(name: str, tmp_path: Path) -> None:
    _fuzz_inventories(tmp_path, name, random.Random(f"{name} 1"), 25)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_full_strategy_that_was_mutated_is_values_or_lines(name: str, tmp_path: Path, small: Inventory) -> None:
    _fuzz_strategies(tmp_path, name, random.Random(f"{name} 1"), 25, small)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["production", "common", "alb", "colours"])
def test_two_thousand_mutated_inventories(name: str, tmp_path: Path) -> None:
    _fuzz_inventories(tmp_path, name, random.Random(name), 2000)


@pytest.mark.soak
@pytest.mark.parametrize("name", STRATEGIES)
def test_two_thousand_mutated_strategies(name: str, tmp_path: Path, small: Inventory) -> None:
    _fuzz_strategies(tmp_path, name, random.Random(name), 2000, small)


def _fuzz_inventories(folder: Path, name: str, rng: random.Random, count: int) -> None:
    """All but one file is as it was; whatever loads can be shown, kept in a header, and deployed to by name."""
    texts = {**FULL, "common": (ROOT / "inventories/common.yml").read_text()}
    for each, text in texts.items():
        (folder / f"{each}.yml").write_text(text)
    path = folder / f"{'production' if name == 'common' else name}.yml"
    loaded = 0
    for _ in range(count):
        (folder / f"{name}.yml").write_bytes(mutated(texts[name], rng))
        site = told(lambda: load_inventory(path), folder)
        if site is None:
            continue
        loaded += 1
        assert inventory_from_document(site.document, path=path) == site
        assert parse(written(resolved(site)), file="shown").plain() == resolved(site)
        assert graph(site)
        told(partial(load_strategy, "rolling", site), folder)
    assert loaded < count and (loaded or count < 100)


def _fuzz_strategies(folder: Path, name: str, rng: random.Random, count: int, site: Inventory) -> None:
    path, text = folder / f"{name}.yml", (ROOT / f"strategies/{name}.yml").read_text()
    loaded = 0
    for _ in range(count):
        path.write_bytes(mutated(text, rng))
        found = told(lambda: load_strategy(str(path), site), path)
        if found is not None:
            loaded += 1
            assert strategy_from_document(strategy_document(found)) == found
    assert loaded < count and (loaded or count < 100)


def told(load: Callable[[], T], path: Path) -> T | None:
    try:
        return load()
    except ConfigError as error:
        lines = str(error).split("\n")
        assert len(lines) <= 6
        for line in lines:
            assert line.startswith(str(path)), line
            assert line.isprintable(), line
            assert len(line) < len(str(path)) + 700, line
        return None


def mutated(text: str, rng: random.Random) -> bytes:
    """Some byte, line, key or value is not what it was."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        text = rng.choice((_value, _value, _key, _line, _line, _character, _cut))(text, rng)
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    if rng.random() < 0.1 and data:
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _value(text: str, rng: random.Random) -> str:
    return _in_line(text, rng, lambda line: f"{line.partition(':')[0]}: {rng.choice(JUNK)}")


def _key(text: str, rng: random.Random) -> str:
    def change(line: str) -> str:
        letters = [number for number, char in enumerate(line) if char.isalpha()]
        if not letters:
            return line
        at = rng.choice(letters)
        return line[:at] + rng.choice(("", line[at] * 2, "x", "_", "\u00e9")) + line[at + 1 :]

    return _in_line(text, rng, change)


def _line(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    action = rng.randrange(5)
    if action == 0:
        del lines[at]
    elif action == 1:
        lines.insert(other, lines[at])
    elif action == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif action == 3:
        lines[at] = rng.choice((" ", "  ", "\t", "- ")) + lines[at]
    else:
        lines.insert(at, rng.choice(JUNK))
    return "\n".join(lines)


def _character(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice("{}[]:,'\"&*!|>%@`#-?\t\n 0\\") + text[at + rng.randrange(2) :]


def _cut(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text))
    return text[:at] if rng.random() < 0.5 else text[:at] + text[at + rng.randrange(30) :]


def _in_line(text: str, rng: random.Random, change: Callable[[str], str]) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    lines[at] = change(lines[at])
    return "\n".join(lines)
