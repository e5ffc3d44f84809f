from __future__ import annotations

import pytest

from dojo_deploy.errors import RefusedError
from dojo_deploy.release import HostSeen, Known, Observed
from dojo_deploy.runs import which

V0, V1 = Known("v0", passed="2026-01-01"), Known("v1", "c1aaaaaaa", "main", passed="2026-01-02")
V2 = Known("v2")  # on some hosts only
HOSTS = ("web1", "web2", "web3")


def _seen(*current: str, known: tuple[Known, ...] = (V0, V1, V2)) -> Observed:
    hosts = {name: HostSeen(name, {"blue": release}) for name, release in zip(HOSTS, current, strict=True)}
    return Observed(hosts, known)


@pytest.mark.parametrize(
    ("hosts", "goes_to"),
    [
        (("web1",), "v1"),  # the way back of `deploy --limit web1`
        (HOSTS, "v1"),  # what is left is the newest that any of them runs
        (("web2", "web3"), "v0"),
    ],
)
def test_after_a_partial_deployment_a_rollback_goes_back_from_what_its_own_hosts_run(
    hosts: tuple[str, ...], goes_to: str
) -> None:
    assert which.earlier(_seen("v2", "v1", "v1"), "", hosts).id == goes_to


def test_a_rollback_passes_over_bad_releases_and_those_that_never_passed() -> None:
    bad = Known("v1", passed="2026-01-02", bad="it leaked")
    seen = _seen("v3", "v3", "v3", known=(V0, bad, V2, Known("v3", passed="2026-01-03")))
    assert which.earlier(seen, "", HOSTS).id == "v0"


def test_without_an_earlier_release_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(RefusedError, match="no earlier release"):
        which.earlier(_seen("v0", "v0", "v0", known=(V0,)), "", HOSTS)


@pytest.mark.parametrize("to", ["v1", "main", "c1aaaaaaa", "c1aaaa"])
def test_a_release_is_named_by_id_ref_or_commit(to: str) -> None:
    assert which.earlier(_seen("v2", "v2", "v2"), to, HOSTS).id == "v1"


def test_a_release_that_only_a_host_knows_can_be_named() -> None:
    seen = Observed({"web1": HostSeen("web1", releases=("old",))})
    assert which.earlier(seen, "old", ("web1",)).id == "old"
    with pytest.raises(RefusedError, match="no release 'older'"):
        which.earlier(seen, "older", ("web1",))


def test_a_restart_is_about_what_most_hosts_run() -> None:
    assert which.present(_seen("v2", "v1", "v1")).commit == "c1aaaaaaa"
    assert which.present(Observed({"web1": HostSeen("web1")})).id == ""
