'use strict';
// public/ -> dist/, with the script under a name made from its content so that browsers may keep it for ever.
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

function build(from = path.join(__dirname, 'public'), to = path.join(__dirname, 'dist')) {
  const script = fs.readFileSync(path.join(from, 'site.js'));
  const asset = `assets/site.${createHash('sha256').update(script).digest('hex').slice(0, 12)}.js`;
  fs.rmSync(to, { recursive: true, force: true });
  fs.mkdirSync(path.join(to, 'assets'), { recursive: true });
  fs.writeFileSync(path.join(to, asset), script);
  const page = fs.readFileSync(path.join(from, 'index.html'), 'utf8');
  fs.writeFileSync(path.join(to, 'index.html'), page.replace('site.js', asset));
  return asset;
}

if (require.main === module) console.log(`built ${build()}`);

module.exports = { build };
