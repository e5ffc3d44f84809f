'use strict';
const net = require('node:net');
const { createApp } = require('./app');
const faults = require('./faults.json');

const DRAIN_MS = 1500;
const LIMIT_MS = 4500;

const server = require('node:http').createServer(createApp(faults));
server.keepAliveTimeout = 65000;

if (faults.listen === false) setInterval(() => {}, 60000);
else setTimeout(listen, faults.boot_ms ?? 0);

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);

function listen() {
  server.listen(Number(process.env.PORT), process.env.BIND ?? '127.0.0.1', () => {
    console.log(`release ${process.env.RELEASE ?? 'unknown'} listens on ${process.env.PORT}`);
    process.send?.('ready');
  });
}

function stop() {
  if (!server.listening) process.exit(0);
  // http.Server.close() cuts idle kept-alive connections at once (node >= 19), under requests already on their way.
  net.Server.prototype.close.call(server, () => process.exit(0));
  server.prependListener('request', (request, response) => response.setHeader('Connection', 'close'));
  setTimeout(() => server.closeIdleConnections(), DRAIN_MS).unref();
  setTimeout(() => process.exit(0), LIMIT_MS).unref();
}
