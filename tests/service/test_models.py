import pytest

from service.taggers import find_checkpoints


def test_checkpoints_are_found_in_a_folder_or_by_themselves(tmp_path):
    for name in ("zh", "en", "notes"):
        (tmp_path / name).mkdir()
    for name in ("zh", "en"):
        (tmp_path / name / "config.json").write_text("{}", encoding="utf-8")
    assert find_checkpoints(tmp_path) == [tmp_path / "en", tmp_path / "zh"]
    assert find_checkpoints(tmp_path / "zh") == [tmp_path / "zh"]
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*notes.*config\.json"):
        find_checkpoints(tmp_path / "notes")
