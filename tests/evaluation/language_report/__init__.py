"""Tests of the language report."""
