"""Reference lines: what every method has to be compared with, and is no method itself.

    from benchmark.reference.lines import make_references
    make_references("census_income", trials=8, seeds=5)      # or: mtlbench reference dataset=census_income

- `constant`: the mean of train, for every row.
- `gbdt`: boosted trees (LightGBM, extra `gbdt`), one model a task, on the same columns and splits, with as many trials on
  validation as the methods get.

The best that can be reached stands in every record's `dataset.best_reachable`, where the data's own model is known.
"""
