"""Every descriptor of other projects: what is good is read and kept, what is bad is told."""

from functools import cache
from pathlib import Path

import pytest

from tests.corpus_report import Row, rows, table
from tests.unit.ovf.corpus import needs_corpus

pytestmark = needs_corpus

# What their authors mean to be wrong, by the name of the file, and the rule that has to say it.
WRONG = {
    "ann_sec_elsewhr": "section-misplaced", "bare_minimal": "info-missing",
    "child_uitem_req_true": "element-required", "child_uitem_req_unspec": "item-field-unknown",
    "content_vmwithnoid": "content-id-missing", "content_withnoinfo": "info-missing",
    "content_withnovm": "no-machine", "dup_diskid": "disk-id-twice",
    "dup_filerefs": "disk-file-twice", "dup_instanceid": "instance-twice",
    "empty_item": "resource-type-missing", "empty_vsc": "collection-empty",
    "fileelements_samefile": "file-href-twice", "inside_content": "section-misplaced",
    "invalid-property-key": "property-key-odd", "invalid_no_file_in_ref": "file-unreferenced",
    "invalid_no_ref": "references-missing", "invalid_no_vm": "no-machine",
    "invalid_ref_dup_id": "file-id-twice", "invalid_ref_no_href": "file-href-missing",
    "invalid_ref_size_null": "file-size-missing", "net_sec_elsewhr": "section-misplaced",
    "no_capacity": "capacity-unreadable", "no_content": "no-machine",
    "no_diskid": "disk-id-missing", "no_format": "disk-format-missing",
    "no_instanceid": "instance-missing", "no_net": "network-undeclared",
    "no_resourcetype": "resource-type-missing", "noninteger_range": "quantity-unreadable",
    "popsize_gt_capacity": "populated-size-large", "prop_invalid_type": "property-type-unknown",
    "prop_no_type": "property-type-missing", "ras_sec_elsewhr": "section-misplaced",
    "section_withnoinfo": "info-missing", "twomax_rangemarker": "bound-twice",
    "twomin_rangemarker": "bound-twice", "unknownSectionsVm": "section-unknown",
    "unsupportedHardwareVersion": "vsphere-family", "vh_under_env": "section-misplaced",
}  # fmt: skip
# vSphere's rules on which family and guest may have virtualization-based security.
_VSPHERES = {"vbs-unsupported-hw-version", "vbs-unsupported-os-type"}


@cache
def report() -> tuple[Row, ...]:
    """All rows, made once."""
    return tuple(rows())


def test_what_is_good_is_read_for_every_option_and_kept_to_the_byte() -> None:
    good = [row for row in report() if not row.negative]
    assert len(good) > 400
    refused = {Path(row.path).stem: row.refused for row in good if row.refused}
    # An undeclared prefix, which is read where that is asked for, and a page of HTML under that name.
    assert all("--recover" in why or "'HTML'" in why for why in refused.values()), refused
    assert len(refused) <= 4
    assert [row.path for row in report() if not row.refused and not row.kept] == []
    assert sum(row.options for row in good) > len(good)


def test_of_what_is_bad_something_is_said() -> None:
    bad = [row for row in report() if row.negative]
    assert len(bad) > 100
    assert {Path(row.path).stem for row in bad if row.came == "nothing"} <= _VSPHERES
    weighty = [row for row in bad if row.came in {"refused", "error", "warning"}]
    assert len(weighty) > 0.6 * len(bad)


@pytest.mark.parametrize("stem", WRONG)
def test_what_is_wrong_is_what_is_said(stem: str) -> None:
    found = [row for row in report() if row.negative and Path(row.path).stem == stem]
    assert found
    for row in found:
        assert row.refused or WRONG[stem] in {each.id for each in row.findings}, row.path


def test_the_table_counts_every_file() -> None:
    lines = list(table(list(report())))
    totals = [line.split() for line in lines[-3:-1]]
    assert [word for word, *_ in totals] == ["read", "refuse"]
    for _, files, *counts in totals:
        assert sum(map(int, counts)) == int(files)
    assert sum(int(files) for _, files, *_ in totals) == len(report())
