"""What tells which processes run, and what gives each its environment; `SETTINGS` stands for a JSON object."""

# /proc/<pid>/environ is what a process was started with: `DOJO_PROCESS=…` in fork mode, within PM2's JSON in cluster
# mode. Children of a worker inherit it: they are left out, a worker that outlived its daemon is not.
RUNNING = r"""
found=$(grep -aoHsm1 -e "DOJO_PROCESS[\":=]*$MARK" /proc/[0-9]*/environ | sort -u)
pids=" $(printf '%s\n' "$found" | sed 's|^/proc/\([0-9]*\)/.*|\1|' | tr '\n' ' ')"
printf '%s\n' "$found" | while IFS=/ read -r _ _ pid _ slot process _; do
  [ -n "$pid" ] && read -r stat 2>/dev/null <"/proc/$pid/stat" || continue
  set -- ${stat##*) }
  case "$pids" in *" $2 "*) continue ;; esac
  [ "$1" != Z ] && folder=$(readlink "/proc/$pid/cwd") || continue
  printf '%s %s %s\n' "$slot/$process" "$pid" "$folder"
done
""".strip()

# In fork mode the mark is a variable of its own. Children of a worker have it too, whatever mode that is in.
FORKED = r"""
for file in $(grep -alzse "^DOJO_PROCESS=$MARK" /proc/[0-9]*/environ); do
  read -r stat 2>/dev/null <"${file%environ}stat" || continue
  set -- ${stat##*) }
  grep -aqse "DOJO_PROCESS[\":=]*$MARK" "/proc/$2/environ" && continue
  grep -aozhse "^DOJO_PROCESS=$MARK" "$file" | tr '\0' '\n' | sed 's|^[^/]*/\(.*\)/$|@forked \1|'
done | sort -u
""".strip()

ENVIRONMENT = r"""'use strict';
// Runs in each worker before the application: gives it the environment of the release that its slot names now.
// PM2 never holds it: a variable that a release no longer has is gone, a rollback has the old ones.
const fs = require('fs');
const path = require('path');
const settings = SETTINGS;

// In cluster mode PM2 sets the variables after this file has run, from this JSON.
const cluster = process.env.pm2_env && JSON.parse(process.env.pm2_env);
const mark = (cluster ? cluster.env : process.env).DOJO_PROCESS || '';
// PM2 may hand one application's node_args to another's worker, and node hands them to the worker's own children.
if (mark.startsWith(settings.key) && !process.env.DOJO_ENVIRONMENT) load(mark.slice(settings.key.length, -1));

function load(name) {
  // In cluster mode PM2 writes the cause of a crash to the log without waiting, and exits: it is lost.
  if (cluster) process.on('uncaughtExceptionMonitor', (error) =>
    fs.appendFileSync(cluster.pm_err_log_path, `${error && error.stack || error}\n`, { mode: 0o600 }));
  const folder = fs.realpathSync(settings.folder);
  const values = { ...read(folder), ...settings.processes[name] };
  for (const fixed of settings.fixed) delete values[fixed];
  Object.assign(values, { RELEASE: path.basename(folder), RELEASE_DIR: folder, DOJO_ENVIRONMENT: settings.key });
  Object.assign(process.env, values);
  if (!cluster) return;
  // Lower case is PM2's own: a variable called `status` or `args` would change the process itself.
  for (const variable of Object.keys(values)) if (/^[A-Z]/.test(variable)) cluster[variable] = values[variable];
  process.env.pm2_env = JSON.stringify(cluster);
}

function read(folder) {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, '.dojo', 'env.json'), 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT' && !fs.existsSync(path.join(folder, '.dojo', 'env.sh'))) return {};
    throw new Error(`${folder}/.dojo/env.json: ${error.code || 'not valid JSON'}`);
  }
}
"""
