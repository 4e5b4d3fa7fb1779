// Draws Gaussians with WebGL 2 as the trainer's rasterizer does: the covariance is projected by the
// local affine approximation (EWA splatting, Zwicker et al. 2001), widened by 0.3 pixel^2 of the
// training picture, and blended by depth; contributions under 1/255 are left out.

const TEXELS_EACH = 3; // of the shape texture: mean and covariance of one Gaussian
const GAUSSIANS_PER_ROW = 512;

const VERTEX_SHADER = `#version 300 es
precision highp float;
precision highp int;
uniform highp sampler2D shapes;
uniform highp sampler2D colours;
uniform mat3 worldToCamera;
uniform vec3 origin;       // the world's origin in the camera
uniform vec4 intrinsics;   // fx, fy, cx, cy in canvas pixels
uniform vec2 viewport;     // canvas pixels
uniform float widening;    // pixel^2
uniform float far;
in vec2 corner;            // of a square, -1..1
in uint gaussian;
out vec2 deviation;        // from the centre, in standard deviations
out vec4 colour;

void main() {
  ivec2 place = ivec2(int(gaussian) % ${GAUSSIANS_PER_ROW}, int(gaussian) / ${GAUSSIANS_PER_ROW});
  ivec2 texel = ivec2(place.x * ${TEXELS_EACH}, place.y);
  vec4 a = texelFetch(shapes, texel, 0);
  vec4 b = texelFetch(shapes, texel + ivec2(1, 0), 0);
  vec4 c = texelFetch(shapes, texel + ivec2(2, 0), 0);
  colour = texelFetch(colours, place, 0);
  gl_Position = vec4(2.0, 2.0, 2.0, 1.0); // outside: nothing is drawn unless set below
  float furthest = 2.0 * log(255.0 * colour.a); // squared deviations at which alpha is 1/255
  vec3 p = worldToCamera * a.xyz + origin;
  if (furthest <= 0.0 || p.z > far) return;

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
  gl_Position = vec4(2.0 * pixel.x / viewport.x - 1.0, 1.0 - 2.0 * pixel.y / viewport.y, 0.0, 1.0);
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
  // Throws where WebGL 2 is missing.
  constructor(canvas, cloud, { near, far, widening }) {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, preserveDrawingBuffer: true });
    if (!gl) throw new Error("WebGL 2 is not available");
    Object.assign(this, { gl, canvas, cloud, near, far, widening });
    this.sorter = new DepthSorter(cloud.means);
    this.program = linkProgram(gl);
    gl.useProgram(this.program);
    this.uniform = (name) => gl.getUniformLocation(this.program, name);
    this.#uploadShapes();
    this.#uploadColours();
    this.#bindAttributes();
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  // `camera`: fx, fy, cx, cy, width, height of the training picture, which is fitted into the canvas.
  draw(pose, camera, background) {
    const { gl, canvas } = this;
    const rows = rotationMatrix(pose.rotation); // columns of world-to-camera, row by row
    const origin = [0, 1, 2].map((axis) => -dot(axisOf(pose, axis), pose.position));
    const order = this.sorter.farthestFirst(axisOf(pose, 2), origin[2], this.near);

    const scale = Math.min(canvas.width / camera.width, canvas.height / camera.height);
    const left = (canvas.width - scale * camera.width) / 2;
    const top = (canvas.height - scale * camera.height) / 2;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(...background, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniformMatrix3fv(this.uniform("worldToCamera"), false, rows);
    gl.uniform3fv(this.uniform("origin"), origin);
    gl.uniform4f(this.uniform("intrinsics"), scale * camera.fx, scale * camera.fy,
      scale * camera.cx + left, scale * camera.cy + top);
    gl.uniform2f(this.uniform("viewport"), canvas.width, canvas.height);
    gl.uniform1f(this.uniform("widening"), this.widening * scale * scale);
    gl.uniform1f(this.uniform("far"), this.far);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.orderBuffer);
    gl.bufferData(gl.ARRAY_BUFFER, order, gl.DYNAMIC_DRAW);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, order.length);
  }

  #uploadShapes() {
    const { gl, cloud } = this;
    const height = Math.max(1, Math.ceil(cloud.count / GAUSSIANS_PER_ROW));
    const texels = new Float32Array(4 * TEXELS_EACH * GAUSSIANS_PER_ROW * height);
    for (let i = 0; i < cloud.count; i++) {
      texels.set(cloud.means.subarray(3 * i, 3 * i + 3), 4 * TEXELS_EACH * i);
      texels.set(cloud.covariances.subarray(6 * i, 6 * i + 6), 4 * TEXELS_EACH * i + 3);
    }
    this.#texture(0, "shapes");
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, TEXELS_EACH * GAUSSIANS_PER_ROW, height, 0,
      gl.RGBA, gl.FLOAT, texels);
  }

  #uploadColours() {
    const { gl, cloud } = this;
    const height = Math.max(1, Math.ceil(cloud.count / GAUSSIANS_PER_ROW));
    const texels = new Uint8Array(4 * GAUSSIANS_PER_ROW * height);
    texels.set(cloud.rgba);
    this.#texture(1, "colours");
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, GAUSSIANS_PER_ROW, height, 0,
      gl.RGBA, gl.UNSIGNED_BYTE, texels);
  }

  #texture(unit, name) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.uniform1i(this.uniform(name), unit);
  }

  #bindAttributes() {
    const { gl, program } = this;
    const corner = gl.getAttribLocation(program, "corner");
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    const gaussian = gl.getAttribLocation(program, "gaussian");
    this.orderBuffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.orderBuffer);
    gl.enableVertexAttribArray(gaussian);
    gl.vertexAttribIPointer(gaussian, 1, gl.UNSIGNED_INT, 0, 0);
    gl.vertexAttribDivisor(gaussian, 1);
  }
}

function linkProgram(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
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
