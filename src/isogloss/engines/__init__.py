"""How vectors are computed: one protocol, a NumPy engine, a torch engine, and the bank that keeps vectors on disk.

Nothing is imported here, so that the NumPy way needs no torch.
"""
