"""The maintenance page as listener rules: what may pass, in order, and last the page itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dojo_deploy.balancers.alb.api import Front, Row
from dojo_deploy.balancers.alb.forward import sendable
from dojo_deploy.errors import RefusedError
from dojo_deploy.inventory import Page

BODY = 1024  # bytes, Amazon's limit
VALUES = 5  # of all conditions of a rule, Amazon's limit
TYPES = ("text/plain", "text/html", "text/css", "application/json", "application/javascript")
CONFIGS = {
    "path-pattern": "PathPatternConfig",
    "host-header": "HostHeaderConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}


@dataclass(frozen=True)
class Closing:
    """Rules in the order of their priority; `allow` come first, and are made last: until then all see the page."""

    allow: tuple[Row, ...]
    exempt: tuple[Row, ...]
    page: Row

    @property
    def number(self) -> int:
        return len(self.allow) + len(self.exempt) + 1


def closing(page: Page, front: Front) -> Closing:
    """Raises RefusedError for a page that Amazon could not show."""
    kind = _kind(page)
    body = page.body.encode()
    if len(body) > BODY:
        raise RefusedError(
            f"the maintenance page has {len(body)} bytes; an ALB answers {BODY} at most by itself",
            hint="shorten it: a line of text and a link to a status page",
        )
    odd = next((path for path in page.exempt if set(path) & set("*?") or len(path) > 128), "")
    if odd:
        raise RefusedError(
            f"an ALB would read {odd!r} as a pattern, or finds it too long: it cannot be exempt as it is"
        )
    base = tuple(_condition(one) for one in front.conditions)
    fixed = {"StatusCode": "503", "ContentType": kind, "MessageBody": page.body}
    return Closing(
        allow=tuple(_passes(front, base, "source-ip", page.allow)),
        exempt=tuple(_passes(front, base, "path-pattern", page.exempt)),
        page={
            "Conditions": list(base) or [_values("path-pattern", ["/*"])],
            "Actions": [{"Type": "fixed-response", "FixedResponseConfig": fixed}],
        },
    )


def numbers(rules: Iterable[Row], ours: Iterable[str], count: int) -> tuple[int, ...]:
    """Free priorities before everybody else's, lowest first. Raises RefusedError when there are too few."""
    mine = set(ours)
    taken = {int(rule["Priority"]): rule["RuleArn"] in mine for rule in rules if rule["Priority"] != "default"}
    first = min((number for number, is_ours in taken.items() if not is_ours), default=50_001)
    free = [number for number in range(1, min(first, count + len(taken) + 1)) if number not in taken][:count]
    if len(free) < count:
        raise RefusedError(
            f"the page needs {count} rules before the listener's first, which has priority {first}",
            hint="give its rules higher numbers: aws elbv2 set-rule-priorities",
        )
    return tuple(free)


def body_of(rule: Row) -> str | None:
    """What a rule answers by itself; None when it does not."""
    action = rule["Actions"][-1]
    return str(action["FixedResponseConfig"].get("MessageBody", "")) if action["Type"] == "fixed-response" else None


def remade(rule: Row) -> Row:
    """A rule as it was described, to be made again."""
    return {
        "Conditions": [_condition(one) for one in rule["Conditions"]],
        "Actions": list(sendable(rule["Actions"])),
    }


def _kind(page: Page) -> str:
    kind, _, rest = page.content_type.partition(";")
    if kind.strip() not in TYPES or rest.strip().lower() not in ("", "charset=utf-8"):
        raise RefusedError(f"an ALB cannot answer with {page.content_type!r}", hint=f"one of: {', '.join(TYPES)}")
    return kind.strip()


def _passes(front: Front, base: tuple[Row, ...], field: str, values: tuple[str, ...]) -> Iterator[Row]:
    """What goes on to the site as ever; a rule has one condition of a kind, so ours replaces the site's own."""
    others = [one for one in base if one["Field"] != field]
    room = VALUES - sum(len(one[CONFIGS[one["Field"]]]["Values"]) for one in others)
    if values and room < 1:
        raise RefusedError("the site's rule has as many conditions as Amazon allows: nothing can be let through")
    for start in range(0, len(values), max(room, 1)):
        part = [_network(value) if field == "source-ip" else value for value in values[start : start + room]]
        yield {"Conditions": [*others, _values(field, part)], "Actions": list(sendable(front.actions))}


def _condition(condition: Row) -> Row:
    """Amazon tells simple values twice, and refuses to hear them so."""
    field = condition["Field"]
    config = condition.get(CONFIGS[field]) or {"Values": condition["Values"]}
    return {"Field": field, CONFIGS[field]: config}


def _values(field: str, values: list[str]) -> Row:
    return {"Field": field, CONFIGS[field]: {"Values": values}}


def _network(client: str) -> str:
    if "/" in client:
        return client
    return f"{client}/128" if ":" in client else f"{client}/32"
