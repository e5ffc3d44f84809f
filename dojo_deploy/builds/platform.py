"""What native modules depend on, asked of any POSIX machine in one line."""

from __future__ import annotations

from dojo_deploy.command import Command
from dojo_deploy.release import Platform

PLATFORM = (
    'libc=-; for each in /lib/ld-musl-*; do [ -e "$each" ] && libc=musl; done; '
    "getconf GNU_LIBC_VERSION >/dev/null 2>&1 && libc=glibc; "
    "abi=$(node -p process.versions.modules </dev/null 2>/dev/null) || abi=-; "
    'printf "%s %s %s %s\\n" "$(uname -s)" "$(uname -m)" "$libc" "${abi:--}"'
)
PLATFORM_COMMAND = Command.shell(PLATFORM)


def parse_platform(text: str) -> Platform:
    """What PLATFORM printed; what it could not tell, and all of a text that is not its own, is empty."""
    words = (text.strip().splitlines() or [""])[-1].split()
    if len(words) != 4:
        return Platform()
    system, machine, libc, abi = ("" if word == "-" else word for word in words)
    return Platform(system=system.lower(), machine=machine, libc=libc, node_abi=abi)
