"""The retriever: two towers, their prompts and fingerprints, and the folder they live in.

Nothing is imported here, so that the search path needs no torch.
"""
