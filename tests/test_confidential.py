"""What is masked of an inventory, and what is not: an env file holds settings beside secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from dojo_deploy.confidential import confidential, redactor
from dojo_deploy.config import inventory_from_document
from dojo_deploy.errors import ConfigError
from dojo_deploy.inventory import Inventory
from dojo_deploy.session import OpenSession


def site_of(tmp_path: Path, held: str, **app: object) -> Inventory:
    (tmp_path / "app.env").write_text(held)
    document = {
        "app": {
            "name": "shop",
            "environment": "eu-west",
            "root": "/srv/shop",
            "env_file": {"file": str(tmp_path / "app.env")},
            **app,
        },
        "hosts": {
            "web": [
                {
                    "name": "db1.example.org",
                    "address": "192.0.2.7",
                }
            ]
        },
        "balancer": "none",
        "store": {"kind": "directory", "path": str(tmp_path / "store")},
    }
    return inventory_from_document(document, path=tmp_path / "eu-west.yml")


def test_settings_of_an_env_file_are_shown_and_its_secrets_are_not(tmp_path: Path) -> None:
    env = (
        "NODE_ENV=production\nAPP=shop\nREGION=eu-west\nDATABASE_HOST=db1.example.org\nADDRESS=192.0.2.7\n"
        "PORT=3000\nREDIS_PORT=6379\nLOG_LEVEL=debug\nTLS=true\nJWT_SECRET=hunter22\nURL=postgres://a:b@db1/x\n"
    )

    assert confidential(site_of(tmp_path, env)) >= {"hunter22", "postgres://a:b@db1/x"}
    line = "shop in eu-west on db1.example.org (192.0.2.7:3000, 6379): production, debug, true"
    assert redactor(site_of(tmp_path, env))(line) == line
    assert redactor(site_of(tmp_path, env))("it is hunter22") == "it is ***"


def test_what_is_written_as_a_reference_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAK", "production")
    site = site_of(tmp_path, "", env={"PASSWORD": {"env": "WEAK"}})
    assert redactor(site)("its password is production") == "its password is ***"


def test_one_that_cannot_be_read_leaves_the_others_masked(tmp_path: Path) -> None:
    site = site_of(tmp_path, "KEY=hunter22\n", env={"PASSWORD": {"env": "NOWHERE_SET"}})

    assert confidential(site, readable=True) == {"hunter22", (tmp_path / "app.env").read_text().rstrip()}
    with pytest.raises(ConfigError, match="NOWHERE_SET"):
        confidential(site)


def test_a_session_masks_the_secrets_of_every_inventory_it_turned_to(tmp_path: Path) -> None:
    session = OpenSession(site_of(tmp_path, "KEY=today's key\n"))
    redact = session.redact
    then = tmp_path / "then"
    then.mkdir()

    session.turn_to(site_of(then, "KEY=yesterday's key\n"))

    assert redact("today's key, yesterday's key") == "***, ***"
    session.close()
