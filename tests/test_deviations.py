"""The table of deviations is that of the code."""

import re

from nontarget.study.deviations import MARK, PACKAGE, deviations, deviations_table, presets_table


def test_every_stated_deviation_is_in_the_table():
    sources = {p: p.read_text() for p in PACKAGE.rglob("*.py") if PACKAGE / "study" not in p.parents}
    table = deviations()
    assert len(table) == sum(text.count(MARK) for text in sources.values()) > 10
    where = table.set_index("where")["deviation"]
    assert where["detectors.spot.model.SpotConfig.refinement_weight"].startswith("Eq. 12"), "the string below a field"
    assert "both claim" in where["partition.partition_label_space"] or "claim the same class" in where["partition.partition_label_space"]
    assert where["detectors.spot.model"].endswith("themselves."), "a comment of several lines, whole"
    assert not where.str.contains("Args:|Raises:|\n").any()
    assert not deviations_table().cells["Deviation"].str.contains(r":\w+:").any()


def test_presets_are_those_of_the_code():
    cells = presets_table().cells.set_index("Setting")
    assert cells.loc["`batch_size`"].tolist() == ["8", "16"]
    assert all(re.fullmatch(r"`\w+`", name) for name in cells.index)
    assert (cells["small"] != cells["full"]).all()
