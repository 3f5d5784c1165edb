"""One gradient of a small fit on some devices, for `test_sharing`: in a process, as JAX counts devices when it starts.

python tests/sharing.py OUT.npz DEVICES PARTS METHOD [PROCESS PORT]
"""

import sys
from pathlib import Path

import jax

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]


def main() -> None:
    """Write the gradient, the metrics and the number of all-reduces of the compiled gradient."""
    out, count, parts, method, *distributed = sys.argv[1:]
    jax.config.update("jax_enable_x64", True)
    if distributed:
        process, port = distributed
        jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))

    import jax.numpy as jnp
    import numpy as np
    import scenes
    from jax.flatten_util import ravel_pytree

    from sdfrepar import fields, fitting
    from sdfrepar.fitting import FitConfig
    from sdfrepar.records import Views
    from sdfrepar.rendering import GradientConfig, RenderConfig
    from sdfrepar.tracing import TraceConfig

    devices = jax.devices()[: int(count)]
    scene = scenes.shaded(fields.torus)
    render = RenderConfig(
        trace=TraceConfig(max_steps=12), first_steps=6, gradient=GradientConfig(method=method, band_share=0.9)
    )
    fit = FitConfig(pixels=64, candidates=2, eikonal_points=64, levels=2, preference=2.0)
    rig = [scenes.camera_at(position, (16, 16)) for position in ((1.2, 1.6, -2.0), (-1.2, 1.6, 2.0))]
    views = Views(
        images=np.random.default_rng(0).random((2, 16, 16, 3)),
        cameras=jax.tree.map(lambda *leaves: np.stack(leaves).astype(np.float64), *rig),
        names=("a", "b"),
        world_from_scene=np.eye(4),
    )
    params = jax.tree.map(jnp.float64, scenes.TORUS)
    items = params, fitting.gather_pixels(views, fit.levels), jnp.asarray(0.3), jax.random.key(1)
    items = fitting.on_all_devices(items, devices)
    compiled = jax.jit(fitting.shared_gradient(scene, render, fit, devices, int(parts))).lower(*items).compile()
    gradient, metrics = compiled(*items)
    reductions = sum(" all-reduce(" in line or " all-reduce-start(" in line for line in compiled.as_text().splitlines())
    values = {name: np.asarray(value) for name, value in metrics.items()}
    np.savez(out, gradient=np.asarray(ravel_pytree(gradient)[0]), reductions=reductions, **values)


if __name__ == "__main__":
    main()
