"""An artifact from elsewhere is taken whole or refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from workshop import Workshop

from dojo_deploy.builds import adopt
from dojo_deploy.errors import ConfigError, RefusedError


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def tar(path: Path, *members: tarfile.TarInfo, note: str = "") -> Path:
    with tarfile.open(path, "w:gz") as out:
        for each in (*members, *([member("./.dojo-release.json")] if note else [])):
            data = note.encode() if each.name.endswith(".dojo-release.json") else b""
            each.size = len(data)
            out.addfile(each, io.BytesIO(data))
    return path


def test_a_ci_artifact_is_named_by_its_bytes_and_its_note(shop: Workshop, tmp_path: Path) -> None:
    note = '{"commit": "0123456789abcdef", "ref": "v2", "platform": {"machine": "riscv64"}}'
    file = tar(tmp_path / "a.tar.gz", member("./server.js"), note=note)
    built = adopt(file, shop.site(), cache=shop.cache)
    assert built.release.id == f"0123456789-{built.release.sha256[:8]}"
    assert (built.release.ref, built.release.platform.machine) == ("v2", "riscv64")
    assert built.path.parent == shop.cache / "artifacts" and built.path.read_bytes() == file.read_bytes()
    bare = adopt(tar(tmp_path / "b.tar.gz", member("server.js")), shop.site())
    assert bare.release.id == f"artifact-{bare.release.sha256[:8]}" and bare.path == tmp_path / "b.tar.gz"


def test_what_was_built_here_can_be_adopted(shop: Workshop) -> None:
    built = shop.build(shop.site("cp /bin/true tool"))
    adopted = adopt(built.path, shop.site())
    assert (adopted.release.commit, adopted.release.sha256) == (built.release.commit, built.release.sha256)
    assert adopted.release.platform == built.release.platform


@pytest.mark.parametrize(
    "members",
    [
        [member("../x")],
        [member("/etc/x")],
        [member("a/../../x")],
        [member("link", tarfile.SYMTYPE, "/etc"), member("x")],
        [member("link", tarfile.SYMTYPE, "../.."), member("x")],
        [member("link", tarfile.SYMTYPE, "a"), member("link/x")],
        [member("hard", tarfile.LNKTYPE, "../x"), member("x")],
        [member("pipe", tarfile.FIFOTYPE), member("x")],
        [member("disk", tarfile.BLKTYPE), member("x")],
        [member(".git/config")],
        [member(".dojo/complete")],
        [],
    ],
    ids=lambda members: ",".join(each.name for each in members) or "empty",
)
def test_a_member_that_could_leave_the_release_is_refused(
    shop: Workshop, tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    with pytest.raises(RefusedError):
        adopt(tar(tmp_path / "bad.tar.gz", *members), shop.site(), cache=shop.cache)
    assert not shop.cache.exists()


@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_a_torn_file_is_refused(shop: Workshop, tmp_path: Path, left: float) -> None:
    file = tar(tmp_path / "a.tar.gz", *(member(f"f{number}") for number in range(50)))
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * left)])
    with pytest.raises(RefusedError):
        adopt(file, shop.site())
    file.write_bytes(b"not a tar")
    with pytest.raises(RefusedError):
        adopt(file, shop.site())
    with pytest.raises(ConfigError):
        adopt(tmp_path / "nothing.tar.gz", shop.site())
