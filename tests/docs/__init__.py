"""Tests of the documentation: the site, its code blocks, and what it claims."""
