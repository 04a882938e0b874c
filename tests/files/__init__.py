"""Tests of isogloss.files."""
