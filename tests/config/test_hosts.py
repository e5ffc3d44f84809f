"""Hosts: ranges, groups, what one host has of its own, ports, and two that would meet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dojo_deploy.config import load_inventory
from dojo_deploy.inventory import Inventory

from .conftest import SMALL, Write

Refusal = Callable[[str], str]
HEAD = SMALL.partition("hosts:")[0]


@pytest.fixture
def load(write: Write) -> Callable[[str], Inventory]:
    return lambda hosts: load_inventory(write(HEAD + hosts))


def test_ranges_include_both_ends(load: Callable[[str], Inventory]) -> None:
    found = load("hosts: {web: ['web[08:11].example.org', 'x[a:c]']}\n")
    assert found.groups["web"] == (
        *(f"web{number}.example.org" for number in ("08", "09", "10", "11")),
        *("xa", "xb", "xc"),
    )


def test_a_range_may_share_what_is_said_of_it(load: Callable[[str], Inventory]) -> None:
    found = load("hosts: {web: [{name: 'web[1:2]', address: '10.0.0.[11:12]', port: 2222, labels: {zone: a}}]}\n")
    assert [(h.name, h.address, h.ssh.port, h.labels) for h in found.group("web")] == [
        ("web1", "10.0.0.11", 2222, {"zone": "a"}),
        ("web2", "10.0.0.12", 2222, {"zone": "a"}),
    ]


def test_one_name_in_two_groups_is_one_host(load: Callable[[str], Inventory]) -> None:
    for text in (
        "hosts: {web: [a, {name: b, address: 10.0.0.2}], db: [b]}\n",
        "hosts: {web: [a, b], db: [{name: b, address: 10.0.0.2}]}\n",
        "hosts: {web: [a, {name: b, address: 10.0.0.2}], db: [{name: b, address: 10.0.0.2}]}\n",
    ):
        found = load(text)
        assert (found.hosts["b"].address, found.hosts["b"].groups) == ("10.0.0.2", ("web", "db"))
        assert found.groups == {"web": ("a", "b"), "db": ("b",)}


def test_a_host_overrides_ssh_root_and_ports(load: Callable[[str], Inventory]) -> None:
    found = load(
        "ssh: {user: app, gateway: j@bastion, connect_within: 5s}\n"
        "hosts:\n  web:\n    - web1\n"
        "    - {name: web2, root: /opt/x, user: root, upstream: 10.1.0.2, ports: {web: {blue: 4000}}}\n"
    )
    one, two = found.group("web")
    assert (one.ssh.user, one.root, one.ports) == ("app", "/srv/tcgdojo", {"web": _slots(3000, 3001, 3002)})
    assert (two.ssh.user, two.ssh.gateway, two.ssh.connect_within) == ("root", "j@bastion", 5.0)
    assert (two.root, two.upstream, two.ports) == ("/opt/x", "10.1.0.2", {"web": _slots(4000, 3001, 3002)})


def test_ports_follow_on_one_another_unless_they_are_named(write: Write) -> None:
    text = SMALL.replace("port: 3000", "port: 3000, ports: {proof: 9000}")
    assert load_inventory(write(text)).hosts["web1"].ports == {"web": _slots(3000, 3001, 9000)}
    text = SMALL.replace("port: 3000", "ports: {blue: 80, green: 81}")
    assert load_inventory(write(text)).hosts["web1"].ports == {"web": _slots(80, 81, 82)}
    text = SMALL.replace(", port: 3000", "")
    assert load_inventory(write(text)).hosts["web1"].ports == {}


def test_one_machine_may_be_several_hosts_with_ports_and_roots_of_their_own(load: Callable[[str], Inventory]) -> None:
    ports = "{{web: {{blue: 4{0}0, green: 4{0}1, proof: 4{0}2}}}}"
    each = f"{{{{name: web{{0}}, address: 127.0.0.1, port: 220{{0}}, ports: {ports}}}}}"
    found = load(f"hosts: {{web: [{', '.join(each.format(number) for number in (1, 2, 3))}]}}\n")
    assert [host.port("web", "green") for host in found.group("web")] == [411, 421, 431]


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        ("web: [Web1]", 'hosts.web[0]: "Web1" is no name for a host: a-z, 0-9, dot, dash and underscore, a letter or'),
        ("web: [Web1]", "write web1"),
        ("web: [root@web1]", "write {name: …, address: …, user: …}"),
        ("web: ['-oProxyCommand=x']", "is no name for a host"),
        ("web: [controller]", '"controller" has a meaning of its own'),
        ("all: [web1]", 'hosts.all: "all" has a meaning of its own and cannot name a group'),
        ("web: [5]", "hosts.web[0]: wants a name like web1"),
        ("web: [web1, web1]", "hosts.web[1]: web1 stands twice in the group web"),
        ("web: ['web[4:1]']", "hosts.web[0]: 'web[4:1]' is an empty host range"),
        ("web: ['web[1:x]']", "hosts.web[0]: 'web[1:x]' is not a host range"),
        ("web: ['web[1:999999999]']", "would be more than 5000 hosts"),
        ("web: ['web[1:90][1:90]']", "would be more than 5000 hosts"),
        ("web: ['" + "[1:1]" * 900 + "']", "would be more than 5000 hosts"),
        ("web: [{address: 10.0.0.1}]", "hosts.web[0].name: is missing"),
        ("web: [{name: web1, adress: 10.0.0.1}]", "hosts.web[0].adress: unknown key; did you mean address?"),
        ("web: [{name: web1, prot: 22}]", "hosts.web[0].prot: unknown key; did you mean port"),
        ("web: [{name: web1, gatewy: x}]", "hosts.web[0].gatewy: unknown key; did you mean gateway?"),
        ("web: [{name: web1, port: '22'}]", "hosts.web[0].port: wants a whole number"),
        ("web: [{name: web1, port: 0}]", "hosts.web[0].port: 0 is no port; 1 to 65535"),
        ("web: [{name: web1, root: srv}]", 'hosts.web[0].root: "srv" is not an absolute path'),
        ("web: [{name: web1, root: /srv/../x/../../y z}]", "is not an absolute path"),
        ("web: [{name: web1, address: '-x'}]", 'hosts.web[0].address: "-x" is no host name and no address'),
        ("web: [{name: 'web[1:2]', address: 10.0.0.1}]", "hosts.web[0]: 2 names, and 1 addresses"),
        ("web: [{name: 'web[1:2]', upstream: 10.0.0.1}]", "hosts.web[0].upstream: is one address, for several"),
        ("web: [{name: a, port: 22}], db: [{name: a, port: 23}]", "hosts.db[0]: a is described differently on line 5"),
        ("web: [{name: a, address: x}, {name: b, address: X}]", "b and a are the same X:22 and the same root"),
        ("web: [{name: a, ports: {wbe: {blue: 1}}}]", "hosts.web[0].ports.wbe: no such process; did you mean web?"),
        ("web: [{name: a, ports: {web: {red: 1}}}]", "hosts.web[0].ports.web.red: no such slot; there is: blue"),
        ("web: [{name: a, ports: {web: {blue: 70000}}}]", "hosts.web[0].ports.web.blue: 70000 is no port"),
        (
            "web: [{name: a, ports: {web: {blue: 3002}}}]",
            "port 3002 of a would be that of a/web (blue) and of a/web (p",
        ),
        (
            "web: [{name: a, address: x, root: /a}, {name: b, address: x, root: /b}]",
            "hosts.web[1].ports: port 3000 of x would be that of a/web (blue) and of b/web (blue)",
        ),
        (
            "web: [{name: a, upstream: u}, {name: b, upstream: u}]",
            "hosts.web[1].ports: port 3000 of u would be that of a/web (blue) and of b/web (blue)",
        ),
    ],
)
def test_a_mistake_among_hosts_is_told_with_its_line(refusal: Refusal, hosts: str, said: str) -> None:
    message = refusal(HEAD + f"hosts: {{{hosts}}}\n")
    assert said in message
    assert all(line.startswith("production.yml") for line in message.splitlines())


def test_two_processes_on_one_port_are_refused(refusal: Refusal) -> None:
    message = refusal(SMALL.replace("port: 3000}", "port: 3000}, api: {script: a, port: 3001}"))
    assert "port 3001 of web1 would be that of web1/web (green) and of web1/api (blue)" in message


def test_one_address_behind_two_gateways_is_two_machines(load: Callable[[str], Inventory]) -> None:
    each = "{{name: {0}, address: 10.0.0.1, gateway: j@{0}, upstream: {0}.example.org}}"
    assert len(load(f"hosts: {{web: [{each.format('a')}, {each.format('b')}]}}\n").hosts) == 2


def test_a_thousand_hosts_are_read_within_two_seconds(load: Callable[[str], Inventory]) -> None:
    import time

    start = time.monotonic()
    assert len(load("hosts: {web: ['web[0001:1000]']}\n").hosts) == 1000
    assert time.monotonic() - start < 2.0


def _slots(blue: int, green: int, proof: int) -> dict[str, int]:
    return {"blue": blue, "green": green, "proof": proof}
