"""Backups in the store: a backup exists when its manifest exists, and is trusted when its proof does.

manifest    what is known of a backup, and of a drill
catalogue   the store's keys: which backups there are, and what was left behind
create      dump, read back, and only then the manifest
check       verify (read and hash again) and drill (restore, count, proof)
retention   which ones to keep
bring       a backup beside the live database, whole and counted
kept        databases that restores left, by their comments
unfinished  what is left of backups that were never finished
schedule    units of systemd, lines of cron
alarm       what is wrong with them as they are
"""
