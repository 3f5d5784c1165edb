"""The matrix of first-order mode: scenes x ways of differentiating a distance, in shape, pose and intrinsics, against
central differences. Each way has the bias that it is allowed, and its row is printed (`pytest -s`).
"""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scenes

from sdfrepar import fields, networks, observing
from sdfrepar.observing import ObserveConfig, Subject
from sdfrepar.records import Camera
from sdfrepar.tracing import MarchConfig

CAMERA = scenes.camera_at((0.9, 1.1, -1.9), (16, 16))
DECODER = networks.DecoderConfig(latent=4, width=32, depth=3, skip=2, activation="softplus", initial_radius=0.8)
STEP = 0.005

# Pixels whose rays meet the surface flatter than this, and those next to them, see edges come and go.
FLATTEST = 0.3

# Least and greatest of the median, over pixels, of each derivative by its truth, and the most that the middle half of
# them spreads about it. First order counts every one of K samples α times where the truth has 1 / |n·d|: with K = 1 and
# α = 1.5 that is about one, more where the surface is seen from straight above.
ALLOWED = {
    "implicit": (0.98, 1.02, 0.02),
    "recursive": (0.97, 1.03, 0.05),
    "first_order": (0.7, 1.5, 1.0),
}
WAYS = {
    "implicit": ObserveConfig(gradient="implicit", threshold=1e-4, march=MarchConfig(max_steps=80)),
    "recursive": ObserveConfig(gradient="recursive", threshold=1e-4, march=MarchConfig(max_steps=80)),
    "first_order": ObserveConfig(threshold=1e-3, split="none", march=MarchConfig(stride="aggressive", samples=1)),
}


def torus():
    return Subject(fields.torus, lambda params, x: x), scenes.TORUS


def decoder():
    """A shape of a decoder whose code is away from zero."""
    subject = networks.decoder(DECODER)
    params = networks.initial_decoder(DECODER, key=jax.random.key(3))
    return subject, {**params, "code": jnp.array([0.1, -0.1, 0.05, 0.02])}


SCENES = {"torus": torus, "decoder": decoder}
CHANGES = ("shape", "position", "rotation", "focal")


def changed(scene: str, s: jax.Array) -> tuple[dict, Camera]:
    """Params and camera after four changes of size `s` (4,)."""
    params = SCENES[scene]()[1]
    if scene == "torus":
        params = {**params, "minor": params["minor"] * (1.0 + s[0])}
    else:
        params = {**params, "code": params["code"] + s[0] * jnp.array([1.0, -1.0, 0.5, 0.5])}
    turn = jax.scipy.linalg.expm(0.2 * s[2] * jnp.array([[0.0, -1.0, 0.5], [1.0, 0.0, 0.0], [-0.5, 0.0, 0.0]]))
    return params, replace(
        CAMERA,
        position=CAMERA.position + s[1] * jnp.array([0.5, -0.2, 0.4]),
        rotation=CAMERA.rotation @ turn,
        focal=CAMERA.focal * (1.0 + s[3]),
    )


def seen(scene: str, config: ObserveConfig, s: jax.Array):
    params, camera = changed(scene, s)
    return observing.observe(SCENES[scene]()[0], config, params, camera, channels=["normal"])


@functools.cache
def truth(scene: str) -> tuple[np.ndarray, np.ndarray]:
    """Central differences (4, H, W), and the pixels (H, W) at which they mean something."""
    look = jax.jit(lambda s: seen(scene, WAYS["implicit"], s))
    differences, steep = [], np.ones(CAMERA.resolution, bool)
    for way in np.eye(4, dtype=np.float32):
        ahead, behind = look(STEP * way), look(-STEP * way)
        differences.append(np.asarray(ahead.distance - behind.distance) / (2.0 * STEP))
        steep &= np.asarray(ahead.valid & behind.valid)
    u = jnp.stack(jnp.meshgrid(jnp.arange(16.0), jnp.arange(16.0)), axis=-1) + 0.5
    d = jax.vmap(jax.vmap(functools.partial(scenes.cameras.unproject, CAMERA)))(u)
    slope = -np.sum(np.asarray(look(jnp.zeros(4)).normal * d), axis=-1)
    return np.stack(differences), steep & (slope > FLATTEST)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scene", ["torus", pytest.param("decoder", marks=pytest.mark.slow)])
def test_row(scene, way):
    expected, steep = truth(scene)
    found = np.asarray(jax.jit(jax.jacfwd(lambda s: seen(scene, WAYS[way], s).distance))(jnp.zeros(4)))
    least, greatest, spread = ALLOWED[way]
    assert steep.sum() > 30
    for number, change in enumerate(CHANGES):
        there = steep & (np.abs(expected[number]) > 0.2 * np.abs(expected[number][steep]).max())
        ratio = found[..., number][there] / expected[number][there]
        low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
        print(f"{scene:8} {way:12} {change:9} {middle:.3f} of the truth, middle half {low:.3f} to {high:.3f}")
        assert least < middle < greatest
        assert high - low < spread
