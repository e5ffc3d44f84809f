"""The verbs that strategies are made of: functions from values to Steps. Nothing here runs anything by itself.

bringing     whether hosts can take a release, how it comes there, what makes room for it
releases     stage a release on a host, link what it shares, prune old ones
services     prove a release on a side port, switch a slot to it, stop it
traffic      drain a host, restore it
colours      which of two serves; start the idle one, switch to it, retire what is left
workers      queue workers from one colour to the other
smoke        the operator's own tests of the idle colour
connections  whether the database connections of both colours fit
database     migrate, once per run
restoring    a backup beside the live database, and in its place
maintenance  the page that says so, up and down
windows      what is told of a maintenance window, its backup, its points of no return
work         what the window is for: the operator's lines, and those that verify
reopening    the end of a window: verified, open, watched
hooks        the operator's own commands, before and after each phase
rollout      the batches of a rolling change, made of the above
"""
