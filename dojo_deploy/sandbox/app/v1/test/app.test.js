'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { createApp } = require('../app');
const { build } = require('../build');

test('/health tells which release answers', async (t) => {
  const server = createApp({}, { RELEASE: 'r7', WORKERS: 'paused' }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const response = await fetch(`http://127.0.0.1:${server.address().port}/health`, { headers: { connection: 'close' } });
  const body = await response.json();
  assert.equal(response.status, 200);
  assert.equal(body.release, 'r7');
  assert.equal(body.workers, 'paused');
});

test('the build names its script after its content', (t) => {
  const to = fs.mkdtempSync(path.join(os.tmpdir(), 'build-'));
  t.after(() => fs.rmSync(to, { recursive: true }));
  const asset = build(path.join(__dirname, '..', 'public'), to);
  assert.ok(fs.existsSync(path.join(to, asset)));
  assert.ok(fs.readFileSync(path.join(to, 'index.html'), 'utf8').includes(asset));
});
