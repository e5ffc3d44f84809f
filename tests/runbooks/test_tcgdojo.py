"""The runbook that this program replaces: each of its faults is found, in the line where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from dojo_deploy.runbooks.lint import lint

TEXT = (Path(__file__).parent / "tcgdojo.md").read_text("utf-8")
LINES = TEXT.splitlines()
FOUND = {(LINES[fault.line - 1].strip(), fault.rule) for fault in lint(TEXT)}
HEALTH = "curl http://localhost:3000/health"
RELOAD = "pm2 reload ecosystem.config.js --update-env"
STATUS = "curl -X POST https://status.tcgdojo.com/api/incidents \\"
DUMP = "pg_dump -h localhost -U postgres tcgdojo > backup_$(date +%Y%m%d).sql"
# Procedure -> line as it stands there, and what is wrong with it.
FAULTS = {
    "anywhere": [
        (HEALTH, "curl-passes"),
        (HEALTH, "localhost"),
        ("tail -f logs/error-*.log", "never-ends"),
        ("top", "never-ends"),
        ("htop", "never-ends"),
        ("redis-cli", "never-ends"),
        ("psql -U postgres tcgdojo", "never-ends"),
        ("pg_restore --list backup_20240101.sql", "fixed-date"),
        ("npm install", "node-of-a-login-shell"),
    ],
    "common issues": [
        ("tail -f logs/error-*.log", "pattern-expands-once"),
        ("2. Add missing database indexes", "missing-index"),
        ("node --max-old-space-size=4096 dist/server.js", "second-server"),
        ("2. Restart application", "restart-for-memory"),
        ('psql -c "SELECT count(*) FROM pg_stat_activity;"', "counts-the-server"),
        ('psql -c "SELECT count(*) FROM pg_stat_activity;"', "psql-somewhere"),
        ("3. Increase connection pool size", "larger-pool"),
        ("4. Restart database if necessary", "restarts-database"),
        ("redis-cli ping", "ping-passes"),
        ("1. Restart Redis", "restarts-redis"),
        ("2. Clear cache if corrupted", "clears-cache"),
        ("FLUSHALL              # Clear all (careful!)", "empties-redis"),
    ],
    "incidents": [
        (STATUS, "curl-passes"),
        (STATUS, "form-not-json"),
        (STATUS, "token-in-arguments"),
        ("- High error rate (>5%)", "contradicts"),
    ],
    "rolling": [
        ("git pull origin main", "pull-where-it-runs"),
        ("npm install", "install-not-ci"),
        ("npm test", "tests-where-it-runs"),
        ("npm run build", "build-in-place"),
        ("npx prisma migrate deploy", "migrates-bare"),
        (RELOAD, "reload-keeps-old-code"),
        ("npm run build", "frontend-unsaid"),
        ("- **Frontend**: React + Vite (Port 5173)", "development-server"),
        (HEALTH, "no-census"),
    ],
    "rollback": [
        ("git log --oneline", "last-good-by-eye"),
        ("git revert HEAD", "revert-on-server"),
        ("git checkout abc123", "detached-checkout"),
        ("npm run build", "build-in-place"),
        ("pm2 reload all", "everything-at-once"),
        ("### Rollback Procedure", "schema-unsaid"),
    ],
    "blue-green": [
        ("./deploy-green.sh", "opaque-script"),
        ("./switch-to-green.sh", "opaque-script"),
        ("watch -n 5 'curl http://localhost:3000/health'", "watch-decides-nothing"),
        ("watch -n 5 'curl http://localhost:3000/health'", "no-census"),
        ("# 5. Keep blue as backup for 24h", "standby-unsaid"),
    ],
    "monitoring": [
        ("| Error Rate | > 1% | P1 |", "no-outage-alert"),
        ("| Error Rate | > 1% | P1 |", "no-window"),
        ("| Memory Usage | > 85% | P2 |", "contradicts"),
        ("| Disk Usage | > 90% | P1 |", "late-alarm"),
    ],
    "backup and restore": [
        (DUMP, "dump-truncates"),
        (DUMP, "as-superuser"),
        ("pg_restore --list backup_20240101.sql", "list-proves-nothing"),
        ("# Automated backups run daily at 2 AM UTC", "backup-unwatched"),
        ("dropdb tcgdojo", "drops-the-only-copy"),
        ("createdb tcgdojo", "creates-bare"),
        ("pm2 stop all", "everything-at-once"),
        ("psql -U postgres tcgdojo < backup_20240101.sql", "plain-restore"),
        ("npx prisma migrate deploy", "migrate-after-restore"),
    ],
    "migrations": [
        ("npx prisma migrate dev --name add_user_preferences", "development-migration"),
        ("npx prisma migrate dev --name rollback_user_preferences", "development-migration"),
        ("# Edit migration file and create reverse migration", "edits-applied-migration"),
    ],
    "tuning": [
        ("EXPLAIN ANALYZE SELECT * FROM products WHERE price > 100;", "explain-executes"),
        ("CREATE INDEX idx_products_price ON products(price);", "index-locks-writes"),
        ("REINDEX DATABASE tcgdojo;", "reindex-locks"),
        ("VACUUM ANALYZE;", "vacuum-everything"),
        ("EXPLAIN ANALYZE SELECT * FROM products WHERE price > 100;", "sql-in-shell"),
    ],
    "performance": [
        ("LOG_DB_QUERIES=true npm start", "second-server"),
        ("node --inspect dist/server.js", "second-server"),
        ("node --prof dist/server.js", "profile-needs-restart"),
        ("# Look for detached DOM nodes, closures", "browser-advice"),
        ("npm test", "tests-prove-no-leak"),
    ],
    "maintenance": [
        ("pg_dump tcgdojo > pre_maintenance_backup.sql", "backup-before-closing"),
        ("npm run test:integration", "tests-where-it-runs"),
        ("# Set MAINTENANCE_MODE=true", "mode-by-environment"),
        ("# Watch dashboards for 1 hour", "watch-dashboards"),
    ],
    "escalation": [("3. Engineering Manager", "no-contact"), ("2. DevOps Lead", "dead-end-at-night")],
    "useful commands": [
        ("KEYS *", "blocks-redis"),
        ("SELECT * FROM users LIMIT 10;", "shows-people"),
        ("pm2 restart all", "everything-at-once"),
        ("psql -U postgres tcgdojo", "as-superuser"),
        ("pm2 logs", "never-ends"),
        ("journalctl -u tcgdojo -f", "unit-may-not-exist"),
        ("k6 run loadtests/product-api.test.js", "load-on-production"),
        ("- Prometheus: 9090", "public-ports"),
        ("curl http://localhost:3000/api/database/slow-queries", "diagnostics-in-public"),
    ],
}


@pytest.mark.parametrize("procedure", FAULTS)
def test_every_known_fault_is_found(procedure: str) -> None:
    assert [fault for fault in FAULTS[procedure] if fault not in FOUND] == []
