"""What every host of an inventory needs from an administrator. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dojo_deploy.command import quote
from dojo_deploy.inventory import Host, Inventory
from dojo_deploy.readings import Preparation

LOGIN = """\
umask 077; /usr/bin/mkdir -p {folder}
[ ! -s {file} ] || [ -z "$(/usr/bin/tail -c 1 {file})" ] || echo >>{file}
echo {line} >>{file}"""


def preparations(
    site: Inventory, host: Host, programs: Mapping[str, str], public: Sequence[str]
) -> Iterator[Preparation]:
    """In order. `public` are the lines of the keys that the deploy user logs in with."""
    user = host.ssh.user
    yield Preparation(
        f"the user {user}",
        f"/usr/bin/getent passwd {user}",
        # sshd takes a `!` in the place of the password for a locked account.
        (f"/usr/sbin/useradd --create-home --shell /bin/bash --password '*' {user}",),
    )
    for line in public:
        file = f"~{user}/.ssh/authorized_keys"
        there = f"/usr/bin/grep -qF {quote(' '.join(line.split()[:2]))} {file}"
        # As the user: what root appends to in somebody's home might be a link to anything.
        act = LOGIN.format(file=file, folder=f"~{user}/.ssh", line=quote(line))
        yield Preparation(
            f"{user} logs in with {line.split()[-1]}",
            there,
            (f"/usr/sbin/runuser -u {user} -- /bin/sh -ec {quote(act)}",),
        )
    if host in site.group(site.web) or host.name == getattr(site.store, "host", ""):
        yield _folder(host.root, user)
    kind = site.app.processes.kind
    if kind and host in site.group(site.web):
        yield from kind.preparations(host, site.scope, programs)
    yield from site.balancer.preparations(site, host, programs)


def _folder(path: str, user: str) -> Preparation:
    place = quote(path)
    return Preparation(
        f"{path} belongs to {user}",
        f'[ "$(/usr/bin/stat -c %U {place})" = {user} ]',
        (f"/usr/bin/mkdir -p -m 755 {place}", f"/usr/bin/chown {user}: {place}"),
    )
