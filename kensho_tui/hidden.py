"""Values that must stand in no text that is kept or shown: known here by this process, and nowhere else."""

# Shorter values would be found inside ordinary words.
_SHORTEST = 5
_values: set[str] = set()


def hide(value: str) -> None:
    """Take the value out of whatever `without_secrets` is given from now on."""
    if len(value) >= _SHORTEST:
        _values.add(value)


def without_secrets(text: str) -> str:
    """The text with every hidden value taken out; the last resort, not the rule."""
    for value in sorted(_values, key=len, reverse=True):
        text = text.replace(value, "•••")
    return text
