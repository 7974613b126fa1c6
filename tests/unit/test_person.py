"""The language of the operator's terminal."""

import pytest

from kensho_tui.person import language


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "de_DE.UTF-8"}, "de-DE"),
        ({"LANG": "fr"}, "fr"),
        ({"LANG": "ca_ES@valencia"}, "ca-ES"),
        ({"LANG": "C.UTF-8"}, ""),
        ({"LANG": "POSIX"}, ""),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "en_GB"}, "en-GB"),
        ({"LANG": "de_DE", "LC_MESSAGES": "en_GB", "LC_ALL": "C"}, ""),
        ({}, ""),
    ],
)
def test_the_language_of_the_terminal(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == expected
