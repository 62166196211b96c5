"""One backbone for every layer: encoder, pre-norm residual blocks with GLU mixing, pooling, decoder."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ssmemory.errors import reject, reject_unknown
from ssmemory.init import Advice
from ssmemory.nn.attention import Attention
from ssmemory.nn.bidirectional import Bidirectional
from ssmemory.nn.lengths import beyond, check_lengths
from ssmemory.nn.linear_attention import LinearAttention
from ssmemory.nn.linear_rnn import LinearRNN
from ssmemory.nn.lru import LRU
from ssmemory.nn.s4 import S4
from ssmemory.nn.s4d import S4D
from ssmemory.nn.s5 import S5
from ssmemory.nn.spectra import SpectrumInit

LAYERS: dict[str, type[Any]] = {
    "s4d": S4D,
    "s4": S4,
    "s5": S5,
    "lru": LRU,
    "linear-rnn": LinearRNN,
    "linear-attention": LinearAttention,
    "attention": Attention,
}
Pooling = Literal["mean", "last", "none"]
_OF_THE_LAYER = ("d_state", "init", "dt_min", "dt_max", "discretization", "decay", "heads")


@dataclass(frozen=True)
class BackboneConfig:
    """What a `Backbone` is made of.

    What is None is left to the layer, and what the layer does not take must be None.

    Attributes:
        d_input: channels of the input, or the number of symbols if ``embed``.
        d_output: width of the output: classes, or channels to predict.
        d_model: width between the blocks.
        d_state: the layer's full real state size, or one for each block; see the layer's class for whether it is one of
            every channel or of all.
        n_layers: number of blocks.
        layer: the layer, a name in `LAYERS`.
        init: the initialiser's name.
        dt_min: smallest initial step of the layers.
        dt_max: largest initial step of the layers.
        discretization: "zoh" or "bilinear".
        decay: "exp" or "projected", how S4D holds its real parts.
        heads: number of heads of the layers that have some.
        bidirectional: two layers a block, one from each end; see `Bidirectional`.
        dropout: share of activations dropped in each block while training, in [0, 1).
        pooling: read out the mean over the steps, the last step, or every step ("none").
        embed: the input is symbols (integers), not channels.
    """

    d_input: int = 1
    d_output: int = 10
    d_model: int = 64
    d_state: int | tuple[int, ...] | None = None
    n_layers: int = 2
    layer: str = "s4d"
    init: str | None = None
    dt_min: float | None = None
    dt_max: float | None = None
    discretization: Literal["zoh", "bilinear"] | None = None
    decay: Literal["exp", "projected"] | None = None
    heads: int | None = None
    bidirectional: bool = False
    dropout: float = 0.0
    pooling: Pooling = "last"
    embed: bool = False

    def __post_init__(self) -> None:
        if self.layer not in LAYERS:
            reject_unknown("layer", self.layer, LAYERS)
        taken = inspect.signature(LAYERS[self.layer]).parameters
        for name, value in self.layer_options().items():
            if name not in taken:
                fix = "leave it out, or choose another layer"
                reject(name, expected=f"None, as layer {self.layer!r} takes no {name}", got=repr(value), fix=fix)
        if self.pooling not in ("mean", "last", "none"):
            reject_unknown("pooling", self.pooling, ["mean", "last", "none"])
        if min(self.d_input, self.d_output, self.d_model, self.n_layers) < 1 or not 0 <= self.dropout < 1:
            names = ("d_input", "d_output", "d_model", "n_layers", "dropout")
            got = ", ".join(f"{name}={getattr(self, name)}" for name in names)
            reject("config", expected="positive sizes and dropout in [0, 1)", got=got, fix="mend the one out of range")
        if isinstance(self.d_state, list | tuple):  # a list where it comes from JSON
            object.__setattr__(self, "d_state", tuple(self.d_state))
            if len(self.d_state) != self.n_layers:
                fix = "give one a block, or a single one"
                reject("d_state", expected=f"{self.n_layers} sizes", got=len(self.d_state), fix=fix)

    def of_block(self, index: int) -> BackboneConfig:
        """Return the configuration as one block sees it: with a single d_state."""
        return dataclasses.replace(self, d_state=self.d_state[index]) if isinstance(self.d_state, tuple) else self

    def layer_options(self) -> dict[str, object]:
        """Return what is not left to the layer, by the names of its arguments."""
        return {name: getattr(self, name) for name in _OF_THE_LAYER if getattr(self, name) is not None}

    def make_layer(self, init: SpectrumInit | None = None) -> Any:
        """Return one new layer, its initial values from torch's generator.

        Args:
            init: what it starts from instead of the initialiser named.

        Returns:
            The layer.
        """
        options = self.layer_options() | ({} if init is None else {"init": init})

        def make() -> Any:
            return LAYERS[self.layer](self.d_model, **options)

        return Bidirectional(make(), make()) if self.bidirectional else make()


def _settled(config: BackboneConfig, init: SpectrumInit) -> BackboneConfig:
    """Return the configuration with what an ``init`` decides, so that a saved model reads back."""
    if config.init is not None:
        reject("init", expected="one start", got=f"another in the configuration, {config.init!r}", fix="leave one out")
    if "init" not in inspect.signature(LAYERS[config.layer]).parameters:
        fix = "leave it out, or choose another layer"
        reject("init", expected=f"None, as layer {config.layer!r} takes no init", got=repr(init), fix=fix)
    if not isinstance(init, Advice):
        return config
    if config.layer != "s4d":
        reject("init", expected="a layer 's4d' for an advice", got=repr(config.layer), fix="give its .system instead")
    decay = config.decay or ("projected" if init.decay == 0 else "exp")
    return dataclasses.replace(
        config, discretization=config.discretization or init.discretization, decay=decay,
        d_state=config.d_state or init.system.d_state,
    )  # fmt: skip


class Block(nn.Module):
    """``h + dropout(GLU(W dropout(gelu(layer(norm(h))))))``: one recurrent layer and the mixing of its channels."""

    def __init__(self, config: BackboneConfig, init: SpectrumInit | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.d_model)
        self.layer = config.make_layer(init)
        self.mix = nn.Linear(config.d_model, 2 * config.d_model)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, state: Tensor | None = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over a sequence; see `Backbone.forward`."""
        y, state = self.layer(self.norm(h), state, lengths)
        return h + self._mixed(y), state

    def step(self, h_t: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step; see `Backbone.step`."""
        y, state = self.layer.step(self.norm(h_t), state)
        return h_t + self._mixed(y), state

    def _mixed(self, y: Tensor) -> Tensor:
        y = self.dropout(nn.functional.gelu(y))
        return self.dropout(nn.functional.glu(self.mix(y), dim=-1))


class Backbone(nn.Module):
    """Encoder, ``n_layers`` blocks, a last norm, pooling, and the decoder: sequence in, label or sequence out.

    Args:
        config: what it is made of. Initial values come from torch's generator: seed it first.
        init: what every layer starts from, where a name is not enough: an `Advice`, a `LinearSystem` or a function.

    Shape:
        u: (batch, length, d_input), or (batch, length) of symbols with ``embed``.
        y: (batch, d_output) with pooling "mean" or "last", else (batch, length, d_output).

    Example:
        >>> model = Backbone(BackboneConfig(d_model=8, d_state=16))
        >>> y, states = model(torch.randn(2, 20, 1))
        >>> y.shape, len(states)
        (torch.Size([2, 10]), 2)
    """

    def __init__(self, config: BackboneConfig, *, init: SpectrumInit | None = None) -> None:
        super().__init__()
        if init is not None:
            config = _settled(config, init)
        self.config = config
        encoder = nn.Embedding if config.embed else nn.Linear
        self.encoder = encoder(config.d_input, config.d_model)
        self.blocks = nn.ModuleList(Block(config.of_block(k), init) for k in range(config.n_layers))
        self.norm = nn.LayerNorm(config.d_model)
        self.decoder = nn.Linear(config.d_model, config.d_output)

    def forward(
        self,
        u: Float[Tensor, "batch length d_input"] | Int[Tensor, "batch length"],
        states: list[Tensor] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Run over sequences.

        Args:
            u: the input.
            states: one a block, from an earlier call; zero if left out.
            lengths: real steps of each sequence; what lies beyond changes nothing.

        Returns:
            y, and the state of every block after the last real step.

        Raises:
            InputError: a wrong width, symbol, length or state.
        """
        h, after = self.features(u, states, lengths)
        return self.decoder(h), after

    def features(
        self,
        u: Float[Tensor, "batch length d_input"] | Int[Tensor, "batch length"],
        states: list[Tensor] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Return what the decoder reads, and the states; see `forward`.

        Args:
            u: the input.
            states: as in `forward`.
            lengths: as in `forward`.

        Returns:
            (batch, d_model) with pooling "mean" or "last", else (batch, length, d_model); and the states.

        Raises:
            InputError: as `forward`.
        """
        self._check_input(u, "length")
        if lengths is not None:
            lengths = check_lengths(lengths, u)
            u = u if self.config.embed else u.masked_fill(beyond(lengths, u), 0)
        h = self.encoder(u)
        after = []
        before: list[Tensor | None] = [None] * len(self.blocks) if states is None else [*self._check_states(states)]
        for block, state in zip(self.blocks, before, strict=True):
            h, state = block(h, state, lengths)
            after.append(state)
        return self._pooled(self.norm(h), lengths), after

    def step(self, u_t: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Take one step of every block; y is what pooling "last" would read here. See `forward`.

        Args:
            u_t: (batch, d_input), or (batch,) of symbols.
            states: from `initial_state`, `forward`, or an earlier step.

        Returns:
            y (batch, d_output) and the states after the step.

        Raises:
            InputError: pooling "mean", which a single step cannot compute.
        """
        if self.config.pooling == "mean":
            reject("pooling", expected="'last' or 'none'", got="'mean'", fix="a mean needs the whole sequence")
        self._check_input(u_t)
        h = self.encoder(u_t)
        after = []
        for block, state in zip(self._blocks(), self._check_states(states), strict=True):
            h, state = block.step(h, state)
            after.append(state)
        return self.decoder(self.norm(h)), after

    def initial_state(self, batch_size: int) -> list[Tensor]:
        """Return the zero state of every block."""
        return [block.layer.initial_state(batch_size) for block in self._blocks()]

    def _blocks(self) -> list[Block]:
        return cast("list[Block]", list(self.blocks))

    def _check_states(self, states: list[Tensor]) -> list[Tensor]:
        if len(states) != len(self.blocks):
            fix = "pass the list that this backbone returned"
            reject("states", expected=f"{len(self.blocks)}, one a block", got=len(states), fix=fix)
        return states

    def _check_input(self, u: Tensor, *axes: str) -> None:
        config, axes = self.config, ("batch", *axes)
        got = f"{tuple(u.shape)} {str(u.dtype).removeprefix('torch.')}"
        if config.embed:
            good = u.dtype in (torch.int32, torch.int64) and u.ndim == len(axes) and u.numel() > 0
            if not good or int(u.min()) < 0 or int(u.max()) >= config.d_input:
                got += f" in {int(u.min())} … {int(u.max())}" if good else ""
                expected = f"({', '.join(axes)}) of symbols 0 … {config.d_input - 1}, int64 or int32"
                reject("u", expected=expected, got=got, fix="give integer symbols")
        elif u.ndim != len(axes) + 1 or u.shape[-1] != config.d_input or not u.is_floating_point() or 0 in u.shape:
            expected = f"({', '.join(axes)}, {config.d_input}) of floats, nothing empty"
            reject("u", expected=expected, got=got, fix="put channels last")

    def _pooled(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        if self.config.pooling == "none":
            return h
        if lengths is None:
            return h.mean(1) if self.config.pooling == "mean" else h[:, -1]
        if self.config.pooling == "last":
            return h[torch.arange(len(h), device=h.device), lengths - 1]
        return h.masked_fill(beyond(lengths, h), 0).sum(1) / lengths.unsqueeze(-1)


def described(model: Backbone) -> BackboneConfig:
    """Return a backbone's configuration with the state sizes that its layers have now.

    Args:
        model: the backbone; `reduce_layer` may have changed a layer of it.

    Returns:
        The configuration.

    Raises:
        InputError: the two layers of a bidirectional block differ, which no configuration can say.
    """
    taken = inspect.signature(LAYERS[model.config.layer]).parameters
    if "d_state" not in taken:
        return model.config
    sizes: list[int] = []
    for k, block in enumerate(model.blocks):
        layer: Any = cast("Block", block).layer
        both: list[Any] = [layer.ahead, layer.back] if isinstance(layer, Bidirectional) else [layer]
        if both[0].d_state != both[-1].d_state:
            got = f"{both[0].d_state} and {both[1].d_state}"
            fix = "reduce both by reduce_model, which keeps them alike"
            reject(f"blocks.{k}", expected="one d_state in both directions", got=got, fix=fix)
        sizes.append(both[0].d_state)
    given = [model.config.of_block(k).d_state for k in range(len(sizes))]
    if sizes == [taken["d_state"].default if size is None else size for size in given]:
        return model.config
    return dataclasses.replace(model.config, d_state=sizes[0] if len(set(sizes)) == 1 else tuple(sizes))
