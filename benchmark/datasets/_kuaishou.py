"""What the logs of one app, KuaiRand and KuaiRec, have in common: the table of users, and how side tables are read."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmark.datasets.text import Types, read_text

# codes that the files write as 1.0 are read as numbers and become integers; -124 in is_live_streamer is one more code
USER_CODES: Types = {
    "user_active_degree": pl.String, "is_lowactive_period": pl.Float64, "is_live_streamer": pl.Float64,
    "is_video_author": pl.Float64, "follow_user_num_range": pl.String, "fans_user_num_range": pl.String,
    "friend_user_num_range": pl.String, "register_days_range": pl.String,
    **{f"onehot_feat{i}": pl.Float64 for i in range(18)},
}  # fmt: skip
USER_NUMBERS = ("follow_user_num", "fans_user_num", "friend_user_num", "register_days")


def side_table(path: Path, key: str, codes: Types, numbers: tuple[str, ...] = ()) -> pl.DataFrame:
    """A side table, its codes as integers or strings, its numbers as log1p; null where the file has nothing."""
    types: Types = {key: pl.Int32, **codes, **dict.fromkeys(numbers, pl.Float64)}
    table = read_text(path, types, nullable=(*codes, *numbers)).unique(key, keep="first", maintain_order=True)
    floats = [name for name, kind in codes.items() if kind is pl.Float64]
    return table.with_columns(pl.col(floats).cast(pl.Int32), *(pl.col(name).log1p() for name in numbers))
