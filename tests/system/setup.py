"""What each kind of host is made of: Debian's own servers, and a user who may do little."""

from __future__ import annotations

from dataclasses import dataclass

USER, UID = "deploy", 4711
SCOPE = "tcgdojo-bed"
UPSTREAM = SCOPE.replace("-", "_")

# The machine's own files stay as they are: what differs lies over them, in memory.
BASE = """\
mount -t tmpfs -o size=32m,mode=755 layers /mnt
mkdir -p /mnt/etc /mnt/work /mnt/bin /mnt/node_modules
cp -p {folder}/host_keys/{name} /mnt/host_key
touch /mnt/bin/node
mount --bind {node} /mnt/bin/node
mount --bind {pm2}/node_modules /mnt/node_modules
printf '#!/bin/sh\\nexec /mnt/bin/node /mnt/node_modules/pm2/bin/pm2 "$@"\\n' >/mnt/bin/pm2
chmod 755 /mnt/bin/pm2
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/work overlay /etc
echo 'deploy:x:4711:4711::/home/deploy:/bin/bash' >>/etc/passwd
echo 'deploy:x:4711:' >>/etc/group
echo 'deploy:*:19000:0:99999:7:::' >>/etc/shadow
printf '%s\\n' {names} >>/etc/hosts
for folder in /run /tmp /var/log; do mount -t tmpfs -o size=64m,mode=755 "${{folder##*/}}" "$folder"; done
chmod 1777 /tmp
mkdir -p /run/sshd /srv/home/deploy/.ssh
mount --bind /srv/home /home
printf '%s\\n' '{public}' >/home/deploy/.ssh/authorized_keys
chown -R deploy: /srv/home/deploy
chmod 700 /home/deploy/.ssh
chmod 600 /home/deploy/.ssh/authorized_keys
cat >/mnt/sshd_config <<'END'
{sshd}
END
cat >/mnt/heal.sh <<'END'
rm -f /srv/ballast
if ! cmp -s /mnt/sshd_config /etc/ssh/sshd_config; then
    cp /mnt/sshd_config /etc/ssh/sshd_config
    . /mnt/end_sshd.sh
fi
# Sessions that outlive it have its name, and are none of it.
[ "$(cat "/proc/$(cat /run/sshd.pid)/comm" 2>/dev/null)" = sshd ] || /usr/sbin/sshd -E /var/log/sshd.log
END
cat >/mnt/end_sshd.sh <<'END'
kill "$(cat /run/sshd.pid)" 2>/dev/null || :
while [ -e /run/sshd.pid ] && [ -e "/proc/$(cat /run/sshd.pid)" ]; do sleep 0.02; done
END
sh -e /mnt/heal.sh
"""

# As Debian ships it, but for what would read files of this machine; the path is where Node was put.
SSHD = """\
HostKey /mnt/host_key
PidFile /run/sshd.pid
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv PATH=/mnt/bin:/usr/local/bin:/usr/bin:/bin
{more}"""

# What people paste must not end on this machine.
OWN = "for folder in /usr/local/bin /usr/local/sbin /opt; do mount -t tmpfs own $folder; done\n"

# An administrator, and that he is not asked for a password.
ADMIN = """\
echo 'ops:x:4712:4712::/home/ops:/bin/bash' >>/etc/passwd
echo 'ops:x:4712:' >>/etc/group
echo 'ops:*:19000:0:99999:7:::' >>/etc/shadow
cp -a /home/deploy /home/ops
chown -R ops: /home/ops
"""
MAY = "echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops\n"

# The last line is what `pm2 startup` leaves for a host that starts again.
WEB = """\
mkdir -p /srv/tcgdojo
chown deploy: /srv/tcgdojo
PATH=/mnt/bin:$PATH
[ ! -e /home/deploy/.pm2/dump.pm2 ] || runuser -u deploy -- env HOME=/home/deploy pm2 resurrect >/dev/null
"""

