"""What ours are held to, for tests of yours: contract suites, and what stands in for a site.

    strategies   StrategyContract   pure, resumable, never the balancer emptied, every host served again
    probes       ProbeContract      a sick target is a reading in bounded time, and never an error
    notifiers    NotifierContract   told once, kept up to date, NoticeError in bounded time
    stores       StoreContract      compare-and-swap, byte for byte, eight writers at once
    balancers    BalancerContract   drained, restored, switched, closed: each read back
    sites        inventories and fleets for a plan to be made of
    machines     a host that is this machine, with an application server that can be sick
    places       a session for stores

Subclass a suite as `class TestOurs(ProbeContract)`, and give what its docstring asks for as pytest fixtures. Nothing
else of the package imports pytest.
"""

import pytest

# Before the modules are imported: an assertion that fails there shows its values, as one in a test does.
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in (
    "balancers", "notifiers", "probes", "stores", "strategies",
)))  # fmt: skip
