"""Tests of isogloss.languages."""
