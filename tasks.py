"""Invoke's entry point: `invoke --list`."""

from dojo_deploy.tasks import namespace

__all__ = ["namespace"]
