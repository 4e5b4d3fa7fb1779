// The cameras that frames were taken with: a pyramid for each, the frame in it as a picture, and the
// way it goes. Points hide what lies behind them: the renderer keeps their depth (`solid`).

const LINE_WIDTH = 2; // CSS pixels
const TRAIL_WIDTH = 1.25;
const LEAST_WIDTH = 1.5; // canvas pixels: a thinner line has gaps
const FRAME_OPACITY = 0.94;
// The picture of a camera is invisible from nearer than this, and whole from `WHOLE_FROM` on, in
// heights of its pyramid: who looks through a camera sees the points and no wall before them.
const GONE_BEFORE = 0.5;
const WHOLE_FROM = 1.6;

const PROJECTION = `#version 300 es
precision highp float;
uniform mat3 worldToCamera;
uniform vec3 origin;
uniform vec4 intrinsics;
uniform vec2 viewport;
uniform float near;

vec4 clipped(vec3 p) {
  vec2 pixel = intrinsics.xy * p.xy + intrinsics.zw * p.z; // times z
  return vec4(2.0 * pixel.x / viewport.x - p.z, p.z - 2.0 * pixel.y / viewport.y, p.z - 1.99 * near, p.z);
}`;

const LINE_SHADER = `${PROJECTION}
uniform float width; // canvas pixels
layout(location = 0) in vec3 start;
layout(location = 1) in vec3 end;
layout(location = 2) in vec4 colour;
out vec4 tint;

void main() {
  vec3 a = worldToCamera * start + origin, b = worldToCamera * end + origin;
  tint = colour;
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  if (a.z < near && b.z < near) return;
  if (a.z < near) a = mix(a, b, (near - a.z) / (b.z - a.z));
  else if (b.z < near) b = mix(b, a, (near - b.z) / (a.z - b.z));
  vec4 from = clipped(a), to = clipped(b);
  vec2 along = (to.xy / to.w - from.xy / from.w) * viewport;
  along = length(along) > 0.0 ? normalize(along) : vec2(1.0, 0.0);
  float side = (gl_VertexID & 1) == 0 ? -1.0 : 1.0;
  vec4 at = gl_VertexID < 2 ? from : to;
  gl_Position = at + vec4(side * width * vec2(-along.y, along.x) / viewport * at.w, 0.0, 0.0);
}`;

const LINE_COLOUR = `#version 300 es
precision highp float;
in vec4 tint;
out vec4 premultiplied;
void main() { premultiplied = vec4(tint.rgb * tint.a, tint.a); }`;

const FRAME_SHADER = `${PROJECTION}
uniform vec3 corners[4]; // top left, top right, bottom left, bottom right, in the world
out vec2 place;
void main() {
  place = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  gl_Position = clipped(worldToCamera * corners[gl_VertexID] + origin);
}`;

const FRAME_COLOUR = `#version 300 es
precision highp float;
uniform sampler2D picture;
uniform float opacity;
in vec2 place;
out vec4 premultiplied;
void main() { premultiplied = vec4(texture(picture, place).rgb * opacity, opacity); }`;

class CameraMarks {
  // `data`: what camera_marks.py writes. `viewer`: the Viewer that they stand in.
  constructor(viewer, data) {
    const { gl } = viewer.renderer;
    Object.assign(this, { viewer, gl, views: data.views, size: data.size, numbers: data.frame_numbers });
    this.layers = { points: true, cameras: true, frames: true, paths: true };
    this.ready = false; // whether every frame is decoded
    this.lines = linkProgram(gl, LINE_SHADER, LINE_COLOUR);
    this.pictures = linkProgram(gl, FRAME_SHADER, FRAME_COLOUR);
    this.strip = viewer.figure.querySelector("[data-strip]");
    this.number = viewer.figure.querySelector("[data-frame]");
    this.buttons = [...viewer.figure.querySelectorAll("[data-layer]")];
    this.#makeSegments();
    this.textures = this.views.map(() => this.#makeTexture());
    this.#listen();
    this.#decode();
  }

  async #decode() {
    const bitmapOf = (text) => createImageBitmap(new Blob([bytesOf(text)], { type: "image/jpeg" }));
    this.bitmaps = await Promise.all(this.views.map((view) => Promise.all(view.frames.map(bitmapOf))));
    for (const view of this.views) view.frames = null;
    this.ready = true;
    this.step = undefined;
    this.viewer.redraw();
  }

