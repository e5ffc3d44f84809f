"""The fleet at the end of a run, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dojo_deploy.events import CensusTaken
from dojo_deploy.reporters.html.markup import Part, element, typed
from dojo_deploy.reporters.html.names import Names
from dojo_deploy.reporters.text import named

FINE = ("ok", "consistent")
TONES = {"consistent": "good", "partial": "good", "mixed": "bad"}
MOST_LOOKS = 6
MOST_RELEASES = 4


def standing(census: CensusTaken | None, names: Names, inventory: str) -> list[Part]:
    """Which release runs where, which answers through the balancer, and which stands by."""
    if not census:
        return ["Nobody counted the fleet when this ended. ", typed("status", inventory), " does it now."]
    verdict = element("strong", f"The fleet is {census.verdict}", class_=TONES.get(census.verdict, "warn"))
    looks = "; ".join(_standings(census, names))
    return [verdict, f": {looks}.", _through(census, names), _standby(census, names)]


def _standings(census: CensusTaken, names: Names) -> Iterator[str]:
    """`web1 web2 run v1 and serve`, a crowd of equals in one breath."""
    looks: dict[tuple[str, str, str], list[str]] = {}
    for host, row in census.rows.items():
        key = (row.get("current", ""), row.get("verdict", ""), row.get("balancer", ""))
        looks.setdefault(key, []).append(host)
    for (release, verdict, balancer), hosts in sorted(looks.items(), key=lambda item: -len(item[1]))[:MOST_LOOKS]:
        many = len(hosts) > 1
        if release in ("", "?"):
            yield f"{named(hosts)} could not be asked"
            continue
        verb = ("run" if many else "runs") if verdict in FINE else ("link to" if many else "links to")
        held = f"{verb} {names.brief(release)}" if release != "–" else "hold no release" if many else "holds no release"
        fine = "" if verdict in (*FINE, "bare") else f", {verdict}"
        traffic = {"serving": f" and {'serve' if many else 'serves'}", "drained": ", out of traffic"}.get(balancer, "")
        yield f"{named(hosts)} {held}{fine}{traffic}"


def _through(census: CensusTaken, names: Names) -> str:
    answers = Counter(census.through_balancer)
    total = sum(answers.values())
    found = answers.most_common(MOST_RELEASES)
    by = ", ".join(f"{count} of {total} {names.brief(release)}" for release, count in found)
    return f" Through the balancer: {by}." if by else ""


def _standby(census: CensusTaken, names: Names) -> str:
    if not census.standby:
        return ""
    release = census.standby.get("release", "")
    until = census.standby.get("until", "")[:16].replace("T", " ")
    what = names.brief(release) if release else "What was there before"
    return f" {what} stands by in {census.standby.get('slot', '')}" + (f" until {until} UTC." if until else ".")
