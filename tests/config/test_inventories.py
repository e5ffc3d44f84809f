"""Inventory files: what a whole one means, and what is refused before anything is opened."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from dojo_deploy.balancers.none import NoBalancer
from dojo_deploy.config import inventory_from_document, load_inventory, sandbox_options
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory
from dojo_deploy.probes.http import HttpProbe
from dojo_deploy.secrets import Secret
from dojo_deploy.stores.directory import Directory
from dojo_deploy.stores.host import PrimaryHost

from .conftest import SMALL, Write
from .families import LISTENS, Listens

Refusal = Callable[[str], str]


def test_a_small_file_gets_every_default(small: Inventory) -> None:
    assert (small.app.name, small.app.environment, small.scope) == ("tcgdojo", "production", "tcgdojo-production")
    assert small.balancer == NoBalancer()
    assert small.store == PrimaryHost()
    assert small.groups == {"web": ("web1", "web2")}
    assert set(small.probes) == {"release", "health"}
    assert small.path.endswith("inventories/production.yml")


def test_the_environment_is_asked_for_then_written_then_the_files_name(write: Write) -> None:
    path = write(SMALL)
    assert load_inventory(path, environment="canary").app.environment == "canary"
    path = write(SMALL.replace("  root:", "  environment: eu\n  root:"))
    assert load_inventory(path).app.environment == "eu"
    assert load_inventory(path, environment="us").app.environment == "us"


def test_the_health_probe_asks_the_apps_own_path_unless_it_is_overridden(write: Write) -> None:
    path = write(SMALL.replace("  root:", "  health: /live\n  root:"))
    health = load_inventory(path).probes["health"]
    assert isinstance(health, HttpProbe)
    assert health.path == "/live"
    found = load_inventory(write(SMALL + f"probes: {{health: '{LISTENS}', more: {{kind: '{LISTENS}', port: 1}}}}\n"))
    assert (found.probes["health"], found.probes["more"]) == (Listens(), Listens(1))
    assert "release" in found.probes


def test_a_store_may_be_written_as_one_word(write: Write) -> None:
    assert load_inventory(write(SMALL + "store: /srv/state\n")).store == Directory("/srv/state")
    assert load_inventory(write(SMALL + "store: host\n")).store == PrimaryHost()


def test_files_of_keys_lie_beside_the_inventory(write: Write) -> None:
    path = write(SMALL + "ssh: {key: keys/id, known_hosts: known, user: root}\n")
    ssh = load_inventory(path).hosts["web1"].ssh
    assert (ssh.key, ssh.known_hosts, ssh.user) == (str(path.parent / "keys/id"), str(path.parent / "known"), "root")
    assert load_inventory(write(SMALL + "ssh: {key: /etc/id}\n")).hosts["web1"].ssh.key == "/etc/id"


RELATIVE = SMALL.replace("app:\n", "app:\n  env_file: {file: secrets/app.env}\n")


def test_secrets_and_stores_with_relative_paths_lie_beside_the_inventory_wherever_one_stands(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(RELATIVE + "store: {kind: directory, path: state}\n")
    (path.parent / "secrets").mkdir()
    (path.parent / "secrets" / "app.env").write_text("TOKEN=canary\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    found = load_inventory("inventories/production.yml")
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = inventory_from_document(json.loads(json.dumps(found.document)), path=path)

    for inventory in (found, again, load_inventory(path)):
        assert inventory.store == Directory(str(path.parent / "state"))
        assert inventory.app.env_file == Secret("file", "secrets/app.env")
        assert inventory.app.env_file.reveal() == "TOKEN=canary"
        assert pickle.loads(pickle.dumps(inventory.app.env_file)).reveal() == "TOKEN=canary"
    assert found.document["store"] == {"kind": "directory", "path": "state"}
    assert found.document["app"]["env_file"] == {"file": "secrets/app.env"}  # type: ignore[index]


def test_extends_lays_a_file_over_its_base(write: Write) -> None:
    path = write("extends: common.yml\napp: {keep: 2}\nhosts: {web: [web9]}\nbalancer: none\n")
    (path.parent / "common.yml").write_text(SMALL + "balancer: {kind: nginx, hosts: web}\n")
    found = load_inventory(path)
    assert (found.app.name, found.app.keep, tuple(found.hosts)) == ("tcgdojo", 2, ("web9",))
    assert found.balancer == NoBalancer()
    assert "extends" not in found.document


def test_extends_names_the_file_that_is_wrong(write: Write) -> None:
    path = write("extends: common.yml\nhosts: {web: [web9]}\n")
    base = path.parent / "common.yml"
    for text, said in [
        (None, "production.yml:1: extends: "),
        ("app: {name: x, rot: /srv}\n", "common.yml:1: app.rot: unknown key; did you mean root?"),
        ("extends: more.yml\n", "common.yml:1: extends: is one level deep"),
        ("extends: production.yml\n", "common.yml:1: extends: is one level deep"),
        (SMALL.replace("port: 3000", "port: x"), "common.yml:4: app.processes.web.port: wants a whole number"),
        (f"# \n\n{SMALL}web: wbe\n", "common.yml:9: web: no group wbe, where releases go; did you mean web?"),
        (f"{SMALL}balancer: {{kind: nginx, hosts: lb}}\n", 'common.yml:7: balancer.hosts: no group "lb", where the'),
        ("a: b: c\n", "common.yml:1: a second"),
    ]:
        if text:
            base.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load_inventory(path)
        assert said in str(caught.value)
    for name in ('""', '"\\0"', '"a\\nb"', "[common.yml]"):
        path.write_text(f"extends: {name}\nhosts: {{web: [web9]}}\n")
        with pytest.raises(ConfigError, match=r"production\.yml:1: extends: wants the name of a file beside this one"):
            load_inventory(path)
    path.write_text("\nextends: production.yml\n")
    with pytest.raises(ConfigError, match=r"production\.yml:2: extends: is one level deep"):
        load_inventory(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("processes:", "procesess:", "production.yml:4: app.procesess: unknown key; did you mean processes?"),
        ("root: /srv/tcgdojo", "root: /srv/tcgdojo\n  keep: five", "production.yml:4: app.keep: wants a whole number"),
        ("root: /srv/tcgdojo", "root: /a\n  root: /b", "production.yml:4: app.root: the key stands twice, first on"),
        ("  root:", "\troot:", "production.yml:3: a tab; YAML is indented with spaces only"),
        ("root: /srv/tcgdojo", "root: srv", "is not an absolute path like /srv/app"),
        ("  root: /srv/tcgdojo\n", "", "production.yml:5: hosts.web[0].root: is missing; give app.root"),
        ("web: [web1, web2]", "web: []", "production.yml:6: hosts.web: is empty; releases go to"),
        ("web: [web1, web2]", "web:", "production.yml:6: hosts.web: wants a list of hosts like [web1, web2], got noth"),
        ("web: [web1, web2]", "wbe: [web1]", "hosts.web: no group web, where releases go; did you mean wbe?"),
        ("hosts:\n  web: [web1, web2]", "hosts: [web1]", "hosts: wants groups of hosts"),
        ("hosts:\n  web: [web1, web2]", "lock: {}", "hosts: is missing"),
        ("name: tcgdojo", "name: TCG Dojo", 'app.name: "TCG Dojo" is no name for an app'),
        ("name: tcgdojo", "name: 22", 'app.name: wants text, got the number 22; write "22"'),
        ("name: tcgdojo", "environment: x", "production.yml:1: app.name: is missing"),
        ("kind: pm2, ", "", "app.processes.kind: is missing; write `kind: pm2`"),
        ("kind: pm2", "kind: pm3", "app.processes.kind: unknown kind"),
        ("web: {script", "Web: {script", 'app.processes.Web: "Web" is no name for a process'),
        ("port: 3000", "port: 65535", "app.processes.web.ports.green: 65536 is no port"),
        ("port: 3000", "port: no", 'app.processes.web.port: wants a whole number like 3, got the text "no"'),
        ("port: 3000", "port: 22:22", '"22:22" is text, never a number in base 60'),
        ("port: 3000", "port: 3000, instances: 0", "app.processes.web.instances: wants 1 or more"),
        ("port: 3000", "ports: {blue: 1, gren: 2}", "app.processes.web.ports.gren: no such slot; did you mean green?"),
        ("port: 3000", "ports: {green: 2}", "app.processes.web.ports.blue: is missing; or give the process a `port`"),
        ("root: /srv/tcgdojo", "root: /a\n  build: {on: web9}", 'app.build.on: no host "web9"; did you mean web'),
        ("root: /srv/tcgdojo", "root: /a\n  keep: 0", "app.keep: wants 1 or more releases"),
        ("root: /srv/tcgdojo", "root: /a\n  health: ok", "app.health: wants a path like /health"),
        ("root: /srv/tcgdojo", "root: /a\n  env: {A: 5}", "app.env.A: wants text or a reference like {env: NAME}, got"),
        ("root: /srv/tcgdojo", "root: /a\n  env_file: .env", "app.env_file: a secret is never written here"),
        ("hosts:", "lock: {ttl: 0}\nhosts:", "lock.ttl: wants more than no time"),
        ("hosts:", "url: example.org\nhosts:", "url: wants the site's address like https://example.org"),
        ("hosts:", "ssh: {prot: 22}\nhosts:", "ssh.prot: unknown key; did you mean port?"),
        ("hosts:", "ssh: {port: 99999}\nhosts:", "ssh.port: 99999 is no port"),
        ("hosts:", "ssh: {user: 'a b'}\nhosts:", 'ssh.user: "a b" is no user\'s name'),
        ("hosts:", "ssh: 5\nhosts:", "ssh: wants a mapping with keys of user, port"),
        ("hosts:", "probes: {health: {path: /}}\nhosts:", "probes.health.kind: is missing; there is:"),
        ("hosts:", "probes: 5\nhosts:", "probes: wants a mapping like {name: value}, got the number 5"),
        ("hosts:", "sandbox: {hosts: 3}\nhosts:", "cannot stand beside `sandbox`"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_its_remedy(refusal: Refusal, old: str, new: str, said: str) -> None:
    assert old in SMALL
    message = refusal(SMALL.replace(old, new, 1))
    assert said in message
    assert all(line.startswith("production.yml") for line in message.splitlines())


def test_mistakes_of_several_sections_are_told_together(refusal: Refusal) -> None:
    text = SMALL.replace("root:", "rot:") + "lock: {tl: 5}\nstore: {kind: s9}\n"
    lines = refusal(text).splitlines()
    assert [line.split(":")[2].strip() for line in lines] == ["app.rot", "store.kind", "lock.tl"]


def test_a_sandbox_is_bound_like_a_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    import dojo_deploy.sandbox.inventory as sandbox

    asked = []

    def document(path: Path, options: dict[str, object]) -> dict[str, object]:
        asked.append((path.name, options))
        return {
            "app": {"name": "demo", "root": "/srv/demo", "env_file": {"file": "x"}},
            "hosts": {"web": [{"name": "web1", "address": "127.0.0.1", "port": 2201}]},
            "store": {"kind": "host"},
        }

    monkeypatch.setattr(sandbox, "document", document)
    found = load_inventory(write("sandbox: {hosts: 3}\n"))
    assert asked == [("production.yml", {"hosts": 3})]
    assert (found.hosts["web1"].ssh.port, found.app.env_file) == (2201, Secret("file", "x"))
    assert "sandbox" not in found.document
    assert inventory_from_document(found.document, path=found.path) == found


def test_the_options_of_a_sandbox_are_known_before_it_is_up(write: Write) -> None:
    assert sandbox_options(write("sandbox: {hosts: 5, app: demo}\n")) == {"hosts": 5, "app": "demo"}
    assert sandbox_options(write("sandbox:\n")) == {}
    assert sandbox_options(write(SMALL)) is None
    with pytest.raises(ConfigError, match=r"sandbox\.hosts: wants a whole number like 3, got a list"):
        sandbox_options(write("sandbox: {hosts: [3]}\n"))


def test_a_sandbox_that_is_down_keeps_its_own_error(write: Write) -> None:
    from dojo_deploy.sandbox.inventory import SandboxDownError

    with pytest.raises(SandboxDownError):
        load_inventory(write("sandbox: {hosts: 3}\n"))
    with pytest.raises(ConfigError, match=r"production\.yml:1: sandbox: unknown key hots; keys of sandbox"):
        load_inventory(write("sandbox: {hots: 3}\n"))
    with pytest.raises(ConfigError, match="sandbox: wants a mapping like"):
        load_inventory(write("sandbox: 3\n"))


def test_a_document_is_plain_and_keeps_secrets_as_references(write: Write) -> None:
    found = load_inventory(write(SMALL.replace("  root:", "  env: {A: {env: SECRET}}\n  root:")))
    text = json.dumps(found.document)
    assert '{"env": "SECRET"}' in text
    again = inventory_from_document(json.loads(text), path=found.path)
    assert (again, again.document) == (found, found.document)
    with pytest.raises(ConfigError, match=r"^other\.yml: app\.name: is missing"):
        inventory_from_document({"app": {}, "hosts": {"web": ["a"]}}, path="other.yml")


def test_what_listens_on_no_port_is_healthy_when_it_runs_its_release() -> None:
    def health(processes: dict[str, object]) -> object:
        app = {"name": "a", "environment": "test", "root": "/srv/a", "processes": processes}
        document = {"app": app, "hosts": {"web": ["w"]}}
        return type(inventory_from_document(document).probes["health"]).__name__

    assert health({}) == "ReleaseProbe"
    assert health({"kind": "pm2", "worker": {"script": "worker.js"}}) == "ReleaseProbe"
    assert health({"kind": "pm2", "web": {"script": "server.js", "port": 3000}}) == "HttpProbe"
