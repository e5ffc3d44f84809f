"""What a runbook's lines are at fault for, and what is said of lines that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke import Exit

from dojo_deploy.runbooks.lint import lint
from dojo_deploy.runbooks.reading import COMMAND, COMMENT, DATA, PROSE, lines
from dojo_deploy.runbooks.rules import RULES
from dojo_deploy.tasks import runbook

# Heading, a line as it is typed, and the rules that it breaks.
TYPED = [
    ("Health", "curl http://localhost:3000/health", {"curl-passes", "localhost"}),
    ("Upload", "curl -F file=@x https://shop.example.org/", {"curl-passes"}),
    ("Restore", "psql -X -d shop -U app -v note='1 < 2' < dump.sql", {"plain-restore"}),
    ("Logs", "tail -f logs/error-*.log", {"never-ends", "pattern-expands-once"}),
    ("Logs", "journalctl -u tcgdojo -f", {"never-ends", "unit-may-not-exist"}),
    ("Load", "htop", {"never-ends"}),
    ("Monitor", "watch -n 5 'curl http://localhost:3000/health'",
     {"never-ends", "watch-decides-nothing", "curl-passes", "localhost"}),
    ("Processes", "pm2 monit", {"never-ends"}),
    ("Processes", "pm2 restart all", {"everything-at-once"}),
    ("Redis", "redis-cli", {"never-ends"}),
    ("Redis", "redis-cli ping", {"ping-passes"}),
    ("Redis", "KEYS *", {"blocks-redis"}),
    ("Redis", "FLUSHALL              # Clear all (careful!)", {"empties-redis"}),
    ("Memory", "node --max-old-space-size=4096 dist/server.js", {"second-server"}),
    ("Slow", "LOG_DB_QUERIES=true npm start", {"second-server"}),
    ("Slow", "node --inspect dist/server.js", {"second-server"}),
    ("CPU", "node --prof dist/server.js", {"second-server", "profile-needs-restart"}),
    ("Memory Leaks", "npm test", {"tests-prove-no-leak"}),
    ("Connections", 'psql -c "SELECT count(*) FROM pg_stat_activity;"', {"counts-the-server", "psql-somewhere"}),
    ("Rolling Deployment", "git pull origin main", {"pull-where-it-runs"}),
    ("Rolling Deployment", "npm install", {"install-not-ci"}),
    ("Rolling Deployment", "npm test", {"tests-where-it-runs"}),
    ("Rolling Deployment", "npm run build", {"build-in-place"}),
    ("Rolling Deployment", "npx prisma migrate deploy", {"migrates-bare"}),
    ("Rolling Deployment", "pm2 reload ecosystem.config.js --update-env", {"reload-keeps-old-code"}),
    ("Deployments", "git revert HEAD", {"revert-on-server"}),
    ("Deployments", "git checkout abc123", {"detached-checkout"}),
    ("Deployments", "./switch-to-green.sh", {"opaque-script"}),
    ("Backup", "pg_dump -h localhost -U postgres tcgdojo > backup_$(date +%Y%m%d).sql",
     {"as-superuser", "dump-truncates"}),
    ("Backup", "pg_dump tcgdojo | gzip > x.gz", {"pipe-hides-failure"}),
    ("Backup", "pg_restore --list backup_20240101.sql", {"list-proves-nothing", "fixed-date"}),
    ("Restore", "psql -U postgres tcgdojo < backup_20240101.sql", {"as-superuser", "plain-restore", "fixed-date"}),
    ("Restore", "dropdb tcgdojo", {"drops-the-only-copy"}),
    ("Restore", "createdb tcgdojo", {"creates-bare"}),
    ("Restore", "pm2 stop all", {"everything-at-once"}),
    ("Restore", "npx prisma migrate deploy", {"migrate-after-restore"}),
    ("Migrations", "npx prisma migrate dev --name rollback_user_preferences", {"development-migration"}),
    ("Migrations", "# Edit migration file and create reverse migration", {"edits-applied-migration"}),
    ("Tuning", "EXPLAIN ANALYZE SELECT * FROM products WHERE price > 100;", {"explain-executes", "sql-in-shell"}),
    ("Tuning", "CREATE INDEX idx_products_price ON products(price);", {"index-locks-writes", "sql-in-shell"}),
    ("Tuning", "CREATE INDEX CONCURRENTLY IF NOT EXISTS x ON y(z);", {"invalid-index-passes", "sql-in-shell"}),
    ("Tuning", "VACUUM ANALYZE;", {"vacuum-everything", "sql-in-shell"}),
    ("Tuning", "REINDEX DATABASE tcgdojo;", {"reindex-locks", "sql-in-shell"}),
    ("Useful", "SELECT * FROM users LIMIT 10;", {"shows-people", "sql-in-shell"}),
    ("Useful", "k6 run loadtests/product-api.test.js", {"load-on-production"}),
    ("Incident", 'curl -X POST https://s/api -H "Authorization: Bearer $API_KEY" -d \'{"status": "x"}\'',
     {"curl-passes", "token-in-arguments", "form-not-json"}),
    ("Maintenance", "npm run test:integration", {"tests-where-it-runs"}),
    ("Maintenance", "# Set MAINTENANCE_MODE=true", {"mode-by-environment"}),
    ("Blue-Green", "# 5. Keep blue as backup for 24h", {"standby-unsaid"}),
    ("Backup", "# Automated backups run daily at 2 AM UTC", {"backup-unwatched"}),
]  # fmt: skip
WRITTEN = [
    ("1. Restart Redis", "restarts-redis"),
    ("2. Clear cache if corrupted", "clears-cache"),
    ("3. Increase connection pool size", "larger-pool"),
    ("4. Restart database if necessary", "restarts-database"),
    ("2. Add missing database indexes", "missing-index"),
    ("2. Restart application", "restart-for-memory"),
    ("- Prometheus: 9090", "public-ports"),
    ("| Disk Usage | > 90% | P1 |", "late-alarm"),
]
SAFE = [
    ("Health", "curl --fail-with-body --max-time 10 https://shop.example.org/health"),
    ("Logs", "tail -n 200 /var/log/shop.log"),
    ("Logs", "timeout 10 pm2 logs --nostream"),
    ("Deploy", "npm ci"),
    ("Deploy", "invoke deploy --strategy=rolling"),
    ("Tools", "npm install -g pm2"),
    ("Backup", "pg_dump -Fc --file=shop.dump shop"),
    ("Redis", "redis-cli -e ping"),
    ("Start", "node --version"),
    ("Health", "curl --max-time 10 https://shop.example.org/health -f"),
    ("Backup", "pg_dump -Fc -f shop.dump -d shop || exit 1"),
    ("Look", "psql -X -d shop -U reader -c 'SELECT name FROM cards WHERE price < 5'"),
    ("Deploy", "npm token list"),
]


def fenced(heading: str, line: str) -> str:
    return f"# {heading}\n\n```bash\n{line}\n```\n"


@pytest.mark.parametrize(("heading", "line", "rules"), TYPED)
def test_a_typed_line_is_at_fault_for(heading: str, line: str, rules: set[str]) -> None:
    found = lint(fenced(heading, line))
    assert {fault.rule for fault in found} == rules
    assert {fault.line for fault in found} == {4}
    assert all(fault.reason and fault.instead for fault in found)


@pytest.mark.parametrize(("line", "rule"), WRITTEN)
def test_a_written_line_is_at_fault_for(line: str, rule: str) -> None:
    assert rule in {fault.rule for fault in lint(f"# Resolution\n\n{line}\n")}


@pytest.mark.parametrize(("heading", "line"), SAFE)
def test_a_safe_line_is_let_alone(heading: str, line: str) -> None:
    assert lint(fenced(heading, line)) == ()


def test_a_line_that_is_continued_by_nothing_does_not_swallow_the_end_of_its_fence() -> None:
    text = "```sh\ngit log \\\n```\n\nWe never run dropdb here.\n"
    assert [line.kind for line in lines(text)] == [COMMAND, PROSE, PROSE]


def test_every_rule_for_a_line_is_tried_here() -> None:
    tried = set().union(*(rules for _, _, rules in TYPED)) | {rule for _, rule in WRITTEN}
    others = {
        fault.rule
        for text in (
            "# Look for detached DOM nodes, closures",
            "# Watch dashboards for 1 hour",
            "git log --oneline",
            "curl -f http://h/api/database/slow-queries -o x",
        )
        for fault in lint(fenced("Useful", text))
    } | {fault.rule for fault in lint("- Frontend: React + Vite (Port 5173)\n")}
    assert {rule.name for rule in RULES} - tried - others == set()


def test_what_only_the_whole_shows() -> None:
    text = """\
