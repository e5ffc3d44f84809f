"""What the program can do, as functions: the tasks and `from dojo_deploy import …` both end here.

changes       deploy, rollback, restart, retire, resume, abort: a run each
plans         what a run would do; which strategy is meant
looks         status, history, releases, report: reads only
backups       the database dumped, read again, restored
migrations    its schema brought to what serves
windows       maintenance: the site closed, worked on, opened
sites         from a name or a path to an open session
"""

from dojo_deploy.app.changes import abort, deploy, restart, resume, retire, rollback
from dojo_deploy.app.looks import history, holder, record, releases, report, status
from dojo_deploy.app.plans import about, choose, plan
from dojo_deploy.app.sites import Site, read

__all__ = [
    "Site",
    "abort",
    "about",
    "choose",
    "deploy",
    "history",
    "holder",
    "plan",
    "read",
    "record",
    "releases",
    "report",
    "restart",
    "resume",
    "retire",
    "rollback",
    "status",
]
