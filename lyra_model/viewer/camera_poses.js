// Camera poses: { rotation: unit quaternion (w, x, y, z), position }, camera to world, OpenCV axes
// (x right, y down, z forward).

function poseFrom([w, x, y, z, px, py, pz]) {
  return { rotation: normalised([w, x, y, z]), position: [px, py, pz] };
}

// Row-major 3x3 matrix of a unit quaternion.
function rotationMatrix([w, x, y, z]) {
  return [
    1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
    2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
    2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
  ];
}

// An axis of the camera (0 right, 1 down, 2 forward) in the world.
function axisOf(pose, index) {
  const matrix = rotationMatrix(pose.rotation);
  return [matrix[index], matrix[3 + index], matrix[6 + index]];
}

function orbited(pose, pivot, axis, angle) {
  const turn = [Math.cos(angle / 2), ...scaled(axis, Math.sin(angle / 2))];
  const matrix = rotationMatrix(turn);
  const arm = difference(pose.position, pivot);
  const turned = [0, 1, 2].map((row) => dot(matrix.slice(3 * row, 3 * row + 3), arm));
  return { rotation: normalised(product(turn, pose.rotation)), position: sum(pivot, turned) };
}

function moved(pose, shift) {
  return { rotation: pose.rotation, position: sum(pose.position, shift) };
}

// Whether two poses would show the same picture.
function alike(a, b) {
  const turned = 1 - Math.abs(a.rotation.reduce((total, value, i) => total + value * b.rotation[i], 0));
  return turned < 1e-8 && length(difference(a.position, b.position)) < 1e-5;
}

// From `start` (share 0) to `end` (share 1): straight line, shortest turn.
function between(start, end, share) {
  const cosine = start.rotation.reduce((total, value, i) => total + value * end.rotation[i], 0);
  const target = cosine < 0 ? scaled(end.rotation, -1) : end.rotation;
  const angle = Math.acos(Math.min(1, Math.abs(cosine)));
  const weight = (part) => (angle < 1e-4 ? part : Math.sin(part * angle) / Math.sin(angle));
  return {
    rotation: normalised(sum(scaled(start.rotation, weight(1 - share)), scaled(target, weight(share)))),
    position: sum(scaled(start.position, 1 - share), scaled(end.position, share)),
  };
}

// Along a list of poses; `frame` may lie between two whole numbers.
function poseAlong(poses, frame) {
  const first = Math.max(0, Math.min(Math.floor(frame), poses.length - 2));
  return poses.length === 1 ? poses[0] : between(poses[first], poses[first + 1], frame - first);
}

// Hamilton product: first b, then a.
function product([aw, ax, ay, az], [bw, bx, by, bz]) {
  return [
    aw * bw - ax * bx - ay * by - az * bz,
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
  ];
}

function sum(a, b) { return a.map((value, i) => value + b[i]); }
function difference(a, b) { return a.map((value, i) => value - b[i]); }
function scaled(a, factor) { return a.map((value) => value * factor); }
function dot(a, b) { return a.reduce((total, value, i) => total + value * b[i], 0); }
function crossProduct([a, b, c], [x, y, z]) { return [b * z - c * y, c * x - a * z, a * y - b * x]; }
function length(a) { return Math.sqrt(dot(a, a)); }
function normalised(a) { return scaled(a, 1 / length(a)); }
