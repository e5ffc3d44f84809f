"""Lines for people to paste into their own shell: the same host, reached the same way."""

from __future__ import annotations

from dojo_deploy.command import quote
from dojo_deploy.inventory import Host, Inventory
from dojo_deploy.naming import name_of

ADMIN = "ADMIN"  # stands for the account of whoever may use sudo there


def ssh(host: Host, line: str = "", *, user: str = "", terminal: bool = False) -> str:
    """`ssh` to the host, with a shell line to run there."""
    how = host.ssh
    words = ["ssh"]
    words += ["-t"] if terminal else []
    words += ["-i", quote(how.key)] if how.key and not user else []
    words += ["-p", str(how.port)] if how.port != 22 else []
    words += ["-J", quote(how.gateway)] if how.gateway else []
    words.append(quote(f"{user or how.user}@{host.address}"))
    return " ".join([*words, quote(line)] if line else words)


def as_admin(host: Host, line: str) -> str:
    """A line with `sudo` in it: run by an administrator, who may be asked for a password."""
    return ssh(host, line, user=ADMIN, terminal=True)


def setup(site: Inventory, host: Host) -> str:
    """What an administrator does once, on one host."""
    return invoke(site, "setup", "--user", ADMIN, "--limit", host.name)


def invoke(site: Inventory, *words: str) -> str:
    """A task of ours on the same inventory."""
    name = name_of(site.path)
    return " ".join(["invoke", words[0], *(["-i", quote(name)] if name else []), *map(quote, words[1:])])
