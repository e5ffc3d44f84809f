"""Carries plans out: looks at the fleet, runs lanes and host jobs, undoes them, and writes down what happened."""
