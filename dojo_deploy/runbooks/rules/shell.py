"""Commands of any machine: what never ends, what always succeeds, what is written down once and for ever."""

from dojo_deploy.runbooks.fault import DANGEROUS, UNCLEAR, USELESS, Rule

RULES = (
    Rule(
        "curl-passes",
        USELESS,
        r"\bcurl\b",
        "curl ends 0 for an HTTP 500, so it verifies nothing",
        "invoke status; or curl --fail-with-body --max-time 10, and look at what answers, not only that it does",
        unless=r"\s(?-i:-\w*f\w*)(\s|$)|\s--fail",  # -F sends a form
    ),
    Rule(
        "token-in-arguments",
        DANGEROUS,
        r"\b(curl|wget|http)\b.*(authorization:|bearer|api[_-]?key|token=|-u\s+\S+:\S)",
        "arguments of a command are seen by every user of the machine (ps), and stay in the shell's history",
        "--config FILE or -H @FILE with mode 0600; in dojo_deploy a secret is a reference: {env: …}, {file: …}",
    ),
    Rule(
        "form-not-json",
        DANGEROUS,
        r"\bcurl\b.*\s-(d|-data\S*)\s+['\"]?\{",
        "without a Content-Type curl sends JSON as a form; and the answer's id is lost: nothing can be closed later",
        "--json, and keep the id of the answer; invoke maintenance.schedule keeps it for you",
        unless=r"--json|content-type",
    ),
    Rule(
        "never-ends",
        USELESS,
        r"\btail\b.*\s-\w*[fF]|\bjournalctl\b.*\s-\w*f|^(sudo\s+)?(top|htop|watch)\b|\bpm2\s+(logs|monit)\b"
        r"|^(redis-cli|mongo|mysql|psql(\s+-U\s+\S+)?(\s+\w+)?)$",
        "it never returns: in a script, in CI or over SSH without a terminal it hangs",
        "bound it: tail -n 200, journalctl -n 200 --no-pager, top -b -n 1, pm2 jlist, psql -c, timeout 10 CMD",
        unless=r"--nostream|\btimeout\b|-b\b.*-n",
    ),
    Rule(
        "pattern-expands-once",
        USELESS,
        r"\btail\b.*-\w*[fF].*\*",
        "the shell expands the pattern once: a file that the log is rotated to is never seen",
        "count in a bounded window on every host, or tail -F one name",
    ),
    Rule(
        "watch-decides-nothing",
        UNCLEAR,
        r"^watch\b.*\bcurl\b",
        "nothing says what has to be seen, for how long, and which release or colour answered",
        "a gate: N answers in a row by the right release within a deadline (gate: in a strategy file)",
    ),
    Rule(
        "fixed-date",
        DANGEROUS,
        r"(?<!\d)20\d\d(-?)(0[1-9]|1[0-2])\1(0[1-9]|[12]\d|3[01])(?!\d)",
        "a date that is written down once is typed again on another day: it names another file than is meant",
        "invoke backup.list names what is there; commands take the newest proven one",
    ),
    Rule(
        "localhost",
        USELESS,
        r"\b(localhost|127\.0\.0\.1)[:/]",
        "it asks the machine it is typed on: one host of many, around the balancer, perhaps the old process",
        "ask every host, and through the balancer: invoke status",
    ),
    Rule(
        "opaque-script",
        UNCLEAR,
        r"^(sudo\s+)?\./\S*(deploy|switch|release|cutover)\S*\.sh",
        "nobody who reads this knows what it does, what it checks, and how it is taken back",
        "invoke deploy --strategy blue-green --dry-run shows every command; the switch is verified by who answers",
    ),
    Rule(
        "load-on-production",
        DANGEROUS,
        r"^(k6\s+run|ab|wrk|hey|siege|artillery)\b",
        "without a target, a cap and a threshold a load test is an outage that somebody planned",
        "name the target (staging, or the idle colour), cap the rate, set thresholds that abort",
    ),
    Rule(
        "unit-may-not-exist",
        UNCLEAR,
        r"\bjournalctl\b.*-u\s+",
        "an application under PM2 logs to PM2's files, and its unit is pm2-USER: check that the unit exists",
        "systemctl cat UNIT first; journalctl -u UNIT -n 200 --no-pager",
    ),
)