  toggle(layer) {
    this.layers[layer] = !this.layers[layer];
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(this.layers[button.dataset.layer]));
    this.viewer.renderer.hidden = !this.layers.points;
    this.step = undefined;
    this.viewer.redraw();
  }

  // Moves the visitor to where a camera stands.
  lookThrough(index) {
    this.viewer.change((motion, now) => {
      motion.stop();
      motion.timeStarted = null;
      const pose = this.#pose(index, motion.moment);
      const { camera } = this.viewer;
      camera.pivot = sum(pose.position, scaled(axisOf(pose, 2), camera.pivotDepth));
      motion.travelTo(pose, now);
    });
  }

  // Draws over what the renderer drew.
  draw(step, pose, camera) {
    if (this.step !== step) this.#show(step);
    const { gl } = this;
    const frame = this.viewer.renderer.projection(pose, camera);
    gl.depthFunc(gl.LEQUAL);
    if (this.layers.frames && this.ready) this.#drawFrames(step, pose, frame);
    gl.bindVertexArray(this.segments);
    this.#use(this.lines, frame);
    const ratio = this.viewer.canvas.width / Math.max(1, this.viewer.canvas.clientWidth);
    for (const [width, first, count] of this.ranges) {
      if (!count) continue;
      this.#pointAt(first);
      gl.uniform1f(gl.getUniformLocation(this.lines, "width"), Math.max(LEAST_WIDTH, width * ratio));
      gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, count);
    }
    gl.bindVertexArray(null);
  }

  #drawFrames(step, pose, frame) {
    const { gl } = this;
    this.#use(this.pictures, frame);
    gl.activeTexture(gl.TEXTURE3);
    gl.uniform1i(gl.getUniformLocation(this.pictures, "picture"), 3);
    this.views.forEach((_, index) => {
      const away = length(difference(this.#pose(index, step).position, pose.position)) / this.size;
      const share = Math.min(1, Math.max(0, (away - GONE_BEFORE) / (WHOLE_FROM - GONE_BEFORE)));
      if (!share) return;
      gl.bindTexture(gl.TEXTURE_2D, this.textures[index]);
      gl.uniform1f(gl.getUniformLocation(this.pictures, "opacity"), FRAME_OPACITY * share);
      gl.uniform3fv(gl.getUniformLocation(this.pictures, "corners"), this.#corners(index, step).flat());
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    });
  }

  #use(program, { worldToCamera, origin, intrinsics, viewport, near }) {
    const { gl } = this;
    const at = (name) => gl.getUniformLocation(program, name);
    gl.useProgram(program);
    gl.uniformMatrix3fv(at("worldToCamera"), false, worldToCamera);
    gl.uniform3fv(at("origin"), origin);
    gl.uniform4fv(at("intrinsics"), intrinsics);
    gl.uniform2fv(at("viewport"), viewport);
    gl.uniform1f(at("near"), near);
  }

  #pose(index, step) {
    return poseFrom(this.views[index].poses[step]);
  }

  // Corners of a camera's picture in the world: top left, top right, bottom left, bottom right.
  #corners(index, step) {
    const { width, height, intrinsics } = this.views[index];
    const [fx, fy, cx, cy] = intrinsics[step];
    const pose = this.#pose(index, step);
    const axes = [0, 1, 2].map((axis) => axisOf(pose, axis));
    return [[0, 0], [width, 0], [0, height], [width, height]].map(([x, y]) => {
      const offset = [(x - cx) / fx, (y - cy) / fy, 1].map((amount) => amount * this.size);
      return axes.reduce((point, axis, k) => sum(point, scaled(axis, offset[k])), pose.position);
    });
  }

  // Fills buffers and textures with what a step shows.
  #show(step) {
    const { gl, layers } = this;
    this.step = step;
    const cameras = [], trails = [];
    this.views.forEach(({ colour, trail }, index) => {
      const add = (list, a, b, opacity) => list.push(...a, ...b, ...colour, opacity);
      if (layers.paths) trail.slice(1).forEach((point, k) => add(trails, trail[k], point, 0.8));
      if (!layers.cameras) return;
      const [a, b, c, d] = this.#corners(index, step);
      const apex = this.#pose(index, step).position;
      for (const corner of [a, b, c, d]) add(cameras, apex, corner, 0.75);
      for (const [from, to] of [[a, b], [b, d], [d, c], [c, a]]) add(cameras, from, to, 1);
    });
    this.ranges = [[TRAIL_WIDTH, 0, trails.length / 10], [LINE_WIDTH, trails.length / 10, cameras.length / 10]];
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([...trails, ...cameras]), gl.DYNAMIC_DRAW);
    if (this.number) this.number.textContent = `frame ${this.numbers[step] + 1}`;
    if (this.ready) this.#showFrames(step);
  }

  #showFrames(step) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE3);
    this.bitmaps.forEach((frames, index) => {
      const bitmap = frames[step];
      gl.bindTexture(gl.TEXTURE_2D, this.textures[index]);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
      gl.generateMipmap(gl.TEXTURE_2D);
      const canvas = this.strip?.querySelector(`[data-camera="${index}"] canvas`);
      if (!canvas) return;
      if (canvas.width !== bitmap.width) Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
    });
  }

  // A segment is an instance of ten floats: start, end, colour and opacity.
  #makeSegments() {
    const { gl } = this;
    this.segments = gl.createVertexArray();
    this.buffer = gl.createBuffer();
    gl.bindVertexArray(this.segments);
    for (let place = 0; place < 3; place++) {
      gl.enableVertexAttribArray(place);
      gl.vertexAttribDivisor(place, 1);
    }
    gl.bindVertexArray(null);
  }

  #pointAt(first) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    [[3, 0], [3, 12], [4, 24]].forEach(([numbers, offset], place) => {
      gl.vertexAttribPointer(place, numbers, gl.FLOAT, false, 40, 40 * first + offset);
    });
  }

  #makeTexture() {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE3);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    return texture;
  }

  #listen() {
    this.viewer.figure.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button?.dataset.layer) this.toggle(button.dataset.layer);
      else if (button?.dataset.camera) this.lookThrough(Number(button.dataset.camera));
    });
  }
}
