'use strict';
// Applies migrations/*.sql once each, in order of name, and counts every invocation in migration_runs.
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { Client } = require('pg');

const FOLDER = path.join(__dirname, 'migrations');
const LOCK = 72707369;

main().catch((error) => { console.error('Error:', error.message); process.exitCode = 1; });

async function main() {
  const client = new Client({ connectionString: process.env.DATABASE_URL, connectionTimeoutMillis: 5000 });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    await client.query('CREATE TABLE IF NOT EXISTS migration_runs (id serial PRIMARY KEY, at timestamptz DEFAULT now())');
    await client.query('CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, checksum text NOT NULL, at timestamptz DEFAULT now())');
    await client.query('INSERT INTO migration_runs DEFAULT VALUES');
    const applied = new Map((await client.query('SELECT name, checksum FROM migrations')).rows.map((row) => [row.name, row.checksum]));
    const pending = found().filter((migration) => isPending(migration, applied));
    for (const migration of pending) await apply(client, migration);
    if (!pending.length) console.log('No pending migrations to apply.');
  } finally {
    await client.end();
  }
}

function found() {
  return fs.readdirSync(FOLDER).filter((name) => name.endsWith('.sql')).sort().map((name) => {
    const sql = fs.readFileSync(path.join(FOLDER, name), 'utf8');
    return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
  });
}

function isPending({ name, checksum }, applied) {
  if (applied.has(name) && applied.get(name) !== checksum) throw new Error(`${name} was changed after it had been applied`);
  return !applied.has(name);
}

async function apply(client, { name, sql, checksum }) {
  await client.query('BEGIN');
  try {
    await client.query(sql);
    await client.query('INSERT INTO migrations (name, checksum) VALUES ($1, $2)', [name, checksum]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw new Error(`${name}: ${error.message}`);
  }
  console.log(`applied ${name}`);
}
