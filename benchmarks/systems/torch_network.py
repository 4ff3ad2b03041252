"""Networks and episodes in PyTorch, shared by `torch_loop` and `torch_func`."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from benchmarks.harness import cases
from benchmarks.systems import resnet12

Weights = Sequence[torch.Tensor]
BatchNorm = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Episodes = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def first_weights(case: cases.Case) -> list[torch.Tensor]:
    """Returns theta as leaf tensors with gradients: float32, matrices `[in, out]`, filters OIHW."""
    weights = []
    for array in cases.initial_weights(case):
        tensor = torch.from_numpy(array)
        if tensor.ndim == 4:
            tensor = tensor.permute(3, 2, 0, 1).contiguous()
        weights.append(tensor.requires_grad_())
    return weights


def first_alpha(theta: Weights) -> list[torch.Tensor]:
    """Returns alpha as leaf tensors with gradients, each of the shape of its weight in theta."""
    return [torch.full_like(w, cases.ALPHA).requires_grad_() for w in theta]


def _predict_curve(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    for w, b in zip(weights[0:4:2], weights[1:4:2], strict=True):
        x = F.relu(x @ w + b)
    return x @ weights[4] + weights[5]


def fused_batch_norm(x: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Normalises `[images, channels, height, width]` by its own statistics in PyTorch's kernel."""
    eps = cases.BATCH_NORM_EPSILON
    return F.batch_norm(x, None, None, scale, offset, training=True, eps=eps)


def plain_batch_norm(x: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Computes the same as `fused_batch_norm` from elementary operations."""
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
    gain = scale[:, None, None] * torch.rsqrt(variance + cases.BATCH_NORM_EPSILON)
    return (x - mean) * gain + offset[:, None, None]


def predict_class(
    weights: Weights, x: torch.Tensor, pooling: str, batch_norm: BatchNorm
) -> torch.Tensor:
    """Returns logits `[images, ways]` for `[images, channels, height, width]`."""
    for layer in range(cases.CONV_LAYERS):
        filters, scale, offset = weights[3 * layer : 3 * layer + 3]
        x = F.conv2d(x, filters, stride=2 if pooling == "stride" else 1, padding=1)
        x = F.relu(batch_norm(x, scale, offset))
        if pooling == "max":
            x = F.max_pool2d(x, 2)
    return x.flatten(1) @ weights[-2] + weights[-1]


def loss_function(
    case: cases.Case, batch_norm: BatchNorm
) -> Callable[[Weights, torch.Tensor, torch.Tensor], torch.Tensor]:
    """Returns `(weights, x, y) -> loss`, the loss of one task.

    Regression takes float32 x and y `[points, 1]` and gives the mean squared error.
    Classification takes float32 x `[images, channels, height, width]` and int64 y `[images]` and
    gives the mean cross-entropy; `batch_norm` is one of the two functions above.
    """
    if case.kind == "regression":
        return lambda weights, x, y: F.mse_loss(_predict_curve(weights, x), y)
    if case.name == "resnet12":
        by = resnet12.Operations(
            convolve=lambda x, filters: F.conv2d(x, filters, padding="same"),
            normalise=batch_norm,
            leaky_relu=lambda x: F.leaky_relu(x, 0.1),
            pool=lambda x: F.max_pool2d(x, 2),
            mean=lambda x: x.mean((2, 3)),
        )
        return lambda weights, x, y: F.cross_entropy(resnet12.logits(weights, x, by), y)
    pooling = case.pooling
    return lambda weights, x, y: F.cross_entropy(predict_class(weights, x, pooling, batch_norm), y)


def episode_source(case: cases.Case, seed: int = 0) -> Callable[[], Episodes]:
    """Returns a function that draws a fresh meta-batch at every call.

    It gives support x, support y, query x and query y, each as `loss_function` takes them with a
    leading axis of `case.tasks`.
    """
    generator = torch.Generator().manual_seed(seed)
    if case.kind == "regression":
        return lambda: _draw_curves(case, generator)
    # Channels first, once, as the rest of PyTorch wants its images.
    pool = torch.from_numpy(cases.image_pool(case)).permute(0, 1, 4, 2, 3).contiguous()
    return lambda: _draw_images(case, pool, generator)


def _draw_curves(case: cases.Case, generator: torch.Generator) -> Episodes:
    def uniform(bounds: tuple[float, float], points: int) -> torch.Tensor:
        low, high = bounds
        return low + (high - low) * torch.rand(case.tasks, points, 1, generator=generator)

    amplitude, frequency = uniform(cases.AMPLITUDE, 1), uniform(cases.FREQUENCY, 1)
    phase = uniform(cases.PHASE, 1)
    x = uniform(cases.INPUT, case.shots + case.queries)
    y = amplitude * torch.sin(frequency * x + phase)
    return x[:, : case.shots], y[:, : case.shots], x[:, case.shots :], y[:, case.shots :]


def _draw_images(case: cases.Case, pool: torch.Tensor, generator: torch.Generator) -> Episodes:
    def distinct(count: int, among: int, *shape: int) -> torch.Tensor:
        return torch.rand(*shape, among, generator=generator).topk(count).indices

    classes = distinct(case.ways, cases.POOL_CLASSES, case.tasks)
    drawn = case.shots + case.queries
    drawings = distinct(drawn, cases.POOL_DRAWINGS, case.tasks, case.ways)
    images = pool[classes[:, :, None], drawings].float() / 255.0
    labels = torch.arange(case.ways).expand(case.tasks, case.ways)
    return (
        images[:, :, : case.shots].flatten(1, 2),
        labels.repeat_interleave(case.shots, 1),
        images[:, :, case.shots :].flatten(1, 2),
        labels.repeat_interleave(case.queries, 1),
    )
