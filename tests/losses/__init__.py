"""Tests of isogloss.losses."""
