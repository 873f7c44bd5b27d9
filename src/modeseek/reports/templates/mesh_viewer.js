// Interactive mesh viewers, drawn with WebGL from data inlined in the page. Without WebGL the still image stays.
// Camera: y up, front +z; azimuth moves it to its right, elevation up; it looks at the centre of the model.
'use strict';
const VERTEX = `
attribute vec3 place, normal, colour;
attribute vec2 uv;
uniform mat4 whole;
uniform mat3 turn;
varying vec3 facing, paint;
varying vec2 texel;
void main() { facing = turn * normal; paint = colour; texel = uv; gl_Position = whole * vec4(place, 1.0); }`;
const FRAGMENT = `
precision mediump float;
uniform float light, plain, textured;
uniform sampler2D image;
varying vec3 facing, paint;
varying vec2 texel;
void main() {
  vec3 n = normalize(facing);
  float bright = 0.58 + 0.5 * max(dot(n, normalize(vec3(-0.4, 0.6, 0.8))), 0.0) + 0.1 * n.z;
  vec3 base = mix(mix(paint, texture2D(image, texel).rgb, textured), vec3(0.72), plain);
  gl_FragColor = vec4(base * mix(1.0, bright, max(light, plain)), 1.0);
}`;
const START = { azimuth: 30, elevation: 20, zoom: 1 };
const FOV = 40 * Math.PI / 180, SPEED = 24, KEY = 6, DRAG = 0.5;  // degrees a second, a key press, a pixel

for (const box of document.querySelectorAll('.model')) {
  const canvas = box.querySelector('canvas'), tools = box.querySelector('.tools'), output = box.querySelector('output');
  const button = (name) => tools.querySelector(`[data-do=${name}]`);
  const gl = canvas.getContext('webgl2', { antialias: true }) || canvas.getContext('webgl', { antialias: true });
  const model = read(box);
  const eye = { ...START }, still = matchMedia('(prefers-reduced-motion: reduce)');
  let scene = gl && build(gl, model), turning = !still.matches, seen = true, last = 0, asked = 0;
  if (!scene) { box.querySelector('.nothing').hidden = false; continue; }

  const draw = (now) => {
    asked = 0;
    if (!scene) return;
    if (turning) eye.azimuth += SPEED * Math.min(0.1, (now - (last || now)) / 1000);
    last = turning ? now : 0;
    const on = (name) => Number(button(name).getAttribute('aria-pressed') === 'true');
    paint(gl, scene, model, eye, on('light'), on('shape'));
    const angle = (value) => `${Math.round(value)}°`;
    const label = `azimuth ${angle(((eye.azimuth + 180) % 360 + 360) % 360 - 180)}, elevation ${angle(eye.elevation)}`;
    if (output.textContent !== label) output.textContent = label;
    if (turning && seen) ask();
  };
  const ask = () => { asked ||= requestAnimationFrame(draw); };
  const press = (name, down) => { button(name).setAttribute('aria-pressed', String(down)); ask(); };
  const rotate = (on) => { turning = on; last = 0; press('turn', on); };
  const move = (right, up) => {
    rotate(false);
    eye.azimuth += right;
    eye.elevation = Math.max(-89, Math.min(89, eye.elevation + up));
  };
  const zoom = (factor) => { eye.zoom = Math.max(0.4, Math.min(8, eye.zoom * factor)); ask(); };
  const home = () => { Object.assign(eye, START); rotate(false); };

  button('turn').addEventListener('click', () => rotate(!turning));
  button('home').addEventListener('click', home);
  for (const name of ['light', 'shape']) {
    button(name).addEventListener('click', () => press(name, button(name).getAttribute('aria-pressed') !== 'true'));
  }
  const keys = {
    ArrowRight: () => move(KEY, 0), ArrowLeft: () => move(-KEY, 0), ArrowUp: () => move(0, KEY),
    ArrowDown: () => move(0, -KEY), '+': () => zoom(1.15), '=': () => zoom(1.15), '-': () => zoom(1 / 1.15),
    Home: home, ' ': () => rotate(!turning),
  };
  canvas.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
  // One finger or the mouse rotates, two fingers zoom. The wheel zooms if the canvas has focus, else the page scrolls.
  const pointers = new Map();
  const distance = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    rotate(false);
  });
  canvas.addEventListener('pointermove', (event) => {
    const from = pointers.get(event.pointerId);
    if (!from) return;
    const before = pointers.size === 2 ? distance() : 0;
    if (pointers.size === 1) move(DRAG * (from.x - event.clientX), DRAG * (event.clientY - from.y));
    from.x = event.clientX;
    from.y = event.clientY;
    if (before) zoom(distance() / before);
  });
  for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
  canvas.addEventListener('wheel', (event) => {
    if (document.activeElement !== canvas) return;
    event.preventDefault();
    zoom(Math.exp(-0.0015 * event.deltaY));
  }, { passive: false });
  canvas.addEventListener('webglcontextlost', (event) => { event.preventDefault(); scene = null; });
  canvas.addEventListener('webglcontextrestored', () => { scene = build(gl, model); ask(); });
  still.addEventListener('change', () => { if (still.matches) rotate(false); });
  new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; last = 0; ask(); }).observe(canvas);
  new ResizeObserver(() => {
    const dense = Math.min(2, window.devicePixelRatio || 1);
    canvas.width = Math.max(1, Math.round(dense * canvas.clientWidth));
    canvas.height = Math.max(1, Math.round(dense * canvas.clientHeight));
    cancelAnimationFrame(asked);  // redraw at once: setting the size of a canvas clears it
    draw(performance.now());
  }).observe(canvas);
  if (box.dataset.texture) {  // until it is decoded, the shape alone is shown
    const image = new Image();
    image.onload = () => { model.image = image; if (scene) upload(gl, scene, model); ask(); };
    image.src = `data:image/webp;base64,${box.dataset.texture}`;
  }
  box.querySelector('img').hidden = true;
  canvas.hidden = tools.hidden = box.querySelector('.how').hidden = false;
  rotate(turning);
}

