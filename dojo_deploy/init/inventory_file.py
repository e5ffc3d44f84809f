"""What was found -> the text of an inventory, whose hosts are left to be filled in."""

from __future__ import annotations

from collections.abc import Iterator

from dojo_deploy.init.building import build_lines
from dojo_deploy.init.project import Project
from dojo_deploy.init.running import Running, name_of, processes
from dojo_deploy.init.words import noted, plain, quoted, word

HEAD = """\
# WHAT IS THERE, and nothing else: how it is changed stands in strategies/. A misspelt key is refused, with its line.
# Durations: 500ms, 10s, 5m, 1h30m. Secrets are named, never written: {env: NAME}, {file: PATH}, {cmd: COMMAND},
# {aws: ID}; a relative PATH lies beside this file. The README's inventories/production.yml shows every key.
"""


def inventory(project: Project, environment: str) -> str:
    return HEAD + "".join(f"{line}\n" for line in _inventory(project, environment))


def app_name(project: Project) -> str:
    """That of package.json, or of the folder, as paths can bear it."""
    names = [project.own.name if project.own else "", project.server.name, project.folder]
    name = next((name for name in map(name_of, names) if name), "app")
    return f"{name}-app" if name in ("all", "controller", "local") else name


def _inventory(project: Project, environment: str) -> Iterator[str]:
    yield "app:"
    name = app_name(project)
    yield noted(f"  name: {word(name)}", "part of every path, process name and key: do not change it later")
    yield noted(f"  root: {word(f'/srv/{name}')}", "on every host; releases, shared files and .env files go below")
    node = plain(project.server.node)
    yield noted("  build:", f"package.json asks for node {node}: here, and on the hosts") if node else "  build:"
    yield "    run:                               # once per release, on the machine that deploys"
    for line in build_lines(project):
        yield f"      - {word(line)}"
    if project.public:
        yield "    env:                               # baked into what browsers load, so no secrets; from the example:"
        yield from (f"      {key}: {quoted(value)}" for key, value in project.public.items())
    yield noted("  shared: [logs]", "files and folders that outlive releases, such as uploads")
    yield from _environment(project, environment)
    yield "  processes:"
    yield noted("    kind: pm2", "or systemd, or command: lines of your own")
    for one in processes(project):
        yield from _process(one)
    yield from _health(project)
    yield noted("  keep: 5", "releases on each host, beside those that run or may be gone back to")
    yield ""
    yield "hosts:                                 # FILL IN: [web1.example.org], or [web[01:03].example.org] for three"
    yield noted("  web: []", "releases go to these")
    yield noted("  lb: []", "nginx runs here; it may be one of the same")
    yield ""
    yield noted(
        "ssh: {user: deploy, agent: true}", "the agent's keys, or `key: ~/.ssh/id_ed25519`; each host may differ:"
    )
    yield "                                       # {name: web1, address: 10.0.0.4, port: 2222}"
    yield noted("balancer: {kind: nginx, hosts: lb, nginx: sudo -n nginx}", "or none: one host, a gap at each switch")
    yield noted("store: host", "lock, runs and record lie on the first web host; or s3://bucket/prefix")
    yield from _database(project, name)
    yield noted("# url: https://example.org", "the site as users reach it: for `--probe`, and gates via the balancer")


def _environment(project: Project, environment: str) -> Iterator[str]:
    yield noted("  env: {NODE_ENV: production}", "plain variables, in quotes where they look like numbers")
    if project.private:
        yield noted(
            f"  env_file: {{file: secrets/{environment}.env}}", f"KEY=value lines, as {project.example} names them;"
        )
        yield "                                       # goes to each release with mode 0600"
    else:
        yield noted(f"  # env_file: {{file: secrets/{environment}.env}}", "KEY=value lines that are secret")


def _process(one: Running) -> Iterator[str]:
    yield noted(f"    {one.name}:", f"from {plain(one.why)}")
    yield f"      script: {word(one.script)}"
    if one.args:
        yield f"      args: [{', '.join(quoted(arg) for arg in one.args)}]"
    yield f"      instances: {one.instances}"
    if one.ports != (0, 0, 0):
        blue, green, proof = one.ports
        yield f"      ports: {{blue: {blue}, green: {green}, proof: {proof}}}"
    elif one.port:
        yield noted(f"      port: {one.port}", f"the app finds it in $PORT; {one.port + 1} and {one.port + 2} are for")
        yield "                                       # blue-green's other colour, and for trying a release first"
    if one.mode:
        yield noted(f"      mode: {one.mode}", "cluster reloads without a gap")


def _health(project: Project) -> Iterator[str]:
    said = project.said
    if said.health:
        yield noted(
            f"  health: {word(said.health)}", f"found in {plain(said.health_at)}; a router may put it elsewhere"
        )
    else:
        yield noted("  health: /", "no health route was found: better one that asks the database, too")
    yield noted("  release_field: ''", 'answers {"release": process.env.RELEASE}? then `release`: gates ask for it')


def _database(project: Project, name: str) -> Iterator[str]:
    if project.provider in ("postgresql", "postgres", "cockroachdb"):
        yield "# database:                            # for `backup.*`, `db.*`: who may dump and restore"
        yield "#   kind: postgres"
        yield "#   host: db1.example.org              # a host of a group above, such as `db: [db1.example.org]`"
        yield f"#   name: {word(name)}"
        yield f"#   user: {word(name)}"
        yield "#   password: {env: PGPASSWORD}"
