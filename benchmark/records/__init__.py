"""Records: the JSON that a run or a reference line leaves, its checks, and the one atomic write. Imports no torch."""
