"""Tests of the experiments' harness."""
