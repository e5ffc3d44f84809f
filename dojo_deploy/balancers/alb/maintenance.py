"""The maintenance page, up and down."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from functools import partial

from dojo_deploy import http1
from dojo_deploy.balancers.alb import page as pages
from dojo_deploy.balancers.alb import proof
from dojo_deploy.balancers.alb.api import Row
from dojo_deploy.balancers.alb.site import PAGE, PASS, Site, Undo
from dojo_deploy.errors import BalancerError
from dojo_deploy.inventory import Page

TIMES = 10  # fresh connections to each address


def close(site: Site, page: Page, *, url: str, effect: float) -> None:
    """Rules before all others; another page's go once the new ones are there."""
    with site.changing(), site.put_back() as undo:
        front = site.front()
        closing = pages.closing(page, front)
        old = site.own_rules()
        rules = site.api.rules(front.listener)
        free = pages.numbers(rules, (rule["RuleArn"] for rule in old), closing.number)
        made = partial(_add, site, front.listener, undo=undo)
        after = free[len(closing.allow) :]
        for number, rule in zip(after, closing.exempt, strict=False):
            made(number, rule, PASS)
        made(after[-1], closing.page, PAGE)
        _remove(site, front.listener, old, undo)
        if url:
            proof.prove(site.session, url, partial(_is_page, page.body), times=TIMES, within=effect)
            for path in page.exempt:
                there = urllib.parse.urljoin(url, path)
                proof.prove(site.session, there, partial(_is_site, page.body), times=1, within=effect)
        for number, rule in zip(free, closing.allow, strict=False):
            made(number, rule, PASS)
        if not closed(site):
            raise BalancerError(f"{site.front_arn}: the page's rule is not there")


def open_again(site: Site, *, url: str, effect: float) -> None:
    with site.changing(), site.put_back() as undo:
        rules = site.own_rules()
        bodies = [body for rule in rules if (body := pages.body_of(rule)) is not None]
        # The page first: without what passes it, it would be up for all.
        order = sorted(rules, key=lambda rule: pages.body_of(rule) is None)
        _remove(site, site.front().listener, order, undo)
        if url and bodies:
            proof.prove(site.session, url, partial(_is_site, bodies[-1]), times=TIMES, within=effect)


def closed(site: Site) -> bool:
    return bool(site.own_rules(PAGE))


def _add(site: Site, listener: str, number: int, rule: Row, kind: str, *, undo: list[Undo]) -> None:
    arn = site.api.add_rule(listener, number, rule, {site.mark: kind})
    undo.append(partial(site.api.remove_rule, arn))


def _remove(site: Site, listener: str, rules: Iterable[Row], undo: list[Undo]) -> None:
    for rule in rules:
        kind = PASS if pages.body_of(rule) is None else PAGE
        site.api.remove_rule(rule["RuleArn"])
        undo.append(partial(site.api.add_rule, listener, int(rule["Priority"]), pages.remade(rule), {site.mark: kind}))


def _is_page(body: str, answer: http1.Response) -> str:
    shown = answer.status == 503 and answer.body.decode("utf-8", "replace").strip() == body.strip()
    return "" if shown else f"answers {answer.status}, not the page"


def _is_site(body: str, answer: http1.Response) -> str:
    return "still answers the page" if not _is_page(body, answer) else ""
