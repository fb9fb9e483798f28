"""Records: the JSON that a run (`record`) or a reference line (`reference`) leaves, and its checks. Imports no torch."""
