"""What asks and tells systemd, as POSIX sh. Unit names hold nothing that a shell would read; folders may."""

# sshd without PAM sets no XDG_RUNTIME_DIR; without it `systemctl --user` finds no manager.
SESSION = 'export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"\n'
NO_SESSION = '[ ! -S "$XDG_RUNTIME_DIR/systemd/private" ]'

# Not lingering, all of a user's processes end with their last SSH connection.
LINGER = """\
[ -e "/var/lib/systemd/linger/$(id -un)" ] || loginctl enable-linger || {
  echo "processes would end with this connection; as root, once: loginctl enable-linger $(id -un)" >&2; exit 1
}
"""

# Rows `unit pid file` of what systemd has loaded. `-f`: patterns are for systemd, not for the shell.
LOADED = """\
set -euf
loaded() {
  found=$($1 show --property=Id,MainPID,FragmentPath $2) || return
  printf '%s\\n\\n' "$found" | while IFS='=' read -r key value; do
    case "$key" in
      Id) unit=$value ;; MainPID) pid=$value ;; FragmentPath) file=$value ;;
      '') [ -z "${unit:-}" ] || echo "$unit $pid $file"; unit='' ;;
    esac
  done
}
"""

# Another application, or the same one under another root, may have units of such a name: its files are not ours.
OURS = f"""\
{LOADED}ours() {{
  rows=$(loaded "$SYSTEMCTL" "$1") || return
  printf '%s\\n' "$rows" | while read -r unit _ file; do
    [ ! "$file" -ef "$2/${{unit%%@*}}@.service" ] || echo "$unit"
  done
}}
"""

START = """\
for template in $TEMPLATES; do $SYSTEMCTL link --quiet "$SLOT/$template"; done
$SYSTEMCTL daemon-reload
known=$(ours "$PATTERNS" "$SLOT")
for unit in $known; do
  case " $UNITS " in *" $unit "*) ;; *) $SYSTEMCTL stop "$unit" ;; esac
done
$SYSTEMCTL restart $UNITS
"""

STOP = """\
units=$(ours "$PATTERNS" "$SLOT")
if [ -n "$units" ]; then
  $SYSTEMCTL stop $units
  $SYSTEMCTL reset-failed $units 2>/dev/null || :
fi
"""

# One that is not wanted after a reboot may be known by its link alone.
SAVE = """\
on='' off=''
for slot in $SAVED; do
  linked=$(cd "$WANTS" 2>/dev/null && ls | grep -F -e "$PREFIX$slot-" || :)
  known=$(ours "$PREFIX$slot-*@*.service" "$SLOTS/$slot")
  for unit in $linked; do
    [ ! "$WANTS/$unit" -ef "$SLOTS/$slot/${unit%%@*}@.service" ] || known="$known $unit"
  done
  for unit in $known; do
    case "$($SYSTEMCTL show --property=ActiveState --value "$unit")" in
      inactive|failed) off="$off $unit" ;;
      *) on="$on $unit" ;;
    esac
  done
done
[ -z "$off" ] || $SYSTEMCTL disable --quiet $off
[ -z "$on" ] || $SYSTEMCTL enable --quiet $on
"""

RUNNING = f"""\
{LOADED}rows=$(loaded "$ASK" "$PREFIX*@*.service")
printf '%s\\n' "$rows" | while read -r unit pid file; do
  [ "${{pid:-0}}" != 0 ] && folder=$(readlink "/proc/$pid/cwd") || continue
  for slot in $KNOWN; do
    [ "$file" -ef "$SLOTS/$slot/${{unit%%@*}}@.service" ] || continue
    name=${{unit#"$PREFIX$slot-"}}
    printf '%s %s %s\\n' "$slot/${{name%%@*}}" "$pid" "$folder"
  done
done
"""

EVIDENCE = """\
$ASK status --no-pager --full --lines=0 $UNITS 2>&1
journalctl --quiet --no-pager --output=short-iso --lines=40 $JOURNAL 2>&1 || :
"""
