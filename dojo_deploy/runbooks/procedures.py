"""What people do to a site: each procedure with what is typed, how it is verified, and how it is taken back."""

from __future__ import annotations

from dojo_deploy.runbooks.page import Procedure


def procedures(name: str) -> tuple[Procedure, ...]:
    """Of the inventory `name`, as a shell takes it, without their plans."""
    on = f"-i {name}"
    status = f"the last lines count which release answers where; `dojo status {on}` counts again"
    itself = "it undoes itself when a gate fails"
    stopped = f"`dojo resume {on}` goes on with one that was stopped, `dojo abort {on}` undoes it"
    return (
        Procedure(
            "Rolling deployment",
            "A release is built once and enters service host by host; users notice nothing",
            (
                (f"dojo deploy {on} --ref REF --dry-run", "every command, no change"),
                (f"dojo deploy {on} --ref REF", "do it"),
            ),
            status,
            f"{itself}; afterwards `dojo rollback {on}`; {stopped}",
            strategy="rolling",
        ),
        Procedure(
            "Blue-green deployment",
            "The release comes up beside the one that serves, and gets all traffic at once",
            (
                (f"dojo deploy {on} --strategy blue-green --ref REF --dry-run", "every command, no change"),
                (f"dojo deploy {on} --strategy blue-green --ref REF", "do it"),
                (f"dojo retire {on}", "when the standby is due"),
            ),
            status,
            f"while the old colour stands by, `dojo rollback {on}` is a switch of seconds; {stopped}",
            strategy="blue-green",
        ),
        Procedure(
            "Rollback",
            "The last release that passed its gates serves again, if the schema lets it; nothing is built or fetched",
            (
                (f"dojo releases {on}", "what passed, what is bad and why"),
                (f"dojo rollback {on} --dry-run", "whether the schema lets it"),
                (f"dojo rollback {on}", "do it; --to names another"),
            ),
            status,
            f"{itself}; `dojo rollback {on} --to RELEASE` goes forward again; {stopped}",
            strategy="rollback",
        ),
        Procedure(
            "Restart",
            "What runs is started anew, batch by batch",
            ((f"dojo restart {on}", "do it"),),
            status,
            f"there is nothing to take back; {stopped}",
            strategy="restart",
        ),
        Procedure(
            "Migrations alone",
            "The database is brought to what the release that serves came with: after a restore, say",
            (
                (f"dojo db.status {on}", "what it has seen"),
                (f"dojo db.migrate {on}", "do it"),
            ),
            f"`dojo db.status {on}` names nothing that is pending",
            f"`dojo db.reverse {on}` writes the migration that takes one back, to be shipped forwards",
            strategy="migrate",
        ),
        Procedure(
            "Maintenance",
            "The site is closed, backed up, worked on, verified and opened again",
            (
                (f"dojo maintenance.schedule {on} --at TIME", "UTC; users are told a day before"),
                (f"dojo maintenance.start {on}", "in the window"),
                (f"dojo maintenance.extend {on} --by 30m", "longer; also while it runs"),
                (f"dojo maintenance.finish {on}", "after work by hand: verify, and open"),
            ),
            f"`dojo maintenance.status {on}`: no window is open, the page is down",
            f"`dojo maintenance.abort {on}` gives it up and brings the site back",
            strategy="maintenance",
        ),
        Procedure(
            "Backup",
            "The database lies in the store, whole, and is known to come back",
            (
                (f"dojo backup.create {on}", "dumped, read back, then it counts"),
                (f"dojo backup.drill {on}", "restored on trial, counted, dropped"),
                (f"dojo backup.status {on}", "ends 30 if there is nothing to rely on"),
            ),
            f"`dojo backup.verify {on}` reads every byte again",
            f"nothing is changed but the store; `dojo backup.prune {on}` removes what is too old",
        ),
        Procedure(
            "Restore",
            "A backup takes the place of the live database, which is kept",
            (
                (f"dojo backup.list {on}", "which there are, and which is proven"),
                (f"dojo backup.restore {on} --dry-run", "which rows are given up"),
                (f"dojo backup.restore {on} --confirm DATABASE", "do it"),
            ),
            "it counts what came back before users are let in again",
            f"`dojo backup.restore {on} --undo --confirm DATABASE`: the two trade places again, for 7 days",
            strategy="restore",
        ),
        Procedure(
            "A run that was stopped",
            "Its machine died, its link was cut, or somebody pressed Ctrl-C; any machine goes on from the store",
            (
                (f"dojo status {on}", "which run is open, and who holds the lock"),
                (f"dojo resume {on}", "go on with it"),
                (f"dojo abort {on}", "or undo it"),
            ),
            status,
            "either of them may be stopped, and typed again",
        ),
    )
