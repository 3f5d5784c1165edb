"""From posed pictures to a shape of a family: by pairs of them [D20], by rendering them [B22], or by moving a mesh."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.flags import RunError
from experiments.priors import mesh_baseline, scores
from experiments.priors.mesh_baseline import MeshConfig
from experiments.priors.samples import Shape
from experiments.priors.store import Prior
from experiments.priors.telling import Progressed, tell
from experiments.synthetic import photography
from sdfrepar import cameras, fitting, imaging, networks, observing
from sdfrepar.doctor import outlines
from sdfrepar.fitting import FitConfig, PairsConfig
from sdfrepar.imaging import FilmConfig
from sdfrepar.meshing import Mesh
from sdfrepar.networks import Spread
from sdfrepar.observing import ObserveConfig
from sdfrepar.records import Camera, Status, Views
from sdfrepar.rendering import RenderConfig

MethodName = Literal["mesh", "pairs", "grazing", "velocity", "distance", "relaxed", "interior"]
"""mesh: the baseline; pairs: photometric consistency [D20]; else how rendered pictures are differentiated."""


@dataclass(frozen=True)
class ViewsConfig:
    """How a shape is found."""

    start: Literal["random", "mean"] = "random"
    """Where a fit begins: at a random shape of the family, or at its mean."""
    starts: int = 16
    """Random shapes from which the one is taken whose outlines agree best with what differs from the pictures' borders,
    where these have one colour; no method here moves a wing to where none is. 1 takes the first."""
    similarity: bool = False
    """Whether the shape is turned, moved and scaled as well."""
    neighbours: int = 2
    """Pictures that each is compared with, by directions of view the nearest."""
    levels: int = 3
    """Of the pictures' pyramids, over which pairs are compared from coarse to fine."""
    observe: ObserveConfig = field(default_factory=lambda: ObserveConfig(block=256))
    pairs: PairsConfig = field(default_factory=PairsConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)
    render: RenderConfig = field(default_factory=lambda: RenderConfig(film=FilmConfig(filter="tent")))
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=150,
            pixels=256,
            levels=4,
            shape_rate=0.1,
            warm_up=5,
            eikonal_weight=0.0,
            eikonal_points=1,
            average=0.9,
        )
    )
    """Of rendered pictures; the rate is of the code, which counts deviations."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("starts", "levels", "neighbours"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")


def of_shape(shape: Shape, count: int, resolution: int, supersampling: int) -> Views:
    """Pictures of a shape from all around, evenly lit, before a grey background."""
    rig = photography.cameras_around(count, 0.0, resolution)
    taken = []
    for number in range(count):
        camera = jax.tree.map(lambda leaf, number=number: leaf[number], rig)
        taken.append(photography.photograph(shape.surface, camera, supersampling, ambient=1.0)[0])
    pictures: Any = np.stack(taken).astype(np.float32)
    names = tuple(f"{number:03d}" for number in range(count))
    return Views(images=pictures, cameras=rig, names=names, world_from_scene=np.eye(4))


class Found(NamedTuple):
    """One of the two."""

    code: np.ndarray | None  # deviations, after seven numbers of a similarity where there is one
    mesh: Mesh | None


class MultiView:
    """A prior and how shapes are found from pictures; what is compiled serves all sets of one size."""

    def __init__(self, config: ViewsConfig, prior: Prior):
        """Of a prior."""
        self._config, self._prior = config, prior
        subject = networks.in_deviations(prior.decoder)
        self._subject = networks.placed(subject) if config.similarity else subject
        self._pairs = fitting.make_pairs_search(self._subject, config.observe, config.pairs)
        self._steps, self._agreement = cache(self._make_step), jax.jit(self._agreeing)

    def start(self, views: Views, family: str, seed: int) -> np.ndarray:
        """The code, deviations, at which a fit begins by any method; a similarity before it does nothing."""
        config, latent = self._config, self._prior.codes.shape[1]
        placing = np.zeros(7 if config.similarity else 0)
        if config.start == "mean":
            return np.concatenate([placing, np.zeros(latent)]).astype(np.float32)
        random = np.random.default_rng(seed).standard_normal((config.starts, latent))
        codes = [np.concatenate([placing, code]).astype(np.float32) for code in random]
        unlike = {number: outlines.unlike_border(views.images[number]) for number in range(len(views))}
        masks = {number: mask for number, mask in unlike.items() if mask is not None}
        if len(codes) == 1 or not masks:
            return codes[0]
        rig = jax.tree.map(lambda leaf: jnp.asarray(leaf)[np.array(list(masks))], views.cameras)
        data = rig, jnp.asarray(np.stack(list(masks.values())))
        return max(codes, key=lambda code: float(self._agreement(self._network(family), code, *data)))

    def steps(self, method: MethodName) -> int:
        """How many there are."""
        config = self._config
        return {"mesh": config.mesh.steps, "pairs": config.levels * config.pairs.steps}.get(method, config.fit.steps)

    def mesh_of(self, code: np.ndarray | None, family: str, resolution: int) -> Mesh:
        """What a code decodes to.

        Raises:
            RunError: nothing.
        """
        params = self._subject.prepare({"network": self._network(family), "code": jnp.asarray(code)})
        mesh = scores.decoded(self._subject.distance, params, resolution)
        if mesh is None:
            raise RunError("Nothing is decoded from the code; begin at another --seed, or with --by.start=mean.")
        return mesh

    def found(
        self, method: MethodName, views: Views, family: str, seed: int, told: Progressed = lambda *_: None
    ) -> "Found":
        """What pictures show, from `start`.

        Raises:
            ValueError: the prior has no such family, or no colours where pictures are to be rendered.
            RunError: the loss is not finite, or there is nothing to begin with.
        """
        code = self.start(views, family, seed)
        if method == "mesh":
            return Found(None, self._by_mesh(code, views, family, told))
        if method == "pairs":
            return Found(self._by_pairs(code, views, family, told), None)
        if self._prior.config.network.channels != 3:
            raise ValueError(
                f"--gradient={method} renders colours, and the prior has learnt none; train one with "
                "--network.channels=3, or choose --gradient=pairs."
            )
        return Found(self._by_pictures(method, code, views, family, seed, told), None)

    def mesh(self, found: "Found", family: str, resolution: int) -> Mesh:
        """What was found, as a mesh.

        Raises:
            RunError: nothing is decoded.
        """
        return self.mesh_of(found.code, family, resolution) if found.mesh is None else found.mesh

    def _agreeing(self, network: Any, code: jax.Array, rig: Camera, masks: jax.Array) -> jax.Array:
        """The share () of the pixels of masks (V, H, W) whose rays meet the shape of a code where they are set."""
        subject, observe = self._subject, self._config.observe
        params = subject.prepare({"network": network, "code": code})

        def of_view(view: tuple[Camera, jax.Array]) -> jax.Array:
            camera, mask = view
            march = observing.march_picture(subject.distance, observe, params, camera).marches
            return jnp.mean((march.status == Status.HIT) == mask.reshape(-1))

        return jnp.mean(jax.lax.map(of_view, (rig, masks)))

    def _by_mesh(self, code: np.ndarray, views: Views, family: str, told: Progressed) -> Mesh:
        config = self._config.mesh
        rig, pictures = _on_device(views)
        pairs = _neighbours(rig, self._config.neighbours)
        return mesh_baseline.optimised(
            config, self.mesh_of(code, family, config.resolution), rig, pictures, pairs, told
        )

    def _by_pairs(self, code: np.ndarray, views: Views, family: str, told: Progressed) -> np.ndarray:
        steps, unknown = self._config.pairs.steps, jnp.asarray(code)
        rig, pictures = _on_device(views)
        pairs = _neighbours(rig, self._config.neighbours)
        for level, (camera, picture) in enumerate(_coarse_to_fine(rig, pictures, self._config.levels)):
            data = self._network(family), camera, picture, pairs
            state = self._pairs.first(unknown, *data)
            for number in range(steps):
                state = self._pairs.step(state, *data)
                tell(told, level * steps + number, {"loss": state.loss}, "loss", "begin at another --seed")
            unknown = state.unknown
        return np.asarray(unknown)

    def _by_pictures(
        self, method: MethodName, code: np.ndarray, views: Views, family: str, seed: int, told: Progressed
    ) -> np.ndarray:
        fit, key = self._config.fit, jax.random.key(seed)
        step = self._steps(method, family)
        pixels = fitting.on_all_devices(fitting.gather_pixels(views, fit.levels))
        params = {"sdf": {"code": jnp.asarray(code)}, "background": jnp.full(3, photography.BACKGROUND)}
        state = fitting.start(fit, params)
        for number in range(fit.steps):
            state, metrics = step(state, pixels, key)
            shown = {name: metrics[name] for name in ("loss", "psnr", "hits")}
            tell(told, number, shown, "loss", "lower --by.fit.shape_rate")
        return np.asarray(state.average["sdf"]["code"])

    def _make_step(self, method: MethodName, family: str) -> Any:
        settings = self._config.render
        gradient = replace(settings.gradient, method=method)
        scene = networks.coloured(self._subject, self._network(family))
        return fitting.make_step(scene, replace(settings, gradient=gradient), self._config.fit)

    def _network(self, family: str) -> tuple[Any, Spread]:
        return self._prior.network, self._prior.spread(family)


def _on_device(views: Views) -> tuple[Camera, jax.Array]:
    """The cameras, and the pictures (V, H, W, 3), linear."""
    pictures = [np.asarray(views.images[number], np.float32) for number in range(len(views))]
    return jax.tree.map(jnp.asarray, views.cameras), jnp.asarray(np.stack(pictures))


def _neighbours(rig: Camera, count: int) -> jax.Array:
    """Each picture with those that look the most like it, (V * count, 2)."""
    forward = np.asarray(rig.rotation)[:, :, 2]
    alike = forward @ forward.T - 2.0 * np.eye(len(forward))
    nearest = np.argsort(-alike, axis=1)[:, : min(count, len(forward) - 1)]
    return jnp.asarray([(first, second) for first, row in enumerate(nearest) for second in row])


def _coarse_to_fine(rig: Camera, pictures: jax.Array, levels: int) -> Iterator[tuple[Camera, jax.Array]]:
    """Cameras and pictures of every level of the pyramid, the coarsest first."""
    pyramids = [imaging.pyramid(picture, levels) for picture in pictures]
    for level in reversed(range(levels)):
        stack = jnp.stack([pyramid[level] for pyramid in pyramids])
        yield cameras.halved(rig, level, (stack.shape[1], stack.shape[2])), stack
