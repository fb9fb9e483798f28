"""Two regressions whose relatedness is a parameter: the synthetic data of the MMoE paper.

R rows, D features, M sinusoids, T = 2 tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmark.datasets import Data, Dataset, register
from benchmark.datasets._drawn import best_reachable
from benchmark.datasets.prepare import Table, prepare, random_split
from benchmark.kinds import REGRESSION
from benchmark.schema import Task
from benchmark.seeding import derive


@dataclass(frozen=True, slots=True)
class TwoRegressions:
    r"""The noiseless function behind the labels: $w_k^\top x + \sum_i \sin(\alpha_i w_k^\top x + \beta_i)$.

    Shape:
        weights_TD: (2, D); alpha_M, beta_M: (M,), the same for both tasks.
    """

    weights_TD: np.ndarray
    alpha_M: np.ndarray
    beta_M: np.ndarray

    def mean(self, x_RD: np.ndarray) -> np.ndarray:
        """(R, 2): the labels of these rows without noise, the best that a model can predict."""
        projection_RT: np.ndarray = x_RD @ self.weights_TD.T
        mean_RT = projection_RT.copy()
        for alpha, beta in zip(self.alpha_M, self.beta_M, strict=True):
            mean_RT += np.sin(alpha * projection_RT + beta)
        return mean_RT


def draw_weights(rng: np.random.Generator, num_features: int, correlation: float, scale: float) -> np.ndarray:
    """(2, D): two vectors of length `scale` whose cosine is `correlation`, in a random plane."""
    basis_DT, _ = np.linalg.qr(rng.standard_normal((num_features, 2)))
    mix_TT = np.array([[1.0, 0.0], [correlation, np.sqrt(1.0 - correlation**2)]])
    weights_TD: np.ndarray = scale * mix_TT @ basis_DT.T
    return weights_TD


def draw_curve(rng: np.random.Generator, num_sinusoids: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws alpha and beta, (M,) each, iid N(0, 1) as in the PLE paper."""
    alpha_M, beta_M = rng.standard_normal((2, num_sinusoids))
    return alpha_M, beta_M


def draw_labels(rng: np.random.Generator, mean_RT: np.ndarray, noise_std: float) -> np.ndarray:
    """(R, 2): the means plus noise of its own for every row and task."""
    return mean_RT + noise_std * rng.standard_normal(mean_RT.shape)


