"""Records: the JSON that a run (`record`) or a reference line (`reference`) leaves, and its checks. Imports no torch.

`predictions`: the outputs for the test rows that a run can save beside its record.
"""
