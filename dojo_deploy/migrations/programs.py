"""What runs on a host around a migration tool: for node, which an application of this kind has on its PATH.

`node -e … ask LINE` prints what the database says, `node -e … run LINE` runs the line under an advisory lock. The
database is the application's own, by its own driver, or by psql; its address is read from the environment.
"""

LOCK = 1685023343  # ours: what else asks for it is this program. "dojo", as a number
# The lock that a tool takes for itself, which a command typed by a person takes too.
OWN_LOCKS = {"prisma": 72707369, "node-pg-migrate": 7241865325823964}
# Exit statuses of `run`, beside those of the line itself. The line never ran; nobody knows how far an earlier one came;
# it failed, and has changed nothing.
BUSY, UNSURE, UNTOUCHED = 75, 76, 77

GUARD = r"""'use strict';
const { spawn, spawnSync } = require('child_process');
const { constants } = require('os');
const [mode, line] = process.argv.slice(1);
const LOCK = 1685023343, MARK = 'dojo-answer-ends';
const TOOLS = {
  'prisma': ['_prisma_migrations', "CASE WHEN finished_at IS NULL THEN 'failed ' ELSE '' END || migration_name",
    ' WHERE rolled_back_at IS NULL'],
  'node-pg-migrate': ['pgmigrations', 'name', ''],
  'dbmate': ['schema_migrations', 'version', ''],
};
const say = (text) => console.log(`dojo: ${text}`);
const first = (error) => String(error.message || error.code || error).trim().split('\n')[0];

function tool() {
  let scripts = {};
  try { scripts = require(`${process.cwd()}/package.json`).scripts || {}; } catch { /* not an npm package */ }
  const named = Object.keys(scripts).filter((name) => line.includes(name)).map((name) => scripts[name]);
  const told = [line, ...named].join('\n');
  return Object.keys(TOOLS).find((name) => new RegExp(`(^|[^\\w-])${name}(?![\\w-])`).test(told));
}

async function open() {
  const address = process.env.DATABASE_URL ? new URL(process.env.DATABASE_URL) : null;
  if (address && !/^postgres(ql)?:$/.test(address.protocol)) throw new Error('DATABASE_URL is not of PostgreSQL');
  let Client;
  try { ({ Client } = require('pg')); } catch { /* then psql */ }
  const session = Client ? await byDriver(Client) : await byPsql(address);
  const schema = address && address.searchParams.get('schema');
  if (schema) await session.query(`SELECT set_config('search_path', '${schema.replace(/'/g, "''")}', false)`);
  return session;
}

async function byDriver(Client) {
  const client = new Client({ connectionString: process.env.DATABASE_URL, connectionTimeoutMillis: 5000 });
  client.on('error', () => {});
  await client.connect();
  const query = async (text) => (await client.query({ text, rowMode: 'array' })).rows.map((row) => String(row[0]));
  return { by: 'pg', query, end: () => client.end() };
}

async function byPsql(address) {
  const named = address ? {
    PGHOST: address.searchParams.get('host') || decodeURIComponent(address.hostname), PGPORT: address.port || '5432',
    PGUSER: decodeURIComponent(address.username), PGPASSWORD: decodeURIComponent(address.password),
    PGDATABASE: decodeURIComponent(address.pathname.slice(1)), PGSSLMODE: address.searchParams.get('sslmode') || '',
  } : {};
  const given = Object.fromEntries(Object.entries(named).filter(([, value]) => value));
  const env = { ...process.env, PGCONNECT_TIMEOUT: '5', ...given };
  const psql = spawn('psql', ['-XAtqw', '-v', 'ON_ERROR_STOP=1'], { env });
  let heard = '', complaint = '', waiting, over;
  const fail = (error) => { over = error; if (waiting) waiting[1](error); };
  const lacking = 'neither the driver pg nor psql';
  psql.on('error', (error) => fail(error.code === 'ENOENT' ? new Error(lacking) : error));
  psql.on('close', () => fail(new Error(complaint.trim() || 'psql ended')));
  psql.stdin.on('error', () => {});
  psql.stderr.on('data', (data) => { complaint += data; });
  psql.stdout.on('data', (data) => {
    heard += data;
    const end = heard.indexOf(`${MARK}\n`);
    if (end < 0 || !waiting) return;
    const rows = heard.slice(0, end).split('\n').slice(0, -1);
    heard = '';
    waiting[0](rows);
    waiting = undefined;
  });
  const query = (text) => new Promise((resolve, reject) => {
    if (over) { reject(over); return; }
    waiting = [resolve, reject];
    psql.stdin.write(`${text};\n\\echo ${MARK}\n`);
  });
  await query('SELECT 1');
  return { by: 'psql', query, end: async () => psql.stdin.end() };
}

// What the database has seen, and what stopped half-way; null where nothing says it.
async function history() {
  let told;
  if (process.env.DOJO_APPLIED) {
    const done = spawnSync('sh', ['-c', process.env.DOJO_APPLIED], { stdio: ['ignore', 'pipe', 'inherit'] });
    if (done.status) throw new Error(`\`applied\` ended ${done.status}`);
    told = String(done.stdout).split('\n').map((name) => name.trim()).filter(Boolean);
  } else {
    const found = TOOLS[tool()];
    if (!found) return null;
    const session = await open();
    const [table, name, condition] = found;
    const there = (await session.query(`SELECT to_regclass('${table}') IS NOT NULL`))[0];
    told = there[0] === 't' ? await session.query(`SELECT ${name} FROM ${table}${condition}`) : [];
    await session.end();
  }
  const failed = told.filter((name) => name.startsWith('failed ')).map((name) => name.slice(7));
  return { applied: told.filter((name) => !name.startsWith('failed ')), failed };
}

async function ask() {
  try {
    const session = await open();
    console.log(`# lock by ${session.by}`);
    await session.end();
  } catch (error) { console.log(`# no lock: ${first(error)}`); }
  console.log(`# tool ${tool() || 'unknown'}`);
  try {
    const seen = await history();
    console.log(seen ? '# table read' : '# table unknown');
    if (seen) console.log([...seen.applied, ...seen.failed.map((name) => `failed ${name}`)].join('\n'));
  } catch (error) { console.log(`# table not read: ${first(error)}`); }
}

// For a transaction: a session's lock would stay for good with a connection of a pooler that others use next.
async function locked() {
  let session;
  try { session = await open(); } catch (error) { say(`no advisory lock: ${first(error)}`); return true; }
  await session.query('BEGIN');
  await session.query("SELECT set_config(name, '0', true) FROM pg_settings"
    + " WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout', 'statement_timeout')");
  const until = Date.now() + 1000 * Number(process.env.DOJO_LOCK_WITHIN || 10);
  while ((await session.query(`SELECT pg_try_advisory_xact_lock(${LOCK})`))[0][0] !== 't') {
    if (Date.now() > until) {
      const [who] = await session.query("SELECT concat_ws(' ', 'pid', pid, 'of', usename, host(client_addr), 'since',"
        + " date_trunc('second', backend_start)) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE granted"
        + ` AND locktype = 'advisory' AND classid = 0 AND objid = ${LOCK} AND objsubid = 1`);
      say(`another migration is under way: ${who || 'it has ended just now'}`);
      return false;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return true;
}

async function look() {
  try {
    return await history();
  } catch (error) {
    say(`the table of migrations was not read: ${first(error)}`);
    return null;
  }
}

async function run() {
  if (!await locked()) return 75;
  const before = await look();
  if (process.env.DOJO_BEGUN === '1') {
    if (!before) {
      say('an earlier attempt began and never ended, and nothing says how far it came: it does not run twice');
      return 76;
    }
    if (before.failed.length) {
      say(`an earlier attempt of this run stopped half-way: ${before.failed[0]}`);
      return 76;
    }
    say('an earlier attempt of this run did not end well; none of its migrations is half done, so the rest runs now');
  }
  const status = await new Promise((resolve) => {
    const { DOJO_GUARD, DOJO_LINE, DOJO_APPLIED, DOJO_BEGUN, DOJO_LOCK_WITHIN, ...env } = process.env;
    const child = spawn('sh', ['-ec', line], { stdio: 'inherit', env });
    child.on('error', (error) => { say(first(error)); resolve(127); });
    child.on('close', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : code));
  });
  const after = await look();
  if (after) {
    const known = new Set(before ? before.applied : []);
    const fresh = after.applied.filter((name) => !known.has(name));
    say(`by its table the database has now seen ${fresh.join(', ') || 'nothing new'}`);
    if (after.failed.length) say(`stopped half-way: ${after.failed.join(', ')}`);
    if (!status && after.failed.length) return 76;
    // Only Prisma notes an attempt before it makes it; by the tables of others half of one may be done unseen.
    const stopped = before && after.failed.filter((name) => !before.failed.includes(name));
    if (status && tool() === 'prisma' && before && !fresh.length && !stopped.length) {
      say(`the line ended ${status}, and nothing was migrated`);
      return 77;
    }
  }
  return status;
}

(mode === 'ask' ? ask().then(() => 0) : run()).then((status) => process.exit(status), (error) => {
  say(first(error));
  process.exit(1);
});
"""

# Sees $DOJO_GUARD, $DOJO_LINE, $DOJO_APPLIED and $DOJO_LOCK_WITHIN (seconds): names that no application has in its own
# environment. Without node there is nothing to lock with, and nobody to say how far it came.
RUN = """\
. "$RELEASE_DIR/.dojo/env.sh" && cd "$RELEASE_DIR" || exit 1
if command -v node >/dev/null 2>&1; then exec node -e "$DOJO_GUARD" run "$DOJO_LINE"; fi
echo 'dojo: no advisory lock: no node on PATH'
[ "$DOJO_BEGUN" != 1 ] || { echo 'dojo: an earlier attempt began and never ended: it does not run twice'; exit 76; }
exec sh -ec "$DOJO_LINE"
"""
