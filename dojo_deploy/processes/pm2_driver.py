"""The program that drives PM2 for one slot of a host; `SETTINGS` stands for a JSON object."""

DRIVER = r"""'use strict';
// Drives PM2 for one slot: node pm2.cjs start|stop|save|evidence [process …]
const fs = require('fs');
const os = require('os');
const path = require('path');
const { spawnSync } = require('child_process');
const settings = SETTINGS;

const HOME = settings.home || process.env.PM2_HOME || path.join(os.homedir(), '.pm2');
const DUMP = path.join(HOME, 'dump.pm2');
const deadline = Date.now() + settings.seconds * 1000;
const meant = process.argv.slice(3);
const apps = settings.apps.filter((app, number) => !meant.length || meant.includes(settings.names[number]));
const keys = meant.length ? meant.map((name) => `${settings.key}${name}/`) : [settings.key];
const verbs = { start, stop, save, evidence };

try {
  process.umask(0o077);
  verbs[process.argv[2]]();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

function start() {
  fs.mkdirSync(HOME, { recursive: true, mode: 0o700 });
  wake();
  const names = apps.map((app) => app.name);
  const known = list();
  const stranger = known.find((found) => !isOurs(found) && names.includes(found.name));
  if (stranger) throw new Error(`PM2 already has a ${stranger.name} that is not ours: pm2 delete ${stranger.pm_id}`);
  const ours = known.filter(isOurs);
  const stale = ours.filter((found) => settings.fresh || !apps.some((app) => fits(found, app)));
  remove(stale);
  endOrphans();
  const kept = new Set(ours.filter((found) => !stale.includes(found)).map((found) => found.name));
  const [reload, fresh] = [names.filter((name) => kept.has(name)), names.filter((name) => !kept.has(name))];
  if (reload.length) patiently('reload', settings.config, '--only', reload.join(','), '--update-env');
  if (fresh.length) pm2('start', settings.config, '--only', fresh.join(','));
  const now = list();
  const count = (app) => now.filter((found) => found.name === app.name).length;
  const wrong = apps.filter((app) => count(app) !== app.instances);
  for (const app of wrong) pm2('scale', app.name, String(app.instances));
  verify(wrong.length ? list() : now);
}

function stop() {
  if (isAwake()) remove(list().filter(isOurs));
  endOrphans();
}

function save() {
  // PM2 forgets whom its list lacks now: an application that a dead daemon ran would not come back after a reboot.
  const before = readDump();
  wake();
  pm2('save', '--force');
  const saved = readDump();
  const names = new Set(saved.map((found) => found.name));
  const scope = `${settings.key.split('/')[0]}/`;
  const absent = before.filter((entry) => !names.has(entry.name) && !mark(entry.env).startsWith(scope));
  const fresh = `${DUMP}.dojo`;
  fs.rmSync(fresh, { force: true });
  fs.writeFileSync(fresh, JSON.stringify([...saved, ...absent], null, 2), { mode: 0o600, flag: 'wx' });
  fs.renameSync(fresh, DUMP);
  if (fs.existsSync(`${DUMP}.bak`)) fs.chmodSync(`${DUMP}.bak`, 0o600);
}

function evidence() {
  const ours = isAwake() ? list().filter(isOurs) : [];
  if (!ours.length) console.log(`${isAwake() ? 'PM2 runs and has' : 'PM2 does not run:'} nothing of ${settings.key}`);
  for (const { name, pid, pm2_env: env } of ours) {
    const seconds = env.status === 'online' ? Math.round((Date.now() - env.pm_uptime) / 1000) : 0;
    const exit = env.exit_code === undefined ? '' : `, last exit ${env.exit_code}`;
    console.log(`${name}: ${env.status}, pid ${pid}, up ${seconds} s, ${env.restart_time} restarts${exit}`);
  }
  const logs = ours.flatMap(({ pm2_env: env }) => [env.pm_out_log_path, env.pm_err_log_path]);
  for (const file of new Set(logs)) console.log([`--- ${file}`, ...tail(file, 40)].join('\n'));
}

function fits(found, app) {
  const env = found.pm2_env;
  return found.name === app.name && env.exec_mode === `${app.exec_mode}_mode` && env.pm_cwd === app.cwd &&
    env.pm_exec_path === path.resolve(app.cwd, app.script) &&
    same(env.args, app.args) && same(env.node_args, app.node_args);
}

function same(some, others) {
  return [some || []].flat().join('\0') === others.join('\0');
}

function verify(found) {
  for (const app of apps) {
    const each = found.filter(({ name }) => name === app.name);
    // One failed start is PM2's word for our own restart of a worker that was less than a second old.
    const well = each.filter(({ pm2_env: env }) => env.status === 'online' && !(env.unstable_restarts > 1));
    if (well.length === app.instances) continue;
    const states = each.map(({ pm2_env: env }) => `${env.status} after ${env.unstable_restarts || 0} failed starts`);
    throw new Error(`${app.name}: ${well.length} of ${app.instances} run (${states.join('; ') || 'none known'})`);
  }
}

function isOurs(found) {
  return keys.some((key) => mark(found.pm2_env.env).startsWith(key));
}

function mark(env) {
  return String((env || {}).DOJO_PROCESS || '');
}

function remove(processes) {
  if (processes.length) pm2('delete', ...processes.map((found) => String(found.pm_id)));
}

function endOrphans() {
  // Workers in fork mode outlive a daemon that was killed, and hold the port; their own children come up as they end.
  for (const [signal, seconds] of [['INT', settings.stop_within], ['KILL', 5]]) {
    const told = new Set();
    for (const end = Date.now() + seconds * 1000; Date.now() < end; pause(100)) {
      const left = orphans();
      if (!left.length) return;
      for (const pid of left.filter((one) => !told.has(one))) spawnSync('kill', ['-s', signal, pid]);
      left.forEach((pid) => told.add(pid));
    }
  }
}

function orphans() {
  const daemon = isAwake() ? pidOfDaemon() : 0;
  return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOrphan(name, daemon));
}

function isOrphan(pid, daemon) {
  try {
    const block = fs.readFileSync(`/proc/${pid}/environ`, 'latin1');
    if (!keys.some((key) => `\0${block}`.includes(`\0DOJO_PROCESS=${key}`))) return false;
    const parent = Number(fs.readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')[1]);
    if (parent === daemon) return false;
    return parent === 1 || !fs.readFileSync(`/proc/${parent}/environ`, 'latin1').includes(settings.key);
  } catch (error) {
    return false; // ended meanwhile, or another user's
  }
}

function pause(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function wake() {
  if (isAwake()) return;
  // A daemon's umask is that of all its applications.
  const umask = process.umask(0o022);
  pm2('ping');
  process.umask(umask);
}

function isAwake() {
  try {
    // The number may be another program's since, or another user's, and a file that was cut off holds none.
    const daemon = `/proc/${pidOfDaemon()}`;
    return fs.statSync(daemon).uid === process.getuid()
      && fs.readFileSync(`${daemon}/cmdline`, 'latin1').includes('God Daemon');
  } catch (error) {
    return false;
  }
}

function pidOfDaemon() {
  return Number(fs.readFileSync(path.join(HOME, 'pm2.pid'), 'utf8'));
}

function patiently(...words) {
  // An earlier reload that was cut off leaves a lock for 30 s; one that still goes on refuses even `--force`.
  for (let force = []; ; force = ['--force']) {
    const said = run([...words, ...force]);
    if (!/already in progress/i.test(said.text)) return check(words, said);
    if (Date.now() > deadline) throw new Error('another reload goes on and does not end');
    pause(500);
  }
}

function pm2(...words) {
  return check(words, run(words));
}

function check(words, said) {
  if (said.status === 0) return said.text;
  throw new Error(`pm2 ${words.join(' ')}: exit status ${said.status}\n${said.text.trim().slice(-1500)}`);
}

function run(words) {
  // PM2 keeps its caller's whole environment in its list, its dump and its workers: it gets next to none.
  const { HOME: home, USER, LOGNAME, PATH } = process.env;
  const env = { HOME: home, USER, LOGNAME, PM2_HOME: HOME, PATH: `${path.dirname(process.execPath)}:${PATH}` };
  const limits = { timeout: Math.max(1000, deadline - Date.now()), maxBuffer: 1 << 28 };
  const done = spawnSync(settings.pm2, words, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'], ...limits });
  if (done.error) throw new Error(`pm2 ${words.join(' ')}: ${done.error.message}`);
  return { status: done.status, text: `${done.stdout}${done.stderr}`, answer: String(done.stdout) };
}

function list() {
  const said = run(['jlist', '--silent']);
  if (said.status) throw new Error(`pm2 jlist: exit status ${said.status}`);
  return JSON.parse(said.answer.slice(said.answer.lastIndexOf('\n[') + 1));
}

function readDump() {
  try {
    return JSON.parse(fs.readFileSync(DUMP, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return [];
    throw error;
  }
}

function tail(file, lines) {
  try {
    const size = fs.statSync(file).size;
    const bytes = Buffer.alloc(Math.min(size, 16384));
    const handle = fs.openSync(file, 'r');
    fs.readSync(handle, bytes, 0, bytes.length, size - bytes.length);
    fs.closeSync(handle);
    return bytes.toString('utf8').trimEnd().split('\n').slice(-lines);
  } catch (error) {
    return [error.code || error.message];
  }
}
"""
