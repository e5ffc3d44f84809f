"""Maintenance windows: which there are, how far they have come, and when they end.

window    one window, as values
diary     where the store remembers them
overrun   warns while a run goes on in one
"""
