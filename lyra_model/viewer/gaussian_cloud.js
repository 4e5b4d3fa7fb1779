// The packed Gaussians, decoded. The layout of the packed fields stands in packing.py.

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0)).buffer;
}

// Means and the six distinct covariance entries as floats, colour and opacity as bytes. The fields
// are base64 strings or, after inflateGaussians, buffers.
// (Typed arrays read little-endian data as it is: every browser runs on little-endian machines.)
function decodeGaussians(packed) {
  const buffer = (field) => (typeof field === "string" ? bytesOf(field) : field);
  const count = packed.num_gaussians;
  const means = new Float32Array(buffer(packed.means));
  const scaleCodes = new Uint16Array(buffer(packed.scales));
  const rotationCodes = new Int16Array(buffer(packed.rotations));
  const rgba = new Uint8Array(buffer(packed.rgba));
  const [low, high] = packed.scale_log_range;
  const scales = Float32Array.from(scaleCodes, (code) => Math.exp(low + (code / 65535) * (high - low)));
  const rotations = Float32Array.from(rotationCodes, (code) => code / 32767);
  const covariances = new Float32Array(6 * count);
  for (let i = 0; i < count; i++) writeCovariance(covariances, 6 * i, scales, 3 * i, rotations, 4 * i);
  return { count, means, scales, rotations, covariances, rgba };
}

// R diag(scale^2) R^T as (xx, xy, xz, yy, yz, zz), written to `target` from `at` on. No arrays are
// made: it runs for every Gaussian while a visitor waits.
function writeCovariance(target, at, scales, s, rotations, r) {
  const norm = 1 / Math.hypot(rotations[r], rotations[r + 1], rotations[r + 2], rotations[r + 3]);
  const w = rotations[r] * norm, x = rotations[r + 1] * norm;
  const y = rotations[r + 2] * norm, z = rotations[r + 3] * norm;
  const a = scales[s] ** 2, b = scales[s + 1] ** 2, c = scales[s + 2] ** 2;
  const r00 = 1 - 2 * (y * y + z * z), r01 = 2 * (x * y - w * z), r02 = 2 * (x * z + w * y);
  const r10 = 2 * (x * y + w * z), r11 = 1 - 2 * (x * x + z * z), r12 = 2 * (y * z - w * x);
  const r20 = 2 * (x * z - w * y), r21 = 2 * (y * z + w * x), r22 = 1 - 2 * (x * x + y * y);
  target[at] = r00 * r00 * a + r01 * r01 * b + r02 * r02 * c;
  target[at + 1] = r00 * r10 * a + r01 * r11 * b + r02 * r12 * c;
  target[at + 2] = r00 * r20 * a + r01 * r21 * b + r02 * r22 * c;
  target[at + 3] = r10 * r10 * a + r11 * r11 * b + r12 * r12 * c;
  target[at + 4] = r10 * r20 * a + r11 * r21 * b + r12 * r22 * c;
  target[at + 5] = r20 * r20 * a + r21 * r21 * b + r22 * r22 * c;
}

// Fields that packing.py compressed (`planes`: bytes of one value of each field), as buffers.
async function inflateGaussians(packed) {
  if (!packed.planes) return packed;
  const inflated = { ...packed };
  for (const [field, width] of Object.entries(packed.planes)) {
    const stream = new Blob([bytesOf(packed[field])]).stream().pipeThrough(new DecompressionStream("deflate"));
    const planes = new Uint8Array(await new Response(stream).arrayBuffer());
    const values = planes.length / width;
    const bytes = new Uint8Array(planes.length);
    for (let byte = 0; byte < width; byte++) {
      for (let i = 0; i < values; i++) bytes[i * width + byte] = planes[byte * values + i];
    }
    inflated[field] = bytes.buffer;
  }
  return inflated;
}
