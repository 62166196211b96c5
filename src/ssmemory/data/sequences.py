"""Images read pixel by pixel: the sequential and permuted image tasks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ssmemory.errors import reject


def pixel_sequences(
    images: npt.NDArray[np.uint8],
    *,
    side: int | None = None,
    permutation_seed: int | None = None,
    pixel_max: int = 255,
) -> Tensor:
    """Turn images into sequences of one pixel a step, row by row from the top left, scaled to 0..1.

    Args:
        images: square grey images with values 0..``pixel_max``.
        side: side of the image to read, at least 1; each of its pixels is the mean over a block, so ``side`` must
            divide the side of ``images``. Default: the images as they are.
        permutation_seed: mix the steps by one permutation drawn from this seed, 0..2**32 - 1, the same for every image
            and every call (psMNIST). Default: not mixed.
        pixel_max: the value that becomes 1, see `ImageSet`.

    Shape:
        images: ``(n, image_side, image_side)``; returned: ``(n, side * side, 1)`` float32.

    Returns:
        The sequences, values in [0, 1].

    Raises:
        InputError: the images are not uint8 and square, exceed ``pixel_max``, or ``side`` or the seed is out of range.

    Numerics:
        Block sums are exact in float32; the permutation comes from NumPy's legacy Mersenne Twister, whose stream is
        frozen, so a seed means the same permutation in every version.

    Source:
        Le, Jaitly, Hinton (2015), A simple way to initialize recurrent networks of rectified linear units, section 4.2.

    Example:
        >>> images = np.array([[[0, 255], [255, 0]]], dtype=np.uint8)
        >>> pixel_sequences(images).flatten().tolist()
        [0.0, 1.0, 1.0, 0.0]
        >>> pixel_sequences(images, side=1).flatten().tolist()
        [0.5]
    """
    _check_images(images, pixel_max)
    n, image_side = images.shape[0], images.shape[1]
    side = image_side if side is None else side
    if side < 1 or image_side % side:
        divisors = [d for d in range(1, image_side + 1) if image_side % d == 0]
        expected = f"a divisor of the image side {image_side}"
        reject("side", expected=expected, got=side, fix=f"choose one of {', '.join(map(str, divisors))}")
    block = image_side // side
    pixels = torch.tensor(images, dtype=torch.float32)
    if block > 1:
        pixels = pixels.reshape(n, side, block, side, block).sum((2, 4))
    sequences = pixels.reshape(n, side * side, 1) / (pixel_max * block**2)
    if permutation_seed is None:
        return sequences
    return sequences[:, _permutation(side * side, permutation_seed)]


def standardise(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract the mean of the training part from both parts and divide by its standard deviation.

    One mean and one (population) standard deviation over all values of ``train``; ``test`` is never looked at, so
    nothing leaks from it.

    Args:
        train: training values, any shape, floating point, finite, not all equal.
        test: test values, any shape, floating point.

    Returns:
        Both parts in their own shape; ``train`` now has mean 0 and standard deviation 1.

    Raises:
        InputError: ``train`` is empty, constant, or has values that are not finite.

    Numerics:
        Mean and deviation are summed in float64.

    Example:
        >>> train, test = standardise(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 5.0]))
        >>> train.tolist(), test.tolist()
        ([-1.0, 1.0], [0.0, 3.0])
    """
    if train.numel() == 0:
        reject("train", expected="at least two different values", got="none", fix="pass training data")
    deviation, mean = (float(value) for value in torch.std_mean(train.double(), correction=0))
    if not np.isfinite(deviation):
        fix = "remove NaN and infinity from the training data"
        reject("train", expected="finite values", got=f"mean {mean}, standard deviation {deviation}", fix=fix)
    if train.min() == train.max():
        fix = "constant data carry no signal: check what was loaded"
        reject("train", expected="at least two different values", got=f"only {mean:g}", fix=fix)
    return (train - mean) / deviation, (test - mean) / deviation


def _check_images(images: npt.NDArray[np.uint8], pixel_max: int) -> None:
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8 or images.size == 0:
        got = f"{images.dtype} of shape {images.shape}"
        reject(
            "images", expected="uint8 of shape (n, side, side), n and side above 0", got=got, fix="reshape or cast them"
        )
    if images.max() > pixel_max:
        fix = "pass the pixel_max of the ImageSet"
        reject("images", expected=f"values 0..{pixel_max}", got=f"a value {images.max()}", fix=fix)


def _permutation(length: int, seed: int) -> Tensor:
    if not 0 <= seed < 2**32:
        reject("permutation_seed", expected="0..2**32 - 1", got=seed, fix="choose a seed in this range")
    return torch.from_numpy(np.random.RandomState(seed).permutation(length))
