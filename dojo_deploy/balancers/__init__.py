"""Balancers: who sends traffic to the hosts, and how one is taken out and put back without losing a request.

Each kind is a frozen dataclass of settings with the methods of `interfaces.Balancer`;
tests/balancers/test_contract.py holds every kind to them.
"""

from __future__ import annotations

from collections.abc import Mapping

from dojo_deploy.errors import ConfigError

KINDS = {
    "alb": "dojo_deploy.balancers.alb:Alb",
    "nginx": "dojo_deploy.balancers.nginx:Nginx",
    "none": "dojo_deploy.balancers.none:NoBalancer",
}


def shorthand(text: str) -> Mapping[str, str]:
    """The settings, `kind` among them, that one word stands for: `none`, `nginx`, or a class of your own.

    Raises ConfigError.
    """
    if text in KINDS or ":" in text:
        return {"kind": text}
    raise ConfigError(f"{text!r} is not a balancer", hint=f"{', '.join(KINDS)}, or {{kind: …}} with its keys")
