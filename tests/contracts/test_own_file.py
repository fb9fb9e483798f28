"""`mtlbench check FILE_OR_MODULE`: what is wrong in somebody's own file is found and named, with its line, and little else is said."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore

from architectures import mmoe
from benchmark.contracts import GROUPS, Case, checking
from benchmark.contracts.loading import entries
from benchmark.settings.registry import REGISTRIES, discover
from tests.command import mtlbench

RIGHT = """
import torch
from torch import nn

from architectures import Architecture, register
from architectures.layers import FeatureEmbedding


@register("net_of_a_test")
class Net(Architecture):
    def __init__(self, schema, *, embedding_dim: int = 8):
        super().__init__(schema)
        self.embedding = FeatureEmbedding(schema, embedding_dim)
        self.output = nn.Linear(self.embedding.output_dim, len(schema.tasks))

    def forward(self, batch):
        embedded_BD = self.embedding(batch).dense()
        values_BT = self.output(embedded_BD)
        return {task: values_BT[:, t] for t, task in enumerate(self.schema.task_names)}
"""
EMBEDDED = "self.embedding(batch).dense()"
VALUES = "self.output(embedded_BD)"
RETURN = "return {task: values_BT[:, t] for t, task in enumerate(self.schema.task_names)}"
SETUP = "        self.output = "
TRAINING = """    def training_step(self, batch):
        return {"like": self(batch).popitem()[1]}, {}

    def forward"""

WRONG_ARCHITECTURES = {
    "a leak between rows": (
        {EMBEDDED: f"{EMBEDDED} - {EMBEDDED}.mean(0)"},
        (
            "rows do not see each other in evaluation: on two binary tasks, in net.py, line 15 (forward), expected the same output "
            "for row 0 alone; found "
        ),
        "for like (",
        1,
    ),
    "a missing task": (
        {"enumerate(self.schema.task_names)": "enumerate(self.schema.task_names[:1])"},
        (
            "outputs are finite and one row each: on two binary tasks, in net.py, line 15 (forward), expected outputs of like, share; "
            "found none for share. Return "
        ),
        "Return {task: (B,)} for the tasks of the schema, in their order",
        1,
    ),
    "a probability": (
        {VALUES: f"{VALUES}.sigmoid()"},
        (
            "outputs of binary tasks are logits: on two binary tasks, in net.py, line 15 (forward), expected logits of like, which are "
            "below 0 and above 1 for some values of the parameters; found probabilities, from "
        ),
        "Return the logit, without a sigmoid",
        2,
    ),
    "a log-probability": (
        {VALUES: f"nn.functional.logsigmoid({VALUES})"},
        "outputs of binary tasks are logits: ",
        "found log-probabilities, from ",
        2,
    ),
    "a dead parameter": (
        {SETUP: f"        self.never_used = nn.Linear(3, 3)\n{SETUP}"},
        (
            "every parameter gets a gradient: on two binary tasks, in net.py, line 13 (never_used), expected a gradient for every "
            "parameter within three steps; found none for never_used.bias, never_used.weight. "
        ),
        "Use these parameters in `forward`",
        1,
    ),
    "a forward that draws": (
        {VALUES: f"{VALUES} + torch.randn(1)"},
        (
            "two passes in evaluation give the same outputs: on two binary tasks, in net.py, line 15 (forward), expected the same outputs "
            "in a second pass over a batch; found "
        ),
        "Draw random numbers in training mode alone",
        1,
    ),
    "a task missing in training": (
        {"    def forward": TRAINING},
        (
            "outputs are finite and one row each: on two binary tasks, in net.py, line 15 (training_step), expected outputs of like, "
            "share; found none for share. Return "
        ),
        "from `forward` and `training_step`",
        1,
    ),
    "a tensor in place of a dict": (
        {RETURN: "return values_BT"},
        (
            "outputs are finite and one row each: on two binary tasks, in net.py, line 15 (forward), expected a dict of outputs; "
            "found a Tensor. Return "
        ),
        "Return {task: (B,)} for the tasks of the schema",
        1,
    ),
    "nothing returned": (
        {RETURN: "values_BT.relu()"},
        (
            "outputs are finite and one row each: on two binary tasks, in net.py, line 15 (forward), expected a dict of outputs; "
            "found None. Return "
        ),
        "",
        1,
    ),
    "outputs alone in training": (
        {"    def forward": "    def training_step(self, batch):\n        return self(batch)\n\n    def forward"},
        (
            "outputs are finite and one row each: on two binary tasks, in net.py, line 15 (training_step), expected a tuple of "
            "outputs and a dict of extra losses; found a dict. Return "
        ),
        "Return `outputs, {}` where there are no extra losses",
        1,
    ),
    "a wrong claim to share nothing": (
        {"(Architecture):\n": "(Architecture):\n    shares = False\n\n"},
        (
            "what says that it shares nothing shares nothing: on two binary tasks, in net.py, line 10 (shares), expected no "
            "parameter that two tasks reach; found "
        ),
        "Leave `shares` at True",
        1,
    ),
    "an error of its own": (
        {VALUES: f"{VALUES[:-1]} + 'x')"},
        "outputs are finite and one row each: on two binary tasks, TypeError in net.py, line 17: ",
        "",
        1,
    ),
}
"""{fault: (what to replace in the right one, how its line begins, what else the line says, how many contracts break)}"""

WEIGHTING = """
import torch

