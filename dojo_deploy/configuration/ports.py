"""The ports of a host's processes: blue, green and proof; and that no two of them meet."""

from __future__ import annotations

from collections.abc import Mapping

from dojo_deploy.configuration.problems import Gathering, Path, problem, suggestion
from dojo_deploy.configuration.tree import Node
from dojo_deploy.inventory import BLUE, GREEN, PROOF, Host, Process

SLOTS = (BLUE, GREEN, PROOF)
Place = tuple[Node, Path]  # where a host stands in the file


def slots_of(process: Process, own: Mapping[str, int], at: Node, path: Path) -> dict[str, int]:
    """The port of every slot, `own` ones first; none for a process that does not listen. Raises ConfigError."""
    named = {**process.ports, **own}
    for slot in named:
        if slot not in SLOTS:
            raise problem(at.at(slot), (*path, slot), f"no such slot; {suggestion(slot, SLOTS)}")
    if own and not (process.port or process.ports):
        raise problem(at, path, "the process listens on no port; give it `port` in app.processes first")
    base = process.port or named.get(BLUE, 0)
    if not named and not base:
        return {}
    slots = {slot: named.get(slot, base + offset if base else 0) for offset, slot in enumerate(SLOTS)}
    for slot, port in slots.items():
        if not 1 <= port <= 65535:
            message = f"{port} is no port; 1 to 65535" if port else "is missing; or give the process a `port`"
            raise problem(at.at(slot), (*path, slot), message)
    return slots


def ports_of(host: Host, processes: Mapping[str, Process], place: Place) -> dict[str, dict[str, int]]:
    """Process -> slot -> port, from what the processes and the host itself say. Raises ConfigError."""
    node, path = place
    gathering, ports = Gathering(), dict[str, dict[str, int]]()
    for name in host.ports:
        if name not in processes:
            message = f"no such process; {suggestion(name, processes)}"
            gathering.found.append(problem(node.at("ports", name), (*path, "ports", name), message))
    for name, process in processes.items():
        with gathering.part():
            own = node.at("ports", name)
            slots = slots_of(process, host.ports.get(name, {}), own, (*path, "ports", name))
            if slots:
                ports[name] = slots
    gathering.end()
    return ports


def refuse_collisions(hosts: Mapping[str, Host], places: Mapping[str, Place]) -> None:
    """Raises ConfigError when two processes, slots or hosts would listen on one port of one address."""
    gathering = Gathering()
    users: dict[tuple[str, str, int], str] = {}
    for host in hosts.values():
        node, path = places[host.name]
        for process, slots in host.ports.items():
            for slot, port in slots.items():
                user = f"{host.name}/{process} ({slot})"
                # Behind two gateways one address is two machines; a balancer knows no gateways.
                for network, address in ((host.ssh.gateway, host.address), ("", host.upstream or host.address)):
                    other = users.setdefault((network, address.lower(), port), user)
                    if other != user:
                        message = f"port {port} of {address} would be that of {other} and of {user}"
                        advice = "give one of them its own {blue: …, green: …, proof: …}"
                        gathering.found.append(problem(node, (*path, "ports"), f"{message}; {advice}"))
    gathering.end()
