'use strict';
// The site itself, without a port: server.js listens, the tests call it in process.
const path = require('node:path');
const express = require('express');
const stores = require('./stores');

const HERE = __dirname;

function createApp(faults = {}, env = process.env) {
  const app = express();
  const release = faults.release ?? env.RELEASE ?? 'unknown';
  const workers = env.WORKERS === 'paused' ? 'paused' : 'running';

  if (faults.fail) app.use((request, response) => response.status(500).json({ status: 'broken', release }));

  app.get('/health', (request, response) =>
    response.json({ status: 'ok', release, app: require('./package.json').name, pid: process.pid, workers }));

  app.get('/api/database/health', answer(async () => {
    const [row, pong] = await Promise.all([stores.query('SELECT 1 AS one'), stores.redis().ping()]);
    return { status: row.one === 1 && pong === 'PONG' ? 'ok' : 'broken', database: 'ok', redis: pong };
  }));

  app.get('/slow', (request, response) => {
    const milliseconds = Math.min(Number(request.query.ms ?? 1000), 60000);
    setTimeout(() => response.json({ status: 'ok', release, milliseconds }), milliseconds);
  });

  app.post('/jobs', answer(async () => ({ queued: await stores.redis().lpush('jobs:waiting', `${Date.now()}`) })));
  app.get('/jobs', answer(async () => {
    const redis = stores.redis();
    const [waiting, done] = await Promise.all([redis.llen('jobs:waiting'), redis.llen('jobs:done')]);
    return { waiting, done };
  }));

  app.use('/assets', express.static(path.join(HERE, 'dist', 'assets'), { immutable: true, maxAge: '1y' }));
  app.get('/', (request, response) => response.sendFile(path.join(HERE, 'dist', 'index.html')));
  return app;
}

function answer(work) {
  return (request, response) => work().then(
    (body) => response.json(body),
    (error) => response.status(503).json({ status: 'broken', error: error.message || error.code }));
}

module.exports = { createApp };
