"""Tests of isogloss.training."""
