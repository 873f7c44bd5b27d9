// Interactive viewers of 3D models, each drawn by the script of its kind (`drawers`). Without WebGL the still image stays.
// Camera: y up, front +z; azimuth moves it to its right, elevation up; it looks at the centre of the model.
'use strict';
const START = { azimuth: 30, elevation: 20, zoom: 1 };
const FOV = 40 * Math.PI / 180, SPEED = 24, KEY = 6, DRAG = 0.5;  // degrees a second, a key press, a pixel

for (const box of document.querySelectorAll('.model')) {
  const canvas = box.querySelector('canvas'), tools = box.querySelector('.tools'), output = box.querySelector('output');
  const button = (name) => tools.querySelector(`[data-do=${name}]`);
  const { read, build, paint } = drawers[box.dataset.kind];
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
    paint(gl, scene, model, eye, (name) => Number(button(name).getAttribute('aria-pressed') === 'true'));
    const angle = (value) => `${Math.round(value)}°`;
    const label = `azimuth ${angle(((eye.azimuth + 180) % 360 + 360) % 360 - 180)}, elevation ${angle(eye.elevation)}`;
    if (output.textContent !== label) output.textContent = label;
    if (turning && seen) ask();
  };
  const ask = () => { asked ||= requestAnimationFrame(draw); };
  model.changed = ask;  // what is decoded later, such as a texture, is drawn then
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
  for (const name of ['light', 'shape'].filter(button)) {
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
  box.querySelector('img').hidden = true;
  canvas.hidden = tools.hidden = box.querySelector('.how').hidden = false;
  rotate(turning);
}

function bytesOf(box, name) { return Uint8Array.from(atob(box.dataset[name]), (letter) => letter.charCodeAt(0)); }

function placesOf(box) {  // steps between the corners of the bounding box
  const corners = new Float32Array(bytesOf(box, 'corners').buffer);
  return Float32Array.from(new Uint16Array(bytesOf(box, 'places').buffer), (step, k) => {
    const [low, high] = [corners[k % 3], corners[3 + k % 3]];
    return low + (high - low) * step / 65535;
  });
}

function link(gl, vertex, fragment) {  // a program in use, or null
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  return program;
}

function look({ reach }, eye, width, height) {  // axes of the camera, its distance, and the cotangent of half its view
  const [a, e] = [eye.azimuth, eye.elevation].map((value) => value * Math.PI / 180);
  const axes = [  // right, up, and back towards the camera
    [Math.cos(a), 0, -Math.sin(a)],
    [-Math.sin(a) * Math.sin(e), Math.cos(e), -Math.cos(a) * Math.sin(e)],
    [Math.sin(a) * Math.cos(e), Math.sin(e), Math.cos(a) * Math.cos(e)],
  ];
  const zoom = eye.zoom * Math.min(1, width / height) / Math.tan(FOV / 2);
  return { axes, far: 1.08 * reach / Math.sin(FOV / 2), zoom };
}
