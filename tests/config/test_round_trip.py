"""An inventory's document makes an equal inventory, whatever was in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dojo_deploy.config import inventory_from_document, load_inventory

names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True).filter(lambda name: name not in ("all", "local", "kind"))
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
seconds = st.one_of(st.integers(1, 999), st.sampled_from(["10m", "1h30m", "500ms", "2.5s"]), st.floats(0.01, 999))
secrets = st.builds(lambda source, name: {source: name}, st.sampled_from(["env", "file", "cmd", "aws"]), names)
variables = st.dictionaries(names, st.one_of(texts, secrets), max_size=3)
stores = st.one_of(
    st.just("host"), st.just("/srv/state"), st.builds(lambda path: {"kind": "directory", "path": path}, names)
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    processes = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    hosts = draw(st.lists(names.filter(lambda name: name != "controller"), min_size=1, max_size=5, unique=True))
    described: dict[str, Any] = {}
    for host in hosts:
        keys = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "labels": st.dictionaries(names, texts, max_size=2),
                    "port": st.integers(1, 65535),
                    "root": st.just(f"/srv/{host}"),
                    "key": names,
                    "connect_within": seconds,
                },
            )
        )
        described[host] = {"name": host, **keys} if keys else host
    document = {
        "app": {
            "name": draw(names),
            "root": "/srv/app",
            "env": draw(variables),
            "build": {"run": draw(st.lists(texts, max_size=3)), "env": draw(variables), "within": draw(seconds)},
            "processes": {
                "kind": draw(st.sampled_from(["pm2", "command", {"kind": "pm2", "home": "/srv/pm2"}])),
                **{name: {"script": "x.js", "port": 3000 + 10 * n} for n, name in enumerate(processes)},
            },
        },
        "hosts": {"web": list(described.values()), "db": hosts[:1]},
        "store": draw(stores),
        "lock": {"ttl": draw(seconds)},
        "strategies": draw(st.dictionaries(names, st.dictionaries(names, st.one_of(texts, seconds, st.none())))),
    }
    if draw(st.booleans()):
        document["app"]["environment"] = draw(names)
    if draw(st.booleans()):
        document["ssh"] = {"user": "app", "known_hosts": draw(names)}
    return document


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=documents(), environment=st.one_of(st.just(""), names))
def test_a_document_makes_an_equal_inventory(tmp_path: Path, document: dict[str, Any], environment: str) -> None:
    path = tmp_path / "site.yml"
    path.write_text(json.dumps(document))
    site = load_inventory(path, environment=environment)
    assert site.app.environment == (environment or document["app"].get("environment", "site"))
    again = inventory_from_document(json.loads(json.dumps(site.document)), path=path)
    assert again == site
    assert again.document == site.document
