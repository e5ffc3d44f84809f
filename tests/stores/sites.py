"""What a store needs of a session."""

from dojo_deploy.testing.places import LocalShell, Site, WallClock

__all__ = ["LocalShell", "Site", "WallClock"]
