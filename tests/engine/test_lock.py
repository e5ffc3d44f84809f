"""The lock's rules on a clock that the test moves; races between real processes are in tests/stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dojo_deploy.engine.holder import Holder
from dojo_deploy.engine.lock import Lease, read, take
from dojo_deploy.errors import ConflictError, FencedError, InterruptedRunError, LockedError, OpenRunError, StoreError
from dojo_deploy.interfaces import Store
from dojo_deploy.stores.directory import DirectoryStore

ELSEWHERE = Holder("ann", "ci-7", 812, "another boot", "100", "https://ci.example.org/jobs/9")


class TestClock:
    """Time passes when a test says so, or when the main thread sleeps; sleepers that can be woken wait for it."""

    __test__ = False

    def __init__(self) -> None:
        self.time = 1000.0
        self.moved = threading.Condition()
        self.dues: list[float] = []
        self.on_sleep = lambda: None

    def now(self) -> float:
        return 1_800_000_000.0 + self.time

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float, wake: threading.Event | None = None) -> None:
        if wake is None:
            self.advance(seconds)
            self.on_sleep()
            return
        with self.moved:
            due = self.time + seconds
            self.dues.append(due)
            while self.time < due and not wake.is_set():
                self.moved.wait(0.01)
            self.dues.remove(due)

    def advance(self, seconds: float) -> None:
        with self.moved:
            self.time += seconds
            self.moved.notify_all()

    def settle(self, lease: Lease) -> None:
        """Until its heartbeat sleeps, or has ended: who falls asleep after the clock was moved sleeps on from there."""
        _until(lambda: any(due > self.time for due in self.dues) or not lease._thread.is_alive())


class Flaky:
    """A store that can be cut off."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.down = False

    def __getattr__(self, name: str) -> object:
        if self.down:
            raise StoreError("the store is down")
        return getattr(self.store, name)


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def store(tmp_path: Path, clock: TestClock) -> Store:
    (tmp_path / "s").mkdir()
    return DirectoryStore(tmp_path / "s", clock)


@pytest.fixture
def leases() -> Iterator[list[Lease]]:
    made: list[Lease] = []
    yield made
    for lease in made:
        lease._ended.set()
        lease._thread.join(5)


def _hold(store: Store, clock: TestClock, leases: list[Lease], run: str, **options: object) -> Lease:
    lease = take(store, clock, **{"run": run, "ttl": 60.0, "holder": ELSEWHERE, **options})  # type: ignore[arg-type]
    leases.append(lease)
    return lease


def _freeze(lease: Lease) -> None:
    """Its process is stopped: no heartbeat any more."""
    lease._ended.set()
    lease._thread.join(5)


def test_generation_grows_by_one_and_the_store_keeps_its_identity(store, clock, leases) -> None:
    seen = []
    for number in range(3):
        lease = _hold(store, clock, leases, f"run{number}")
        seen.append((lease.generation, lease.store_id))
        lease.release(closed=True)
    assert [generation for generation, _ in seen] == [1, 2, 3]
    assert len({identity for _, identity in seen}) == 1


def test_a_living_holder_is_named_with_run_age_and_job(store, clock, leases) -> None:
    holder = _hold(store, clock, leases, "run1")
    clock.advance(14)
    clock.on_sleep = holder.renew
    with pytest.raises(LockedError) as caught:
        _hold(store, clock, leases, "run2")
    for word in ("ann@ci-7", "812", "run1", "https://ci.example.org/jobs/9", "15 s"):
        assert word in str(caught.value)
    assert caught.value.exit_code == 11
    holder.check()


def test_a_holder_that_lets_go_while_watched_still_refuses_the_other(store, clock, leases) -> None:
    holder = _hold(store, clock, leases, "run1")
    clock.on_sleep = lambda: holder.release(closed=True)
    with pytest.raises(LockedError):
        _hold(store, clock, leases, "run2")


