// The camera that a visitor moves: a pose, and the pivot that it turns around.

const STEEPEST = 0.97; // |cosine| between the view and the vertical that turning stops at
const NEAREST = 0.05; // distance to the pivot, in units of the distance at home
const FARTHEST = 20;

const TURN_AT_ONCE = 0.02; // radians: larger movements are taken in steps where a region holds them
const PAN_AT_ONCE = 4; // pixels
const ZOOM_AT_ONCE = 0.04; // of the logarithm of the distance
const HALVINGS = 10; // in the search for a shift's allowed share

class OrbitCamera {
  // `seen`: the page's region that cameras have seen; null: nothing holds the visitor back.
  constructor(home, pivotDepth, seen = null) {
    this.home = home;
    this.pivotDepth = pivotDepth;
    this.upright = scaled(axisOf(home, 1), -1);
    this.pivotAtHome = sum(home.position, scaled(axisOf(home, 2), pivotDepth));
    this.region = seen ? new SeenRegion(home, this.pivotAtHome, seen) : null;
    this.isFree = !seen; // whether it may leave the region
    this.goHome();
  }

  goHome() {
    this.pose = this.home;
    this.pivot = this.pivotAtHome;
  }

  // In units of the region: 1 is its edge, and 0 the start.
  get outness() {
    return this.region ? this.region.outness(this.pose, this.pivot) : 0;
  }

  // Angles in radians, of what is seen: it follows the finger.
  orbit(right, down) {
    this.#inSteps(Math.hypot(right, down) / TURN_AT_ONCE, (share) => {
      this.#standAt(this.#turned(right * share, down * share));
    });
  }

  // In pixels; `focal` is the focal length in the same pixels.
  pan(right, down, focal) {
    for (const [x, y] of this.isFree ? [[right, down]] : [[right, 0], [0, down]]) {
      this.#inSteps(Math.hypot(x, y) / PAN_AT_ONCE, (share) => this.#shift(x * share, y * share, focal));
    }
  }

  // Towards the pivot where `amount` is negative, away from it where positive.
  zoom(amount) {
    this.#inSteps(Math.abs(amount) / ZOOM_AT_ONCE, (share) => {
      const arm = difference(this.pose.position, this.pivot);
      const [least, most] = [NEAREST * this.pivotDepth, FARTHEST * this.pivotDepth];
      const distance = Math.min(most, Math.max(least, length(arm) * Math.exp(amount * share)));
      this.#standAt(moved(this.pose, scaled(arm, distance / length(arm) - 1)));
    });
  }

  distanceFromHome() {
    return length(difference(this.pose.position, this.home.position));
  }

  #turned(right, down) {
    const sideways = orbited(this.pose, this.pivot, this.upright, -right);
    const both = orbited(sideways, this.pivot, axisOf(sideways, 0), -down);
    const steepness = (pose) => Math.abs(dot(axisOf(pose, 2), this.upright));
    const allowed = steepness(both) < STEEPEST || steepness(both) < steepness(this.pose);
    return allowed ? both : sideways;
  }

  #standAt(pose) {
    this.pose = this.isFree ? pose : this.region.held(pose, this.pivot, this.region.ofPosition(this.pose.position));
  }

  #shift(right, down, focal) {
    const { pose, pivot, outness: before } = this;
    const depth = dot(difference(pivot, pose.position), axisOf(pose, 2));
    const perPixel = Math.max(depth, 1e-3 * this.pivotDepth) / focal;
    const shift = sum(scaled(axisOf(pose, 0), -right * perPixel), scaled(axisOf(pose, 1), -down * perPixel));
    const shiftBy = (share) => Object.assign(this, {
      pose: moved(pose, scaled(shift, share)), pivot: sum(pivot, scaled(shift, share)),
    });
    shiftBy(1);
    if (this.isFree) return;
    const allowed = this.region.allowed(before, this.outness);
    let [least, most] = [0, 1]; // shares of the shift that end within it, and beyond it
    if (this.outness <= allowed) return;
    for (let halving = 0; halving < HALVINGS; halving++) {
      const middle = (least + most) / 2;
      shiftBy(middle);
      if (this.outness <= allowed) least = middle;
      else most = middle;
    }
    shiftBy(least);
  }

  // Takes a movement in as many equal shares as resistance needs.
  #inSteps(count, move) {
    const steps = this.isFree ? 1 : Math.max(1, Math.ceil(count));
    for (let step = 0; step < steps; step++) move(1 / steps);
  }
}
