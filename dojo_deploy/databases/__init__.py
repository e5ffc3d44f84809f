"""Databases, and how each is dumped, read through, restored and counted. The contract is in `database.py`."""

KINDS = {
    "postgres": "dojo_deploy.databases.postgres:Postgres",
}
