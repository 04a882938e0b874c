"""Experiments: each claim of the methods as one small file, on one harness; `docs/claims.md` says what came out.

    python -m experiments run clear --data ../shared/data
    python -m experiments page

`design` says what an experiment is, `harness` trains and measures, `statistics` decides, `page` writes.
"""
