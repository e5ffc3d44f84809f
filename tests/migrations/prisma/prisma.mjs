#!/usr/bin/env node
// `prisma migrate deploy|status|resolve` by Prisma's own schema engine, in the form that needs no downloaded program.
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const glue = await import(require.resolve('@prisma/schema-engine-wasm/schema_engine_bg'))
const folder = path.dirname(require.resolve('@prisma/schema-engine-wasm'))
const wasm = fs.readFileSync(path.join(folder, 'schema_engine_bg.wasm'))
const { instance } = await WebAssembly.instantiate(wasm, { './schema_engine_bg.js': glue })
glue.__wbg_set_wasm(instance.exports)
instance.exports.__wbindgen_start()
globalThis.PRISMA_WASM_PANIC_REGISTRY ??= { set_message(text) { this.text = text } }
const { bindMigrationAwareSqlAdapterFactory } = require('@prisma/driver-adapter-utils')
const { PrismaPg } = require('@prisma/adapter-pg')

class Whole extends PrismaPg { // the adapter cuts a script at every semicolon; the native engine sends it whole
  async connect() {
    const adapter = await super.connect()
    adapter.executeScript = async (text) => {
      try { await adapter.client.query(text) } catch (error) { adapter.onError(error) }
    }
    return adapter
  }
}

const [, command, ...rest] = process.argv.slice(2)
const base = path.resolve('prisma/migrations')
const read = (name) => fs.readFileSync(name, 'utf8')
const names = fs.readdirSync(base, { withFileTypes: true }).filter((one) => one.isDirectory()).map((one) => one.name)
const migrationsList = {
  baseDir: base,
  shadowDbInitScript: '',
  lockfile: { path: './migration_lock.toml', content: read(path.join(base, 'migration_lock.toml')) },
  migrationDirectories: names.sort().map((name) => ({
    path: name,
    migrationFile: { path: 'migration.sql', content: { tag: 'ok', value: read(path.join(base, name, 'migration.sql')) } },
  })),
}
const filters = { externalTables: [], externalEnums: [] }
const address = process.env.DATABASE_URL
const schema = new URL(address).searchParams.get('schema') ?? undefined
const factory = new Whole({ connectionString: address, max: 1, idleTimeoutMillis: 0 }, { schema })
const models = [['schema.prisma', read('prisma/schema.prisma')]]
try {
  const engine = await glue.SchemaEngine.new({ datamodels: models }, () => {}, bindMigrationAwareSqlAdapterFactory(factory))
  if (command === 'deploy') {
    const { appliedMigrationNames: applied } = await engine.applyMigrations({ migrationsList, filters })
    console.log(applied.length ? `applied: ${applied.join(', ')}` : 'No pending migrations to apply.')
  } else if (command === 'status') {
    const told = await engine.diagnoseMigrationHistory({ migrationsList, optInToShadowDatabase: false, filters })
    console.log(JSON.stringify(told))
    if (told.history || told.failedMigrationNames.length) process.exitCode = 1
  } else if (command === 'resolve' && rest[0] === '--applied') {
    await engine.markMigrationApplied({ migrationsList, migrationName: rest[1] })
  } else if (command === 'resolve') {
    await engine.markMigrationRolledBack({ migrationName: rest[1] })
  } else {
    throw new Error(`prisma migrate ${command} is not played here`)
  }
} catch (error) {
  console.error(`Error: ${error.code ? `${error.code}\n` : ''}${error.message ?? error}`)
  process.exitCode = 1
}
process.exit()
