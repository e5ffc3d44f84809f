"""Plain data -> YAML that is read back as the same."""

from __future__ import annotations

from typing import Any

import yaml


def written(plain: Any) -> str:
    """For people: keys in their order, short lists and mappings on one line."""
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
