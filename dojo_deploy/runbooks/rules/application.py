"""Git, npm, Node and PM2 on machines that serve."""

from dojo_deploy.runbooks.fault import ANYWHERE, DANGEROUS, UNCLEAR, USELESS, WRITTEN, Rule

DEPLOYS = r"deploy|rolling|rollback|release|blue.?green"

RULES = (
    Rule(
        "pull-where-it-runs",
        DANGEROUS,
        r"\bgit\s+pull\b",
        "it changes code under running processes, fails on a changed lock file, and takes whatever the branch is now: "
        "each host may get another commit",
        "build once, bring the artifact to every host, switch a link: invoke deploy --ref v2",
    ),
    Rule(
        "install-not-ci",
        DANGEROUS,
        r"\bnpm\s+(install|i|update)\b",
        "npm install resolves versions anew and rewrites the lock file: hosts may run different code",
        "npm ci, where the artifact is built",
        unless=r"\s(-g|--global)\b",
    ),
    Rule(
        "tests-where-it-runs",
        DANGEROUS,
        r"\bnpm\s+(test\b|t\b|run\s+test(?!:smoke)\S*)",
        "on a machine that serves, tests meet the production database by its .env, or lack their development packages",
        "test in CI, before the artifact is taken; in production only a smoke test of the idle colour, read-only",
        under=rf"{DEPLOYS}|maintenance",
    ),
    Rule(
        "tests-prove-no-leak",
        USELESS,
        r"\bnpm\s+(test|t)\b",
        "a test suite does not run long enough to leak: it proves nothing about memory",
        "watch the slope of the resident memory over an hour after the deployment",
        under=r"leak|memory",
    ),
    Rule(
        "build-in-place",
        DANGEROUS,
        r"\bnpm\s+run\s+build\b",
        "it overwrites what is being served: running processes load new files, browsers miss the old ones; and in a "
        "rollback users wait for it",
        "build once, elsewhere; a rollback switches a link: invoke rollback",
        under=DEPLOYS,
    ),
    Rule(
        "revert-on-server",
        DANGEROUS,
        r"\bgit\s+revert\b",
        "of a merge it fails; else it makes a commit that only this server has, and the next pull fails on every host",
        "invoke rollback takes the last release that passed its gates; the revert goes through review",
    ),
    Rule(
        "detached-checkout",
        DANGEROUS,
        r"\bgit\s+(checkout|reset\s+--hard|switch\s+--detach)\s+(?!-b\b)\S+",
        "it leaves a detached HEAD into which the next pull merges, without the dependencies of that commit",
        "invoke rollback --to RELEASE: code, dependencies and environment as they were",
        under=DEPLOYS,
    ),
    Rule(
        "everything-at-once",
        DANGEROUS,
        r"\bpm2\s+(restart|stop|reload|delete|start)\s+all\b",
        "every application of that user on the machine, all at the same time; other machines, cron and poolers go on",
        "invoke restart: host by host, drained and gated; invoke maintenance.start to close the site",
    ),
    Rule(
        "reload-keeps-old-code",
        DANGEROUS,
        r"\bpm2\s+reload\b(?!\s+all)",
        "PM2 answers 0 while it keeps the folder that it was first started from, and after killing an application for "
        "one that crashes; in fork mode there is a gap",
        "gate on the release that the processes really run: invoke deploy",
    ),
    Rule(
        "second-server",
        DANGEROUS,
        r"^(\w+=\S+\s+)*(node\s+(--?\S+\s+)+\S*(server|index|app|main)\.\w+|npm\s+start|node\s+\S*(server|index|app)\.\w+)",
        "it starts another server beside the one in trouble: the port clashes, or it serves and takes jobs too; the "
        "running process is not looked at",
        "attach to the running one on a drained host: kill -USR1 PID opens its inspector on the loopback",
    ),
    Rule(
        "profile-needs-restart",
        USELESS,
        r"\bnode\s+--prof\b",
        "the profile is of a new process without its load; the busy one is not measured",
        "a CPU profile of 30 s through the inspector of the running process, on a drained host",
    ),
    Rule(
        "browser-advice",
        USELESS,
        r"detached dom",
        "there is no DOM in a server process",
        "compare heap snapshots of the running process by constructor and retainer",
        where=ANYWHERE,
    ),
    Rule(
        "mode-by-environment",
        DANGEROUS,
        r"\bMAINTENANCE_MODE\s*=\s*(true|1)",
        "a variable needs a restart to be seen, and PM2 may keep the old one; nobody proves that users are out",
        "the balancer answers 503 with Retry-After, proved from outside: invoke maintenance.start",
        where=ANYWHERE,
    ),
    Rule(
        "restart-for-memory",
        UNCLEAR,
        r"^\s*\d+\.\s+restart application\b",
        "a restart of everything at once is an outage, and hides what leaked",
        "a heap snapshot on a drained host first; then invoke restart, host by host",
        where=WRITTEN,
    ),
    Rule(
        "standby-unsaid",
        UNCLEAR,
        r"keep (blue|green|old).*\b24\s*h",
        "it must live with the migrated schema, only one colour may take jobs, and nothing ends it after 24 hours",
        "expand-only migrations while it stands by; the standby is recorded, and invoke retire ends it when it is due",
        where=ANYWHERE,
    ),
    Rule(
        "development-server",
        UNCLEAR,
        r"(vite|frontend)\b.*\b5173\b",
        "5173 is Vite's development server: in production a build is served as static files",
        "serve dist/ from nginx or a CDN, assets before HTML",
        where=ANYWHERE,
    ),
)
