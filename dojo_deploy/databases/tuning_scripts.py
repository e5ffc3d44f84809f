"""What psql is told when a database is tuned. Values come in as psql's variables, and into SQL only as literals or
through format(): no text of a user is ever read by psql itself, whose backslashes start programs.
"""

from __future__ import annotations

HEAD = r"""
\set VERBOSITY verbose
\set SHOW_CONTEXT never
SET standard_conforming_strings = on;
"""
READ = "BEGIN READ ONLY; SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '5s';\n"
# One session of ours per table. Tried, never waited for: a session that waits holds a snapshot, and a concurrent build
# waits for every snapshot that is older than it.
KEY = "(1685023343::bigint << 32 | :'table'::bigint)"
HELD = "locktype = 'advisory' AND classid = 1685023343 AND objid = :'table'::oid AND objsubid = 1 AND granted"
OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"

EXPLAIN = r"""
BEGIN :mode;
SET LOCAL statement_timeout = :within; SET LOCAL lock_timeout = '2s';
SET LOCAL idle_in_transaction_session_timeout = '60s';
SELECT set_config('dojo.query', :'query', true), set_config('dojo.options', :'options', true) \g /dev/null
DO $dojo$
DECLARE part text; whole text := '';
BEGIN
  FOR part IN EXECUTE format('EXPLAIN (%s) %s', current_setting('dojo.options'), current_setting('dojo.query')) LOOP
    whole := whole || part || E'\n';
  END LOOP;
  PERFORM set_config('dojo.plan', whole, true);
END $dojo$;
SELECT json_build_array('plan', current_setting('dojo.plan'));
ROLLBACK;
"""

CLIENT = r"""
a.pid, to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), coalesce(a.application_name, ''),
  coalesce(a.usename, ''), coalesce(host(a.client_addr), 'local'), coalesce(a.state, 'hidden'),
  round(extract(epoch FROM clock_timestamp() - CASE WHEN a.state = 'active' THEN a.query_start
    ELSE coalesce(a.state_change, a.backend_start) END)::numeric, 3), left(a.query, 2000)
"""

SLOW = r"""
SELECT extversion, n.nspname AS home, (SELECT count(*) FROM pg_settings WHERE name = 'pg_stat_statements.max') AS loaded
 FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_stat_statements'
 UNION ALL SELECT '', '', 0 LIMIT 1 \gset
SELECT json_build_array('source', :'extversion', :'loaded');
SELECT format('SELECT json_build_array(''statement'', left(query, 2000), calls, round(total_exec_time::numeric, 3),
  round(mean_exec_time::numeric, 3), rows, round(shared_blks_hit::numeric / nullif(shared_blks_hit + shared_blks_read,
  0), 3)) FROM %I.pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND query IS NOT NULL ORDER BY total_exec_time DESC LIMIT %s', :'home', :top)
 WHERE :'loaded' = '1' AND string_to_array(:'extversion', '.')::int[] >= ARRAY[1, 8] \gexec
WITH blocked AS (SELECT pid, pg_blocking_pids(pid) AS by FROM pg_stat_activity WHERE wait_event_type = 'Lock'),
 worth AS (SELECT pid FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend'
   AND clock_timestamp() - query_start > make_interval(secs => :'long'::float8)
  UNION SELECT pid FROM blocked WHERE by <> '{}' UNION SELECT unnest(by) FROM blocked)
SELECT json_build_array('running', """ + CLIENT + r""", concat_ws(': ', a.wait_event_type, a.wait_event),
  coalesce((SELECT to_json(by) FROM blocked b WHERE b.pid = a.pid), '[]'))
 FROM pg_stat_activity a JOIN worth USING (pid) WHERE a.pid <> pg_backend_pid() ORDER BY a.query_start;
"""  # fmt: skip

