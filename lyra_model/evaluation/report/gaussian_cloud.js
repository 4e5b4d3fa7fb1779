// The packed Gaussians: decoding, covariances, and the order in which they are drawn.
// The layout of the packed fields is told in packing.py.

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0)).buffer;
}

// Means and the six distinct covariance entries as floats, colour and opacity as bytes.
// (Typed arrays read little-endian data as it is: every browser runs on little-endian machines.)
function decodeGaussians(packed) {
  const count = packed.num_gaussians;
  const means = new Float32Array(bytesOf(packed.means));
  const scaleCodes = new Uint16Array(bytesOf(packed.scales));
  const rotationCodes = new Int16Array(bytesOf(packed.rotations));
  const rgba = new Uint8Array(bytesOf(packed.rgba));
  const [low, high] = packed.scale_log_range;
  const scales = Float32Array.from(scaleCodes, (code) => Math.exp(low + (code / 65535) * (high - low)));
  const rotations = Float32Array.from(rotationCodes, (code) => code / 32767);
  const covariances = new Float32Array(6 * count);
  for (let i = 0; i < count; i++) {
    const scale = scales.subarray(3 * i, 3 * i + 3);
    const rotation = rotations.subarray(4 * i, 4 * i + 4);
    covariances.set(covarianceOf(scale, rotation), 6 * i);
  }
  return { count, means, scales, rotations, covariances, rgba };
}

// R diag(scale^2) R^T as (xx, xy, xz, yy, yz, zz).
function covarianceOf(scale, rotation) {
  const r = rotationMatrix(rotation);
  const entry = (row, column) =>
    r[3 * row] * r[3 * column] * scale[0] ** 2 +
    r[3 * row + 1] * r[3 * column + 1] * scale[1] ** 2 +
    r[3 * row + 2] * r[3 * column + 2] * scale[2] ** 2;
  return [entry(0, 0), entry(0, 1), entry(0, 2), entry(1, 1), entry(1, 2), entry(2, 2)];
}

// Sorts by depth along one direction, farthest first: a radix sort on the bits of the depth, exact
// because positive floats order like their bits. What is nearer than `near` is left out.
class DepthSorter {
  constructor(means) {
    this.means = means;
    const count = means.length / 3;
    this.depths = new Float32Array(count);
    this.keys = new Uint32Array(this.depths.buffer);
    this.order = new Uint32Array(count);
    this.halfway = new Uint32Array(count);
    this.buckets = new Uint32Array(65536);
  }

  // `forward` is the viewing direction, `offset` the depth of the world's origin.
  farthestFirst(forward, offset, near) {
    const { means, depths, keys, order, halfway } = this;
    let visible = 0;
    for (let i = 0; i < depths.length; i++) {
      const depth =
        means[3 * i] * forward[0] + means[3 * i + 1] * forward[1] + means[3 * i + 2] * forward[2] + offset;
      depths[i] = depth;
      if (depth >= near) order[visible++] = i;
    }
    this.#pass(order, halfway, visible, (i) => 65535 - (keys[i] & 65535));
    this.#pass(halfway, order, visible, (i) => 65535 - (keys[i] >>> 16));
    return order.subarray(0, visible);
  }

  #pass(from, to, count, digit) {
    const { buckets } = this;
    buckets.fill(0);
    for (let i = 0; i < count; i++) buckets[digit(from[i])]++;
    for (let b = 0, start = 0; b < buckets.length; b++) {
      const size = buckets[b];
      buckets[b] = start;
      start += size;
    }
    for (let i = 0; i < count; i++) to[buckets[digit(from[i])]++] = from[i];
  }
}
