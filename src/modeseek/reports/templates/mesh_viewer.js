// Meshes of `model_viewer.js`, drawn with WebGL from data inlined in the page.
'use strict';
(globalThis.drawers ??= {}).mesh = (() => {
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
function read(box) {
  const bytes = (name) => bytesOf(box, name), places = placesOf(box);
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
  const model = { places, faces, normals, colours, uv, image: null, middle, reach };
  if (box.dataset.texture) {  // until it is decoded, the shape alone is shown
    const image = new Image();
    image.onload = () => { model.image = image; model.changed?.(); };
    image.src = `data:image/webp;base64,${box.dataset.texture}`;
  }
  return model;
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
  return Object.fromEntries(names.map((name) => [name, gl.getUniformLocation(program, name)]));
}

function upload(gl, scene, image) {
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, true);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, image);
  for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.LINEAR);
  for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
  gl.uniform1f(scene.textured, 1);
  scene.uploaded = true;
}

function paint(gl, scene, model, eye, on) {
  if (model.image && !scene.uploaded) upload(gl, scene, model.image);
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
