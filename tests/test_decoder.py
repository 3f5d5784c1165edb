"""The decoder of DeepSDF: its layout, folding, and the fit of a small family."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.priors import families, samples
from sdfrepar import files, fitting, meshing, networks
from sdfrepar.fitting import CodesConfig
from sdfrepar.networks import DecoderConfig

SMALL = DecoderConfig(latent=4, width=32, depth=4, skip=2, channels=3)


def with_code(config: DecoderConfig):
    params = networks.initial_decoder(config, key=jax.random.key(0))
    return {**params, "code": jax.random.normal(jax.random.key(1), (config.latent,))}


@pytest.mark.parametrize("octaves", [0, 3])
@pytest.mark.parametrize("skip", [0, 2])
def test_folding_code_and_weight_norms_changes_nothing(octaves, skip):
    config = DecoderConfig(latent=4, width=32, depth=4, skip=skip, octaves=octaves, activation="softplus", channels=2)
    decoder, params = networks.decoder(config), with_code(config)
    prepared = decoder.prepare(params)
    assert "code" not in prepared and jax.tree.structure(decoder.prepare(prepared)) == jax.tree.structure(prepared)
    x = jax.random.normal(jax.random.key(2), (8, 3))
    for function in (decoder.distance, decoder.properties):
        np.testing.assert_allclose(*(jax.vmap(partial(function, p))(x) for p in (params, prepared)), atol=1e-5)


def test_the_code_is_differentiated_through_the_fold():
    decoder, params = networks.decoder(SMALL), with_code(SMALL)
    x = jnp.array([0.3, -0.2, 0.1])
    plain = jax.grad(lambda code: decoder.distance({**params, "code": code}, x))(params["code"])
    through = jax.grad(lambda code: decoder.distance(decoder.prepare({**params, "code": code}), x))(params["code"])
    np.testing.assert_allclose(plain, through, atol=1e-6)
    assert np.linalg.norm(plain) > 0


def test_codes_in_deviations_are_the_same_shapes():
    config = DecoderConfig(latent=4, width=16, depth=3, skip=0)
    params, subject = networks.initial_decoder(config, key=jax.random.key(0)), networks.decoder(config)
    rng = np.random.default_rng(0)
    codes = (rng.standard_normal((50, 4)) * [1.0, 0.3, 0.2, 0.0] + 2.0).astype(np.float32)
    spread, inside = networks.spread_of(codes), networks.in_deviations(subject)
    units = np.linalg.solve(spread.axes, (codes - np.asarray(spread.mean)).T)
    # One deviation along every axis, but for the fourth, along which there is none.
    np.testing.assert_allclose(sorted(units.std(axis=1)), [0.0, 1.0, 1.0, 1.0], atol=1e-4)
    lengths = np.linalg.norm(spread.axes, axis=0)
    assert lengths.min() == pytest.approx(0.05 * lengths.max(), rel=1e-3)
    x, network = jnp.array([0.1, 0.2, 0.3]), params["network"]
    expected = subject.distance({"network": network, "code": jnp.asarray(codes[7])}, x)
    found = {"network": (network, spread), "code": jnp.asarray(units[:, 7])}
    assert inside.distance(found, x) == pytest.approx(float(expected), abs=1e-6)
    assert inside.distance(inside.prepare(found), x) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(("settings", "words"), [({"skip": 9}, "decoder.skip"), ({"width": 200}, "decoder.width")])
def test_sizes_that_cannot_work_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        DecoderConfig(**settings)


@pytest.mark.parametrize("name", families.FAMILIES)
def test_members_of_a_family_are_closed_and_in_the_unit_sphere(name):
    family = families.FAMILIES[name]
    shape = samples.of_family(family, np.random.default_rng(1))
    mesh = meshing.extract(shape.surface.distance, shape.surface.params, 64, components="all")
    assert mesh.watertight and np.linalg.norm(mesh.vertices, axis=1).max() < 1.0
    drawn = samples.sample_all([lambda: shape], 400, seed=0, coloured=True)
    assert drawn.points.shape == drawn.colours.shape == (1, 400, 3) and drawn.colours.std() > 0.1
    assert 0.2 < np.mean(drawn.distances < 0) < 0.7


def test_two_balls_are_learnt_with_a_code_and_a_colour_each():
    config = DecoderConfig(latent=2, width=32, depth=3, skip=0, bounded=False, channels=3)
    fit = CodesConfig(steps=300, shapes=2, points=128, rate=5e-3, code_rate=1e-2, colour_weight=0.1)
    x = jax.random.uniform(jax.random.key(0), (2, 2000, 3), minval=-1.0, maxval=1.0)
    distances = jnp.linalg.norm(x, axis=-1) - jnp.array([[0.3], [0.6]])
    colours = jnp.broadcast_to(jnp.array([[[0.2, 0.5, 0.5]], [[0.8, 0.5, 0.5]]]), x.shape)
    params = fitting.initial_codes(config, 2, key=jax.random.key(1))
    state = fitting.on_all_devices(fitting.first_codes_state(fit, params))
    step = fitting.make_codes_step(config, fit)
    for _ in range(fit.steps):
        state, metrics = step(state, x, distances, colours, jax.random.key(2))
    assert float(metrics["distance"]) < 0.01 and float(metrics["colour"]) < 0.05
    decoder = networks.decoder(config)
    seen = [decoder.properties(fitting.of_shape(state.average, shape), jnp.zeros(3)) for shape in (0, 1)]
    np.testing.assert_allclose(seen, [[0.2, 0.5, 0.5], [0.8, 0.5, 0.5]], atol=0.15)
    at = jnp.array([0.45, 0.0, 0.0])
    found = [float(decoder.distance(fitting.of_shape(state.average, shape), at)) for shape in (0, 1)]
    assert found[0] > 0.05 and found[1] < -0.05


def test_what_a_code_has_beyond_its_numbers_changes_the_biases():
    config = DecoderConfig(latent=3, width=16, depth=3, skip=1)
    decoder, params = networks.decoder(config), with_code(config)
    changes = 0.1 * jax.random.normal(jax.random.key(5), (config.biases,))
    longer = {**params, "code": jnp.concatenate([params["code"], changes])}
    x = jnp.array([0.1, -0.2, 0.3])
    network, begun = dict(params["network"]), 0
    for layer in range(config.depth):
        dense, end = network[f"hidden_{layer}"], begun + config.hidden(layer)
        network[f"hidden_{layer}"] = {**dense, "bias": dense["bias"] + changes[begun:end]}
        begun = end
    expected = decoder.distance({**params, "network": network}, x)
    for given in (longer, decoder.prepare(longer)):
        np.testing.assert_allclose(decoder.distance(given, x), expected, atol=1e-6)
    nothing = {**params, "code": jnp.concatenate([params["code"], jnp.zeros(config.biases)])}
    np.testing.assert_allclose(decoder.distance(nothing, x), decoder.distance(params, x), atol=1e-6)
    with pytest.raises(ValueError, match="beyond the 3 of the decoder"):
        decoder.distance({**params, "code": jnp.zeros(5)}, x)


@pytest.mark.parametrize("weight_norm", [True, False])
def test_a_decoder_named_as_deepsdf_names_it_is_read_back(weight_norm):
    config = DecoderConfig(latent=3, width=16, depth=3, skip=1, weight_norm=weight_norm)
    params = with_code(config)
    arrays = {"latent.weight": np.zeros((2, 3))}
    for number, layer in enumerate(["hidden_0", "hidden_1", "hidden_2", "distance"]):
        dense = {name: np.asarray(leaf) for name, leaf in params["network"][layer].items()}
        arrays[f"module.lin{number}.bias"] = dense["bias"]
        if "kernel" in dense:
            arrays[f"module.lin{number}.weight"] = dense["kernel"].T
        else:
            arrays[f"module.lin{number}.weight_v"] = dense["direction"].T
            arrays[f"module.lin{number}.weight_g"] = dense["scale"][:, None]
    found, read = networks.from_state_dict(arrays)
    assert found == config
    jax.tree.map(np.testing.assert_array_equal, read["network"], params["network"])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"epoch": np.zeros(1)}, "are no decoder"),
        ({f"lin{n}.{p}": np.zeros((4, 4)) for n in (0, 1, 3) for p in ("weight", "bias")}, "are no decoder"),
        ({f"lin{n}.{p}": np.zeros((4, 5)) for n in range(3) for p in ("weight", "bias")}, "octaves"),
    ],
)
def test_arrays_that_are_no_decoder_are_refused(arrays, words):
    with pytest.raises(ValueError, match=words):
        networks.from_state_dict(arrays)


@pytest.mark.realdata
@pytest.mark.parametrize(("shape", "euler"), [(0, 0), (1, 2)])
def test_a_published_decoder_decodes_to_shapes_of_its_topology(realdata, shape, euler):
    folder = realdata / "decoder_bob_and_spot"
    weights = files.read_state_dict(folder / "model_latest.pth")
    config, params = networks.from_state_dict(weights, octaves=5)
    codes = files.read_state_dict(folder / "latent_latest.pth")
    (code,) = (array for name, array in codes.items() if name.endswith("weight"))
    mesh = meshing.extract(networks.decoder(config).distance, {**params, "code": jnp.asarray(code[shape])}, 96)
    assert mesh.watertight and mesh.euler_number == euler
