"""Runbooks that people wrote, read and judged line by line; and the one that is written from plans. Nothing is run.

reading     a document as lines: commands, prose, tables, each under its heading
rules       what a line can be at fault for: the shell, the application, the data, the prose
document    what only the whole shows: an order, a contradiction, somebody who cannot be reached
lint        all of them, in the order of the lines
page, why   a runbook of plans: command, why, verify, undo
"""