def test_a_lease_unchanged_for_its_ttl_is_taken_over_and_not_before(store, clock, leases) -> None:
    holder = _hold(store, clock, leases, "run1")
    _freeze(holder)
    began = clock.time
    taker = _hold(store, clock, leases, "run2")
    assert 60 < clock.time - began < 70
    assert taker.generation == 2
    assert "ann@ci-7 (pid 812), run run1" in taker.took_over_from
    assert read(store).took_over_from == taker.took_over_from


def test_the_holders_wall_clock_does_not_matter(store, clock, leases) -> None:
    holder = _hold(store, clock, leases, "run1")
    document = json.loads(store.get("lock.json").data)
    store.put("lock.json", json.dumps({**document, "since": document["since"] + 86400}).encode())
    _freeze(holder)
    assert _hold(store, clock, leases, "run2").generation == 2


def test_who_was_taken_over_can_do_nothing_any_more(store, clock, leases) -> None:
    holder = _hold(store, clock, leases, "run1")
    _freeze(holder)
    taker = _hold(store, clock, leases, "run2")
    with pytest.raises(FencedError):
        holder.check()
    for change in (lambda: holder.open("run1"), holder.renew, lambda: holder.release(closed=True)):
        with pytest.raises(FencedError):
            change()
    assert holder.lost.is_set()
    taker.renew()
    assert read(store).run == "run2"


def test_check_fails_two_thirds_of_the_ttl_after_the_last_renewal(store, clock, leases) -> None:
    holder = _hold(store, clock, leases, "run1")
    _freeze(holder)
    clock.advance(39)
    holder.check()
    clock.advance(2)
    with pytest.raises(FencedError):
        holder.check()


def test_the_heartbeat_renews_every_third_of_the_ttl(store, clock, leases) -> None:
    holder = _hold(store, clock, leases, "run1")
    for beat in (1, 2, 3, 4):
        clock.settle(holder)
        clock.advance(20.5)
        _until(lambda beat=beat: read(store).beat == beat)
        holder.check()


def test_a_heartbeat_without_a_store_gives_the_lease_up(store, clock, leases) -> None:
    flaky = Flaky(store)
    holder = _hold(flaky, clock, leases, "run1")
    flaky.down = True
    for _ in range(20):
        clock.settle(holder)
        clock.advance(3)
    assert holder.lost.wait(30)
    flaky.down = False
    with pytest.raises(FencedError):
        holder.check()


def test_a_heartbeat_survives_a_store_that_is_away_for_a_moment(store, clock, leases) -> None:
    flaky = Flaky(store)
    holder = _hold(flaky, clock, leases, "run1")
    flaky.down = True
    clock.settle(holder)
    clock.advance(21)
    clock.settle(holder)
    flaky.down = False
    clock.advance(6)
    _until(lambda: read(store).beat == 1)
    clock.settle(holder)
    clock.advance(15)
    holder.check()


def test_a_deploy_refuses_an_open_run_and_leaves_the_lock_free(store, clock, leases) -> None:
    first = _hold(store, clock, leases, "run1")
    first.open("run1")
    first.release(closed=False)
    with pytest.raises(OpenRunError) as caught:
        _hold(store, clock, leases, "run2")
    for word in ("run1", "invoke resume", "invoke abort"):
        assert word in str(caught.value)
    assert (read(store).state, read(store).open) == ("released", "run1")


@pytest.mark.parametrize("purpose", ["resume", "abort"])
def test_resume_and_abort_take_the_open_run_and_close_it(store, clock, leases, purpose) -> None:
    first = _hold(store, clock, leases, "run1")
    first.open("run1")
    _freeze(first)
    second = _hold(store, clock, leases, "run1", purpose=purpose)
    assert (second.open_run, second.generation) == ("run1", 2)
    second.release(closed=True)
    assert _hold(store, clock, leases, "run3").open_run == ""


def test_a_holder_known_to_be_dead_is_taken_over_at_once(store, clock, leases) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "import json; from dojo_deploy.engine.holder import Holder;"
         "print(json.dumps(Holder.here().as_dict()))"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    _freeze(_hold(store, clock, leases, "run1", holder=Holder.from_dict(json.loads(child.stdout))))
    began = clock.time
    assert _hold(store, clock, leases, "run2").generation == 2
    assert clock.time == began


