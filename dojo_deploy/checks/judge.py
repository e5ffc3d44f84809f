"""A host's answer, held against what is wanted of it: findings, each with the line that mends it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dojo_deploy.checks.look import Answer, Listener
from dojo_deploy.checks.versions import allows, installing
from dojo_deploy.checks.wanted import PACKAGES, Wanted
from dojo_deploy.command import quote
from dojo_deploy.inventory import PROOF, Host, Inventory
from dojo_deploy.paste import as_admin, invoke, setup, ssh
from dojo_deploy.readings import Finding
from dojo_deploy.release import HostSeen

SKEW = 5.0  # seconds; certificates, signed requests and whoever reads two logs side by side expect less
ROOM = 256 * 2**20  # bytes, for a first release
INODES = 50_000  # a node_modules has as many


def judge(site: Inventory, host: Host, want: Wanted, answer: Answer, seen: HostSeen | None) -> Iterator[Finding]:
    """`seen` is what every run looks at, of hosts that releases go to."""
    yield from _programs(host, want, answer)
    yield from _sudo(site, host, want, answer)
    yield from _clock(host, answer)
    if want.releases:
        yield from _folder(site, host, answer)
    if seen:
        yield from _room(host, seen, answer)
        yield from _shared(host, seen)
        yield from _ports(site, host, want, seen, answer)
        for name in answer.forked:
            slot, _, process = name.partition("/")
            app = f"{site.scope}-{slot}-{process}"
            yield Finding(
                "fork-mode",
                host.name,
                f"PM2 runs {app} in fork mode, and the inventory promises a cluster that reloads without a gap: "
                "the next deployment stops it first",
                invoke(site, "restart", "--limit", host.name),
            )


def _programs(host: Host, want: Wanted, answer: Answer) -> Iterator[Finding]:
    hidden: dict[str, list[str]] = {}
    for word, found in answer.elsewhere.items():
        if found and "/" not in word:
            hidden.setdefault(found.rpartition("/")[0], []).append(word)
        else:
            line = _install(host, word.rpartition("/")[2], found)
            yield Finding("no-program", host.name, f"there is no {word}, and {want.programs[word]} needs it", line)
    for folder, words in hidden.items():
        text = " and ".join(words)
        what = f"{text} {'is' if len(words) == 1 else 'are'} in {folder}, which is on the PATH of a terminal there, "
        line = _onto_path(host, answer, folder)
        yield Finding("not-on-path", host.name, f"{what}and not on that of a command over SSH", line)
    yield from _versions(host, want, answer)


def _versions(host: Host, want: Wanted, answer: Answer) -> Iterator[Finding]:
    for word, version in answer.versions.items():
        wanted = want.engines[word]
        if version and not allows(wanted, version):
            yield Finding(
                "version",
                host.name,
                f"{answer.programs.get(word, word)} is {version}, and package.json asks for {wanted}",
                as_admin(host, installing(wanted)),
            )


def _install(host: Host, name: str, found: str) -> str:
    if found:
        return as_admin(host, f"sudo ln -s {quote(found)} /usr/local/bin/{name}")
    if name == "pm2":
        return as_admin(host, "sudo npm install --global pm2")
    package = {**PACKAGES, "node": "nodejs npm", "sha256sum": "coreutils", "timeout": "coreutils"}.get(name, name)
    return as_admin(host, f"sudo apt-get install -y {package}")


def _onto_path(host: Host, answer: Answer, folder: str) -> str:
    if answer.shell == "bash":
        # bash reads it for a command over SSH too, up to the line that sends away whoever is no terminal.
        return ssh(host, f"sed -i '1i export PATH={folder}:$PATH' ~/.bashrc")
    return as_admin(host, f"sudo ln -s {quote(folder)}/* /usr/local/bin/")


def _sudo(site: Inventory, host: Host, want: Wanted, answer: Answer) -> Iterator[Finding]:
    if answer.sudo:
        what = f"`sudo -n {want.sudo}` is refused: {answer.sudo}"
        yield Finding("sudo-asks", host.name, what, setup(site, host))


def _clock(host: Host, answer: Answer) -> Iterator[Finding]:
    if abs(answer.skew) > SKEW + answer.blur:
        way = "ahead of" if answer.skew > 0 else "behind"
        yield Finding(
            "clock",
            host.name,
            f"its clock is {_span(abs(answer.skew))} {way} this machine's",
            as_admin(host, "sudo timedatectl set-ntp true"),
        )


def _folder(site: Inventory, host: Host, answer: Answer) -> Iterator[Finding]:
    if not answer.writable:
        lies = "is not there" if answer.nearest != host.root else "is another's"
        what = f"{host.root} {lies}, and {host.ssh.user} may not write in {answer.nearest}"
        yield Finding("root-folder", host.name, what, setup(site, host))
    for what in answer.lacks:
        yield Finding("not-prepared", host.name, f"not prepared: {what}", setup(site, host), note=True)


def _room(host: Host, seen: HostSeen, answer: Answer) -> Iterator[Finding]:
    every, free = answer.inodes
    # A release and its archive lie there together for a moment.
    needed = answer.release * 5 // 4 or ROOM
    if seen.free < needed:
        left = f"{seen.free // 2**20} MiB are free, and a release needs {needed // 2**20}"
    elif every and free < INODES:
        left = f"{free:,} inodes are free, and a node_modules has as many files"
    else:
        return
    here = quote(answer.nearest)
    yield Finding(
        "disk-full",
        host.name,
        f"only {left}: where releases go, {answer.nearest}",
        as_admin(
            host, f"sudo journalctl --vacuum-size=100M; sudo apt-get clean; sudo du -xhd3 {here} | sort -h | tail"
        ),
    )


def _shared(host: Host, seen: HostSeen) -> Iterator[Finding]:
    for name in seen.missing:
        path = quote(f"{host.root}/shared/{name}")
        make = f"umask 077 && mkdir -p $(dirname {path}) && cat > {path}"
        yield Finding(
            "shared-file", host.name, f"the shared file {name} is missing", f"{ssh(host, make)} < {quote(name)}"
        )


def _ports(site: Inventory, host: Host, want: Wanted, seen: HostSeen, answer: Answer) -> Iterator[Finding]:
    for port, found in answer.ports.items():
        slot, _, process = want.ports[port].partition("/")
        is_ours = f"{slot}/{process}" in seen.running or (slot != PROOF and slot in seen.current and not seen.running)
        if not is_ours:
            known = f"{found.command.strip()} (pid {found.pid}, in {found.cwd})"
            yield Finding(
                "port-taken",
                host.name,
                f"port {port}, of {process} in {slot}, is taken by "
                f"{known if found.command else f'a process of {found.user}'}; it may be what serves: "
                "give the host other `ports`, or look who it is",
                _who(site, host, port, found),
            )


def _who(site: Inventory, host: Host, port: int, found: Listener) -> str:
    """Nothing that ends it: it may be the application that serves."""
    if not found.command:
        return as_admin(host, f"sudo ss -ltnp 'sport = :{port}'")
    inside = f"{found.cwd}/".startswith(f"{host.root.rstrip('/')}/")
    if found.cwd and not inside and hasattr(site.app.processes.kind, "strangers"):
        return invoke(site, "adopt", "--checkout", found.cwd, "--dry-run")
    return ssh(host, f"ps -ww -o pid,user,lstart,args -p {found.pid}; readlink /proc/{found.pid}/cwd")


def _span(value: float) -> str:
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if value >= 2 * size:
            return f"{value / size:.0f} {unit}"
    return f"{value:.0f} s"
