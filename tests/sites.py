"""Inventories for tests that need no host."""

from dojo_deploy.testing.sites import NEW, OLD, fleet, site

__all__ = ["NEW", "OLD", "fleet", "site"]
