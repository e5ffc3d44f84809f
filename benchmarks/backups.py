"""A database of 1 GB into S3: `pg_dump -Fc | rclone rcat`, and ours, over SSH, in the same run; memory of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.backups import bed
from tests.backups.bed import NAME, PASSWORD, ROLE, Cluster
from tests.sshd import Server, any_server
from tests.stores import seaweed

MB = 1e6
# A row of noise does not compress, one of words does; each half is as large.
NOISE = """(SELECT string_agg(gen_random_uuid()::text || gen_random_uuid()::text, '')
  FROM generate_series(1, 14) WHERE n > 0)"""
WORDS = "repeat('a card of the deck, and its text; ', 30)"


def measure(rows: int, folder: Path) -> list[dict[str, Any]]:
    """Wall seconds and the controller's peak memory of each way; `rows` of about 1 kB in each half."""
    os.environ["STORE_TEST_ACCESS"], os.environ["STORE_TEST_SECRET"] = seaweed.ACCESS, seaweed.SECRET
    for name in ("postgres", "seaweed", "way"):
        (folder / name).mkdir()
    with (
        bed.running(folder / "postgres") as cluster,
        seaweed.running(folder / "seaweed") as endpoint,
        any_server(folder / "way") as way,
    ):
        _fill(cluster, rows)
        size = int(cluster.psql(f"SELECT pg_database_size('{NAME}')"))
        found = [{"what": "the database", "MB": round(size / MB)}]
        for what, run in (
            ("pg_dump -Fc | rclone rcat", lambda: _rclone(cluster, endpoint, folder)),
            ("backup.create", lambda: _ours(cluster, endpoint, way, folder, "")),
            ("backup.create, compress: gzip:1", lambda: _ours(cluster, endpoint, way, folder, "gzip:1")),
        ):
            found.append({"what": what, **run()})
            print(json.dumps(found[-1]), flush=True)
        return found


def _fill(cluster: Cluster, rows: int) -> None:
    quoted = PASSWORD.replace("'", "''")
    cluster.psql(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{quoted}'; CREATE DATABASE {NAME} OWNER {ROLE}")
    for table, text in (("noise", NOISE), ("words", WORDS)):
        sql = f"CREATE TABLE {table} AS SELECT n AS id, {text} AS text FROM generate_series(1, {rows}) n"
        words = [cluster.bin / "psql", "-Xq", "-h", "127.0.0.1", "-p", str(cluster.port), "-U", ROLE, "-d", NAME]
        subprocess.run([*words, "-c", sql], env={"PGPASSWORD": PASSWORD}, check=True, timeout=200)


def _rclone(cluster: Cluster, endpoint: str, folder: Path) -> dict[str, Any]:
    settings = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": endpoint, "FORCE_PATH_STYLE": "true",
                "ACCESS_KEY_ID": seaweed.ACCESS, "SECRET_ACCESS_KEY": seaweed.SECRET}  # fmt: skip
    env = {**{f"RCLONE_CONFIG_S_{name}": value for name, value in settings.items()}, "HOME": str(folder),
           "PATH": f"{cluster.bin}:/usr/bin:/bin", "PGPASSWORD": PASSWORD, "PGHOST": "127.0.0.1",
           "PGPORT": str(cluster.port), "PGUSER": ROLE, "PGDATABASE": NAME}  # fmt: skip
    line = f"pg_dump -Fc | rclone --config /dev/null rcat s:{seaweed.BUCKET}/peer/dump"
    began = time.monotonic()
    subprocess.run(["/bin/sh", "-c", line], env=env, check=True, timeout=300)
    return {"seconds": round(time.monotonic() - began, 1)}


def _ours(cluster: Cluster, endpoint: str, way: Server, folder: Path, compress: str) -> dict[str, Any]:
    ssh = way.host.ssh
    store = {"kind": "s3", "bucket": seaweed.BUCKET, "prefix": "ours", "endpoint": endpoint,
             "access_key": {"env": "STORE_TEST_ACCESS"}, "secret_key": {"env": "STORE_TEST_SECRET"}}  # fmt: skip
    database = {"kind": "postgres", "name": NAME, "host": "db1", "address": "127.0.0.1", "port": cluster.port,
                "user": ROLE, "password": {"env": "BACKUP_TEST_PASSWORD"}, "bin": str(cluster.bin),
                "compress": compress}  # fmt: skip
    site = {
        "app": {"name": "shop", "root": "/srv/shop", "processes": {}, "build": {"run": []}},
        "hosts": {"web": [{"name": "db1", "address": way.host.address, "port": ssh.port}]},
        "ssh": {"user": ssh.user, "key": ssh.key, "known_hosts": ssh.known_hosts},
        "store": store, "balancer": "none", "database": database,
    }  # fmt: skip
    file = folder / "production.yml"
    file.write_text(json.dumps(site))
    program = "import sys; from benchmarks.backups import timed; timed(sys.argv[1])"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(file)],
        env={**os.environ, "BACKUP_TEST_PASSWORD": PASSWORD}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    said = process.stdout.read()
    # wait4 gives this child's own peak.
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"it ended {process.returncode}: {said}")
    return {**json.loads(said), "memory_MiB": round(used.ru_maxrss / 1024)}


def timed(file: str) -> None:
    """One backup, and when its dump was in the store."""
    from dojo_deploy.app import backups

    began, ends = time.monotonic(), {}

    def tell(what: str, _: int, /, *, total: int = 0) -> None:  # noqa: ARG001
        ends[what] = time.monotonic()

    manifest = backups.back_up(file, tell=tell)
    done = time.monotonic()
    stored = ends["dumped"] - began
    print(json.dumps({"seconds": round(stored, 1), "with_verification": round(done - began, 1),
                      "dump_MB": round(manifest.dump.size / MB)}))  # fmt: skip


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dojo-bench-") as folder:
        found = measure(rows, Path(folder))
    (Path(__file__).parent / "backups.json").write_text(json.dumps(found, indent=1) + "\n")
    peer, ours = found[1], found[2]
    print(f"{ours['seconds'] / peer['seconds']:.2f} × the pipe; {ours['memory_MiB']} MiB")
    if ours["seconds"] > peer["seconds"] * 1.05 or ours["memory_MiB"] > 150:
        raise SystemExit("the promise does not hold")
