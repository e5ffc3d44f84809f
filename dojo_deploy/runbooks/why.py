"""Why each step of a plan is there, for people who read a runbook and not the code."""

from __future__ import annotations

from collections.abc import Mapping

WHY: Mapping[str, str] = {
    "stage": "the release lies whole on the host before anything that runs is touched, and is never written to again",
    "migrate": "once per run, before any new process starts; what runs now must be able to live with it",
    "prove": "a release that does not come up is found beside the old one, and not instead of it",
    "end proof": "two of them must not take jobs or connections",
    "drain": "no request is under way to a process that is about to end",
    "switch": "one change brings code, environment and processes, so that one change takes them back",
    "restore": "the host gets its share of the requests again, held to its gate through the balancer",
    "bake": "what goes wrong only after a while goes wrong on few hosts",
    "save processes": "what runs now comes back after a reboot",
    "prune": "old releases leave room; the one that runs and the one before it stay",
    "start": "the processes run what the link names, and are asked which release that is",
    "restart": "memory that leaked and settings that changed, one batch at a time",
    "identity": "the balancer's word is not enough: fresh requests have to be answered by the new release",
    "pause workers": "no job begins that the next step would cut off",
    "begin workers": "jobs are taken by one colour at a time",
    "end workers": "jobs are taken by one colour at a time",
    "settle": "requests and connections of before the change may still end as they began",
    "watch": "the gate must go on holding once users are there",
    "announce": "users read it where they look first",
    "tell users": "users read it where they look first",
    "close": "nobody writes any more: 503 with Retry-After, read back from every balancer",
    "backup": "taken once nobody writes, read back before it counts",
    "back up": "taken once nobody writes, read back before it counts",
    "stay closed": "from here on a failure leaves the page up, and says so",
    "restore beside": "the live database is touched by nothing before the backup has shown that it comes back",
    "stop": "no session of the application holds the database while the two trade places",
    "swap": "two renames in one transaction: the old database is kept, and comes back by the same way",
    "open": "users are back, behind the gate",
    "ready": "what users will meet is tried before they meet it",
}
OWN = "a line of your own"


def why(step: str) -> str:
    """Of a step by its name; hooks and the lines of a window are named by whoever wrote them."""
    return WHY.get(step, OWN)
