"""Releases of the application with a health endpoint that misbehaves, each a commit on top of v2."""

from __future__ import annotations

import subprocess
from pathlib import Path

# Every third answer is bad, so that three good ones in a row never come.
FLAPS = """\
  let asked = 0;
  app.use('/health', (request, response, next) =>
    ++asked % 3 ? next() : response.status(503).json({ status: 'flaps', release }));
"""
# A status at once, and then a byte now and then, without end.
DRIPS = """\
  app.use('/health', (request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    const drip = setInterval(() => response.write(' '), 200);
    response.on('close', () => clearInterval(drip));
  });
"""
FAULTS = {"flaps": FLAPS, "drips": DRIPS}
BEFORE = "  app.get('/health',"


def add(repository: Path) -> None:
    """A tag for each of them in the application's repository."""
    file = repository / "app.js"
    whole = file.read_text()
    git = ("git", "-C", str(repository), "-c", "user.name=Dojo", "-c", "user.email=dojo@example.org")
    for name, text in FAULTS.items():
        file.write_text(whole.replace(BEFORE, text + BEFORE))
        subprocess.run([*git, "commit", "--quiet", "--all", "--message", f"Health {name}"], check=True)
        subprocess.run([*git, "tag", name], check=True)
        subprocess.run([*git, "reset", "--quiet", "--hard", "v2"], check=True)
