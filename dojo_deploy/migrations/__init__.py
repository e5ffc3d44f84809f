"""What a migration would do to the release that still runs, read from its SQL before anything is changed. Pure.

tokens     SQL text -> statements of tokens, with their lines
statements what PostgreSQL does for a statement, and what the old release sees of it
tables     the same for each action of an ALTER TABLE
lint       a file, or all pending ones in their order -> findings
folders    the migrations of a folder, or of a release's artifact
commands   which shell lines a migration tool may be started with
"""

from dojo_deploy.migrations.lint import lint, lint_all

__all__ = ["lint", "lint_all"]
