"""What comes from strangers runs nothing, opens nothing outside, fills no memory, and is only text on a page."""

import ast
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import png
import pytest
import torch_saving
import trimesh
import written
from PIL import Image

from benchmarks.fuzzing import outcomes, structured
from benchmarks.fuzzing.subjects import SUBJECTS, ring
from experiments import pages, run_report
from sdfrepar import datasets, files
from sdfrepar.datasets import FORMATS, DataConfig, Taken
from sdfrepar.viewer.window import WindowConfig, table_of, welcome

ROOT = Path(__file__).parents[1]
SOURCES = [path for name in ("sdfrepar", "experiments", "benchmarks") for path in sorted((ROOT / name).rglob("*.py"))]

# What runs what a file says.
DANGEROUS = {
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open", "dill.load"),
    *("torch.load", "joblib.load", "yaml.load", "yaml.unsafe_load", "os.system", "os.popen", "eval", "exec"),
    *("jsonpickle.decode", "cloudpickle.load", "cloudpickle.loads", "runpy.run_path"),
}
# What listens.
SERVERS = ("HTTPServer", "ThreadingHTTPServer", "TCPServer", "ViserServer", "start_server", "create_server", "bind")


def dangers(source: str) -> list[str]:
    """Calls that run what a file says, or load arrays that might."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        pickles = name in ("np.load", "numpy.load", "jnp.load") and given.get("allow_pickle") != "False"
        if name in DANGEROUS or pickles or given.get("shell") == "True":
            found.append(f"{name}, line {node.lineno}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_what_a_file_says(path):
    assert dangers(path.read_text()) == []


@pytest.mark.parametrize(
    "planted",
    [
        *("np.load(path)", "np.load(path, allow_pickle=True)", "pickle.load(file)", "torch.load(path)", "eval(text)"),
        *("yaml.load(text)", "subprocess.run(text, shell=True)", "exec(text)"),
    ],
)
def test_planted_dangers_are_caught(planted):
    assert len(dangers(planted)) == 1


def test_servers_listen_to_this_machine_alone():
    """The viewer's is the only one, and its address is a loopback unless it is told another."""
    found = {
        (path.name, ast.unparse(node))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in SERVERS
    }
    assert {name for name, _ in found} == {"window.py"}
    assert all("host=config.host" in call for _, call in found)
    assert WindowConfig().host == "127.0.0.1"
    assert "WARNING" in welcome(WindowConfig(host="0.0.0.0"), 8080)


# ---- Pickles

GLOBAL, REDUCE, MARK, TUPLE, STOP = b"c%s\n%s\n", b"R", b"(", b"t", b"."
COMMAND = b"X\x04\x00\x00\x00true"
PROGRAMS = {
    "a call": GLOBAL % (b"os", b"system") + COMMAND + b"\x85R.",
    "a call by its other name": GLOBAL % (b"posix", b"system") + COMMAND + b"\x85R.",
    "builtins": GLOBAL % (b"builtins", b"eval") + COMMAND + b"\x85R.",
    "getattr": GLOBAL % (b"builtins", b"getattr") + GLOBAL % (b"os", b"") + b"X\x06\x00\x00\x00system\x86R" + b".",
    "a dotted name": GLOBAL % (b"torch", b"_utils.os.system") + COMMAND + b"\x85R.",
    "a name within a name": GLOBAL % (b"collections", b"OrderedDict.__init__.__globals__") + b")R.",
    "names from the stack": b"\x80\x04X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93" + COMMAND + b"\x85R.",
    "names from the memo": b"\x80\x04X\x02\x00\x00\x00os\x940X\x06\x00\x00\x00systemq\x050h\x00h\x05\x93"
    + COMMAND
    + b"\x85R.",
    "a call in a call": GLOBAL % (b"collections", b"OrderedDict")
    + GLOBAL % (b"os", b"system")
    + COMMAND
    + b"\x85R\x85R.",
    "an allowed name with arguments": GLOBAL % (b"collections", b"OrderedDict") + COMMAND + b"\x85R.",
    "a class called as a function": COMMAND + COMMAND + b"\x85R.",
    "an instance": MARK + COMMAND + b"ios\nsystem\n.",
    "an object": MARK + GLOBAL % (b"os", b"system") + COMMAND + b"o.",
    "a new object": GLOBAL % (b"subprocess", b"Popen") + COMMAND + b"\x85\x81.",
    "a new object with names": GLOBAL % (b"subprocess", b"Popen") + b")}\x92.",
    "an extension": b"\x82\x01.",
    "a state": GLOBAL % (b"collections", b"OrderedDict")
    + b")R}X\x08\x00\x00\x00__dict__"
    + GLOBAL % (b"os", b"system")
    + b"sb.",
    "a persistent name": b"Pos.system\n.",
    "a storage of a call": MARK
    + b"X\x07\x00\x00\x00storage"
    + GLOBAL % (b"os", b"system")
    + b"X\x01\x00\x00\x000NK\x01tQ.",
    "a memo that holds itself": b"\x80\x02]q\x00h\x00ah\x00a.",
    "marks without end": MARK * 10_000 + b".",
    "a tower of tuples": b")" + b"\x85" * 100_000 + b".",
}


