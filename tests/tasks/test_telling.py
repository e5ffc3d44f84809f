"""What commands print at their end: no settings that may be secrets, and nothing that hides how the run ended."""

from __future__ import annotations

import json

import pytest
from invoke import Context, Exit

from dojo_deploy.app import backups, windows
from dojo_deploy.backups.catalogue import Backup, Catalogue
from dojo_deploy.backups.manifest import Manifest
from dojo_deploy.errors import StoreError
from dojo_deploy.tasks import backup, maintenance

SECRET = {"settings": [["shop", "app.key=hunter2"]]}
MADE = Manifest("20261127T201800Z-aaaaaa", "shop", "7", "18.4", "18.4", "", 1.0, "me", properties=SECRET)


def test_the_settings_of_roles_are_not_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = Backup("20261126T201800Z-bbbbbb", None, damage="half")
    monkeypatch.setattr(backups, "listed", lambda _: Catalogue((Backup(MADE.id, MADE), damaged)))
    monkeypatch.setattr(backups, "back_up", lambda *_, **__: MADE)
    backup.list(Context(), json=True)
    backup.create(Context(), json=True)
    said = capsys.readouterr().out
    assert said.count(MADE.id) == 3 and '"damage": "half"' in said
    assert "hunter2" not in said
    assert json.loads(said[: said.index("]\n{") + 1])[0]["manifest"]["database"] == "shop"


def test_a_window_that_cannot_be_shown_hides_not_how_the_run_ended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(*_: object, **__: object) -> None:
        raise Exit(code=20)

    def status(_: object) -> None:
        raise StoreError("the store does not answer")

    monkeypatch.setattr(maintenance, "change", change)
    monkeypatch.setattr(windows, "status", status)
    with pytest.raises(Exit) as ended:
        maintenance.finish(Context())
    assert ended.value.code == 20
    assert "window     not known: the store does not answer" in capsys.readouterr().out