function read(box) {
  const bytes = (name) => Uint8Array.from(atob(box.dataset[name]), (letter) => letter.charCodeAt(0));
  const corners = new Float32Array(bytes('corners').buffer), steps = new Uint16Array(bytes('places').buffer);
  const places = Float32Array.from(steps, (step, k) => {  // steps between the corners of the bounding box
    const [low, high] = [corners[k % 3], corners[3 + k % 3]];
    return low + (high - low) * step / 65535;
  });
  const indices = places.length / 3 > 65536 ? Uint32Array : Uint16Array;
  const faces = Uint32Array.from(new indices(bytes('faces').buffer));
  // Vertices on the seams of a texture are doubled: its normals are given, as whole numbers of 8 bits.
  const given = Boolean(box.dataset.normals);
  const normals = given ? Float32Array.from(new Int8Array(bytes('normals').buffer)) : new Float32Array(places.length);
  for (let f = 0; f < (given ? 0 : faces.length); f += 3) {
    const [a, b, c] = [0, 1, 2].map((k) => 3 * faces[f + k]);
    const [p, q] = [b, c].map((end) => [0, 1, 2].map((k) => places[end + k] - places[a + k]));
    for (let k = 0; k < 3; k++) {
      const area = p[(k + 1) % 3] * q[(k + 2) % 3] - p[(k + 2) % 3] * q[(k + 1) % 3];
      for (const corner of [a, b, c]) normals[corner + k] += area;
    }
  }
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  places.forEach((value, k) => {
    low[k % 3] = Math.min(low[k % 3], value);
    high[k % 3] = Math.max(high[k % 3], value);
  });
  const middle = low.map((value, k) => (value + high[k]) / 2);
  let reach = 0;
  for (let v = 0; v < places.length; v += 3) {
    reach = Math.max(reach, Math.hypot(...middle.map((value, k) => places[v + k] - value)));
  }
  const uv = box.dataset.uv ? Float32Array.from(new Uint16Array(bytes('uv').buffer), (step) => step / 65535) : null;
  const colours = box.dataset.colours ? bytes('colours') : new Uint8Array(places.length).fill(184);
  return { places, faces, normals, colours, uv, image: null, middle, reach };
}

