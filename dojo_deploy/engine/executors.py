"""Where lanes run: a bounded pool of threads. Anything with `concurrent.futures.Executor`'s shape can stand in."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor


def threads(lanes: int) -> Executor:
    """At most `lanes` hosts are worked on at once; a thread per lane that is really needed."""
    return ThreadPoolExecutor(max_workers=max(1, lanes), thread_name_prefix="lane")
