"""Deploys Node apps to your own machines: gated, undoable, resumable."""
