"""Hosts, and whether they are the ones that are meant."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from invoke import Context, Exit

from dojo_deploy.tasks.flags import command, ended

if TYPE_CHECKING:
    from dojo_deploy.app.trust import Shown

REFUSED = 10
COMPARE = "Compare with what each host's own console says: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


@command("inventory", "limit", "fingerprint", "json", iterable=("fingerprint",))
def trust(context: Context, inventory: str = "", limit: str = "", fingerprint: Any = None, json: bool = False) -> None:
    """Show the keys of hosts, and record them.

    All new ones once y is typed; without a terminal those with a --fingerprint. A key that has changed is never
    replaced. Ends 10 unless every host is known then.
    """
    from dojo_deploy.app import read
    from dojo_deploy.app import trust as trusting
    from dojo_deploy.errors import RefusedError
    from dojo_deploy.reporters import keys

    with ended(json=json):
        site = read(inventory or None)

        def tell(shown: Sequence[Shown], recorded: Sequence[str]) -> None:
            for line in (*keys.lines([one.as_dict(site) for one in shown]), *(f"recorded: {one}" for one in recorded)):
                print(line)

        agree = None if json or fingerprint or not _is_terminal() else _agree
        shown = trusting.meet(
            site, fingerprint or (), limit=limit, tell=(lambda *_: None) if json else tell, agree=agree
        )
        strange = [one for one in shown if one.standing != trusting.KNOWN]
        if json:
            print(json_.dumps([one.as_dict(site) for one in shown], indent=2))
        elif strange:
            message = f"{len(strange)} of {len(shown)} hosts are not trusted"
            raise RefusedError(message, hint=trusting.line(site, strange))
    if strange:
        raise Exit(code=REFUSED)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _agree() -> bool:
    """Whether somebody who sits at the terminal has compared the keys, and says so."""
    print(COMPARE)
    try:
        return input("Are they the same? Type y to record them: ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
