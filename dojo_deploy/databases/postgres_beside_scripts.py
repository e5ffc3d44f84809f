"""SQL for a database that is restored beside the live one and trades places with it. `:'x'` are psql's variables."""

from __future__ import annotations

from dojo_deploy.databases.postgres_scripts import MARKED

WHOLE = f"{MARKED}, whole"
KEPT = "kept by dojo_deploy until "  # then the time, and behind `: ` what its comment had been

OTHERS = """\
SELECT json_build_array('database', datname, coalesce(shobj_description(oid, 'pg_database'), ''))
 FROM pg_database WHERE NOT datistemplate;
"""

LACKING = """\
SELECT json_build_array('lacking', role) FROM jsonb_array_elements_text(:'roles'::jsonb) role
 WHERE role NOT IN (SELECT rolname FROM pg_roles) ORDER BY role;
"""

# `provider` is unknown to servers before 15, and `locale` to those of plain libc.
CREATE = f"""\
SELECT format('CREATE DATABASE %I TEMPLATE template0', :'new')
  || coalesce(' ENCODING ' || quote_literal(p ->> 'encoding'), '')
  || coalesce(' LOCALE_PROVIDER ' || CASE p ->> 'provider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin'
     WHEN 'c' THEN 'libc' END, '')
  || CASE p ->> 'provider' WHEN 'i' THEN format(' ICU_LOCALE %L', p ->> 'locale')
     WHEN 'b' THEN format(' BUILTIN_LOCALE %L', p ->> 'locale') ELSE '' END
  || coalesce(' LC_COLLATE ' || quote_literal(p ->> 'collate') || ' LC_CTYPE ' || quote_literal(p ->> 'ctype'), '')
 FROM (SELECT :'properties'::jsonb p) found \\gexec
COMMENT ON DATABASE :"new" IS '{MARKED}';
"""

# The owner goes last: who made it may have no say in it then. Lists are kept as they were quoted.
DRESS = """\
SET client_min_messages = error;
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', :'new', p ->> 'limit')
 FROM (SELECT :'properties'::jsonb p) found WHERE (p ->> 'limit')::int <> -1 \\gexec
SELECT CASE role WHEN '' THEN format('ALTER DATABASE %I', :'new')
    ELSE format('ALTER ROLE %I IN DATABASE %I', role, :'new') END || format(' SET %s TO %s', name, CASE
    WHEN value <> '' AND name IN ('search_path', 'temp_tablespaces', 'session_preload_libraries',
      'local_preload_libraries') THEN value ELSE quote_literal(value) END)
 FROM (SELECT s ->> 0 AS role, split_part(s ->> 1, '=', 1) AS name, substr(s ->> 1, strpos(s ->> 1, '=') + 1) AS value
  FROM jsonb_array_elements(nullif(:'properties'::jsonb -> 'settings', 'null')) s) found \\gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'new')
 WHERE jsonb_typeof(:'properties'::jsonb -> 'grants') = 'array' \\gexec
SELECT format('GRANT %s ON DATABASE %I TO %s%s', g ->> 1, :'new',
    CASE g ->> 0 WHEN '' THEN 'PUBLIC' ELSE quote_ident(g ->> 0) END,
    CASE WHEN (g ->> 2)::boolean THEN ' WITH GRANT OPTION' ELSE '' END)
 FROM jsonb_array_elements(nullif(:'properties'::jsonb -> 'grants', 'null')) g
 WHERE g ->> 0 <> :'properties'::jsonb ->> 'owner' \\gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'new', p ->> 'owner')
 FROM (SELECT :'properties'::jsonb p) found WHERE p ->> 'owner' <> current_user \\gexec
"""

EMPTY = """\
SELECT format('DROP TABLE IF EXISTS %s CASCADE', c.oid::regclass) FROM pg_class c
 JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \\gexec
"""

APPROVE = f"""\
SELECT format('COMMENT ON DATABASE %I IS %L', datname, '{WHOLE}') FROM pg_database
 WHERE datname = :'new' AND shobj_description(oid, 'pg_database') LIKE '{MARKED}%' \\gexec
"""

# One swap at a time, and what is there is looked at under that lock.
_STATE = f"""\
SET lock_timeout = '30s';
SELECT pg_advisory_lock(7165401) AS quiet
\\g /dev/null
SELECT count(*) FILTER (WHERE datname = :'live') > 0 AS has_live,
  count(*) FILTER (WHERE datname = :'old') > 0 AS has_old,
  count(*) FILTER (WHERE datname = :'new') > 0 AS has_new, coalesce(bool_or(datname = :'new' AND
   (comment = '{WHOLE}' OR starts_with(comment, '{KEPT}' || :'new_mark' || ': '))), false) AS is_whole,
  coalesce(max(comment) FILTER (WHERE datname = :'live'), '') AS live_comment,
  coalesce(max(comment) FILTER (WHERE datname = :'old'), '') AS old_comment,
  coalesce(max(comment) FILTER (WHERE datname = :'new'), '') AS new_comment
 FROM (SELECT datname, shobj_description(oid, 'pg_database') AS comment FROM pg_database) found \\gset
"""

