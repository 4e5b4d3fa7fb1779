// Draws Gaussians with WebGL 2 as the trainer's rasterizer does: the covariance is projected by the
// local affine approximation (EWA splatting, Zwicker et al. 2001), widened by 0.3 pixel^2 of the
// training picture, and blended by depth; contributions under 1/255 are left out.

const TEXELS_EACH = 3; // of the shape texture: mean and covariance of one Gaussian
const GAUSSIANS_PER_ROW = 512;
const PER_ORDER_ROW = 2048; // of the texture that holds the order; every WebGL 2 has so wide ones
// Graphics cards (and processors in their place) waste most of their lanes on instances of a single
// square: an instance draws many.
const SQUARES_PER_INSTANCE = 1024;

const VERTEX_SHADER = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D shapes;
uniform highp sampler2D colours;
uniform highp usampler2D order;
uniform int count;
uniform mat3 worldToCamera;
uniform vec3 origin;       // the world's origin in the camera
uniform vec4 intrinsics;   // fx, fy, cx, cy in canvas pixels
uniform vec2 viewport;     // canvas pixels
uniform float widening;    // pixel^2
uniform float near;
uniform float far;
out vec2 deviation;        // from the centre, in standard deviations
out vec4 colour;

void main() {
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0); // outside: nothing is drawn unless set below
  int rank = gl_InstanceID * ${SQUARES_PER_INSTANCE} + gl_VertexID / 4;
  if (rank >= count) return;
  uint gaussian = texelFetch(order, ivec2(rank % ${PER_ORDER_ROW}, rank / ${PER_ORDER_ROW}), 0).r;
  vec2 corner = vec2(float(gl_VertexID & 1), float((gl_VertexID >> 1) & 1)) * 2.0 - 1.0;
  ivec2 place = ivec2(int(gaussian) % ${GAUSSIANS_PER_ROW}, int(gaussian) / ${GAUSSIANS_PER_ROW});
  ivec2 texel = ivec2(place.x * ${TEXELS_EACH}, place.y);
  vec4 a = texelFetch(shapes, texel, 0);
  vec4 b = texelFetch(shapes, texel + ivec2(1, 0), 0);
  vec4 c = texelFetch(shapes, texel + ivec2(2, 0), 0);
  colour = texelFetch(colours, place, 0);
  float furthest = 2.0 * log(255.0 * colour.a); // squared deviations at which alpha is 1/255
  vec3 p = worldToCamera * a.xyz + origin;
  if (furthest <= 0.0 || p.z < near || p.z > far) return;

  mat3 world = mat3(a.w, b.x, b.y, b.x, b.z, b.w, b.y, b.w, c.x);
  mat3 camera = worldToCamera * world * transpose(worldToCamera);
  // The affine approximation is taken no further outside the picture than 15 % of its size.
  vec2 focal = intrinsics.xy;
  vec2 margin = 0.15 * viewport / focal;
  vec2 ray = clamp(p.xy / p.z, -intrinsics.zw / focal - margin,
                   (viewport - intrinsics.zw) / focal + margin);
  vec3 jacobianU = vec3(focal.x, 0.0, -focal.x * ray.x) / p.z;
  vec3 jacobianV = vec3(0.0, focal.y, -focal.y * ray.y) / p.z;
  float uu = dot(jacobianU, camera * jacobianU) + widening;
  float uv = dot(jacobianU, camera * jacobianV);
  float vv = dot(jacobianV, camera * jacobianV) + widening;

  float middle = 0.5 * (uu + vv);
  float spread = length(vec2(0.5 * (uu - vv), uv));
  float major = middle + spread;
  float minor = max(middle - spread, 1e-6);
  // Of the two equal formulas for the eigenvector, the one that does not cancel.
  vec2 axis = uu > vv ? vec2(major - vv, uv) : vec2(uv, major - uu);
  axis = spread > 1e-6 * middle ? normalize(axis) : vec2(1.0, 0.0);
  float reach = sqrt(furthest);
  deviation = corner * reach;
  vec2 offset = axis * sqrt(major) * deviation.x + vec2(-axis.y, axis.x) * sqrt(minor) * deviation.y;
  vec2 pixel = focal * p.xy / p.z + intrinsics.zw + offset;
  float depth = 1.0 - 1.99 * near / p.z; // matters only where depth is kept
  gl_Position = vec4(2.0 * pixel.x / viewport.x - 1.0, 1.0 - 2.0 * pixel.y / viewport.y, depth, 1.0);
}`;

const FRAGMENT_SHADER = `#version 300 es
precision highp float;
in vec2 deviation;
in vec4 colour;
out vec4 premultiplied;

