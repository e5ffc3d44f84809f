"""What people get wrong first: one line each, with file, line, and what was probably meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DOJO = Path(sys.executable).parent / "dojo"
SITE = """\
app:
  name: shop
  root: /srv/shop
  keep: 5
  processes: {kind: pm2, web: {script: server.js, port: 3000}}
  source: {ref: main}
hosts:
  web: [web1, web2, web3]
  left: [web1]
  right: [web2, web3]
  lb: [lb1]
balancer: {kind: nginx, hosts: lb}
colours: {blue: left, green: right}
ssh: {agent: true}
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  keep: 5", "  kepe: 5", "4: app.kepe: unknown key; did you mean keep?"),
        ("keep: 5", "keep: five", '4: app.keep: wants a whole number like 3, got the text "five"'),
        ("  keep: 5", "  keep: 5\n  keep: 6", "5: app.keep: the key stands twice, first on line 4"),
        ("  keep: 5", "\tkeep: 5", "4: a tab; YAML is indented with spaces only"),
        ("agent: true", "agent: no", '14: ssh.agent: wants true or false, got the text "no"; write false'),
        ("port: 3000", "port: 22:22", '"22:22"; "22:22" is text, never a number in base 60'),
        ("port: 3000", "port: 03000", "write 3000 without the leading zero"),
        ("ref: main", "ref: 1234567", '6: app.source.ref: wants text, got the number 1234567; write "1234567"'),
        ("ref: main", "ref: 1234e56", '6: app.source.ref: wants text, got the number 1234e56; write "1234e56"'),
        (
            "right: [web2, web3]",
            "right: [web1, web2, web3]",
            "13: colours: wants each host of the group web in one of ",
        ),
        ("right: [web2, web3]", "right: [web1, web2, web3]", "and no other; web1 is in both"),
        ("right: [web2, web3]", "right: [web2]", "13: colours: wants each host of the group web in one of left and"),
        ("right: [web2, web3]", "right: [web2, web3, lb1]", "and no other; lb1 is not in web"),
        ("web: [web1, web2, web3]", "web: []", "8: hosts.web: is empty; releases go to the hosts of this group, like"),
        ("lb: [lb1]", "lb: []", "11: hosts.lb: is empty; the balancer runs on the hosts of this group, like [lb1]"),
        ("lb: [lb1]", "lb: [lb1]\n  db: []", "12: hosts.db: is empty; name its hosts, or leave the group out"),
        ("kind: nginx", "kind: ngnix", '12: balancer.kind: unknown kind "ngnix"; did you mean nginx?'),
    ],
)
def test_a_mistake_is_one_line_that_says_what_was_meant(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert SITE.count(old) == 1
    done = typed(tmp_path, SITE.replace(old, new), "inventory")

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("inventories/production.yml:"), done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("ref", ["0123456", "no", "1e999", "12:30"])
def test_what_other_readers_bend_is_text(ref: str, tmp_path: Path) -> None:
    done = typed(tmp_path, SITE.replace("ref: main", f"ref: {ref}"), "inventory", "--json")

    assert done.returncode == 0 and json.loads(done.stdout)["app"]["source"]["ref"] == ref


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("strategy: roling\n", 'strategies/ours.yml:1: strategy: unknown kind "roling"; did you mean rolling?'),
        (
            "strategy: rolling\n\nbatches: 1\n",
            "strategies/ours.yml:3: batches: wants a list like [a, b], got the number 1",
        ),
        (
            "strategy: rolling\ngate: {wihtin: 1m}\n",
            "strategies/ours.yml:2: gate.wihtin: unknown key; did you mean wit",
        ),
    ],
)
def test_a_mistake_in_a_strategy_names_its_file(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies/ours.yml").write_text(text)
    done = typed(tmp_path, SITE, "deploy", "-s", "ours", "--dry-run")

    assert done.returncode == 2 and done.stderr.startswith(said), done.stderr
    assert done.stderr.count("\n") == 1


def typed(folder: Path, site: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "inventories").mkdir()
    (folder / "inventories/production.yml").write_text(site)
    env = {name: value for name, value in os.environ.items() if name != "DOJO_INVENTORY"}
    return subprocess.run([DOJO, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
