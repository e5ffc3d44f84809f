"""Real repositories, real commands."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from workshop import Workshop, contents

from dojo_deploy.errors import ConfigError, RefusedError
from dojo_deploy.secrets import Secret

TOKEN = "tok-4711-of-the-registry"


def test_a_commit_is_built_once_and_has_one_name(shop: Workshop) -> None:
    first = shop.build(shop.site("echo hello > made.txt"))
    assert first.release.id.startswith(shop.git("rev-parse", "HEAD")[:10] + "-")
    assert first.release.ref == "main"
    assert contents(first)["made.txt"] == "hello\n"
    assert "$ echo hello > made.txt" in shop.said
    again = shop.build(shop.site("echo hello > made.txt"), ref=first.release.commit[:12])
    assert (again.release.id, again.release.sha256, again.path) == (first.release.id, first.release.sha256, first.path)
    assert any("is built already" in line for line in shop.said)
    assert not list((shop.root / "work").iterdir())
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o600


def test_anything_that_changes_the_result_changes_the_name(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD_TOKEN", TOKEN)
    sites = [
        shop.site(),
        shop.site("true"),
        shop.site(env={"VITE_API": "https://api.example.org"}),
        shop.site(env={"VITE_API": "https://other.example.org"}),
        shop.site(path="apps/web"),
        shop.site(env={"TOKEN": Secret("env", "BUILD_TOKEN")}),
    ]
    names = [shop.build(site).release.id for site in sites]
    monkeypatch.setenv("BUILD_TOKEN", TOKEN + "-rotated")
    names.append(shop.build(shop.site(env={"TOKEN": Secret("env", "BUILD_TOKEN")})).release.id)
    shop.commit({"server.js": "2"})
    names.append(shop.build(shop.site()).release.id)
    assert len(set(names)) == len(names)


def test_the_same_tree_gives_the_same_bytes(shop: Workshop) -> None:
    site = shop.site("mkdir -p dist/deep; echo x > dist/deep/x; ln -s deep/x dist/link; chmod 755 dist/deep/x")
    first = shop.build(site)
    shutil.rmtree(shop.cache)
    time.sleep(1.1)
    old = os.umask(0o007)
    try:
        second = shop.build(site)
    finally:
        os.umask(old)
    assert first.release == second.release
    with tarfile.open(second.path) as tar:
        members = tar.getmembers()
    assert {member.mtime for member in members} == {int(shop.git("show", "-s", "--format=%ct"))}
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}
    assert {member.name: oct(member.mode) for member in members if "deep" in member.name} == {
        "dist/deep": "0o755", "dist/deep/x": "0o755",
    }  # fmt: skip


def test_a_build_sees_its_own_environment_and_not_ours(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCTION_PASSWORD", "must-not-be-seen")
    monkeypatch.setenv("npm_config_registry", "https://npm.example.org/")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    built = shop.build(shop.site("env > env.txt; git rev-parse HEAD > head.txt; pwd", env={"VITE_API": "a b'c"}))
    seen = contents(built)["env.txt"]
    assert "PRODUCTION_PASSWORD" not in seen and "GIT_DIR" not in seen
    for line in ("VITE_API=a b'c", f"RELEASE={built.release.id}", "npm_config_registry=https://npm.example.org/"):
        assert line in seen.splitlines()
    home = next(line for line in seen.splitlines() if line.startswith("HOME="))
    assert home != f"HOME={Path.home()}" and str(shop.root / "work") in home
    assert contents(built)["head.txt"].strip() == built.release.commit


def test_a_secret_of_the_build_is_neither_shown_nor_in_argv_nor_shipped(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILD_TOKEN", TOKEN)
    env = {"TOKEN": Secret("env", "BUILD_TOKEN")}
    look = (
        'echo "with $TOKEN"; seen=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n"); '
        'case $seen in *"$TOKEN"*) echo in argv;; *"seen=$"*) echo not in argv;; esac'
    )
    built = shop.build(shop.site(look, env=env))
    assert "with ***" in shop.said and "not in argv" in shop.said
    assert not [line for line in shop.said if TOKEN in line]
    assert TOKEN.encode() not in built.path.read_bytes() + built.path.with_suffix("").with_suffix(".json").read_bytes()

    far = 'head -c 65530 /dev/zero > dist.bin; printf %s "$TOKEN" >> dist.bin'
    with pytest.raises(RefusedError, match=r"dist\.bin holds the value of a secret") as refused:
        shop.build(shop.site(far, env=env))
    assert TOKEN not in str(refused.value)
    with pytest.raises(RefusedError) as failed:
        shop.build(shop.site('echo "no access with $TOKEN"; false', env=env))
    assert "no access with ***" in str(failed.value) and TOKEN not in str(failed.value)


def test_a_failing_command_ends_the_build_and_says_why(shop: Workshop) -> None:
    with pytest.raises(RefusedError) as failed:
        shop.build(shop.site("echo fine", "echo 'AssertionError: 1 != 2' >&2; exit 3", "touch never"))
    assert "build command 2 of 3: exit status 3" in str(failed.value)
    assert "AssertionError: 1 != 2" in str(failed.value)
    assert not (shop.cache / "artifacts").exists() and not list((shop.root / "work").iterdir())


def test_a_build_that_takes_too_long_is_killed_with_its_children(shop: Workshop) -> None:
    mark = f"{os.getpid()}.5150"
    begun = time.monotonic()
    with pytest.raises(RefusedError, match="not done within the build's 1 s"):
        shop.build(shop.site(f"echo begun; sleep {mark} & sleep {mark}", within=1))
    assert time.monotonic() - begun < 5
    assert "begun" in shop.said
    assert not _running(mark)


def test_what_a_command_leaves_behind_does_not_hold_the_build(shop: Workshop) -> None:
    mark = f"{os.getpid()}.5151"
    begun = time.monotonic()
    shop.build(shop.site(f"sleep {mark} & echo done"))
    assert time.monotonic() - begun < 5
    assert "done" in shop.said
    assert not _running(mark)


def test_output_comes_line_by_line_whatever_it_is(shop: Workshop) -> None:
    shop.build(shop.site("printf 'a\\r50%%\\r100%%\\nb\\303\\251\\n\\377x\\r\\nlast'", path="apps/web"))
    assert shop.said[-5:] == ["50%", "100%", "bé", "\ufffdx", "last"]


def test_an_unknown_ref_is_refused_with_what_is_near(shop: Workshop) -> None:
    shop.git("branch", "feature/checkout")
    with pytest.raises(ConfigError) as refused:
        shop.build(shop.site(), ref="feature/chekout")
    assert "feature/checkout" in refused.value.hint
    with pytest.raises(ConfigError, match="no commit '--upload-pack=x'"):
        shop.build(shop.site(), ref="--upload-pack=x")


def test_a_folder_of_a_monorepo_is_built_where_it_is(shop: Workshop) -> None:
    built = shop.build(shop.site("cat ../../server.js > root.txt", path="apps/web"))
    assert {name: text for name, text in contents(built).items() if not name.startswith(".dojo")} == {
        "index.js": "web", "root.txt": "1",
    }  # fmt: skip
    for path in ("apps/nothing", "../x", "/etc", "server.js"):
        with pytest.raises(ConfigError):
            shop.build(shop.site(path=path))


def test_private_files_stay_at_home_and_are_named(shop: Workshop) -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"
    shop.commit(
        {
            ".npmrc": "//x:_authToken=1",
            ".env.production": "A=1",
            "keys/id": key,
            "ca.pem": "-----BEGIN CERTIFICATE-----",
        }
    )
    names = set(contents(shop.build(shop.site("mkdir .dojo; touch .dojo/complete"))))
    assert names == {
        ".dojo-release.json", "apps", "apps/web", "apps/web/index.js", "ca.pem", "keys", "package.json", "server.js",
    }  # fmt: skip
    left_out = next(line for line in shop.said if line.startswith("left out"))
    for name in (".npmrc", ".env.production", "apps/.env", "keys/id", ".dojo"):
        assert name in left_out


@pytest.mark.parametrize(
    "line",
    ["ln -s /etc/passwd out", "ln -s ../../x out", "mkdir d; ln -s .. d/up; ln -s d/up/../../x out", "mkfifo pipe"],
)
def test_a_tree_that_reaches_outside_is_refused(shop: Workshop, line: str) -> None:
    with pytest.raises(RefusedError):
        shop.build(shop.site(line))
    assert not list(shop.cache.glob("artifacts/*"))


def test_a_spoilt_cache_is_built_again(shop: Workshop) -> None:
    site = shop.site("echo x > x")
    first = shop.build(site)
    sidecar = first.path.with_suffix("").with_suffix(".json")
    for spoil in (
        lambda: first.path.write_bytes(first.path.read_bytes()[:-1]),
        lambda: sidecar.write_text("{"),
        lambda: sidecar.write_text("{}"),
        lambda: sidecar.unlink(),
        lambda: first.path.unlink(),
    ):
        spoil()
        assert shop.build(site).release == first.release
        assert "$ echo x > x" in shop.said
    assert shop.build(site).release == first.release and "$ echo x > x" not in shop.said


def test_the_cache_keeps_five(shop: Workshop) -> None:
    made = [shop.build(shop.site(f"echo {number}")) for number in range(7)]
    left = {path.name for path in (shop.cache / "artifacts").iterdir()}
    assert left == {f"{built.release.id}{end}" for built in made[2:] for end in (".tar.gz", ".json")}


def test_a_checkout_builds_its_main_branch_and_warns_of_changes(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.git("checkout", "-q", "-b", "topic")
    shop.commit({"server.js": "topic"})
    (shop.repository / "server.js").write_text("not committed")
    monkeypatch.chdir(shop.repository / "apps")
    built = shop.build(shop.site(repository=""))
    assert contents(built)["server.js"] == "1" and built.release.ref == "main"
    assert "1 uncommitted changes" in shop.said[0]
    assert contents(shop.build(shop.site(repository=""), ref="topic"))["server.js"] == "topic"
    assert shop.git("status", "--porcelain") == "M server.js", "the checkout itself is left as it was"


def test_a_remote_repository_is_mirrored_and_its_default_branch_followed(shop: Workshop) -> None:
    shop.git("checkout", "-q", "-b", "trunk")
    url = f"file://{shop.repository}"
    assert shop.build(shop.site(repository=url)).release.ref == "trunk"
    new = shop.commit({"server.js": "3"})
    assert shop.build(shop.site(repository=url)).release.commit == new
    with pytest.raises(RefusedError):
        shop.build(shop.site(repository=f"file://{shop.root}/nowhere"))
    with pytest.raises(ConfigError):
        shop.build(shop.site(repository=str(shop.root / "nowhere")))


def test_a_shallow_checkout_as_a_ci_has_it_can_be_built(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    new = shop.commit({"server.js": "4"})
    shallow = shop.root / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{shop.repository}", str(shallow)], check=True)
    subprocess.run(["git", "-C", str(shallow), "checkout", "-q", "--detach"], check=True)
    monkeypatch.chdir(shallow)
    assert shop.build(shop.site(repository=""), ref="HEAD").release.commit == new


def test_submodules_are_refused_in_words(shop: Workshop) -> None:
    shop.commit({".gitmodules": '[submodule "x"]\n'})
    with pytest.raises(RefusedError, match="submodules"):
        shop.build(shop.site())


def test_only_native_code_ties_a_release_to_a_platform(shop: Workshop) -> None:
    assert str(shop.build(shop.site("true")).release.platform) == ""
    built = shop.build(shop.site("cp /bin/true tool"))
    assert built.release.platform.system == "linux" and built.release.platform.libc in ("glibc", "musl")
    assert json.loads(contents(built)[".dojo-release.json"])["platform"]["machine"] == os.uname().machine


def test_a_host_builds_the_same_as_this_machine(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD_TOKEN", TOKEN)
    (shop.root / "home").mkdir()
    monkeypatch.setenv("HOME", str(shop.root / "home"))
    env = {"TOKEN": Secret("env", "BUILD_TOKEN"), "WORD": "a b"}
    lines = ('echo "$TOKEN" | tr a-z A-Z; printf %s "$WORD" > word', "cp word copy; chmod 755 copy; ln -s copy link")
    there = shop.build(shop.site(*lines, env=env, on="builder", path="apps/web"))
    assert contents(there)["word"] == "a b" and TOKEN.upper() in shop.said
    assert not list((shop.root / "home" / ".cache").iterdir()), "nothing is left on the host"
    shutil.rmtree(shop.cache)
    assert shop.build(shop.site(*lines, env=env, path="apps/web")).release == there.release
    with pytest.raises(RefusedError, match="command 1 of 1: exit status 7"):
        shop.build(shop.site("echo why >&2; exit 7", on="builder"))
    assert "why" in shop.said
    with pytest.raises(RefusedError, match="not done within"):
        shop.build(shop.site("sleep 30", on="builder", within=1))
    with pytest.raises(ConfigError, match="no host 'nobody'"):
        shop.build(shop.site(on="nobody"))
    assert not list((shop.root / "home" / ".cache").iterdir())


def _running(mark: str) -> bool:
    found = subprocess.run(["pgrep", "-f", f"sleep {mark}"], capture_output=True)
    return found.returncode == 0