void main() {
  float alpha = min(0.999, colour.a * exp(-0.5 * dot(deviation, deviation)));
  if (alpha < 1.0 / 255.0) discard;
  premultiplied = vec4(colour.rgb * alpha, alpha);
}`;

class SplatRenderer {
  // `clouds`: the Gaussians of every moment. `fill`: 0 shows the whole training picture, with what
  // lies around it; 1 fills the canvas with it. `marks`: are drawn later, and hidden behind
  // Gaussians. Throws where WebGL 2 is missing.
  constructor(canvas, clouds, { near, far, widening, fill = 0, marks = null }, onOrder) {
    const gl = canvas.getContext("webgl2", {
      alpha: false, antialias: false, preserveDrawingBuffer: true, powerPreference: "high-performance",
    });
    if (!gl) throw new Error("WebGL 2 is not available");
    Object.assign(this, { gl, canvas, near, far, widening, fill });
    this.solid = Boolean(marks);
    this.hidden = false; // whether nothing but the background is drawn
    this.program = linkProgram(gl, VERTEX_SHADER, FRAGMENT_SHADER);
    this.uniforms = new Map();
    this.moments = clouds.map((cloud) => this.#upload(cloud));
    this.#makeSquares();
    this.#makeOrderTexture(Math.max(...clouds.map((cloud) => cloud.count)));
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    if (this.solid) gl.enable(gl.DEPTH_TEST);
    this.drawn = null; // the order on the graphics card: { moment, forward, count }
    this.keeper = new OrderKeeper(clouds, (order, moment, forward) => {
      this.#uploadOrder(order);
      this.drawn = { moment, forward, count: order.length };
      onOrder();
    });
  }

  // Canvas pixels for one pixel of the training picture.
  scaleOf(camera) {
    const { canvas, fill } = this;
    const across = canvas.width / camera.width, along = canvas.height / camera.height;
    return Math.min(across, along) ** (1 - fill) * Math.max(across, along) ** fill;
  }

  // What projects the world into the canvas, for a shader's uniforms.
  projection(pose, camera) {
    const { canvas, near } = this;
    const scale = this.scaleOf(camera);
    const left = (canvas.width - scale * camera.width) / 2;
    const top = (canvas.height - scale * camera.height) / 2;
    return {
      scale, near,
      worldToCamera: rotationMatrix(pose.rotation), // its columns, row by row
      origin: [0, 1, 2].map((axis) => -dot(axisOf(pose, axis), pose.position)),
      intrinsics: [scale * camera.fx, scale * camera.fy, scale * camera.cx + left, scale * camera.cy + top],
      viewport: [canvas.width, canvas.height],
    };
  }

  // Draws a moment; returns whether in the right order. If not, `onOrder` follows.
  // `camera`: fx, fy, cx, cy, width, height of the training picture, which is fitted into the canvas.
  draw(moment, pose, camera, background) {
    const { gl, canvas } = this;
    const forward = axisOf(pose, 2);
    const inOrder = this.drawn?.moment === moment && dot(forward, this.drawn.forward) > 1 - 1e-12;
    if (!inOrder) this.keeper.ask(moment, forward);
    const { worldToCamera, origin, intrinsics, viewport, scale } = this.projection(pose, camera);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(...background, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | (this.solid ? gl.DEPTH_BUFFER_BIT : 0));
    // The moment before is shown until the order of this one is known.
    if (!this.drawn) return false;
    if (this.hidden || !this.drawn.count) return inOrder;
    gl.useProgram(this.program);
    if (this.solid) gl.depthFunc(gl.ALWAYS); // farthest first: the nearest stays
    this.#bind(this.moments[this.drawn.moment]);
    gl.uniformMatrix3fv(this.#uniform("worldToCamera"), false, worldToCamera);
    gl.uniform3fv(this.#uniform("origin"), origin);
    gl.uniform4fv(this.#uniform("intrinsics"), intrinsics);
    gl.uniform2fv(this.#uniform("viewport"), viewport);
    gl.uniform1f(this.#uniform("widening"), this.widening * scale * scale);
    gl.uniform1f(this.#uniform("near"), this.near);
    gl.uniform1f(this.#uniform("far"), this.far);
    gl.uniform1i(this.#uniform("count"), this.drawn.count);
    const instances = Math.ceil(this.drawn.count / SQUARES_PER_INSTANCE);
    gl.drawElementsInstanced(gl.TRIANGLES, 6 * SQUARES_PER_INSTANCE, gl.UNSIGNED_SHORT, 0, instances);
    return inOrder;
  }

  #uniform(name) {
    if (!this.uniforms.has(name)) this.uniforms.set(name, this.gl.getUniformLocation(this.program, name));
    return this.uniforms.get(name);
  }

  #upload(cloud) {
    const { gl } = this;
    const height = Math.max(1, Math.ceil(cloud.count / GAUSSIANS_PER_ROW));
    const shapes = new Float32Array(4 * TEXELS_EACH * GAUSSIANS_PER_ROW * height);
    const { means, covariances } = cloud;
    for (let i = 0; i < cloud.count; i++) {
      const texel = 4 * TEXELS_EACH * i;
      for (let k = 0; k < 3; k++) shapes[texel + k] = means[3 * i + k];
      for (let k = 0; k < 6; k++) shapes[texel + 3 + k] = covariances[6 * i + k];
    }
    const colours = new Uint8Array(4 * GAUSSIANS_PER_ROW * height);
    colours.set(cloud.rgba);
    const shapeTexture = this.#texture();
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, TEXELS_EACH * GAUSSIANS_PER_ROW, height, 0,
      gl.RGBA, gl.FLOAT, shapes);
    const colourTexture = this.#texture();
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, GAUSSIANS_PER_ROW, height, 0,
      gl.RGBA, gl.UNSIGNED_BYTE, colours);
    return { shapeTexture, colourTexture };
  }

  #bind({ shapeTexture, colourTexture }) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, shapeTexture);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, colourTexture);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, this.orderTexture);
    gl.uniform1i(this.#uniform("shapes"), 0);
    gl.uniform1i(this.#uniform("colours"), 1);
    gl.uniform1i(this.#uniform("order"), 2);
  }

  #texture() {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    return texture;
  }

  // Corners 0..3 of a square are its vertices 4k to 4k + 3: the shader needs no attributes.
  #makeSquares() {
    const { gl } = this;
    const corners = new Uint16Array(6 * SQUARES_PER_INSTANCE);
    for (let i = 0; i < SQUARES_PER_INSTANCE; i++) {
      corners.set([0, 1, 2, 2, 1, 3].map((corner) => 4 * i + corner), 6 * i);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
  }

  #makeOrderTexture(most) {
    const { gl } = this;
    this.orderTexture = this.#texture();
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.R32UI, PER_ORDER_ROW, Math.max(1, Math.ceil(most / PER_ORDER_ROW)));
  }

  #uploadOrder(order) {
    const { gl } = this;
    const whole = Math.floor(order.length / PER_ORDER_ROW);
    const write = (row, width, height, values) => gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, row, width, height,
      gl.RED_INTEGER, gl.UNSIGNED_INT, values);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, this.orderTexture);
    if (whole) write(0, PER_ORDER_ROW, whole, order.subarray(0, whole * PER_ORDER_ROW));
    const rest = order.subarray(whole * PER_ORDER_ROW);
    if (rest.length) write(whole, rest.length, 1, rest);
  }
}

function linkProgram(gl, vertexShader, fragmentShader) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertexShader], [gl.FRAGMENT_SHADER, fragmentShader]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
  return program;
}
