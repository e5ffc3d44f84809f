"""Databases, and how each is dumped, read through, restored, counted and tuned. The contract is in `database.py`."""

KINDS = {
    "postgres": "dojo_deploy.databases.postgres:Postgres",
}
