"""Tests of isogloss.engines."""
