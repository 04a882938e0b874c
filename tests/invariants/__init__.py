"""The laws of the architecture, one file a law."""
