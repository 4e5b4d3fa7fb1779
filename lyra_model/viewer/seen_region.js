// Where the cameras of a scene have been, along the axes of the camera that the visitor starts at:
// beyond it nothing was seen, and what is drawn there falls into splinters.

const GIVES_WAY = 0.15; // of the region's size: resistance grows over it, and then nothing moves on

class SeenRegion {
  // `reach`, `aim`: lengths to the left, right, up, down, forwards and backwards; for where the
  // camera stands, and for the point that it turns around.
  constructor(home, pivot, { reach, aim }) {
    Object.assign(this, { home, pivot, reach, aim });
    this.axes = [0, 1, 2].map((axis) => axisOf(home, axis));
  }

  // How far a camera and its pivot are out, in units of the region: 1 is its edge.
  outness({ position }, pivot) {
    return Math.max(this.ofPosition(position), this.#share(difference(pivot, this.pivot), this.aim));
  }

  ofPosition(position) {
    return this.#share(difference(position, this.home.position), this.reach);
  }

  // How far out a movement comes from somewhere `before` far out, which without resistance would
  // come `after` far: as far as that up to the edge, and less and less beyond it.
  allowed(before, after) {
    const edge = Math.max(1, before), stop = 1 + GIVES_WAY;
    if (after <= edge || edge >= stop) return Math.min(after, edge);
    return stop - (stop - edge) * Math.exp((edge - after) / GIVES_WAY);
  }

  // A pose after a movement from one that was `before` far out: as it is where that is allowed,
  // else drawn back towards the start, and turned so that it looks at the pivot as before.
  held(pose, pivot, before) {
    const after = this.ofPosition(pose.position);
    const allowed = this.allowed(before, after);
    if (allowed === after) return pose;
    const offset = difference(pose.position, this.home.position);
    const position = sum(this.home.position, scaled(offset, allowed / after));
    return this.#turned(pose, position, pivot);
  }

  // Moves a pose, and turns it about the vertical and then about its own horizontal axis by the
  // angles by which the pivot's direction changes: the horizon stays level.
  #turned(pose, position, pivot) {
    const upright = scaled(this.axes[1], -1);
    const from = difference(pivot, pose.position), to = difference(pivot, position);
    const level = (v) => difference(v, scaled(upright, dot(v, upright)));
    const [a, b] = [level(from), level(to)];
    const around = Math.atan2(dot(upright, crossProduct(a, b)), dot(a, b));
    const height = (v) => Math.atan2(dot(v, upright), length(level(v)));
    const yawed = orbited({ rotation: pose.rotation, position }, position, upright, around);
    const side = crossProduct(b, upright);
    if (length(side) < 1e-9) return yawed;
    return orbited(yawed, position, normalised(side), height(to) - height(from));
  }

  #share(offset, [left, right, up, down, forwards, backwards]) {
    const [x, y, z] = this.axes.map((axis) => dot(offset, axis));
    return Math.hypot(x / (x < 0 ? left : right), y / (y < 0 ? up : down), z / (z < 0 ? backwards : forwards));
  }
}
