"""Doing send jobs: studies go to peers, in the worker, whatever dies meanwhile."""
