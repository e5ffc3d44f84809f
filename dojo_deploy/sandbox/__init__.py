"""The embedded fleet: real SSH hosts, PM2, nginx, PostgreSQL, Redis and S3 in user space, from PyPI and npm alone.

    up(home, hosts=3, apps=("tcgdojo",))   start whatever does not run yet; returns what home/state.json says
    down(home, destroy=False)              end its own processes and no other; keep the data, or remove them
    status(home)                           one line per service

Nothing needs root, and everything also works as root. Linux x86_64 only. Sandboxes in different folders do not meet.

    layout      every path            fleet     who is there, at which port     ports      free ones, claimed
    toolchain   programs, PM2         hosts     a host's environment            keys       SSH keys, known_hosts
    sshd        the hosts' SSH        services  one file each                   nginx_site the balancer's configuration
    daemons     starting, finding     proc      pid and start time              repository the app with its releases
    state       state.json            start, stop, report: the three above
"""

from .report import status
from .start import up
from .stop import down

__all__ = ["down", "status", "up"]
