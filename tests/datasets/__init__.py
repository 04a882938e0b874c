"""Tests of isogloss.datasets."""
