"""Notifiers: who tells people outside of a maintenance window, and keeps what it told up to date.

Each kind is a frozen dataclass of settings with the methods of `interfaces.Notifier`; what cannot be told now waits in
the outbox. tests/notifiers/test_contract.py holds every kind to them.
"""

KINDS = {
    "status_page": "dojo_deploy.notifiers.status_page:StatusPage",
    "statuspage.io": "dojo_deploy.notifiers.atlassian:Atlassian",
}
