"""What an inventory needs of one host. Pure, but for the package.json of the checkout at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dojo_deploy.inventory import BLUE, GREEN, PROOF, Host, Inventory

JOB = ("flock", "setsid", "timeout", "tar", "gzip", "sha256sum")  # of GNU coreutils and util-linux, mostly
PACKAGES = {"flock": "util-linux", "setsid": "util-linux"}


@dataclass(frozen=True)
class Wanted:
    """`programs`: word -> what needs it. `ports`: number -> the slot and process that listen on it."""

    programs: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)  # program -> the versions that the app asks for
    ports: Mapping[int, str] = field(default_factory=dict)
    releases: bool = False  # they go to this host
    sudo: str = ""  # a program that must run as root without a password


def wanted(site: Inventory, host: Host, engines: Mapping[str, str]) -> Wanted:
    """What `host` has to have. `engines` as package.json has them."""
    if host not in site.group(site.web):
        return Wanted()
    kind = site.app.processes.kind
    programs = {
        **dict.fromkeys(JOB, "every deployment"),
        **(kind.programs(site.app.processes) if kind else {}),
    }
    return Wanted(
        programs=programs,
        engines={word: engines["node"] for word in programs if "node" in engines and word.rpartition("/")[2] == "node"},
        ports={
            host.port(name, slot): f"{slot}/{name}"
            for name in site.app.processes.listening
            for slot in (BLUE, GREEN, PROOF)
            if host.port(name, slot)
        },
        releases=True,
        sudo=getattr(kind, "sudo", ""),
    )


def engines(site: Inventory) -> Mapping[str, str]:
    """`engines` of the package.json at hand; nothing where there is none, or the repository is elsewhere."""
    source = site.app.source
    base = Path(site.path).parent / Path(source.repository).expanduser() if source.repository else Path.cwd()
    try:
        found = json.loads((base / source.path / "package.json").read_text("utf-8"))
        asked = found.get("engines", {})
        return {name: text for name, text in asked.items() if isinstance(text, str)}
    except (OSError, ValueError, AttributeError):
        return {}
