"""Checks in environments of their own, started by hand; CI does not run them."""
