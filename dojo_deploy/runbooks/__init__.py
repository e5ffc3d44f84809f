"""Runbooks that people wrote: read, and judged line by line. Text in, faults out; nothing is run.

reading     a document as lines: commands, prose, tables, each under its heading
rules       what a line can be at fault for: the shell, the application, the data, the prose
document    what only the whole shows: an order, a contradiction, somebody who cannot be reached
lint        all of them, in the order of the lines
"""
