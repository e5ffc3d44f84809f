"""What a script says between its marks."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dojo_deploy.databases.framed import Answered, Framed

MARK = "f" * 32


def heard(output: bytes, pieces: list[int]) -> tuple[Framed, bytes]:
    taken = bytearray()
    framed = Framed(MARK, taken.extend)
    at = 0
    for size in [*pieces, len(output)]:
        framed.feed(output[at : at + size])
        at += size
    return framed, bytes(taken)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200).map(lambda data: data.replace(b"f", b"g")),
    st.binary(max_size=400).map(lambda data: data.replace(b"ffff", b"\n" + b"f" * 31 + b" ")),
    st.integers(0, 255),
    st.text(max_size=50),
    st.lists(st.integers(0, 90), max_size=20),
)
def test_bytes_status_and_words_arrive_however_they_are_cut(
    noise: bytes, data: bytes, status: int, words: str, pieces: list[int]
) -> None:
    output = noise + f"\n{MARK}\n".encode() + data + f"\n{MARK} {status}\n{words}".encode()
    framed, taken = heard(output, pieces)
    assert (taken, framed.status, framed.words) == (data, status, words)
    assert framed.over.is_set()


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_an_end_that_did_not_come_is_no_status(cut: int) -> None:
    output = f"{MARK}\n".encode() + b"data" * 100 + f"\n{MARK} 0\n".encode()
    framed, taken = heard(output[:-cut], [7] * 60)
    assert framed.status is None or cut == 1
    assert (b"data" * 100).startswith(taken)


def test_standard_input_ends_when_all_was_heard() -> None:
    over = threading.Event()
    answered = Answered(b"password\n", over)
    assert answered.read(10) == b"password\n"
    threading.Timer(0.05, over.set).start()
    assert answered.read(10) == b""