# Contacts
| Role | Contact | Hours |
|---|---|---|
| On-Call Engineer | a@example.org | 24/7 |
| DevOps Lead | b@example.org | Business hours |
## Metrics
- Error rate > 1% in Sentry
- Memory > 80%
- P0: outage
- High error rate (>5%)
| Memory Usage | > 85% | P2 |
| Error Rate | > 1% | P1 |
## Rollback
```bash
pm2 status
```
## Scheduled Maintenance
```bash
pg_dump -Fc -f x.dump shop
# Enable maintenance mode
```
## Escalation Path
1. On-Call Engineer
2. DevOps Lead
3. Engineering Manager
"""
    assert [(fault.line, fault.rule) for fault in lint(text)] == [
        (10, "contradicts"),
        (11, "contradicts"),
        (11, "no-outage-alert"),
        (11, "no-window"),
        (13, "schema-unsaid"),
        (19, "backup-before-closing"),
        (24, "dead-end-at-night"),
        (25, "no-contact"),
    ]


def test_a_deployment_that_forgets_the_cdn() -> None:
    text = "# Parts\n- CDN: CloudFlare\n" + fenced("Rolling Deployment", "npm run build")
    assert [(fault.line, fault.rule) for fault in lint(text)] == [(6, "build-in-place"), (6, "frontend-unsaid")]
    assert "frontend-unsaid" not in {fault.rule for fault in lint(fenced("Rolling Deployment", "npm run build"))}


def test_a_document_is_read_as_commands_comments_and_prose() -> None:
    text = "# A\n## B\nprose\n```sh\n# why\n$ one  # not this\ntwo \\\n  three\n```\n$ four\n## C\n~~~\n```\n~~~\n"
    found = [(line.number, line.kind, line.text, line.heading) for line in lines(text)]
    assert found[2:] == [
        (3, PROSE, "prose", "A / B"),
        (5, COMMENT, "# why", "A / B"),
        (6, COMMAND, "one", "A / B"),
        (7, COMMAND, "two   three", "A / B"),
        (10, COMMAND, "four", "A / B"),
        (11, PROSE, "## C", "A / C"),
        (13, COMMAND, "```", "A / C"),
    ]


def test_what_a_fence_holds_and_nobody_types_is_data() -> None:
    text = """\
