"""A line for sudoers, put where it cannot lock anybody out: tried by visudo before it counts."""

from __future__ import annotations

import re

from dojo_deploy.command import quote
from dojo_deploy.readings import Preparation


def may_run(user: str, scope: str, name: str, commands: tuple[str, ...]) -> Preparation:
    """That `user` may run `commands` as root without a password; they begin with an absolute path."""
    # sudo passes over files with a dot in their name.
    file = f"/etc/sudoers.d/{re.sub('[^a-z0-9-]', '-', f'dojo-{scope}-{name}')}"
    line, fresh = f"{user} ALL=(root) NOPASSWD: {', '.join(commands)}", f"{file}.new"
    return Preparation(
        f"sudo: {user} may run {', '.join(commands)}",
        f'[ "$(/usr/bin/cat {file})" = {quote(line)} ]',
        (
            f"echo {quote(line)} >{fresh}",
            f"/usr/bin/chmod 440 {fresh}",
            f"/usr/sbin/visudo -cqf {fresh}",
            f"/usr/bin/mv -f {fresh} {file}",
        ),
    )