from benchmark.weightings import LossWeighting, register


@register("weighting_of_a_test")
class Ours(LossWeighting):
    def __init__(self, tasks):
        super().__init__(tasks)
        self.register_buffer("mean_T", torch.ones(len(tasks)))

    def forward(self, losses_T, active_T):
        with torch.no_grad():
            self.mean_T.mul_(0.9).add_(0.1 * torch.where(active_T, losses_T, self.mean_T))
        return (losses_T * active_T / self.mean_T).sum()
"""
MEAN = "self.mean_T.mul_(0.9).add_(0.1 * torch.where(active_T, losses_T, self.mean_T))"
WRONG_WEIGHTINGS = {
    "NaN on a task without a label": (
        {"losses_T * active_T / self.mean_T": "losses_T / losses_T.detach()"},
        (
            "its weights are finite and one a task: in ours.py, line 12 (forward), expected finite weights of a, b, c, d, "
            "of which a, c, d have labels; found "
        ),
        "Divide by nothing that is zero",
    ),
    "state that is no buffer": (
        {'self.register_buffer("mean_T", torch.ones(len(tasks)))': "self.mean_T = torch.ones(len(tasks))"},
        "a resumed run goes on exactly: in ours.py, line 12 (forward), expected the same weights at step 7; found ",
        "Keep all state in registered buffers and parameters",
    ),
}

DATASET = '''
import numpy as np

from benchmark.datasets import Data, Dataset, register
from benchmark.datasets.prepare import prepare
from benchmark.datasets.table import Table, random_split
from benchmark.kinds import BINARY
from benchmark.schema import Task


@register("data_of_a_test")
class Log(Dataset):
    """A log."""

    all_tasks = (Task("like", BINARY),)

    def __init__(self, *, split_seed: int = 0) -> None:
        self.split_seed = split_seed

    def build(self) -> Data:
        return prepare(self, read=self.read)

    def read(self) -> Table:
        drawn = np.random.default_rng(0)
        age, like = drawn.integers(0, 9, 400), drawn.integers(0, 2, 400)
        return Table(categorical={"age": age}, numeric={}, labels={"like": like.astype(float)},
                     split=random_split(400, self.split_seed))
'''
WRONG_DATASETS = {
    "a feature that is the label": (
        {'{"age": age}': '{"age": age, "liked": like}'},
        "its splits are what its schema says: ValueError in log.py, line 20: ",
        "liked",
    ),
    "a split that is drawn again each time": (
        {"random_split(400, self.split_seed)": "random_split(400, int(np.random.default_rng().integers(1_000_000)))"},
        "building it again gives the same rows: in log.py, line 22 (read), expected the same train rows again; found others. ",
        "Draw from a generator with a seed",
    ),
}


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """Takes away what the test registers and imports."""
    discover()
    known = {group: set(REGISTRIES[group].names()) for group in GROUPS}
    path, modules = list(sys.path), set(sys.modules)
    yield
    for group, names in known.items():
        for name in set(REGISTRIES[group].names()) - names:
            del REGISTRIES[group]._classes[name], ConfigStore.instance().repo[group][f"{name}.yaml"]
    sys.path[:] = path
    for module in set(sys.modules) - modules:
        if module.startswith(("the file ", PACKAGE)):
            del sys.modules[module]


def written(folder: Path, name: str, right: str, replaced: dict[str, str]) -> str:
    """The name of a file that differs from the right one by these replacements."""
    text = right.lstrip("\n")
    for old, new in replaced.items():
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return name


def broken(out: str) -> list[str]:
    return [line.removeprefix("broken   ") for line in out.splitlines() if line.startswith("broken ")]


@pytest.mark.parametrize("fault", WRONG_ARCHITECTURES)
def test_the_first_contract_that_a_wrong_architecture_breaks_names_the_fault(tmp_path: Path, fault: str) -> None:
    replaced, begins, says, num_broken = WRONG_ARCHITECTURES[fault]
    done = mtlbench("check", written(tmp_path, "net.py", RIGHT, replaced), cwd=tmp_path)
    first, *others = broken(done.stdout)
    assert first.startswith(begins) and says in first
    assert all("never probabilities" in other for other in others) and 1 + len(others) == num_broken
    assert done.returncode == 1, done.stderr
    assert f" hold, {num_broken} broken" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("fault", WRONG_WEIGHTINGS)
def test_a_wrong_weighting_is_found(tmp_path: Path, fault: str) -> None:
    replaced, begins, says = WRONG_WEIGHTINGS[fault]
    done = mtlbench("check", written(tmp_path, "ours.py", WEIGHTING, replaced), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    (line,) = broken(done.stdout)
    assert line.startswith(begins) and says in line


@pytest.mark.parametrize("fault", WRONG_DATASETS)
def test_a_wrong_data_set_is_found(tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    replaced, begins, says = WRONG_DATASETS[fault]
    done = mtlbench("check", written(tmp_path, "log.py", DATASET, replaced), cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    (line,) = broken(done.stdout)
    assert line.startswith(begins) and says in line


@pytest.mark.parametrize(("name", "text"), [("net.py", RIGHT), ("ours.py", WEIGHTING), ("log.py", DATASET)], ids=GROUPS)
def test_a_right_one_breaks_nothing(tmp_path: Path, name: str, text: str) -> None:
    done = mtlbench("check", written(tmp_path, name, text, {}), cwd=tmp_path)
    assert (done.returncode, broken(done.stdout)) == (0, []), done.stderr


PACKAGE = "pack_of_a_test"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose module imports a sibling; not installed."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "sizes.py").write_text("DIM = 8\n")
    relative = {"from torch import nn\n": "from torch import nn\n\nfrom .sizes import DIM\n", "int = 8": "int = DIM"}
    written(folder, "net.py", RIGHT, relative)
    return tmp_path


@pytest.mark.parametrize("target", [f"{PACKAGE}/net.py", f"{PACKAGE}.net", PACKAGE])
def test_a_module_of_a_package_may_import_its_siblings(
    package: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if target == PACKAGE:  # a package has what its modules register
        (package / PACKAGE / "__init__.py").write_text("from . import net\n")
    monkeypatch.chdir(package)
    assert entries(target) == [("architecture", "net_of_a_test")]


@pytest.mark.parametrize("has_net", [True, False])
def test_a_file_is_refused_where_another_package_has_the_name_of_its_own(
    package: Path, monkeypatch: pytest.MonkeyPatch, has_net: bool
) -> None:
    other = package / "elsewhere" / PACKAGE
    shutil.copytree(package / PACKAGE, other)
    if not has_net:
        (other / "net.py").unlink()
    monkeypatch.syspath_prepend(other.parent)
    done = mtlbench("check", f"{PACKAGE}/net.py", cwd=package)
    assert done.stderr == (
        f"mtlbench: {PACKAGE}/net.py: expected to import its package {PACKAGE} from {package / PACKAGE}, found it in {other}; "
        "uninstall that one, or install this one with pip install -e\n"
    )


def test_what_is_registered_already_is_not_loaded_again() -> None:
    assert entries(str(Path(mmoe.__file__))) == entries("architectures.mmoe") == [("architecture", "mmoe")]


def test_all_that_a_file_registers_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "cases", lambda group, name: iter([Case("it is there", "", lambda: None)]))
    written(tmp_path, "both.py", RIGHT + WEIGHTING, {})
    done = mtlbench("check", "both.py", cwd=tmp_path)
    found = ("architecture net_of_a_test", "weighting weighting_of_a_test")
    assert done.stdout == "".join(f"holds    it is there\n{entry}: 1 hold\n" for entry in found)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "net.py",
            RIGHT.replace('@register("net_of_a_test")\n', ""),
            ('net.py: the architecture Net is not registered: expected @register("net") above it, from architectures'),
        ),
        (
            "net.py",
            "class Net: ...\n",
            "net.py: expected an architecture, a weighting or a data set that it registers, found Net",
        ),
        (
            "net.py",
            RIGHT.replace("net_of_a_test", "mmoe"),
            (
                "net.py cannot be imported: ValueError in {file}, line 8: architecture 'mmoe' "
                "is registered twice: architectures.mmoe and the file net"
            ),
        ),
        ("net.py", "def net(:\n", "net.py cannot be imported: SyntaxError in {file}, line 1: invalid syntax"),
        (
            "net.py",
            "import nothing_of_that_name\n",
            (
                "net.py cannot be imported: ModuleNotFoundError in {file}, line 1: No module named "
                "'nothing_of_that_name'"
            ),
        ),
        ("other.py", "", "net.py: expected a Python file, found none"),
    ],
)
def test_a_file_without_an_entry_is_one_line(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text.lstrip("\n"))
    done = mtlbench("check", "net.py", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"mtlbench: {told.format(file=tmp_path / 'net.py')}\n"


def test_a_name_alone_is_neither_a_file_nor_a_module() -> None:
    done = mtlbench("check", "mmoe")
    assert done.stderr == (
        "mtlbench: 'mmoe': expected a file such as my_net.py, or a module that can be imported, found neither; did you mean "
        "mtlbench check architecture mmoe?\n"
    )


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_needs_a_name(group: str) -> None:
    assert mtlbench("check", group).stderr == f"mtlbench: {group} needs a name: mtlbench check {group} NAME\n"