# A superuser's sessions, or a worker's, may not be ours to end: then the renaming says who is left.
_EMPTY = """\
ALTER DATABASE :"live" ALLOW_CONNECTIONS false;
SELECT set_config('dojo.live', :'live', false) AS quiet
\\g /dev/null
DO $$ DECLARE one int; BEGIN
  FOR i IN 1..200 LOOP
    FOR one IN SELECT pid FROM pg_stat_activity WHERE datname = current_setting('dojo.live') LOOP
      BEGIN PERFORM pg_terminate_backend(one); EXCEPTION WHEN insufficient_privilege THEN NULL; END;
    END LOOP;
    PERFORM pg_sleep(0.02);
    PERFORM pg_stat_clear_snapshot();
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_setting('dojo.live'));
  END LOOP;
END $$;
"""

SWAP = (
    _STATE
    + r"""
SELECT NOT :'has_new'::boolean AND :'has_live'::boolean AND (:'has_old'::boolean OR :'alone'::boolean) AS is_done,
  :'has_new'::boolean AND :'is_whole'::boolean AND NOT :'has_old'::boolean AS is_ready \gset
\if :is_done
\elif :is_ready
\if :has_live
"""
    + _EMPTY
    + rf"""
BEGIN;
ALTER DATABASE :"live" RENAME TO :"old";
ALTER DATABASE :"new" RENAME TO :"live";
SELECT format('COMMENT ON DATABASE %I IS %L', :'old', '{KEPT}' || :'until' || ': ' || :'live_comment') \gexec
\else
BEGIN;
ALTER DATABASE :"new" RENAME TO :"live";
\endif
SELECT CASE WHEN :'new_comment' LIKE '{KEPT}%' THEN substr(:'new_comment', strpos(:'new_comment', ': ') + 2)
  ELSE :'comment' END AS comment \gset
SELECT format('COMMENT ON DATABASE %I IS %s', :'live', coalesce(quote_literal(nullif(:'comment', '')), 'NULL')) \gexec
ALTER DATABASE :"live" ALLOW_CONNECTIONS true;
COMMIT;
\else
SELECT set_config('dojo.why', format('%s is not there whole, or %s is there already', :'new', :'old'), false) AS quiet
\g /dev/null
DO $$ BEGIN RAISE EXCEPTION '%', current_setting('dojo.why'); END $$;
\endif
"""
)

# Backwards, from any state between: nothing done, connections blocked, or all of it. What was live for a moment may
# hold what users committed, so it is kept. Where nothing was done `new` is marked anew: a swap that is still under way,
# and gets here late, refuses then.
SWAP_BACK = (
    _STATE
    + r"""
SELECT :'has_old'::boolean AND :'has_live'::boolean AND NOT :'has_new'::boolean AS is_swapped,
  NOT :'has_old'::boolean AND NOT :'has_new'::boolean AND :'has_live'::boolean AND :'alone'::boolean AS is_moved,
  NOT :'has_old'::boolean AND (:'has_live'::boolean OR :'alone'::boolean AND :'has_new'::boolean) AS is_untouched,
  '' AS comment \gset
\if :is_swapped
"""
    + _EMPTY
    + rf"""
SELECT substr(:'old_comment', strpos(:'old_comment', ': ') + 2) AS comment \gset
BEGIN;
ALTER DATABASE :"live" RENAME TO :"new";
ALTER DATABASE :"old" RENAME TO :"live";
SELECT format('COMMENT ON DATABASE %I IS %s', :'live', coalesce(quote_literal(nullif(:'comment', '')), 'NULL')) \gexec
SELECT format('COMMENT ON DATABASE %I IS %L', :'new', '{KEPT}' || :'until' || ': ' || :'live_comment') \gexec
ALTER DATABASE :"live" ALLOW_CONNECTIONS true;
COMMIT;
\elif :is_moved
"""
    + _EMPTY
    + rf"""
BEGIN;
ALTER DATABASE :"live" RENAME TO :"new";
SELECT format('COMMENT ON DATABASE %I IS %L', :'new', '{KEPT}' || :'until' || ': ' || :'live_comment') \gexec
COMMIT;
\elif :is_untouched
SELECT format('COMMENT ON DATABASE %I IS %L', :'new', CASE WHEN :'new_comment' = '{WHOLE}' THEN '{MARKED}'
  ELSE '{KEPT}' || :'until' || substr(:'new_comment', strpos(:'new_comment', ': ')) END)
 WHERE :'has_new'::boolean AND :'is_whole'::boolean \gexec
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', :'live') WHERE :'has_live'::boolean \gexec
\else
SELECT set_config('dojo.why', 'neither before a swap nor behind it: there is ' || coalesce(string_agg(datname, ', '),
  'none of them') || format('; meant are %s, %s and %s', :'live', :'new', :'old'), false) AS quiet
 FROM pg_database WHERE datname IN (:'live', :'new', :'old')
\g /dev/null
DO $$ BEGIN RAISE EXCEPTION '%', current_setting('dojo.why'); END $$;
\endif
"""
)

DROP_KEPT = f"""\
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
 WHERE datname = :'kept' AND shobj_description(oid, 'pg_database') LIKE '{KEPT}%' \\gexec
"""
