"""Where the packages go when each machine is a job of its own."""

from pathlib import Path

from kensho_tui.migration.separately import beside


def test_packages_stand_beside_the_one_that_was_named_and_in_a_folder_that_is_there(
    tmp_path: Path,
) -> None:
    assert beside("/srv/all.OVA") == ("/srv", ".ova")
    assert beside("/srv/all.ovf") == ("/srv", ".ovf")
    assert beside(str(tmp_path)) == (str(tmp_path), ".ovf")
    assert beside("") == ("", "")
