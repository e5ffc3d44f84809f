"""Plain data -> YAML that is read back as the same."""

from __future__ import annotations

from typing import Any

import yaml

from dojo_deploy.configuration.scalars import scalar


def written(plain: Any) -> str:
    """For people: keys in their order, short lists and mappings on one line."""
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Aliases are not read here, and what is no text without quotes differs from what other readers think."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_text = isinstance(scalar(text), str)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_text else "'")


_Dumper.add_representer(str, _text)
