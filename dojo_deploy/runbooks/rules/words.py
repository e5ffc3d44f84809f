"""What is written between the commands: promises that nobody keeps."""

from dojo_deploy.runbooks.fault import ANYWHERE, DANGEROUS, UNCLEAR, WRITTEN, Rule

RULES = (
    Rule(
        "backup-unwatched",
        DANGEROUS,
        r"(automated|automatic|nightly|daily) backups?\b.*\b(run|daily|nightly)",
        "nothing says that it ran, how large it was, or that it ever came back",
        "invoke backup.status ends 30 unless there is a young, whole, proven one",
        where=ANYWHERE,
    ),
    Rule(
        "watch-dashboards",
        UNCLEAR,
        r"(watch|check|monitor)\b.{0,20}\b(dashboards?|for issues)\b",
        "nothing says which figure, compared with what, for how long, and what is done then",
        "a threshold with a window, and a gate that undoes by itself",
        where=WRITTEN,
    ),
    Rule(
        "last-good-by-eye",
        UNCLEAR,
        r"last known good|git\s+log\s+--oneline",
        "the history of commits does not say which of them ran well, or with which schema",
        "invoke releases: what passed its gates; invoke rollback takes the last one",
        where=ANYWHERE,
    ),
    Rule(
        "late-alarm",
        UNCLEAR,
        r"\bdisk\b[^\n\d]{0,24}>\s*9\d\s*%",
        "90 % is late for a database: it needs room for WAL, sorts and new indexes",
        "a first alarm at 80 %, with less urgency",
        where=WRITTEN,
    ),
    Rule(
        "public-ports",
        UNCLEAR,
        r"^\s*[-*]\s*(grafana|prometheus|redis|postgresql)\s*:\s*\d{4}",
        "a port that is written down is soon open: these must not be reached from outside",
        "bind to the loopback or a private network; check from outside",
        where=WRITTEN,
    ),
)
