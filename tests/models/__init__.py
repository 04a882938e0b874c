"""Tests of isogloss.models."""
