"""The crash matrix: each step of a move × each fault, placed by a seed, judged from outside.

``./dev faults`` runs any of it; `docs/faults.md` says what is covered and what was found.
"""
