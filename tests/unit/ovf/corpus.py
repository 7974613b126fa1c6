"""Descriptors from the wild, which are not part of the repository."""

import os
from pathlib import Path

import pytest

CORPUS = Path(os.environ.get("KENSHO_CORPUS", Path(__file__).parents[4] / "shared" / "corpus"))
needs_corpus = pytest.mark.skipif(
    not CORPUS.is_dir(),
    reason=f"the corpus of descriptors is not at {CORPUS}: set KENSHO_CORPUS to it",
)
GOVMOMI = "vmware__govmomi/ovf/fixtures"
COT = "glennmatthews__cot/COT/tests"


def descriptor(path: str) -> bytes:
    """One descriptor of the corpus."""
    return (CORPUS / path).read_bytes()
