"""Targets in and out, and the traffic from one colour to the other."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from functools import partial

from dojo_deploy import http1
from dojo_deploy.balancers.alb import forward, proof
from dojo_deploy.balancers.alb.site import PAGE, Site
from dojo_deploy.errors import BalancerError, RefusedError
from dojo_deploy.interfaces import Backend

DELAY = "deregistration_delay.timeout_seconds"


def drain(site: Site, backend: Backend, pool: tuple[Backend, ...], *, within: float) -> None:
    """Raises RefusedError for the last of `pool`, and for a target group that takes longer to drain than `within`."""
    group, target = site.group(backend.slot), site.target(backend)
    delay = delay_of(site, backend.slot)
    if delay > within:
        raise RefusedError(
            f"{forward.short(group)} drains for {delay:g} s, and drain_within is {within:g} s",
            hint=f"set the target group's {DELAY} to 30, or drain_within to {delay + 30:g}s",
        )
    with site.changing():
        if target in forward.registered(site.api.health(group)):
            if pool and site.serving((backend, *pool)) == {backend}:
                raise RefusedError(f"{backend.host} is the last that serves: draining it would take the site away")
            site.api.deregister(group, [target])
    site.session.say(f"{forward.short(group)} drains {backend.host} for {delay:g} s, whether it is busy or not")
    with site.put_back(partial(site.api.register, group, [target])):
        site.until_nothing(lambda: "" if forward.is_out(site.api.health(group), target) else "it still drains", within)


def restore(site: Site, backend: Backend, *, within: float) -> None:
    """Into its target group, and, if nothing serves, the traffic to that."""
    group, target = site.group(backend.slot), site.target(backend)
    with site.put_back() as undo:
        with site.changing():
            if target not in forward.registered(site.api.health(group)):
                site.api.register(group, [target])
                undo.append(partial(site.api.deregister, group, [target]))
            front = site.front()
            if not forward.weights(front.actions).get(group):
                _refuse_two_colours(site, group)
                site.forward(forward.only(front.actions, group, _idle(site, group)))
                undo.append(partial(site.forward, forward.sendable(front.actions)))
        site.await_healthy(group, [target], within)


def switch(
    site: Site, to: tuple[Backend, ...], away: tuple[Backend, ...], *, url: str, healthy: float, effect: float
) -> None:
    """All of the traffic to the colour of `to`, once all of it is healthy; the other one stays in, with no share."""
    slots = {backend.slot for backend in to}
    if len(slots) != 1:
        raise RefusedError("a switch goes to one colour, with something in it")
    group = site.group(slots.pop())
    wanted = frozenset(map(site.target, to))
    with site.changing(), site.put_back() as undo:
        front = site.front()
        planned = forward.only(front.actions, group, _idle(site, group))
        there = forward.registered(site.api.health(group))
        surplus = _surplus(site, group, there - wanted, away)
        if wanted - there:
            site.api.register(group, wanted - there)
            undo.append(partial(site.api.deregister, group, wanted - there))
        if group not in forward.weights(front.actions):
            site.forward(forward.joined(front.actions, [group]))
            undo.append(partial(site.forward, forward.sendable(front.actions)))
        site.await_healthy(group, wanted, healthy)
        if surplus:
            site.api.deregister(group, surplus)
            undo.append(partial(site.api.register, group, surplus))
        fits = _identity(site, to, away, url)
        if forward.weights(front.actions) != forward.weights(planned):
            undo.append(partial(site.forward, forward.sendable(front.actions)))
            site.forward(planned)
        site.until_nothing(lambda: _not_as_told(site, to, away), effect)
        if fits:
            proof.prove(site.session, _health(site, url), fits, times=max(10, 3 * len(to)), within=effect)


def settle(site: Site, within: float) -> None:
    """Amazon tells of no request under way; one on which nothing moves is given up after the idle timeout."""
    patience = site.api.idle_timeout(site.front())
    if patience > within:
        raise BalancerError(
            f"an ALB does not tell when older requests have ended; the longest silent ones do within {patience:g} s",
            hint=f"wait for them with settle: {patience:g}s",
        )
    deadline = site.session.clock.monotonic() + patience
    while site.session.clock.monotonic() < deadline:
        site.session.clock.sleep(1.0)


def delay_of(site: Site, slot: str) -> float:
    """Seconds that a target of the slot goes on draining, whether anything is under way or not."""
    return float(site.api.attributes(site.group(slot)).get(DELAY, 300))


def _idle(site: Site, group: str) -> tuple[str, ...]:
    return tuple(arn for arn in site.groups.values() if arn != group)


def _refuse_two_colours(site: Site, group: str) -> None:
    shares = forward.weights(site.front().actions)
    busy = [arn for arn in _idle(site, group) if shares.get(arn) and forward.served(site.api.health(arn))]
    if busy:
        raise RefusedError(
            f"the traffic goes to {forward.short(busy[0])}, and not to {forward.short(group)}",
            hint="a switch sends it there",
        )


def _surplus(
    site: Site, group: str, others: frozenset[tuple[str, int]], away: Iterable[Backend]
) -> frozenset[tuple[str, int]]:
    """What of the colour is not meant, and is ours to take out. Raises RefusedError for what nobody here knows."""
    known = frozenset(site.target(one) for one in away if site.groups.get(one.slot) == group)
    strangers = ", ".join(f"{name}:{port}" for name, port in sorted(others - known))
    if strangers:
        raise RefusedError(
            f"{forward.short(group)} would also send requests to {strangers}, which no host of this deployment is",
            hint="take it out of the target group first",
        )
    return others


def _identity(site: Site, to: tuple[Backend, ...], away: tuple[Backend, ...], url: str) -> proof.Fits | None:
    """What an answer of the new colour looks like, asked before; None, with a word, where answers cannot tell."""
    field = site.session.inventory.app.release_field
    wanted = proof.releases(site.session, to)
    why = ""
    if not url:
        why = "the inventory has no `url` to ask"
    elif site.own_rules(PAGE):
        why = "the maintenance page is up"
    elif "" in wanted:
        why = "the new colour's health answer names no release"
    elif wanted & proof.releases(site.session, away):
        why = "both colours answer the same release"
    if why:
        site.session.say(f"proven by Amazon's own word alone: {why}")
        return None

    def fits(answer: http1.Response) -> str:
        said = answer.field(field) or ""
        return "" if said in wanted else f"answers {answer.status} {said or 'no release'}, want {', '.join(wanted)}"

    return fits


def _not_as_told(site: Site, to: tuple[Backend, ...], away: tuple[Backend, ...]) -> str:
    wrong = frozenset(to) ^ site.serving((*to, *away))
    return f"it does not serve as it was told: {', '.join(sorted(one.host for one in wrong))}" if wrong else ""


def _health(site: Site, url: str) -> str:
    return urllib.parse.urljoin(url, site.session.inventory.app.health)
