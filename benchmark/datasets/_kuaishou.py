"""What the logs of one app, KuaiRand and KuaiRec, have in common: the table of users, and how side tables are read."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmark.datasets.text import Domain, Types, read_text

# codes that the files write as 1.0 are read as numbers and become integers; -124 is the code of what is not known
CODE = Domain(pl.Float64, least=-124)
COUNT = Domain(pl.Float64, least=0)
USER_CODES: Types = {
    "user_active_degree": pl.String, "is_lowactive_period": CODE, "is_live_streamer": CODE,
    "is_video_author": CODE, "follow_user_num_range": pl.String, "fans_user_num_range": pl.String,
    "friend_user_num_range": pl.String, "register_days_range": pl.String,
    **{f"onehot_feat{i}": CODE for i in range(18)},
}  # fmt: skip
USER_NUMBERS: Types = dict.fromkeys(("follow_user_num", "fans_user_num", "friend_user_num", "register_days"), COUNT)
_NOTHING: Types = {}


def side_table(path: Path, key: str, codes: Types, numbers: Types = _NOTHING, *, unique: bool = True) -> pl.DataFrame:
    """A side table, its codes as integers or strings, its numbers as log1p; null where the file has nothing.

    Args:
        path: The file.
        key: The column of the user or the video.
        codes: The categorical columns; those of a float type become integers.
        numbers: The numeric columns.
        unique: Is a key that comes twice an error? If not, its first line counts.
    """
    types: Types = {key: Domain(pl.Int32, least=0, unique=unique), **codes, **numbers}
    table = read_text(path, types, nullable=(*codes, *numbers)).unique(key, keep="first", maintain_order=True)
    floats = [name for name in codes if table.schema[name] == pl.Float64]
    return table.with_columns(pl.col(floats).cast(pl.Int32), *(pl.col(name).log1p() for name in numbers))