function build(gl, model) {
  if (!(typeof WebGL2RenderingContext !== 'undefined' && gl instanceof WebGL2RenderingContext)
      && !gl.getExtension('OES_element_index_uint')) return null;
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  const fill = (target, data) => {
    gl.bindBuffer(target, gl.createBuffer());
    gl.bufferData(target, data, gl.STATIC_DRAW);
  };
  const give = (name, data, type, scaled, width = 3) => {
    fill(gl.ARRAY_BUFFER, data);
    const slot = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, width, type, scaled, 0, 0);
  };
  give('place', model.places, gl.FLOAT, false);
  give('normal', model.normals, gl.FLOAT, false);
  give('colour', model.colours, gl.UNSIGNED_BYTE, true);
  if (model.uv) give('uv', model.uv, gl.FLOAT, false, 2);
  fill(gl.ELEMENT_ARRAY_BUFFER, model.faces);
  gl.enable(gl.DEPTH_TEST);
  if (!model.uv) gl.enable(gl.CULL_FACE);  // a mesh that is painted may be open
  gl.clearColor(0, 0, 0, 0);
  const names = ['whole', 'turn', 'light', 'plain', 'textured'];
  const scene = Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
  if (model.image) upload(gl, scene, model);
  return scene;
}

function upload(gl, scene, model) {
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, true);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, model.image);
  for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.LINEAR);
  for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
  gl.uniform1f(scene.textured, 1);
}

function paint(gl, scene, model, eye, light, plain) {
  const [a, e] = [eye.azimuth, eye.elevation].map((value) => value * Math.PI / 180);
  const axes = [  // right, up, and back towards the camera
    [Math.cos(a), 0, -Math.sin(a)],
    [-Math.sin(a) * Math.sin(e), Math.cos(e), -Math.cos(a) * Math.sin(e)],
    [Math.sin(a) * Math.cos(e), Math.sin(e), Math.cos(a) * Math.cos(e)],
  ];
  const { width, height } = gl.canvas, { middle, reach } = model;
  const far = 1.08 * reach / Math.sin(FOV / 2) ;
  const near = Math.max(0.01 * reach, far - 1.1 * reach), back = far + 1.1 * reach, lens = eye.zoom * Math.min(1, width / height) / Math.tan(FOV / 2);
  const scale = [lens * height / width, lens, (near + back) / (near - back)], whole = new Float32Array(16);
  for (let row = 0; row < 3; row++) {
    for (let k = 0; k < 3; k++) whole[4 * k + row] = scale[row] * axes[row][k];
    whole[12 + row] = -scale[row] * axes[row].reduce((sum, value, k) => sum + value * middle[k], 0);
  }
  whole[14] += 2 * near * back / (near - back) - scale[2] * far;
  for (let k = 0; k < 3; k++) whole[4 * k + 3] = -axes[2][k];
  whole[15] = far + axes[2].reduce((sum, value, k) => sum + value * middle[k], 0);
  gl.viewport(0, 0, width, height);
  gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.uniformMatrix4fv(scene.whole, false, whole);
  gl.uniformMatrix3fv(scene.turn, false, [0, 1, 2].flatMap((k) => axes.map((axis) => axis[k])));
  gl.uniform1f(scene.light, light);
  gl.uniform1f(scene.plain, plain);
  gl.drawElements(gl.TRIANGLES, model.faces.length, gl.UNSIGNED_INT, 0);
}
