"""What may have been done to cameras by mistake, undone: for each, cameras that would then be right."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sdfrepar.records import Camera

_FLIP = np.diag([1.0, -1.0, -1.0])
_ABOUT_Y, _ABOUT_Z = np.diag([-1.0, 1.0, -1.0]), np.diag([-1.0, -1.0, 1.0])


def corrected(cameras: Camera) -> Iterator[tuple[str, Camera]]:
    """What is wrong with the cameras, if it is that, and the cameras as they would be right.

    Args:
        cameras: leading axis N, in the world frame of their files, where inverse and transposed poses are undone.
    """
    rotation, position = np.asarray(cameras.rotation, float), np.asarray(cameras.position, float)

    def posed(rotation: np.ndarray, position: np.ndarray) -> Camera:
        return replace(cameras, rotation=rotation, position=position)  # pyright: ignore[reportArgumentType]

    yield (
        "the camera axes are flipped: OpenGL poses (looking along -z) read as OpenCV ones (along +z), or the reverse",
        posed(rotation @ _FLIP, position),
    )
    yield "the camera axes x and z point the wrong way", posed(rotation @ _ABOUT_Y, position)
    yield (
        "the pictures are upside down: turned by half, or the camera axes x and y point the wrong way",
        posed(rotation @ _ABOUT_Z, position),
    )
    # What stands in the file has OpenCV axes, or OpenGL ones that the reader has flipped.
    for axes in (np.eye(3), _FLIP):
        back = (rotation @ axes).transpose(0, 2, 1)
        yield (
            "the poses are inverse: world-to-camera matrices where camera-to-world ones are expected, or the reverse",
            posed(back @ axes, -_times(back, position)),
        )
        transposed = "the rotations are transposed: matrices written column by column and read row by row"
        yield transposed, posed(back @ axes, position)
        yield transposed, posed(back @ axes, _times(back, _times(back, position)))
    focal = np.asarray(cameras.focal, float)
    for factor, word in ((2.0, "half"), (0.5, "twice")):
        yield (
            f"the focal length is {word} of what it should be: was it measured for pictures of another size?",
            replace(cameras, focal=factor * focal),  # pyright: ignore[reportArgumentType]
        )


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.einsum("nij,nj->ni", matrices, vectors)
