"""What an administrator does once on a bare host: lines that are shown before they are run, and run but once.

host      the deploy user, its key, the folder for releases     run       all hosts side by side, by sudo
"""
