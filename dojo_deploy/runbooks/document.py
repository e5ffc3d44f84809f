"""What only the whole document shows: an order, a contradiction, a gap, somebody who cannot be reached."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dojo_deploy.runbooks.fault import DANGEROUS, UNCLEAR, USELESS, Fault
from dojo_deploy.runbooks.reading import COMMAND, PROSE, Line

METRIC = re.compile(r"\b(error rate|memory|cpu|disk|response time \(p\d+\))\b[^\n\d>]{0,24}>\s*([\d.]+)\s*%", re.I)
ALERT = re.compile(r"^\s*\|.*>\s*[\d.]+.*\|\s*P(\d)\s*\|\s*$")
WINDOW = re.compile(r"\b(for|over|within|window|minutes?|\d+\s*m(in)?)\b", re.I)
SQL = re.compile(r"^(select|insert|update|delete|create|alter|drop|explain|vacuum|reindex|with)\b|^\\[a-z]", re.I)
BACKUP = re.compile(r"\bpg_dump\b|\bbackup\b", re.I)
CLOSES = re.compile(r"maintenance[_ ]mode", re.I)
MIGRATES = re.compile(r"\bmigrate\s+deploy\b", re.I)
CDN = re.compile(r"\b(cdn|cloudflare|fastly|cloudfront)\b", re.I)
PROCEDURE = re.compile(r"(deploy|roll ?back|blue.?green|release)[^/]*$", re.I)
NODE = re.compile(r"^(sudo\s+)?(npm|npx|node|yarn|pnpm)\s", re.I)
CHANGES = re.compile(r"^(sudo\s+)?(pm2|systemctl)\s+(re)?(start|load)|^\./\S*(deploy|switch|cutover)\S*", re.I)
FOUND = re.compile(r"\bnvm\s+(use|exec)|\bPATH=|/bin/(node|npm)|\bwhich\s+(node|npm|pm2)|\bcommand\s+-v\s", re.I)
CENSUS = re.compile(
    r"\b(dojo|invoke)\s+(deploy|rollback|restart|status)|\bcensus\b|\bwhich release\b|\b(release|version)\b.*\bhost",
    re.I,
)
ENTRY = re.compile(r"^\s*\d+\.\s+(.+?)\s*$")


def faults(lines: Sequence[Line]) -> Iterator[Fault]:
    for check in (
        _contradictions, _alerts, _contacts, _backup_first, _migration_bare, _schema_unsaid, _frontend_unsaid,
        _sql_in_shell, _login_shell, _census_unsaid,
    ):  # fmt: skip
        yield from check(lines)


def _contradictions(lines: Sequence[Line]) -> Iterator[Fault]:
    known: dict[str, tuple[str, int]] = {}
    for line in lines:
        for found in METRIC.finditer(line.text):
            name, value = found[1].lower(), found[2]
            first, at = known.setdefault(name, (value, line.number))
            if value != first:
                yield _fault(
                    line, "contradicts", UNCLEAR,
                    f"{name}: more than {value} % here, and more than {first} % in line {at}",
                    "one number, in one place: a threshold as data",
                )  # fmt: skip


def _alerts(lines: Sequence[Line]) -> Iterator[Fault]:
    rows = [(line, found[1]) for line in lines if (found := ALERT.match(line.text))]
    if not rows:
        return
    first = rows[0][0]
    if any(re.search(r"\bP0\b", line.text) for line in lines) and "0" not in {level for _, level in rows}:
        yield _fault(
            first, "no-outage-alert", DANGEROUS, "no alert is a P0: a complete outage has no figure to exceed",
            "a synthetic check of the site, whose failure is a P0",
        )  # fmt: skip
    if not any(WINDOW.search(line.text) for line, _ in rows):
        yield _fault(
            first, "no-window", UNCLEAR,
            "without a window, a least number of samples, and a way back it fires for one bad second, or never",
            "for how long, over how many requests, and what missing data mean: inconclusive, never well",
        )  # fmt: skip


def _contacts(lines: Sequence[Line]) -> Iterator[Fault]:
    contacts = {
        cells[0].lower(): cells
        for line in lines
        if "contact" in line.heading.lower() and line.kind == PROSE and line.text.strip().startswith("|")
        if len(cells := [cell.strip() for cell in line.text.strip().strip("|").split("|")]) > 1
    }
    for line in lines:
        entry = ENTRY.match(line.text) if re.search(r"escalation path", line.heading, re.I) else None
        if not entry or not contacts:
            continue
        known = next((cells for name, cells in contacts.items() if _same(name, entry[1].lower())), None)
        if known is None:
            yield _fault(
                line, "no-contact", DANGEROUS, f"{entry[1]} is on the path, and no contact of theirs is written down",
                "a name, a way to reach them, and their hours; as data that a timer can follow",
            )  # fmt: skip
        elif any("business hours" in cell.lower() for cell in known):
            yield _fault(
                line, "dead-end-at-night", DANGEROUS, f"{entry[1]} keeps business hours: at three it ends here",
                "skip who is not there: a path with hours",
            )  # fmt: skip


def _backup_first(lines: Sequence[Line]) -> Iterator[Fault]:
    inside = [line for line in lines if re.search(r"maintenance", line.heading, re.I) and line.fence]
    closes = next((line for line in inside if CLOSES.search(line.text)), None)
    for line in inside:
        if closes and line.kind == COMMAND and BACKUP.search(line.text) and line.number < closes.number:
            yield _fault(
                line, "backup-before-closing", DANGEROUS,
                f"what users write between this and line {closes.number}, where they are shut out, is in no backup",
                "first maintenance, proved; then the backup, verified: invoke maintenance.start",
            )  # fmt: skip


def _migration_bare(lines: Sequence[Line]) -> Iterator[Fault]:
    for line in lines:
        if line.kind != COMMAND or not MIGRATES.search(line.text) or re.search(r"restore", line.heading, re.I):
            continue
        before = [other for other in lines if other.heading == line.heading and other.number < line.number]
        if not any(BACKUP.search(other.text) for other in before):
            yield _fault(
                line, "migrates-bare", DANGEROUS,
                "no backup, no lock, no look at what it does to the release that runs; and once per host, if repeated",
                "invoke deploy migrates once per run, refuses what the old release cannot live with; invoke db.lint",
            )  # fmt: skip


def _schema_unsaid(lines: Sequence[Line]) -> Iterator[Fault]:
    headings = dict.fromkeys(line.heading for line in lines if re.search(r"roll ?back[^/]*$", line.heading, re.I))
    for heading in headings:
        inside = [line for line in lines if line.heading == heading]
        if any(line.kind == COMMAND for line in inside) and not any(
            re.search(r"schema|migrat|database|\b(dojo|invoke)\s+rollback", line.text, re.I) for line in inside
        ):
            yield _fault(
                inside[0], "schema-unsaid", DANGEROUS,
                "nothing asks whether the old release can live with the schema as it is now, nor installs its packages",
                "invoke rollback knows each release's migrations, and refuses past one that has no way back",
            )  # fmt: skip


def _frontend_unsaid(lines: Sequence[Line]) -> Iterator[Fault]:
    if not any(CDN.search(line.text) for line in lines):
        return
    for heading in dict.fromkeys(line.heading for line in lines if re.search(r"deploy[^/]*$", line.heading, re.I)):
        inside = [line for line in lines if line.heading == heading]
        built = next((line for line in inside if line.kind == COMMAND and re.search(r"\bbuild\b", line.text)), None)
        if built and not any(re.search(r"asset|static|frontend|purge", line.text, re.I) for line in inside):
            yield _fault(
                built, "frontend-unsaid", UNCLEAR,
                "there is a CDN, and nothing says when it sees the new files, or how long the old ones stay",
                "hashed assets first, HTML last, old assets kept for days, only the HTML purged",
            )  # fmt: skip


def _sql_in_shell(lines: Sequence[Line]) -> Iterator[Fault]:
    told: set[int] = set()
    for line in lines:
        if line.language in ("bash", "sh", "shell", "console") and line.kind == COMMAND and SQL.match(line.text):
            if line.fence not in told:
                yield _fault(
                    line, "sql-in-shell", USELESS, "this is no shell command: pasted into a terminal it fails",
                    "psql -X -d NAME -f FILE; or the db.* commands",
                )  # fmt: skip
            told.add(line.fence)


def _login_shell(lines: Sequence[Line]) -> Iterator[Fault]:
    for inside in _procedures(lines):
        first = next((line for line in inside if NODE.match(line.text)), None)
        if first and any(CHANGES.match(line.text) for line in inside) and not any(FOUND.search(x.text) for x in lines):
            yield _fault(
                first, "node-of-a-login-shell", UNCLEAR,
                "over SSH, from cron and in CI no profile is read: nvm's node is not in PATH, or another one is",
                "absolute paths, looked up before anything is changed: command -v node npm pm2",
            )  # fmt: skip
            return


def _census_unsaid(lines: Sequence[Line]) -> Iterator[Fault]:
    for inside in _procedures(lines):
        heading = inside[0].heading
        if any(CHANGES.match(line.text) for line in inside) and not any(
            CENSUS.search(line.text) for line in lines if line.heading == heading
        ):
            yield _fault(
                inside[-1], "no-census", DANGEROUS,
                "nothing ever asks which release answers where: one host that kept the old code is found by its users",
                "invoke status: link, processes and health answer of every host, and through the balancer",
            )  # fmt: skip


def _procedures(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The commands under each heading of a deployment, where there are several."""
    for heading in dict.fromkeys(line.heading for line in lines if PROCEDURE.search(line.heading)):
        inside = [line for line in lines if line.heading == heading and line.kind == COMMAND]
        if len(inside) > 1:
            yield inside


def _same(contact: str, role: str) -> bool:
    words = [set(re.findall(r"[a-z]+", text)) - {"on", "call"} for text in (contact, role)]
    return contact == role or (bool(words[0]) and words[0] == words[1])


def _fault(line: Line, rule: str, kind: str, reason: str, instead: str) -> Fault:
    return Fault(line.number, rule, kind, line.text.strip(), reason, instead)
