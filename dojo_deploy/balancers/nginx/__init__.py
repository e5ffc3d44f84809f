"""nginx on our own hosts: the balancer, its one file per nginx, and the proof that a change is in effect."""

from dojo_deploy.balancers.nginx.balancer import Nginx

__all__ = ["Nginx"]
