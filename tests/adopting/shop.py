"""Somebody else's Express app: a port of its own, no release in its health answer, a worker, a .env that it reads."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

PACKAGE = {
    "name": "corner-shop",
    "version": "1.0.0",
    "private": True,
    "scripts": {"start": "node src/server.js", "worker": "node src/worker.js"},
    "dependencies": {"dotenv": "16.4.5", "express": "4.21.2"},
}
SERVER = """\
require('dotenv').config();
const express = require('express');
const fs = require('fs');
const app = express();
const version = fs.readFileSync(`${__dirname}/version.txt`, 'utf8').trim();
app.get('/healthz', (request, answer) => answer.json({ ok: true }));
const { SHOP_KEY: key, SHOP_MODE: mode } = process.env;
app.get('/about', (request, answer) => answer.json({ version, key, mode }));
app.get('/jobs', (request, answer) => answer.json({ fine: true }));
if (process.argv.includes('--crash')) throw new Error('a flag that nobody knows');
const server = app.listen(Number(process.env.PORT), '127.0.0.1');
server.keepAliveTimeout = 65000;
process.on('SIGINT', () => server.close(() => process.exit(0)));
"""
WORKER = """\
require('dotenv').config();
const fs = require('fs');
const version = fs.readFileSync(`${__dirname}/version.txt`, 'utf8').trim();
setInterval(() => fs.appendFileSync('logs/jobs.log', `${version} ${process.pid} ${process.env.SHOP_KEY}\\n`), 50);
"""
ECOSYSTEM = """\
module.exports = { apps: [
  { name: 'shop', script: 'src/server.js', env: { SHOP_MODE: 'by hand' } },
  { name: 'shop-jobs', script: 'src/worker.js', env: { SHOP_MODE: 'by hand' } },
] };
"""


def make_repository(folder: Path, npm: Path) -> None:
    """`v1` and `v2`, with a lock file, and v1's node_modules beside it, in no commit."""
    (folder / "src").mkdir(parents=True)
    files = {
        "package.json": json.dumps(PACKAGE, indent=1),
        "src/server.js": SERVER,
        "src/worker.js": WORKER,
        "ecosystem.config.js": ECOSYSTEM,
        ".gitignore": "node_modules/\n.env\nlogs/\n",
        ".env.example": "PORT=\nSHOP_KEY=\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    subprocess.run([npm, "install", "--silent"], cwd=folder, check=True, timeout=170)
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True, timeout=20)
    for version in ("one", "two"):
        (folder / "src/version.txt").write_text(f"{version}\n")
        subprocess.run([*git, "add", "."], check=True, timeout=20)
        subprocess.run([*git, "commit", "-qm", version], check=True, timeout=20)
        subprocess.run([*git, "tag", {"one": "v1", "two": "v2"}[version]], check=True, timeout=20)
