"""Tests of isogloss; they mirror the source."""