def test_a_holder_that_dies_while_it_is_watched_is_taken_over_at_once(store, clock, leases) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "import json, sys; from dojo_deploy.engine.holder import Holder;"
         "print(json.dumps(Holder.here().as_dict()), flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    holder = Holder.from_dict(json.loads(child.stdout.readline()))
    _freeze(_hold(store, clock, leases, "run1", holder=holder))
    assert not holder.is_dead()
    clock.on_sleep = lambda: child.poll() is None and child.communicate()
    began = clock.time
    assert _hold(store, clock, leases, "run2").generation == 2
    assert clock.time - began < 5


def test_a_process_that_reuses_a_dead_ones_id_is_not_taken_for_it() -> None:
    here = Holder.here()
    assert not here.is_dead()
    assert Holder(here.user, here.host, os.getpid(), here.boot_id, started="1").is_dead()
    assert not Holder(here.user, "elsewhere", os.getpid(), here.boot_id, started="1").is_dead()
    assert not Holder(here.user, here.host, os.getpid(), "another boot", started="1").is_dead()


HIDDEN = """
import os, subprocess
from dataclasses import replace
from pathlib import Path
from dojo_deploy.engine.holder import Holder

child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
holder = replace(Holder.here(), pid=child.pid, started=started)
subprocess.run(["mount", "-o", "remount,hidepid=2", "/proc"], check=True)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
print(Path(f"/proc/{child.pid}").exists(), holder.is_dead(), flush=True)
child.communicate()
print(holder.is_dead())
"""


def test_a_living_process_that_is_hidden_from_us_is_not_dead() -> None:
    apart = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
    if os.geteuid() or subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("may not mount")
    done = subprocess.run([*apart, sys.executable, "-c", HIDDEN], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == ["False False", "True"], done.stderr


def test_waiting_for_a_lock_can_be_interrupted(store, clock, leases) -> None:
    _freeze(_hold(store, clock, leases, "run1"))
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedRunError):
        _hold(store, clock, leases, "run2", cancelled=stop)


def test_a_beat_that_was_written_without_an_answer_is_no_loss(store, clock, leases) -> None:
    class Mute(Flaky):
        def put(self, *args: object, **options: object) -> str:
            etag = self.store.put(*args, **options)
            if self.down:
                raise StoreError("no answer came")
            return etag

    mute = Mute(store)
    holder = _hold(mute, clock, leases, "run1")
    mute.down = True
    with pytest.raises(StoreError):
        holder.renew()
    mute.down = False
    holder.renew()
    holder.check()
    assert not holder.lost.is_set()


def test_release_is_repeatable_and_survives_a_store_that_was_away(store, clock, leases) -> None:
    flaky = Flaky(store)
    holder = _hold(flaky, clock, leases, "run1")
    flaky.down = True
    with pytest.raises(StoreError):
        holder.release(closed=True)
    flaky.down = False
    holder.release(closed=True)
    holder.release(closed=True)
    assert read(store).state == "released"


def test_losing_the_race_for_a_free_lock_is_no_error_but_a_second_look(store, clock, leases) -> None:
    class Slow(Flaky):
        def put(self, *args: object, **options: object) -> str:
            if not leases:
                _hold(store, clock, leases, "quicker")
                _freeze(leases[0])
                raise ConflictError("lost")
            return self.store.put(*args, **options)

    assert take(Slow(store), clock, run="run2", ttl=60, holder=ELSEWHERE).generation == 2


def test_damage_is_an_error_and_not_a_free_lock(store, clock, leases) -> None:
    store.put("lock.json", b"{}")
    with pytest.raises(StoreError, match="not a lock"):
        _hold(store, clock, leases, "run1")


def _until(true: object) -> None:
    deadline = threading.Event()
    for _ in range(3000):
        if true():  # type: ignore[operator]
            return
        deadline.wait(0.01)
    raise AssertionError("never came true")
