"""From gradients to steps: processes share them, and Muon makes them long in every direction.

Adam gives each number of a weight a step size of its own. But a large weight is a matrix, and
most of its gradient lies in a few directions; the others, which rarely come up, hardly move.
Muon replaces the matrix by the nearest one whose singular values are all alike.
(Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; torch.optim.Muon does the work.)
"""

import torch
import torch.distributed
from torch import Tensor, nn


def share_gradients(model: nn.Module) -> None:
    """Average the gradients over all processes, so that all take the same step."""
    if torch.distributed.is_initialized():
        gradients = [w.grad for w in model.parameters() if w.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= torch.distributed.get_world_size()
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, mean in zip(gradients, flat.split(sizes), strict=True):
            gradient.copy_(mean.view_as(gradient))


def large_weights(model: nn.Module, smallest: int = 30_000) -> dict[str, nn.Parameter]:
    """Return the weights that Muon moves: kernels and matrices of at least so many numbers."""
    matrices = {name: weight for name, weight in model.named_parameters() if weight.ndim > 1}
    return {name: weight for name, weight in matrices.items() if weight.numel() >= smallest}


def blocks(name: str, tensor: Tensor) -> tuple[Tensor, ...]:
    """View a weight, or its gradient, as matrices: one for each thing that it computes.

    An LSTM's weight holds four gates; a convolution before a gated unit holds values and gates.
    """
    gated = name.endswith(("rewrite.weight", ".5.weight"))
    return tensor.flatten(1).chunk(4 if "lstm" in name else 2 if gated else 1)


class Matrices:
    """Muon for the large weights of a model; `others` are those that it leaves alone.

    The views share the memory of the weights, so `step` moves the model itself.
    """

    def __init__(self, model: nn.Module):
        self.weights = large_weights(model)
        moved = {id(weight) for weight in self.weights.values()}
        self.others = [weight for weight in model.parameters() if id(weight) not in moved]
        self.views = {name: [nn.Parameter(block) for block in blocks(name, weight.detach())]
                      for name, weight in self.weights.items()}  # fmt: skip
        self.muon = torch.optim.Muon(
            [view for views in self.views.values() for view in views],
            weight_decay=0.0,
            adjust_lr_fn="match_rms_adamw",
        )

    def step(self, rate: float) -> None:
        """Move every large weight by about `rate`, times 0.2, against its gradient."""
        for name, weight in self.weights.items():
            for view, gradient in zip(self.views[name], blocks(name, weight.grad), strict=True):
                view.grad = gradient
        self.muon.param_groups[0]["lr"] = rate
        self.muon.step()
