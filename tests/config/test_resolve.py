"""One resolver for our kinds and for everybody's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dojo_deploy.config import resolve
from dojo_deploy.configuration.resolve import FAMILIES, kinds_of
from dojo_deploy.errors import ConfigError

from . import families

HERE = families.__name__
BUILT = list(FAMILIES.values())


@pytest.mark.parametrize(("family", "kind"), [(family, kind) for family in BUILT for kind in kinds_of(family)])
def test_every_kind_of_every_family_resolves_to_a_class_that_fits(family: str, kind: str) -> None:
    assert isinstance(resolve(family, kind), type)


def test_a_class_from_elsewhere_resolves_by_its_module_and_name() -> None:
    assert resolve("probes", families.LISTENS) is families.Listens
    assert resolve({"mine": families.CANARY}, "mine") is families.Canary


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rollng", 'unknown kind "rollng"; did you mean rolling?'),
        ("quantum", 'unknown kind "quantum"; there is: rolling'),
        ("no_such.module:Class", "there is no module no_such.module"),
        ("json.nope:Class", "there is no module json.nope"),
        (f"{HERE}:Canari", "has no class Canari; did you mean Canary?"),
        (f"{HERE}:Plain", "is no dataclass"),
        (f"{HERE}:CANARY", "is no dataclass"),
        (f"{HERE}:Unfit", "Unfit is no Strategy: it has no plan"),
        ("..:x", "unknown kind"),
        (":x", "unknown kind"),
        ("os.path:join:x", "unknown kind"),
        ("os;x:y", "unknown kind"),
        ("", "unknown kind"),
    ],
)
def test_what_cannot_be_resolved_says_why(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve("strategies", name)
    assert said in str(caught.value)


def test_a_module_that_fails_to_import_is_a_configuration_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for name, text, said in [
        ("broken_one", "1 / 0", "broken_one cannot be imported: ZeroDivisionError: division by zero"),
        ("broken_two", "def", "broken_two cannot be imported: SyntaxError"),
        ("broken_three", "import not_installed_here", "needs the Python package not_installed_here"),
    ]:
        (tmp_path / f"{name}.py").write_text(text)
        with pytest.raises(ConfigError) as caught:
            resolve("probes", f"{name}:X")
        assert said in str(caught.value)
        assert name not in sys.modules
