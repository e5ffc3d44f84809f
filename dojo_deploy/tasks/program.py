"""`dojo`: the same tasks as a program of its own, from any folder."""

from __future__ import annotations

from invoke import Program

import dojo_deploy
from dojo_deploy.tasks import namespace

program = Program(name="dojo", binary="dojo", version=dojo_deploy.__version__, namespace=namespace)


def main() -> None:
    program.run()