# A client is whoever takes one of max_connections' places: what the server runs for itself, and senders of WAL, do not.
CONNECTIONS = r"""
SELECT json_build_array('limit', current_setting('max_connections')::int,
  current_setting('superuser_reserved_connections')::int
  + coalesce(current_setting('reserved_connections', true), '0')::int,
  (SELECT datconnlimit FROM pg_database WHERE datname = current_database()),
  (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user));
WITH clients AS (SELECT * FROM pg_stat_activity WHERE pid <> pg_backend_pid()
  AND (backend_type = 'client backend' OR (backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL)))
SELECT json_build_array('used', count(*), (SELECT count(*) FROM pg_stat_activity) - count(*) - 1,
  count(*) FILTER (WHERE backend_type IS NULL OR state IS NULL)) FROM clients;
SELECT json_build_array('counted', coalesce(application_name, ''), coalesce(usename, ''), coalesce(state, 'hidden'),
  count(*), round(max(extract(epoch FROM clock_timestamp() - coalesce(state_change, backend_start)))::numeric, 3))
 FROM pg_stat_activity WHERE pid <> pg_backend_pid()
  AND (backend_type = 'client backend' OR (backend_type IS NULL AND usesysid IS NOT NULL AND datid IS NOT NULL))
 GROUP BY application_name, usename, state ORDER BY count(*) DESC, application_name, state;
SELECT json_build_array('leak', """ + CLIENT + r""") FROM pg_stat_activity a WHERE @LEAKED@ ORDER BY a.state_change;
"""  # fmt: skip

LEAKED = r"""a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
  AND a.state IN ('idle in transaction', 'idle in transaction (aborted)') AND a.application_name <> 'dojo_deploy'
  AND clock_timestamp() - a.state_change > make_interval(secs => :'older'::float8)"""
THAT = "a.pid = :'pid'::int AND to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') = :'began'"
END = f"""
SET statement_timeout = '20s';
SELECT json_build_array('ended', pg_terminate_backend(a.pid)) FROM pg_stat_activity a WHERE {THAT} AND {LEAKED};
"""
STILL = f"SELECT json_build_array('still', count(*)) FROM pg_stat_activity a WHERE {THAT};\n"

ROW = r"""c.oid::bigint, format('%I.%I', n.nspname, c.relname), c.reltuples::bigint, pg_table_size(c.oid),
  coalesce(s.n_dead_tup, 0), coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL, c.relkind = 'p',
  pg_has_role(c.relowner, 'USAGE'), pg_has_role(c.relowner, 'USAGE') OR pg_has_role((SELECT datdba FROM pg_database
  WHERE datname = current_database()), 'USAGE')"""
TABLE = f"""
SELECT json_build_array('table', {ROW}, c.relkind, pg_is_in_recovery())
 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
 WHERE c.oid = to_regclass(concat(quote_ident(nullif(:'schema', '')) || '.', quote_ident(:'name')));
"""
TABLES = f"""
SELECT json_build_array('table', {ROW}, c.relkind, pg_is_in_recovery())
 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {OURS}
 ORDER BY coalesce(s.n_dead_tup, 0) DESC, n.nspname, c.relname;
"""
SHAPE = r"""substr(pg_get_indexdef(x.oid), length(format('CREATE %sINDEX %I ON %I.%I',
  CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, x.relname, regexp_replace(n.nspname, '^(pg_temp)_\d+$', '\1'),
  t.relname)) + 1)"""
INDEXES = f"""
SELECT json_build_array('index', x.oid::bigint, format('%I.%I', n.nspname, x.relname),
  format('%I.%I', n.nspname, t.relname), t.oid::bigint, coalesce(pg_relation_size(x.oid), 0), i.indisvalid,
  i.indisunique, i.indisexclusion, pg_has_role(t.relowner, 'USAGE'), {SHAPE})
 FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
 JOIN pg_namespace n ON n.oid = x.relnamespace
 WHERE x.relkind = 'i' AND x.relpersistence <> 't' AND {OURS}
  AND (:'table' = '0' OR t.oid = :'table'::oid) ORDER BY n.nspname, t.relname, x.relname;
"""