LB = """\
mkdir -p /srv/tcgdojo /srv/nginx /etc/nginx/dojo /var/log/nginx
mount --bind /srv/nginx /etc/nginx/dojo
chown deploy: /srv/tcgdojo /etc/nginx/dojo
touch /etc/sudoers.d/dojo
chmod 440 /etc/sudoers.d/dojo
cat >>/mnt/heal.sh <<'END'
echo 'deploy ALL=(root) NOPASSWD: /usr/sbin/nginx' >/etc/sudoers.d/dojo
cp /etc/nginx/complete.conf /etc/nginx/nginx.conf
pgrep -x nginx >/dev/null || /usr/sbin/nginx
END
cat >/etc/nginx/nginx.conf <<'END'
{without}
END
cat >/etc/nginx/complete.conf <<'END'
{complete}
END
# Until the first deployment has written the upstream, nginx runs as it did before anybody added the site.
[ ! -e /etc/nginx/dojo/{scope}.conf ] || cp /etc/nginx/complete.conf /etc/nginx/nginx.conf
/usr/sbin/nginx
cp /etc/nginx/complete.conf /etc/nginx/nginx.conf
"""

NGINX = """\
user www-data;
worker_processes 2;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log warn;
worker_shutdown_timeout 20s;
events {{ worker_connections 1024; }}
http {{
    access_log /var/log/nginx/access.log;
    client_body_temp_path /tmp/nginx-body;
    proxy_temp_path /tmp/nginx-proxy;
{site}}}
"""

WELCOME = """\
    server { listen 80 default_server; return 200 "Welcome to nginx!"; }
"""

SITE = f"""\
    include /etc/nginx/dojo/*.conf;
    server {{
        listen 80 default_server;
        include /etc/nginx/dojo/{SCOPE}/server/*.conf;
        location / {{
            proxy_pass http://$dojo_{UPSTREAM};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_next_upstream error timeout;
            proxy_connect_timeout 1s;
            proxy_read_timeout 2s;
        }}
    }}
"""

DB = """\
mkdir -p /srv/tcgdojo /srv/postgres
chown deploy: /srv/tcgdojo
chown postgres: /srv/postgres
as_postgres() {{ setpriv --reuid postgres --regid postgres --clear-groups "$@"; }}
if [ ! -e /srv/postgres/PG_VERSION ]; then
    echo '{password}' >/tmp/password
    as_postgres {bin}/initdb -D /srv/postgres -N -U dojo -A scram-sha-256 --pwfile=/tmp/password >/dev/null
    echo 'host all all all scram-sha-256' >>/srv/postgres/pg_hba.conf
fi
as_postgres {bin}/postgres -D /srv/postgres -c fsync=off -c listen_addresses='*' -c unix_socket_directories=/tmp \\
    >/var/log/postgres 2>&1 </dev/null &
redis-server --bind 0.0.0.0 --protected-mode no --save '' --daemonize yes --logfile /var/log/redis >/dev/null
until as_postgres env PGPASSWORD='{password}' {bin}/psql -h 127.0.0.1 -U dojo -d postgres -c 'SELECT 1' >/dev/null 2>&1
do sleep 0.05; done
"""


@dataclass(frozen=True)
class Parts:
    """What the scripts are filled in with."""

    folder: str
    node: str
    pm2: str
    public: str
    password: str
    postgres: str
    addresses: tuple[tuple[str, str], ...]


def script(parts: Parts, name: str, role: str) -> str:
    """The text that makes a host of `role`: web, lb or db."""
    names = " ".join(f"'{address} {host}'" for host, address in parts.addresses)
    # A greeting from a start-up file is what most hosts have, and nothing may be read out of it.
    noise = "echo 'Welcome, and mind the stairs'; echo 'to all who read this' >&2\n" if name == "web3" else ""
    more = "Banner /etc/issue.net\n" if name == "web2" else ""
    base = BASE.format(
        node=parts.node,
        pm2=parts.pm2,
        names=names,
        public=parts.public,
        sshd=SSHD.format(more=more),
        folder=parts.folder,
        name=name,
    )
    greeting = f"cat >/home/deploy/.bashrc <<'END'\n{noise}END\n"
    own = {
        "web": WEB,
        "lb": LB.format(without=NGINX.format(site=WELCOME), complete=NGINX.format(site=SITE), scope=SCOPE),
        "db": DB.format(bin=parts.postgres, password=parts.password),
    }[role]
    return base + greeting + own
