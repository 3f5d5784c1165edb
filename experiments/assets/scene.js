// A mesh and cameras, turned by mouse, by touch and by keys. They lie in the unit sphere; "up" is the cameras' own.

const FIELD_OF_VIEW = 0.6; // radians, vertical
const TURN = 0.008; // radians a pixel
const LOOKS = ["colours", "normals", "shape"];
const CAMERA_COLOURS = { train: [0, 107, 164], heldOut: [200, 82, 0] };

const VERTEX_SHADER = `#version 300 es
  uniform mat4 clipFromWorld;
  in vec3 position, normal, colour;
  out vec3 n, c;
  void main() {
    n = normal;
    c = colour;
    gl_Position = clipFromWorld * vec4(position, 1.0);
  }`;

const FRAGMENT_SHADER = `#version 300 es
  precision highp float;
  uniform int look;
  uniform vec3 light;
  in vec3 n, c;
  out vec4 seen;
  void main() {
    vec3 unit = normalize(n + 1e-9);
    vec3 shape = vec3(0.18 + 0.72 * abs(dot(unit, light)));
    seen = vec4(look == 0 ? c : look == 1 ? 0.5 + 0.5 * unit : shape, 1.0);
  }`;

// ---- vectors and matrices, columns first ----

const plus = (a, b, s = 1) => a.map((x, i) => x + s * b[i]);
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const unit = (a) => a.map((x) => x / Math.hypot(...a));

function product(a, b) {
  const entry = (i) => [0, 1, 2, 3].reduce((sum, k) => sum + a[4 * k + (i % 4)] * b[4 * Math.floor(i / 4) + k], 0);
  return Array.from({ length: 16 }, (_, i) => entry(i));
}

function perspective(aspect, near, far) {
  // Where the view is higher than wide, its width decides.
  const f = Math.min(1, aspect) / Math.tan(FIELD_OF_VIEW / 2);
  return [f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0];
}

function viewFrom({ right, above, back, eye }) {
  const rows = [right, above, back];
  return [0, 1, 2].flatMap((i) => [...rows.map((row) => row[i]), 0]).concat(rows.map((row) => -dot(row, eye)), 1);
}

// ---- where the viewer stands: around a target, upright ----

class Orbit {
  constructor({ up, from }) {
    this.up = unit(up);
    this.from = unit(from);
    const aside = Math.abs(this.up[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0];
    this.east = unit(cross(aside, this.up));
    this.north = cross(this.up, this.east);
    this.reset();
  }

  reset() {
    this.target = [0, 0, 0];
    // Beside the first camera, which would stand before everything.
    this.azimuth = Math.atan2(dot(this.from, this.north), dot(this.from, this.east)) + 0.3;
    this.elevation = Math.asin(Math.max(-0.95, Math.min(0.95, dot(this.from, this.up))));
    this.distance = 1.25 / Math.sin(FIELD_OF_VIEW / 2);
  }

  turn(right, down) {
    this.azimuth -= TURN * right;
    this.elevation = Math.max(-1.55, Math.min(1.55, this.elevation + TURN * down));
  }

  zoom(factor) {
    this.distance = Math.max(0.3, Math.min(40, this.distance * factor));
  }

  move(right, down, height) {
    const { right: x, above: y } = this.frame();
    const step = (2 * this.distance * Math.tan(FIELD_OF_VIEW / 2)) / height;
    this.target = plus(plus(this.target, x, -right * step), y, down * step);
  }

  frame() {
    const [ce, se] = [Math.cos(this.elevation), Math.sin(this.elevation)];
    const level = plus(this.east.map((x) => x * Math.cos(this.azimuth)), this.north, Math.sin(this.azimuth));
    const back = plus(level.map((x) => x * ce), this.up, se);
    const right = unit(cross(this.up, back));
    return { right, above: cross(back, right), back, eye: plus(this.target, back, this.distance) };
  }

  clipFromWorld(aspect) {
    return product(perspective(aspect, 0.01, this.distance + 60), viewFrom(this.frame()));
  }
}

// ---- from the page's data to buffers ----

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}

function meshArrays({ low, size, positions, normals, colours, faces }) {
  const steps = new Uint16Array(bytes(positions));
  return {
    position: Float32Array.from(steps, (step, i) => low[i % 3] + (size[i % 3] * step) / 65535),
    normal: new Int8Array(bytes(normals)),
    colour: new Uint8Array(bytes(colours)),
    index: new Uint32Array(bytes(faces)),
  };
}

