"""Amazon's application load balancer: the balancer, what it asks of the API, and the proof of a change."""

from dojo_deploy.balancers.alb.balancer import Alb

__all__ = ["Alb"]
