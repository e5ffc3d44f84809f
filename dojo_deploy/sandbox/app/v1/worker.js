'use strict';
const stores = require('./stores');

const WAIT_SECONDS = 1;
const paused = process.env.WORKERS === 'paused';
let stopping = false;

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => { stopping = true; if (paused) process.exit(0); });

console.log(`worker ${process.env.RELEASE ?? 'unknown'} ${paused ? 'paused' : 'running'}`);
process.send?.('ready');
if (paused) setInterval(() => {}, 60000);
else work();

async function work() {
  while (!stopping) {
    try {
      // A job is on one of the two lists at any moment: a worker killed in the middle of one loses nothing.
      const job = await stores.redis().brpoplpush('jobs:waiting', 'jobs:done', WAIT_SECONDS);
      if (job) console.log(`job ${job} done`);
    } catch (error) {
      console.error('worker:', error.message);
      await new Promise((resolve) => setTimeout(resolve, 1000 * WAIT_SECONDS));
    }
  }
  await stores.close();
}
