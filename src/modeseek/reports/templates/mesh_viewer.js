// Meshes of `model_viewer.js`, drawn with WebGL from data inlined in the page.
'use strict';
(globalThis.drawers ??= {}).mesh = (() => {
const VERTEX = `
attribute vec3 place, normal, colour;
uniform mat4 whole;
uniform mat3 turn;
varying vec3 facing, paint;
void main() { facing = turn * normal; paint = colour; gl_Position = whole * vec4(place, 1.0); }`;
const FRAGMENT = `
precision mediump float;
uniform float light, plain;
varying vec3 facing, paint;
void main() {
  vec3 n = normalize(facing);
  float bright = 0.58 + 0.5 * max(dot(n, normalize(vec3(-0.4, 0.6, 0.8))), 0.0) + 0.1 * n.z;
  vec3 base = mix(paint, vec3(0.72), plain);
  gl_FragColor = vec4(base * mix(1.0, bright, max(light, plain)), 1.0);
}`;
function read(box) {
  const bytes = (name) => bytesOf(box, name), places = placesOf(box);
  const indices = places.length / 3 > 65536 ? Uint32Array : Uint16Array;
  const faces = Uint32Array.from(new indices(bytes('faces').buffer)), normals = new Float32Array(places.length);
  for (let f = 0; f < faces.length; f += 3) {
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
  return { places, faces, normals, colours: bytes('colours'), middle, reach };
}

function build(gl, model) {
  if (!(typeof WebGL2RenderingContext !== 'undefined' && gl instanceof WebGL2RenderingContext)
      && !gl.getExtension('OES_element_index_uint')) return null;
  const program = link(gl, VERTEX, FRAGMENT);
  if (!program) return null;
  const fill = (target, data) => {
    gl.bindBuffer(target, gl.createBuffer());
    gl.bufferData(target, data, gl.STATIC_DRAW);
  };
  const give = (name, data, type, scaled) => {
    fill(gl.ARRAY_BUFFER, data);
    const slot = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, 3, type, scaled, 0, 0);
  };
  give('place', model.places, gl.FLOAT, false);
  give('normal', model.normals, gl.FLOAT, false);
  give('colour', model.colours, gl.UNSIGNED_BYTE, true);
  fill(gl.ELEMENT_ARRAY_BUFFER, model.faces);
  gl.enable(gl.DEPTH_TEST);
  gl.enable(gl.CULL_FACE);
  gl.clearColor(0, 0, 0, 0);
  return Object.fromEntries(['whole', 'turn', 'light', 'plain'].map((name) => [name, gl.getUniformLocation(program, name)]));
}

function paint(gl, scene, model, eye, on) {
  const { width, height } = gl.canvas, { middle, reach } = model, { axes, far, zoom } = look(model, eye, width, height);
  const near = Math.max(0.01 * reach, far - 1.1 * reach), back = far + 1.1 * reach;
  const scale = [zoom * height / width, zoom, (near + back) / (near - back)], whole = new Float32Array(16);
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
  gl.uniform1f(scene.light, on('light'));
  gl.uniform1f(scene.plain, on('shape'));
  gl.drawElements(gl.TRIANGLES, model.faces.length, gl.UNSIGNED_INT, 0);
}
return { read, build, paint };
})();
