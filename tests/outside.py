"""An outside package with an architecture, as pip leaves it in a folder."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, name: str, forward: str) -> None:
    """Makes an outside package with an architecture with this body of its forward; `folder` goes on PYTHONPATH."""
    (folder / f"{name}-1.dist-info").mkdir(parents=True)
    (folder / f"{name}.py").write_text(
        "import glob, os, time\n"
        "import torch\n"
        "from architectures import Architecture, Batch, Schema, register\n"
        f"@register('{name}')\n"
        "class Net(Architecture):\n"
        "    '''Never gives an output.'''\n"
        "    def __init__(self, schema: Schema, *, width: int = 3) -> None:\n"
        "        super().__init__(schema)\n"
        "        self.layer = torch.nn.Linear(width, 1)\n"
        "    def forward(self, batch):\n"
        f"        {forward}\n"
    )
    (folder / f"{name}-1.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (folder / f"{name}-1.dist-info" / "entry_points.txt").write_text(f"[mtlbench.architectures]\n{name} = {name}\n")
