"""PM2's apps that run in a checkout and that somebody else started: found, held, let run again, forgotten."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from dojo_deploy.command import Command

PROGRAM = r"""'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const { spawnSync } = require('child_process');
const { CHECKOUT, KEPT, META, PM2, THEIR_HOME, WITHIN } = process.env;
const HOME = THEIR_HOME || process.env.PM2_HOME || path.join(os.homedir(), '.pm2');
const DUMP = path.join(HOME, 'dump.pm2');
// What a session of a person leaves in its environment, and PM2 in that of its apps.
const SESSION = new RegExp('^(PATH|HOME|PWD|OLDPWD|SHLVL|USER|LOGNAME|SHELL|TERM|MAIL|LANG|PORT|INSTANCES|_)$|' +
  '^NODE_(APP_INSTANCE|CHANNEL.*)$|^(LC|LS|SSH|XDG|DBUS|PM2|SUDO|NVM)_');
const verbs = { list, hold, revive, forget, environment };

try {
  process.umask(0o077);
  verbs[process.argv.at(-1)]();
} catch (error) {
  console.error(error.message);
  process.exit(1);
}

function list() {
  for (const { name, pid, pm2_env: env } of strangers()) console.log(`@app ${name} ${pid} ${env.status}`);
}

function hold() {
  const found = strangers().filter(({ pm2_env: env }) => env.status === 'online');
  // Only the first attempt sees them all: what it wrote down stays.
  if (!found.length && !fs.existsSync(KEPT)) throw new Error(`PM2 runs nothing in ${CHECKOUT}`);
  if (!fs.existsSync(KEPT)) write(KEPT, JSON.stringify(found.map(({ pm_id, name }) => ({ id: pm_id, name }))));
  if (found.length) pm2('stop', ...found.map(({ pm_id }) => String(pm_id)));
  const left = strangers().filter(({ pm2_env: env }) => env.status === 'online').map(({ name }) => name);
  if (left.length) throw new Error(`PM2 goes on running ${left.join(', ')}`);
}

function revive() {
  const ended = kept().filter(({ pm2_env: env }) => env.status !== 'online');
  if (ended.length) pm2('start', ...ended.map(({ pm_id }) => String(pm_id)));
  fs.rmSync(KEPT, { force: true });
}

function forget() {
  const gone = kept();
  if (gone.length) pm2('delete', ...gone.map(({ pm_id }) => String(pm_id)));
  // Else they came back with the next boot, beside what runs in their place.
  const dumped = read(DUMP, []);
  const left = dumped.filter((app) => (app.env || {}).DOJO_PROCESS || !runsHere(app.pm_cwd));
  if (left.length !== dumped.length) write(DUMP, JSON.stringify(left, null, 2));
  fs.rmSync(KEPT, { force: true });
}

function environment() {
  const values = dotenv();
  for (const { pm2_env: env } of strangers()) {
    for (const [name, value] of Object.entries(env.env || {})) {
      if (/^[A-Z][A-Z0-9_]*$/.test(name) && !SESSION.test(name) && typeof value === 'string') values[name] = value;
    }
  }
  write(path.join(META, 'env.json'), JSON.stringify(values, null, 1));
  const quoted = (value) => `'${value.replaceAll("'", "'\\''")}'`;
  write(path.join(META, 'env.sh'), Object.entries(values).map(([k, v]) => `export ${k}=${quoted(v)}\n`).join(''));
}

function dotenv() {
  // Only what every reader takes alike; the app goes on reading the file itself.
  const plain = /^(?:export )?([A-Za-z_]\w*)=(?:'([^']*)'|"([^"$\\]*)"|([^\s'"`#$\\]*))\s*(?:#.*)?$/;
  const values = {};
  const file = path.join(CHECKOUT, '.env');
  for (const line of fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split(/\r?\n/) : []) {
    const [, name, single, double, bare] = plain.exec(line.trim()) || [];
    if (name && name !== 'PORT') values[name] = single ?? double ?? bare;
  }
  return values;
}

function strangers() {
  return all().filter(({ pm2_env: env }) => !(env.env || {}).DOJO_PROCESS && runsHere(env.pm_cwd));
}

function kept() {
  const ids = read(KEPT, []).map(({ id, name }) => `${id} ${name}`);
  return all().filter(({ pm_id, name }) => ids.includes(`${pm_id} ${name}`));
}

function runsHere(folder) {
  const real = (name) => (fs.existsSync(name) ? fs.realpathSync(name) : name);
  return `${real(folder || '/')}/`.startsWith(`${real(CHECKOUT)}/`);
}

function all() {
  // A daemon that is not there has no apps, and is not woken up for that.
  if (!fs.existsSync(path.join(HOME, 'pm2.pid'))) return [];
  const text = pm2('jlist', '--silent');
  return JSON.parse(text.slice(text.lastIndexOf('\n[') + 1));
}

function pm2(...words) {
  const { HOME: home, USER, LOGNAME, PATH } = process.env;
  const env = { HOME: home, USER, LOGNAME, PM2_HOME: HOME, PATH: `${path.dirname(process.execPath)}:${PATH}` };
  const limits = { timeout: WITHIN * 1000, maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] };
  const done = spawnSync(PM2, words, { cwd: '/', env, ...limits });
  if (done.error) throw new Error(`pm2 ${words[0]}: ${done.error.message}`);
  if (done.status) throw new Error(`pm2 ${words.join(' ')}: exit status ${done.status}\n${done.stdout}${done.stderr}`);
  return String(done.stdout);
}

function read(file, otherwise) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : otherwise;
}

function write(file, text) {
  fs.writeFileSync(`${file}.new`, text, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}
"""


@dataclass(frozen=True)
class Pm2Strangers:
    """`checkout` is theirs; in `folder` lie the program, and which of them ran while that can still be undone."""

    node: str
    pm2: str
    home: str
    checkout: str
    folder: str
    seconds: float = 60.0

    def files(self) -> Mapping[str, str]:
        """What all but `list` need: path -> content."""
        return {self._program: PROGRAM}

    def list(self) -> Command:
        """Prints a line `@app name pid status` for each."""
        return self._do("list", "-e", PROGRAM)

    def hold(self) -> Command:
        """They end, and stay in PM2's list. Repeatable."""
        return self._do("hold")

    def revive(self) -> Command:
        """Those that `hold` ended run again. Repeatable."""
        return self._do("revive")

    def forget(self) -> Command:
        """Those that `hold` ended are in PM2's list and its dump no more. Repeatable."""
        return self._do("forget")

    def environment(self, meta: str) -> Command:
        """Their variables, and those of the checkout's .env, as `env.json` and `env.sh` in `meta`: 0600."""
        return self._do("environment", META=meta)

    @property
    def _program(self) -> str:
        return posixpath.join(self.folder, "strangers.cjs")

    def _do(self, verb: str, flag: str = "--", program: str = "", **more: str) -> Command:
        values = {
            "PM2": self.pm2,
            "CHECKOUT": self.checkout,
            "KEPT": posixpath.join(self.folder, "strangers.json"),
            "WITHIN": f"{self.seconds:.0f}",
            "THEIR_HOME": self.home,
            **more,
        }
        words = {"NODE": self.node, "PROGRAM": program or self._program}
        line = f'timeout -k 5 {self.seconds + 5:.0f} "$NODE" {flag} "$PROGRAM" {verb}'
        return Command.shell(line, env={**values, **words})
