"""What a strategy wants to know beside what every look finds, before it plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dojo_deploy.backups import alarm, catalogue
from dojo_deploy.engine.facts import ask
from dojo_deploy.errors import RefusedError, TransportError
from dojo_deploy.interfaces import Strategy
from dojo_deploy.release import Observed
from dojo_deploy.session import OpenSession
from dojo_deploy.steps.database import Migrate
from dojo_deploy.steps.judged import PROOF


def answered(session: OpenSession, strategy: Strategy, seen: Observed) -> Observed:
    """`seen` with the answers to the strategy's own questions.

    Raises RefusedError for a line that fails, TransportError for a host that cannot be asked, unless the strategy does
    without.
    """
    asks = getattr(strategy, "asks", {})
    questions: Mapping[str, str] = asks(seen) if callable(asks) else asks
    try:
        facts = dict(ask(session, seen, questions)) if questions else {}
    except (RefusedError, TransportError) as exc:
        if not getattr(strategy, "does_without_answers", False):
            raise
        return replace(seen, warnings=(*seen.warnings, f"the first host was not asked: {exc.message}"))
    return replace(seen, facts={**facts, **_proof(session, getattr(strategy, "migrate", None))})


def _proof(session: OpenSession, settings: object) -> Mapping[str, str]:
    """The backup that a migration without a way back needs, and its age in seconds."""
    database = session.inventory.database
    if not isinstance(settings, Migrate) or not settings.allow_contract or database is None:
        return {}
    now = session.clock.now()
    backups = catalogue.read(session.store).backups
    found = alarm.proven(backups, database.name, within=settings.proven_within, now=now)
    return {PROOF: f"{found.id} {now - found.began:.0f}" if found else ""}
