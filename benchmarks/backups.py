"""A database of 1 GB into S3: `pg_dump -Fc | rclone rcat`, and ours, over SSH, in turns in the same run.

Half of the database is random bytes. Both compress as pg_dump does by default. Theirs ends when the object is there,
and reads nothing back; of ours, `seconds` is until then, and `with_verification` until it has been read back.
"""

from __future__ import annotations

import json
import os
import statistics
import struct
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
WORDS = "repeat('a card of the deck, and its text; ', 28)"
LONG = 1000  # bytes of noise in a row
TABLES = 4  # in each half
PEER, OURS, PARALLEL = "pg_dump -Fc | rclone rcat", "backup.create", "backup.create, jobs: one per core"


def measure(rows: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
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
        runs = {
            PEER: lambda: _rclone(cluster, endpoint, folder),
            OURS: lambda: _ours(cluster, endpoint, way, folder),
            PARALLEL: lambda: _ours(cluster, endpoint, way, folder, jobs=os.cpu_count() or 2),
        }
        for turn in range(rounds):
            for what, run in runs.items():
                os.sync()  # what the one before has not written yet is not to be written on this one's time
                found.append({"what": what, "round": turn + 1, **run()})
                print(json.dumps(found[-1]), flush=True)
        return found


def _fill(cluster: Cluster, rows: int) -> None:
    quoted = PASSWORD.replace("'", "''")
    cluster.psql(f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{quoted}'; CREATE DATABASE {NAME} OWNER {ROLE}")
    words = [cluster.bin / "psql", "-Xq", "-h", "127.0.0.1", "-p", str(cluster.port), "-U", ROLE, "-d", NAME]
    said = {"PGPASSWORD": PASSWORD}
    rows = rows // TABLES
    for number in range(TABLES):
        tables = (
            f"CREATE TABLE noise{number} (id int, bytes bytea); CREATE TABLE words{number} AS"
            f" SELECT n AS id, {WORDS} AS text FROM generate_series(1, {rows}) n"
        )
        subprocess.run([*words, "-c", tables], env=said, check=True, timeout=200)
        copy = [*words, "-c", f"COPY noise{number} FROM STDIN (FORMAT binary)"]
        with subprocess.Popen(copy, env=said, stdin=subprocess.PIPE) as filling:
            assert filling.stdin
            filling.stdin.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            for row in range(rows):
                filling.stdin.write(struct.pack("!hiiI", 2, 4, row, LONG) + os.urandom(LONG))
            filling.stdin.write(b"\xff\xff")
        assert not filling.returncode
    cluster.psql("CHECKPOINT")


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


def _ours(cluster: Cluster, endpoint: str, way: Server, folder: Path, **more: Any) -> dict[str, Any]:
    ssh = way.host.ssh
    store = {"kind": "s3", "bucket": seaweed.BUCKET, "prefix": "ours", "endpoint": endpoint,
             "access_key": {"env": "STORE_TEST_ACCESS"}, "secret_key": {"env": "STORE_TEST_SECRET"}}  # fmt: skip
    database = {"kind": "postgres", "name": NAME, "host": "db1", "address": "127.0.0.1", "port": cluster.port,
                "user": ROLE, "password": {"env": "BACKUP_TEST_PASSWORD"}, "bin": str(cluster.bin), **more}  # fmt: skip
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
    cpu = round(used.ru_utime + used.ru_stime, 1)
    return {**json.loads(said), "memory_MiB": round(used.ru_maxrss / 1024), "controller_cpu": cpu}


def timed(file: str) -> None:
    """One backup, and when its dump was in the store."""
    from dojo_deploy.app import backups

    began, ends = time.monotonic(), {}

    def tell(what: str, _: int, /, *, total: int = 0) -> None:  # noqa: ARG001
        ends.setdefault(what, time.monotonic())

    manifest = backups.back_up(file, tell=tell)
    done = time.monotonic()
    stored = ends["verified"] - began  # reading begins when all of it is there
    print(json.dumps({"seconds": round(stored, 1), "with_verification": round(done - began, 1),
                      "dump_MB": round(manifest.dump.size / MB)}))  # fmt: skip


def main(rows: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="dojo-bench-") as folder:
        found = measure(rows, rounds, Path(folder))
    (Path(__file__).parent / "backups.json").write_text(json.dumps(found, indent=1) + "\n")
    seconds = {name: [row["seconds"] for row in found if row["what"] == name] for name in (PEER, OURS, PARALLEL)}
    peer, ours, parallel = (statistics.median(values) for values in seconds.values())
    memory = max(row.get("memory_MiB", 0) for row in found)
    print(f"{ours / peer:.2f} × the pipe, in parallel {parallel / peer:.2f} ×; {memory} MiB")
    if ours > peer * 1.05 or parallel > ours or memory > 150:
        raise SystemExit("the promise does not hold")
