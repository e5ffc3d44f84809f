"""What PostgreSQL's programs are told, as POSIX sh and SQL.

Each script's first line of standard input is the password, which so is in no argument and in no file; its output is
`MARK\\n`, what was asked for, and `\\nMARK STATUS\\n` with what was said beside it. Words: MARK, and the script's own.
"""

from __future__ import annotations

NO_ROOM = 28  # what a script ends with that found too little room on the disk; as the kernel's own number
ENDED = (124, 137)  # statuses of what `timeout` or somebody else ended

PROLOGUE = r"""
umask 077
LC_ALL=C; PGCLIENTENCODING=UTF8; export LC_ALL PGCLIENTENCODING PGDATABASE
IFS= read -r PGPASSWORD
if [ "$PGPASSWORD" ]; then export PGPASSWORD; else unset PGPASSWORD; fi
[ -z "$DOJO_BIN" ] || PATH=$DOJO_BIN:$PATH
mark=$1; shift
printf '%s\n' "$mark"
tell() { printf '\n%s %s\n%s' "$mark" "$1" "$2"; }
# As a variable: a name given by -d may be read as a whole connection string.
sql() {
  timeout -k 10 "$DOJO_ASK_SECONDS" psql -X -q -A -t -w -v ON_ERROR_STOP=1 -v migrations="$DOJO_MIGRATIONS" "$@"
}
"""

# SQL on the rest of standard input; words: the database.
ASK = (
    PROLOGUE
    + r"""
exec 3>&1
PGDATABASE=$1
said=$(sql 2>&1 >&3)
tell $? "$said"
"""
)

# The rows are counted in the snapshot that is dumped.
SNAPSHOT = r"""
said=$(sql 2>&1 <<'SQL'
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT set_config(name, CASE name WHEN 'row_security' THEN 'off' ELSE '0' END, true) AS quiet FROM pg_settings
 WHERE name IN ('row_security', 'statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
\g /dev/null
SELECT pg_export_snapshot() AS snapshot \gset
\setenv SNAPSHOT :snapshot
\set dumped `eval "$dump"; echo $?`
SELECT json_build_array('dumped', :dumped);
SELECT :dumped = 0 AS well \gset
\if :well
@COUNT@
\endif
COMMIT;
SQL
)
tell $? "$said"
"""

# The controller answers when it has heard all: an exit status must not overtake what a slow store has not taken yet.
DUMP = (
    PROLOGUE
    + r"""
exec 3>&1
dump='timeout -k 10 "$DOJO_SECONDS" pg_dump -Fc --snapshot="$SNAPSHOT" --lock-wait-timeout="$DOJO_LOCK_MS" \
  --no-password $DOJO_COMPRESS </dev/null >&3'
export dump
"""
    + SNAPSHOT
    + r"""
IFS= read -r _ || :
"""
)

GLOBALS = (
    PROLOGUE
    + r"""
exec 3>&1
said=$(timeout -k 10 60 pg_dumpall --globals-only --no-password "$@" </dev/null 2>&1 >&3)
tell $? "$said"
"""
)

READ = (
    PROLOGUE
    + r"""
shift
said=$(timeout -k 10 "$DOJO_SECONDS" pg_restore -f /dev/null 2>&1)
tell $? "$said"
"""
)

RESTORE = (
    PROLOGUE
    + r"""
shift
said=$(timeout -k 10 "$DOJO_SECONDS" pg_restore --exit-on-error --no-password -d "$@" 2>&1)
tell $? "$said"
"""
)

LOOK = """\
SELECT json_build_array('server', system_identifier::text, current_setting('server_version_num')::int,
  current_setting('server_version'),
  coalesce((SELECT pg_database_size(oid) FROM pg_database WHERE datname = :'database'), 0),
  (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)) FROM pg_control_system();
\\set tools `pg_dump --version`
\\set restorer `pg_restore --version`
SELECT json_build_array('tools', :'tools', :'restorer');
SELECT json_build_array('properties', jsonb_build_object(
  'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding), 'limit', d.datconnlimit,
  'provider', to_jsonb(d) -> 'datlocprovider', 'collate', d.datcollate, 'ctype', d.datctype,
  'locale', coalesce(to_jsonb(d) -> 'datlocale', to_jsonb(d) -> 'daticulocale'),
  'comment', shobj_description(d.oid, 'pg_database'),
  'roles', (SELECT jsonb_agg(DISTINCT pg_get_userbyid(s.refobjid)) FROM pg_shdepend s
    WHERE s.refclassid = 'pg_authid'::regclass AND s.dbid = d.oid),
  'settings', (SELECT jsonb_agg(jsonb_build_array(CASE WHEN s.setrole = 0 THEN ''
    ELSE pg_get_userbyid(s.setrole) END, c))
    FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setdatabase = d.oid),
  'grants', (SELECT jsonb_agg(jsonb_build_array(CASE WHEN g.grantee = 0 THEN '' ELSE pg_get_userbyid(g.grantee) END,
    g.privilege_type, g.is_grantable)) FROM aclexplode(d.datacl) g)))
 FROM pg_database d WHERE d.datname = :'database';
"""

# Tables of extensions are made by CREATE EXTENSION, not by the dump; a parent's rows are counted where they lie.
COUNT = r"""
SELECT format('SELECT json_build_array(''rows'', %L, count(*)) FROM ONLY %I.%I', n.nspname || '.' || c.relname,
  n.nspname, c.relname)
 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence IN ('p', 'u') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT FROM pg_depend d
   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1 \gexec
SELECT json_build_array('constraints', count(*)) FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
  AND k.contype <> 'n' AND k.convalidated;
SELECT json_build_array('indexes', count(*)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND i.indisvalid;
SELECT format('SELECT jsonb_build_array(''migration'', to_jsonb(t) - ''logs'') FROM %s t ORDER BY 1', found)
 FROM to_regclass(:'migrations') found WHERE found IS NOT NULL \gexec
"""

# A name alone does not make a database ours to drop: the comment does.
MARKED = "made by dojo_deploy from a backup"
CREATE = f"""\
CREATE DATABASE :"scratch" TEMPLATE template0;
COMMENT ON DATABASE :"scratch" IS '{MARKED}';
"""
DROP = f"""\
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
 WHERE datname = :'scratch' AND shobj_description(oid, 'pg_database') LIKE '{MARKED}%' \\gexec
"""
