from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.files import read_json, write_json, written_whole


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"a": 1})
    with written_whole(path) as file:
        file.write_text('{"a": ')
        assert read_json(path, "a value") == {"a": 1}
        assert file.parent == path.parent
        assert file.name.startswith(".")
        file.write_text('{"a": 2}')
    assert read_json(path, "a value") == {"a": 2}
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(type(error)), written_whole(path) as file:
        file.write_text("half")
        raise error
    assert read_json(path, "a value") == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
