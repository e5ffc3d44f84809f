"""The shell text of host jobs, for string.Template with `@` as its mark. What is filled in was quoted before."""

# Stored first and run then: nothing of the job stands in a command line, and half a script never runs. tee keeps
# writing the log when the connection is gone; as a child of its own, it does not keep this shell from ending.
LAUNCH = r"""
exec 2>&1
u=$(umask)
umask 077
d=@RUN_DIR f=@RUN_DIR/@{NONCE}
[ -d "$d" ] || { [ -d @ROOT ] || (umask "$u" && mkdir -p @ROOT); mkdir -p "$d"; } || exit 73
for x in @STATE "$d"; do
  [ -d "$x" ] && [ -O "$x" ] && [ ! -L "$x" ] || { printf '%s is no folder of this user\n' "$x"; exit 73; }
done
head -c @LENGTH >"$f.sh" && mkfifo "$f.pipe" || { rm -f "$f.sh" "$f.pipe"; exit 74; }
(trap '' HUP; exec tee -ap "$d/log" <"$f.pipe" 2>/dev/null) &
setsid sh "$f.sh" "$u" 8<&0 >"$f.pipe" 2>&1 </dev/null
exit $?
"""

# Run as `sh FILE UMASK` it is the job, as `sh FILE step NUMBER UMASK` one of its steps.
JOB = r"""
export AT=@AT
if [ "$1" = step ]; then
umask "$3"
export ARTIFACT="${0%.sh}.tgz"
case $2 in
@TEXTS
esac
exit
fi

n=@{NONCE} s=@STATE d=@RUN_DIR u=$1 q=0 ran= stale=
f=$d/$n

say() { q=$((q + 1)); printf '\n%s %s %s\n' "$n" "$q" "$*"; }
bye() {
  [ -z "$ran" ] || sync "$d/record" "$s/fence" || say fault 0
  rm -f "$f.sh" "$f.pipe" "$f.tgz" $stale
  say over
  exit "$1"
}
refuse() { say refused "$@@"; ran=; bye 76; }
fault() { echo "$d/record or $s/fence cannot be written:"; df -Ph "$d"; say fault "$1"; ran=; bye 74; }
# fence STATE
fence() { printf '%s\n' "@STORE @GENERATION @RUN $1 @SCOPE" >"$s/fence.new"; }

# go NUMBER ID again|guarded|once DEADLINE artifact|- UNDOES
go() {
  eval "b=\${b$1-} e=\${e$1-} h=\${h$1-}"
  # A failure that an older session saw says nothing of now: somebody may have mended the host since.
  [ "${e:-0}" = 0 ] || [ "$h" = @GENERATION ] || [ "$3" = once ] || e=
  if [ -n "$6" ]; then
    eval "x=\${b$6-}"
    [ -n "$x" ] || { say skip "$1"; return; }
  fi
  if [ -n "$e" ]; then
    say again "$1"
    [ "$e" = 0 ] || tail -n 60 "$d/log"
    say end "$1" "$e" 0 replayed
    [ "$e" = 0 ] || bye 1
    return
  fi
  [ -z "$b" ] || [ "$3" != once ] || { say stuck "$1"; bye 77; }
  export DOJO_BEGUN="$b"
  printf 'begin %s\n' "$2" >>"$d/record" || fault "$1"
  eval "b$1=1" ran=1
  [ "$3" = again ] || sync "$d/record" "$s/fence" || fault "$1"
  say begin "$1"
  read -r t x </proc/uptime
  if [ "$5" = artifact ]; then
    timeout -s KILL "$4" sh "$f.sh" step "$1" "$u" <&8 8<&- 9>&-
  else
    timeout -s KILL "$4" sh "$f.sh" step "$1" "$u" </dev/null 8<&- 9>&-
  fi
  rc=$?
  read -r x y </proc/uptime
  # An artifact that was cut off on its way says nothing about the step: it neither failed nor ended.
  if [ "$5" = artifact ] && [ "$rc" != 0 ] && [ "$(timeout 5 tail -c ${#n} <&8 9>&-)" != "$n" ]; then
    say cut "$1"
    bye 78
  fi
  printf 'end %s %s@@%s\n' "$2" "$rc" @GENERATION >>"$d/record" || { say end "$1" "$rc" 0 ran; fault 0; }
  eval "e$1=\$rc"
  say end "$1" "$rc" $((${x%.*}${x#*.} - ${t%.*}${t#*.})) ran
  [ "$rc" = 0 ] || bye 1
}

ask() { say begin "$1"; }
tell() { say end "$1" "$?" 0 ran; }

main() {
  exec 9>>"$s/fence.lock"
  flock -w @WAIT 9 || refuse busy
  # A later job of this run may have taken this one's place while it waited.
  [ -f "$f.sh" ] || exit 78
  for x in "$d"/*.sh "$d"/*.pipe "$d"/*.tgz; do
    [ ! "$x" -ot "$f.sh" ] || stale="$stale $x"
  done
  t= g= r= o= c=
  if [ -e "$s/fence" ]; then
    read -r t g r o c <"$s/fence" || refuse unreadable
    case $g in "" | *[!0-9]*) refuse unreadable ;; esac
    case $o in open | closed) ;; *) refuse unreadable ;; esac
    [ "$t" = "@STORE" ] || refuse store "$t"
    [ "$c" = "@SCOPE" ] || refuse scope "$c"
    [ "$g" -le @GENERATION ] || refuse older "$g" "$r"
    [ "$o" = closed ] || [ "$r" = "@RUN" ] || refuse open "$g" "$r"
  fi
  if [ "$t $g $r $o $c" != "@STORE @GENERATION @RUN open @SCOPE" ]; then
    fence open && mv -f "$s/fence.new" "$s/fence" || fault 0
  fi
  if [ -e "$d/record" ]; then
    while read -r k i; do
      x=${i##* }
      [ "$k" = begin ] || i=${i% *}
      case $i in
@IDS
      *) continue ;;
      esac
      case $k in begin) eval "b$v=1" ;; end) eval "e$v=\${x%@@*} h$v=\${x#*@@}" ;; esac
    done <"$d/record"
    # A line that was torn by a full disk or a power cut must not swallow the next one.
    [ -z "$k" ] || printf ' ~ torn\n' >>"$d/record" || fault 0
  fi
@STEPS
  if [ -n "@CLOSE" ]; then
    # Scripts of killed jobs hold secrets; one that is newer than this belongs to a job that waits for the lock.
    for x in "${d%/*}"/*/*.sh "${d%/*}"/*/*.pipe "${d%/*}"/*/*.tgz; do
      [ "$x" = "$f.sh" ] || [ "$x" = "$f.pipe" ] || [ ! "$x" -ot "$f.sh" ] || rm -f "$x"
    done
    set -- "${d%/*}"/*/
    while [ $# -gt @KEPT ]; do
      [ "$1" = "$d/" ] || rm -rf "$1"
      shift
    done
    fence closed && : >>"$d/record" && sync "$d/record" "$s/fence.new" && mv -f "$s/fence.new" "$s/fence" || fault 0
    ran=
  fi
  bye 0
}
main
"""
