"""The verbs that strategies are made of: functions from values to Steps. Nothing here runs anything by itself.

releases   stage a release on a host, link what it shares, prune old ones
services   prove a release on a side port, switch a slot to it, stop it
traffic    drain a host, restore it
database   migrate, once per run
hooks      the operator's own commands, before and after each phase
rollout    the batches of a rolling change, made of the above
"""
