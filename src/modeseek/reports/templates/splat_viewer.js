// Gaussian splats of `model_viewer.js`: sorted by depth, projected by EWA splatting and blended back to front.
'use strict';
(globalThis.drawers ??= {}).splats = (() => {
const VERTEX = `#version 300 es
in vec2 corner;
in vec3 place, first, second;  // centre; covariance xx xy xz and yy yz zz
in vec4 colour;
uniform mat3 turn;  // world to right, up, back
uniform vec3 middle;
uniform vec2 size;
uniform float far, focal;
out vec2 spot;
out vec4 paint;
void main() {
  vec3 p = turn * (place - middle);
  float depth = far - p.z;
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  if (depth < 0.01 * far) return;
  mat3 c = mat3(first.x, first.y, first.z, first.y, second.x, second.y, first.z, second.y, second.z);
  mat3 v = turn * c * transpose(turn);
  vec2 slope = p.xy / depth, held = clamp(slope, -0.65 * size / focal, 0.65 * size / focal);
  vec3 jx = vec3(1.0, 0.0, held.x) * focal / depth, jy = vec3(0.0, 1.0, held.y) * focal / depth;
  float xx = dot(jx, v * jx), xy = dot(jx, v * jy), yy = dot(jy, v * jy), area = xx * yy - xy * xy;
  xx += 0.3, yy += 0.3;
  float alpha = colour.a * sqrt(clamp(area / (xx * yy - xy * xy), 1e-5, 1.0));  // the low-pass keeps the integral
  float bound = 2.0 * log(255.0 * alpha);
  if (bound <= 0.0) return;
  float mid = 0.5 * (xx + yy), half_gap = length(vec2(0.5 * (xx - yy), xy));
  float large = mid + half_gap, small = max(mid - half_gap, 0.1);
  vec2 axis = abs(xy) > 1e-6 ? normalize(vec2(xy, large - xx)) : xx >= yy ? vec2(1.0, 0.0) : vec2(0.0, 1.0);
  spot = corner * sqrt(bound);
  vec2 offset = spot.x * sqrt(large) * axis + spot.y * sqrt(small) * vec2(-axis.y, axis.x);
  gl_Position = vec4(2.0 * (focal * slope + offset) / size, 0.0, 1.0);
  paint = vec4(colour.rgb, alpha);
}`;
const FRAGMENT = `#version 300 es
precision highp float;
in vec2 spot;
in vec4 paint;
out vec4 shown;
void main() {
  float alpha = min(paint.a * exp(-0.5 * dot(spot, spot)), 0.999);
  if (alpha < 1.0 / 255.0) discard;
  shown = vec4(paint.rgb * alpha, alpha);
}`;
const FLOATS = 13;  // of a splat

function read(box) {
  const places = placesOf(box), shapes = new Float32Array(bytesOf(box, 'shapes').buffer);
  const colours = bytesOf(box, 'colours'), frame = new Float32Array(bytesOf(box, 'frame').buffer);
  const n = places.length / 3, table = new Float32Array(FLOATS * n);
  for (let i = 0; i < n; i++) {
    table.set(places.subarray(3 * i, 3 * i + 3), FLOATS * i);
    table.set(shapes.subarray(6 * i, 6 * i + 6), FLOATS * i + 3);
    for (let k = 0; k < 4; k++) table[FLOATS * i + 9 + k] = colours[4 * i + k] / 255;
  }
  return { n, table, sorted: new Float32Array(table.length), order: Uint32Array.from({ length: n }, (_, i) => i),
    depth: new Float32Array(n), middle: [...frame.subarray(0, 3)], reach: frame[3] };
}

function build(gl, model) {
  if (!(typeof WebGL2RenderingContext !== 'undefined' && gl instanceof WebGL2RenderingContext)) return null;
  const program = link(gl, VERTEX, FRAGMENT);
  if (!program) return null;
  const slot = (name) => gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(slot('corner'));
  gl.vertexAttribPointer(slot('corner'), 2, gl.FLOAT, false, 0, 0);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, model.table.byteLength, gl.DYNAMIC_DRAW);
  for (const [name, length, start] of [['place', 3, 0], ['first', 3, 3], ['second', 3, 6], ['colour', 4, 9]]) {
    gl.enableVertexAttribArray(slot(name));
    gl.vertexAttribPointer(slot(name), length, gl.FLOAT, false, 4 * FLOATS, 4 * start);
    gl.vertexAttribDivisor(slot(name), 1);
  }
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  gl.clearColor(0, 0, 0, 0);
  const names = ['turn', 'middle', 'size', 'far', 'focal'];
  return Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
}

function sort({ n, table, sorted, order, depth }, towards) {  // the farthest first
  for (let i = 0; i < n; i++) {
    const at = FLOATS * i;
    depth[i] = towards[0] * table[at] + towards[1] * table[at + 1] + towards[2] * table[at + 2];
  }
  order.sort((a, b) => depth[a] - depth[b] || a - b);
  for (let i = 0; i < n; i++) sorted.set(table.subarray(FLOATS * order[i], FLOATS * order[i] + FLOATS), FLOATS * i);
}

function paint(gl, scene, model, eye) {
  const { width, height } = gl.canvas, { axes, far, zoom } = look(model, eye, width, height);
  sort(model, axes[2]);
  gl.bufferSubData(gl.ARRAY_BUFFER, 0, model.sorted);
  gl.viewport(0, 0, width, height);
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.uniformMatrix3fv(scene.turn, false, [0, 1, 2].flatMap((k) => axes.map((axis) => axis[k])));
  gl.uniform3fv(scene.middle, model.middle);
  gl.uniform2f(scene.size, width, height);
  gl.uniform1f(scene.far, far);
  gl.uniform1f(scene.focal, zoom * height / 2);
  gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, model.n);
}
return { read, build, paint };
})();