# Deploy
```bash
mkdir -p inventories && cat > inventories/production.yml <<'YAML'
app: {build: {run: [npm install, git pull]}}
YAML
dropdb shop
services:
  web:
    command: pm2 restart all
  jobs:
  - npm install
# two
psql -X -d shop -U ops <<SQL
FLUSHALL
SQL
```
```yaml
run: git pull
```
"""
    found = [line.text for line in lines(text) if line.kind == COMMAND]
    assert found == [
        "mkdir -p inventories && cat > inventories/production.yml <<'YAML'",
        "dropdb shop", "psql -X -d shop -U ops <<SQL", "FLUSHALL", "SQL",
    ]  # fmt: skip
    assert [line.text for line in lines(text) if line.kind == COMMENT] == ["# two"]
    assert sum(line.kind == DATA for line in lines(text)) == 8
    assert {fault.rule for fault in lint(text)} == {"drops-the-only-copy", "empties-redis"}


PROCEDURE = """\
## Rolling Deployment
```bash
npm ci
pm2 reload shop
```
"""


def test_a_procedure_that_never_asks_which_release_answers_where() -> None:
    found = {fault.rule: fault.line for fault in lint(PROCEDURE)}
    assert (found["no-census"], found["node-of-a-login-shell"]) == (4, 3)
    looks = PROCEDURE.replace("npm ci", "command -v node npm pm2\nnpm ci").replace("shop\n", "shop\ninvoke status\n")
    assert {"no-census", "node-of-a-login-shell"} & {fault.rule for fault in lint(looks)} == set()


def test_the_task_ends_10_for_a_dangerous_line_and_2_for_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "RUNBOOK.md"
    file.write_text(fenced("Redis", "FLUSHALL"))
    with pytest.raises(Exit) as ended:
        runbook.lint.body(None, str(file))
    assert ended.value.code == 10
    assert f"{file}:4: dangerous: FLUSHALL" in capsys.readouterr().out
    file.write_text(fenced("Redis", "redis-cli ping"))
    runbook.lint.body(None, str(file), json=True)
    assert json.loads(capsys.readouterr().out)[0]["rule"] == "ping-passes"
    with pytest.raises(Exit) as ended:
        runbook.lint.body(None, str(tmp_path / "none.md"))
    assert ended.value.code == 2