# The empty copy gives the server's own words for the index, and its complaints, before anything is built.
DRAFT = r"""
BEGIN; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '20s';
SELECT n.nspname AS schema, format('%I.%I', n.nspname, c.relname) AS place, c.relname AS bare
 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = :'table'::oid \gset
SELECT string_agg(coalesce(quote_ident(nullif(e ->> 0, '')), e ->> 1) || (e ->> 2), ', ' ORDER BY k) AS columns
 FROM json_array_elements(:'columns') WITH ORDINALITY x(e, k) \gset
SELECT coalesce(' INCLUDE (' || string_agg(quote_ident(e), ', ' ORDER BY k) || ')', '') AS included
 FROM json_array_elements_text(:'include') WITH ORDINALITY x(e, k) \gset
SELECT format('%I (%s)%s%s', :'method', :'columns', :'included', ' WHERE ' || nullif(:'where', '')) AS body,
 CASE WHEN :'unique' = 'on' THEN 'UNIQUE ' ELSE '' END AS unique \gset
SELECT format('CREATE TEMP TABLE dojo_probe (LIKE %s) ON COMMIT DROP', :'place') \gexec
SELECT format('CREATE %sINDEX dojo_probe_idx ON pg_temp.dojo_probe USING %s', :'unique', :'body') \gexec
SELECT json_build_array('drafted', format('%I.%I', :'schema', :'index'),
  format('CREATE %sINDEX CONCURRENTLY %I ON %s USING %s', :'unique', :'index', :'place', :'body'), """ + SHAPE + r""",
  (SELECT coalesce(sum(coalesce(s.avg_width, 16)), 0) FROM pg_attribute a
    LEFT JOIN pg_stats s ON s.schemaname = :'schema' AND s.tablename = :'bare' AND s.attname = a.attname
    WHERE a.attrelid = x.oid))
 FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
 JOIN pg_namespace n ON n.oid = x.relnamespace WHERE x.oid = 'pg_temp.dojo_probe_idx'::regclass;
ROLLBACK;
"""  # fmt: skip

# From here the file system is seen only where the server is on the machine on which psql runs.
ROOM = r"""
SELECT CASE WHEN :'data' <> '' THEN :'data' WHEN inet_server_addr() IS DISTINCT FROM inet_client_addr() THEN ''
  ELSE coalesce(nullif((SELECT pg_tablespace_location(dattablespace) FROM pg_database
    WHERE datname = current_database()), ''), (SELECT setting FROM pg_settings WHERE name = 'data_directory'), '')
  END AS folder \gset
\setenv DOJO_FOLDER :folder
\set free `set -- $(LC_ALL=C df -Pk "${DOJO_FOLDER:-/none}" 2>/dev/null); [ $# -lt 11 ] || { shift 10; echo $1; }`
SELECT json_build_array('free', :'free');
"""

BUSY = f"SELECT json_build_array('busy', count(*)) FROM pg_locks WHERE {HELD};\n"
CANCEL = f"SELECT pg_cancel_backend(pid) FROM pg_locks WHERE {HELD};\n"
LOCKED = f"""
SET statement_timeout = :within; SET lock_timeout = :lock_within;
SELECT pg_try_advisory_lock({KEY}) AS mine \\gset
SELECT json_build_array('mine', :'mine');
"""
WORK = LOCKED + r"""
\if :mine
SELECT set_config(name, CASE name WHEN 'vacuum_cost_limit' THEN :'throttle' ELSE '2ms' END, false) FROM pg_settings
 WHERE name IN ('vacuum_cost_limit', 'vacuum_cost_delay') AND :'throttle' <> '0' \g /dev/null
SELECT :'sql' \gexec
SELECT json_build_array('done');
\endif
"""  # fmt: skip
# Whoever builds it holds that lock on its table for as long.
DROP = LOCKED + r"""
\if :mine
SELECT format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, x.relname) FROM pg_index i JOIN pg_class x
  ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
 WHERE x.oid = :'index'::oid AND NOT i.indisvalid AND NOT EXISTS (
  SELECT FROM pg_stat_progress_create_index JOIN pg_locks l USING (pid) WHERE datname = current_database()
   AND l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted)
 \gexec
SELECT json_build_array('left', count(*)) FROM pg_index WHERE indexrelid = :'index'::oid;
\endif
"""  # fmt: skip

PROGRESS = r"""
SELECT json_build_array('progress', phase, blocks_done, blocks_total, tuples_done, tuples_total, current_locker_pid)
 FROM pg_stat_progress_create_index WHERE relid = :'table'::oid
UNION ALL SELECT json_build_array('progress', phase, heap_blks_scanned, heap_blks_total, 0, 0, 0)
 FROM pg_stat_progress_vacuum WHERE relid = :'table'::oid;
"""
IN_THE_WAY = r"""
SELECT json_build_array('way', pid, coalesce(nullif(application_name, ''), usename, '?'), coalesce(state, 'hidden'),
  round(extract(epoch FROM clock_timestamp() - xact_start)::numeric, 1)) FROM pg_stat_activity
 WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
  AND application_name <> 'dojo_deploy' ORDER BY xact_start LIMIT 3;
"""
