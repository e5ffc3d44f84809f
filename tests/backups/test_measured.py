"""What is read from two threads is measured as it came."""

from __future__ import annotations

import hashlib
import io
import threading
import time

from dojo_deploy.backups.measured import Measured, Tapped

DATA = b"".join(number.to_bytes(4, "big") for number in range(1 << 16))


class Slow(io.RawIOBase):
    """Gives a piece to whoever asks, and lets another ask before it has handed it out."""

    def __init__(self) -> None:
        self.at = 0
        self.asked = threading.Event()

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002
        data = DATA[self.at : self.at + 8192]
        self.at += len(data)
        self.asked.set()
        time.sleep(0.02 if threading.current_thread().name == "feeder" else 0.0)
        return data


def test_a_reader_that_is_still_at_it_when_the_rest_is_read_makes_no_other_sum() -> None:
    measured, source = Measured(), Slow()
    tapped = Tapped(source, measured)  # type: ignore[arg-type]
    feeder = threading.Thread(target=tapped.read, name="feeder")
    feeder.start()
    assert source.asked.wait(5)
    tapped.finish()
    feeder.join(5)
    assert (measured.size, measured.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