@pytest.mark.parametrize("place", ["archive", "legacy"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_in_weights_are_refused_and_not_run(name, place, tmp_path):
    if place == "archive":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as writer:
            writer.writestr("archive/data.pkl", PROGRAMS[name])
        data = file.getvalue()
    else:
        data = torch_saving.legacy({}, content=PROGRAMS[name])
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / "weights.pth"
    path.write_bytes(data)
    with outcomes.watched(tmp_path / "set") as events, pytest.raises(ValueError, match=r"weights\.pth .*\.$") as caught:
        files.read_state_dict(path)
    assert events == []
    assert "\n" not in str(caught.value)


def test_objects_in_arrays_are_refused_and_not_run(tmp_path):
    held = np.empty(1, object)
    held[0] = structured.Payload()
    (tmp_path / "set").mkdir()
    np.savez(tmp_path / "set" / "a.npz", v=held)
    with outcomes.watched(tmp_path / "set") as events, pytest.raises(ValueError, match="its array 'v' cannot be read"):
        files.read_arrays(tmp_path / "set" / "a.npz")
    assert events == []


# ---- Paths


def taken(names=("a", "b", "c", "d")) -> Taken:
    return Taken(images_srgb=np.full((4, 12, 16, 3), 0.5), cameras=ring(), names=names, test=[1])


@pytest.mark.parametrize("name", FORMATS)
def test_links_that_lead_out_of_a_data_set_are_refused(name, tmp_path):
    FORMATS[name].write(tmp_path / "set", taken())
    datasets.load(tmp_path / "set", DataConfig(holdout="1"))
    picture = sorted((tmp_path / "set").rglob("a.png"))[0]
    picture.rename(tmp_path / "elsewhere.png")
    picture.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(ValueError, match=r"a\.png' leads out of the folder; expected one below it, so copy the file"):
        datasets.load(tmp_path / "set", DataConfig(holdout="1"))
    picture.unlink()
    (tmp_path / "elsewhere.png").rename(picture.with_name("kept.png"))
    picture.symlink_to("kept.png")
    if name not in ("idr", "neus"):
        # A link within the folder is as good as a file; where all pictures are taken, there is one more now.
        datasets.load(tmp_path / "set", DataConfig(holdout="1"))


@pytest.mark.parametrize("stated", ["../secret.png", "/etc/passwd.png", "images/../../secret.png", "..\\secret.png"])
@pytest.mark.parametrize("name", ["nerf", "transforms", "middlebury"])
def test_paths_that_lead_out_of_a_data_set_are_refused(name, stated, tmp_path):
    files.write_image(tmp_path / "secret.png", np.zeros((12, 16, 3)))
    folder = tmp_path / "set"
    FORMATS[name].write(folder, taken())
    for path in [*folder.glob("*.json"), *folder.glob("*_par.txt")]:
        text, escaped = path.read_text(), stated.replace("\\", "\\\\") if path.suffix == ".json" else stated
        for old in ("./train/a", "images/a.png", "a.png"):
            if old in text:
                path.write_text(text.replace(old, escaped, 1))
                break
    with pytest.raises(ValueError, match="leads out of the folder"):
        datasets.load(folder, DataConfig(holdout="1"))


def test_paths_in_a_colmap_model_that_lead_out_are_refused(tmp_path):
    files.write_image(tmp_path / "secret.png", np.zeros((12, 16, 3)))
    whole = SUBJECTS["COLMAP, text"].make()
    name = "sparse/0/images.txt"
    text = whole.content[name].decode().replace("v0.png", "../../secret.png")
    whole.content[name] = text.encode()
    whole.write(tmp_path / "set")
    with pytest.raises(ValueError, match="leads out of the folder"):
        datasets.load(tmp_path / "set", DataConfig())


def test_meshes_open_no_other_file(tmp_path):
    """Materials and textures that a mesh names, which could lie anywhere."""
    ball = trimesh.creation.icosphere(subdivisions=1)
    (tmp_path / "set").mkdir()
    (tmp_path / "secret.mtl").write_text("newmtl m\nmap_Kd secret.png\n")
    text = "mtllib ../secret.mtl\nusemtl m\n" + ball.export(file_type="obj", include_texture=False)
    (tmp_path / "set" / "a.obj").write_text(text)
    opened = []
    sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
    vertices, _ = files.read_mesh(tmp_path / "set" / "a.obj")
    assert len(vertices) == len(ball.vertices)
    assert any(path.endswith("a.obj") for path in opened) and not any("secret" in path for path in opened)


# ---- Bombs


@pytest.mark.parametrize("depth", [8, 16])
def test_gigantic_pictures_are_refused_by_their_header(depth, tmp_path):
    file = io.BytesIO()
    png.Writer(4, 3, greyscale=False, bitdepth=depth).write(file, np.zeros((3, 12), int).tolist())
    data = file.getvalue()
    header = (50_000).to_bytes(4, "big") * 2 + data[24:29]
    path = tmp_path / "a.png"
    path.write_bytes(data[:8] + structured.chunk(b"IHDR", header) + data[33:])
    for read in (files.read_image, files.picture_kind):
        with pytest.raises(ValueError, match=r"a\.png is too large a picture .*; expected less, so shrink it\."):
            read(path)


def test_archives_that_would_fill_the_memory_are_refused(tmp_path):
    file = io.BytesIO()
    np.savez(file, v=np.zeros(3))
    path = tmp_path / "a.npz"
    path.write_bytes(structured.BOMB(np.random.default_rng(0), file.getvalue()) or b"")
    assert path.stat().st_size < 1_000_000
    for read in (files.read_arrays, files.read_state_dict):
        with pytest.raises(ValueError, match=r"it would grow from \d+ to 300\d+ bytes; expected numbers"):
            read(path)


def test_no_interpreter_is_given_a_picture(tmp_path):
    """Pillow would give PostScript to Ghostscript."""
    (tmp_path / "set").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "set" / "a.png", format="EPS")
    with outcomes.watched(tmp_path / "set") as events:
        for read in (files.read_image, files.picture_kind):
            with pytest.raises(ValueError, match="cannot be read as a picture; expected a whole PNG or JPEG"):
                read(tmp_path / "set" / "a.png")
    assert events == []


# ---- Pages

NASTY = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


def test_reports_show_names_commands_and_configs_as_text(tmp_path):
    views = ("<script>alert(1)<", "\" onload='alert(1)'")
    folder = written.run_folder(tmp_path / "<b>\"'run", data=NASTY, views=views)
    page = run_report.write(folder, written.rig()).read_text()
    body = page[page.index("<body>") : page.rindex("<script>")]
    for markup in ("<script>alert", "<img src=x", "<b>\"'", "\" onload='alert"):
        assert markup not in body
    assert "&lt;script&gt;alert(1)&lt;" in body and "&quot; onload=&#x27;alert(1)&#x27;" in body
    assert "default-src 'none'" in page


def test_elements_and_the_viewer_s_table_escape_text_and_attributes():
    assert NASTY not in pages.element("p", NASTY, title=NASTY)
    assert "<script" not in pages.element("p", NASTY, title=NASTY) and '">' not in pages.element("p", title=NASTY)[3:-6]
    assert "<script" not in table_of({NASTY: NASTY}) and "<img" not in table_of({NASTY: NASTY})