@register("synthetic")
class Synthetic(Dataset):
    r"""Two regressions with a known correlation of tasks and a known noise floor.

    With orthonormal $u_1, u_2 \in \mathbb{R}^d$, task correlation $p$, scale $c$ and $x \sim N(0, I_d)$:

    $$
    w_1 = c\, u_1, \qquad w_2 = c\, \left(p\, u_1 + \sqrt{1 - p^2}\, u_2\right), \qquad \cos(w_1, w_2) = p
    $$

    $$
    y_k = w_k^\top x + \sum_{i=1}^{m} \sin(\alpha_i w_k^\top x + \beta_i) + \epsilon_k, \qquad
    \epsilon_k \sim N(0, \sigma^2)
    $$

    $\alpha_i$ and $\beta_i$ are the same in both tasks; the $\epsilon_k$ are independent, and $\sigma$ is `noise_std`.
    The best reachable MSE is the MSE of the noise on the rows of the test split. $p$ is the correlation of the weights. The
    correlation of the labels is lower and depends on $\alpha$ and $\beta$ (about .79 at $p = 0.9$).

    Paper: "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts" (MMoE), J. Ma,
    Z. Zhao, X. Yi, J. Chen, L. Hong, E. Chi, KDD 2018, doi 10.1145/3219819.3220007, section 3.2. It prints $d = 100$ and
    a noise variance of .01, and leaves the rest open. "Progressive Layered Extraction" (PLE), H. Tang et al., RecSys
    2020, doi 10.1145/3383313.3412236, prints $\alpha, \beta \sim N(0, 1)$, $c = 1$, $m = 10$, $d = 512$ and 1.4
    million rows.

    The defaults are PLE's, except for the size; $d = 100$ is the MMoE paper's. With 50 000 rows, a run takes about ten
    seconds and the prepared arrays 20 MB. Within the default 30 epochs the default MMoE explains 96 % of the variance,
    where the noise leaves 99 %, and it is still improving. PLE's own size would take 6 GB in float64.
    The public code keras-mmoe uses $d = 100$, $c = 0.3$, $m = 5$, $p = 0.8$ and 12 000 rows.

    The variance of the labels changes by a factor of up to 80 from one draw of $\alpha$ and $\beta$ to the next, so a few
    draws dominate a mean of MSE over draws. By default, therefore, only `curve_seed` decides $\alpha$ and $\beta$: another
    `data_seed` draws another plane, other rows and other noise around the same curve. With `curve_seed=null` every
    `data_seed` draws new ones, as in the papers; compare R² there.

    Args:
        task_correlation: Cosine p of the two weight vectors, in [-1, 1].
        num_rows: Rows of all splits together: 80 % train, 10 % validation, 10 % test.
        num_features: Number of features d, at least 2. They enter raw, as in the paper: they are N(0, 1) already.
        num_sinusoids: Number of sinusoids m; 0 makes the tasks linear.
        scale: Length c of the weight vectors.
        noise_std: Standard deviation of the noise; its square is the expected noise floor.
        curve_seed: Draws alpha and beta; null: `data_seed` does.
        data_seed: Draws the plane of the weights, the rows and the noise.
        split_seed: Draws which rows are train, validation and test.

    Shape:
        numeric: (R, d), fields x1 ... xd; labels: (R, 2), tasks y1 and y2.

    Raises:
        ValueError: if a parameter is outside its range.
    """

    all_tasks = (Task("y1", REGRESSION), Task("y2", REGRESSION))
    drawn = True

    def __init__(
        self,
        *,
        task_correlation: float = 0.9,
        num_rows: int = 50_000,
        num_features: int = 100,
        num_sinusoids: int = 10,
        scale: float = 1.0,
        noise_std: float = 0.1,
        curve_seed: int | None = 0,
        data_seed: int = 0,
        split_seed: int = 0,
    ) -> None:
        if not -1 <= task_correlation <= 1:
            raise ValueError(f"dataset.task_correlation must be between -1 and 1, found {task_correlation}")
        for name, value, least in (
            ("num_rows", num_rows, 10),
            ("num_features", num_features, 2),
            ("num_sinusoids", num_sinusoids, 0),
            ("noise_std", noise_std, 0),
            ("curve_seed", curve_seed or 0, 0),
            ("data_seed", data_seed, 0),
            ("split_seed", split_seed, 0),
        ):
            if not least <= value < np.inf:
                raise ValueError(f"dataset.{name} must be at least {least}, found {value}")
        if not 0 < scale < np.inf:
            raise ValueError(f"dataset.scale must be greater than 0, found {scale}")
        self.task_correlation, self.scale, self.noise_std = task_correlation, scale, noise_std
        self.num_rows, self.num_features, self.num_sinusoids = num_rows, num_features, num_sinusoids
        self.curve_seed, self.data_seed, self.split_seed = curve_seed, data_seed, split_seed

    @property
    def rows(self) -> int:
        """As many as are asked for."""
        return self.num_rows

    def build(self) -> Data:
        """Draws the rows, or takes them from the cache."""
        return prepare(self, read=self.read, numeric="raw")

    def read(self) -> Table:
        """Draws the rows, in memory."""
        stream = partial(derive, self.data_seed, "synthetic")
        curve_seed = stream("curve") if self.curve_seed is None else derive(self.curve_seed, "synthetic", "curve")
        model = TwoRegressions(
            draw_weights(
                np.random.default_rng(stream("weights")), self.num_features, self.task_correlation, self.scale
            ),
            *draw_curve(np.random.default_rng(curve_seed), self.num_sinusoids),
        )
        x_RD = np.random.default_rng(stream("features")).standard_normal((self.num_rows, self.num_features))
        mean_RT = model.mean(x_RD)
        labels_RT = draw_labels(np.random.default_rng(stream("noise")), mean_RT, self.noise_std)
        names = [task.name for task in self.tasks]
        labels = dict(zip(names, labels_RT.T.astype(np.float32), strict=True))
        split_R = random_split(self.num_rows, self.split_seed)
        return Table(
            categorical={},
            numeric={f"x{i + 1}": x_RD[:, i] for i in range(self.num_features)},
            labels=labels,
            split=split_R,
            best_reachable=best_reachable(self.tasks, dict(zip(names, mean_RT.T, strict=True)), labels, split_R),
        )
