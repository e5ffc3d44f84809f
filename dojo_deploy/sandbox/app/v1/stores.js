'use strict';
// Connections are opened at first use: /health must answer with neither database nor Redis in sight.
const { Pool } = require('pg');
const Redis = require('ioredis');

let pool;
let client;

async function query(text) {
  pool ??= new Pool({ connectionString: process.env.DATABASE_URL, max: 2, connectionTimeoutMillis: 3000 })
    .on('error', (error) => console.error('database:', error.message));
  return (await pool.query(text)).rows[0];
}

function redis() {
  client ??= new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: 1, connectTimeout: 3000 })
    .on('error', (error) => console.error('redis:', error.message));
  return client;
}

async function close() {
  client?.disconnect();
  await pool?.end();
}

module.exports = { query, redis, close };
