"""References: what every method should be compared with. They are not methods themselves.

    from benchmark.reference.lines import make_references
    make_references("census_income", trials=8, seeds=5)      # or: mtlbench reference dataset=census_income

- `constant`: the mean of train for every row.
- `gbdt`: boosted trees (LightGBM, extra `gbdt`), one model per task, on the same columns and splits, with as many
  trials on validation as the methods get.

If the model that generated the data is known, every record has the best reachable values in `dataset.best_reachable`.
"""