function frustumArrays(cameras) {
  const edges = [0, 1, 0, 2, 0, 3, 0, 4, 1, 2, 2, 3, 3, 4, 4, 1];
  const colourOf = (camera) => (camera.held_out ? CAMERA_COLOURS.heldOut : CAMERA_COLOURS.train);
  return {
    position: Float32Array.from(cameras.flatMap((camera) => camera.corners.flat())),
    normal: new Int8Array(15 * cameras.length),
    colour: Uint8Array.from(cameras.flatMap((camera) => Array(5).fill(colourOf(camera)).flat())),
    index: Uint32Array.from(cameras.flatMap((_, i) => edges.map((corner) => 5 * i + corner))),
  };
}

function upload(gl, program, arrays) {
  const object = gl.createVertexArray();
  gl.bindVertexArray(object);
  for (const [name, type, normalised] of [["position", gl.FLOAT, false], ["normal", gl.BYTE, true], ["colour", gl.UNSIGNED_BYTE, true]]) {
    const place = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, arrays[name], gl.STATIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 3, type, normalised, 0, 0);
  }
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, arrays.index, gl.STATIC_DRAW);
  return { object, count: arrays.index.length };
}

function compile(gl) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}

// ---- hands ----

function follow(canvas, orbit, redraw) {
  const fingers = new Map();
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, width: Math.hypot(a.x - b.x, a.y - b.y) };
  };
  const change = (action) => (event) => {
    event.preventDefault();
    action(event);
    redraw();
  };
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    const before = fingers.size === 2 ? spread() : { ...finger };
    Object.assign(finger, { x: event.clientX, y: event.clientY });
    const now = fingers.size === 2 ? spread() : finger;
    const [right, down] = [now.x - before.x, now.y - before.y];
    if (fingers.size === 2) orbit.zoom(before.width / Math.max(now.width, 1));
    if (fingers.size === 2 || event.buttons & 6 || event.shiftKey) orbit.move(right, down, canvas.clientHeight);
    else orbit.turn(right, down);
    redraw();
  });
  canvas.addEventListener("wheel", change((event) => orbit.zoom(Math.exp(0.0015 * event.deltaY))), { passive: false });
  canvas.addEventListener("dblclick", change(() => orbit.reset()));
  const keys = {
    ArrowLeft: () => orbit.turn(-20, 0), ArrowRight: () => orbit.turn(20, 0),
    ArrowUp: () => orbit.turn(0, -20), ArrowDown: () => orbit.turn(0, 20),
    "+": () => orbit.zoom(0.9), "=": () => orbit.zoom(0.9), "-": () => orbit.zoom(1 / 0.9),
  };
  canvas.addEventListener("keydown", (event) => keys[event.key] && change(keys[event.key])(event));
}

// ---- a view ----

function show(figure) {
  const canvas = figure.querySelector("canvas");
  const gl = canvas.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
  if (!gl) {
    figure.querySelector(".excuse").hidden = false;
    return;
  }
  const data = JSON.parse(figure.querySelector("script").textContent);
  const program = compile(gl);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const mesh = data.mesh && upload(gl, program, meshArrays(data.mesh));
  const frustums = upload(gl, program, frustumArrays(data.cameras));
  const orbit = new Orbit(data);
  const cameras = figure.querySelector("input");
  let look = 0;

  function draw() {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.useProgram(program);
    gl.uniformMatrix4fv(uniform("clipFromWorld"), false, orbit.clipFromWorld(canvas.width / Math.max(canvas.height, 1)));
    gl.uniform3fv(uniform("light"), orbit.frame().back);
    if (mesh) {
      gl.uniform1i(uniform("look"), look);
      gl.bindVertexArray(mesh.object);
      gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_INT, 0);
    }
    if (cameras.checked) {
      gl.uniform1i(uniform("look"), 0);
      gl.bindVertexArray(frustums.object);
      gl.drawElements(gl.LINES, frustums.count, gl.UNSIGNED_INT, 0);
    }
  }

  let waiting = false;
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
  const buttons = [...figure.querySelectorAll("button[data-look]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      look = LOOKS.indexOf(button.dataset.look);
      for (const other of buttons) other.setAttribute("aria-pressed", other === button);
      redraw();
    });
  }
  cameras.addEventListener("change", redraw);
  figure.querySelector(".reset").addEventListener("click", () => { orbit.reset(); redraw(); });
  follow(canvas, orbit, redraw);
  new ResizeObserver(redraw).observe(canvas);
  draw();
}

for (const figure of document.querySelectorAll(".scene")) show(figure);
