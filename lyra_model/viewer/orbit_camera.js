// The camera that a visitor moves: a pose, and the pivot that it turns around.

const STEEPEST = 0.97; // |cosine| between the view and the vertical that turning stops at
const NEAREST = 0.05; // distance to the pivot, in units of the distance at home
const FARTHEST = 20;

class OrbitCamera {
  constructor(home, pivotDepth) {
    this.home = home;
    this.pivotDepth = pivotDepth;
    this.upright = scaled(axisOf(home, 1), -1);
    this.pivotAtHome = sum(home.position, scaled(axisOf(home, 2), pivotDepth));
    this.goHome();
  }

  goHome() {
    this.pose = this.home;
    this.pivot = this.pivotAtHome;
  }

  // Angles in radians, of what is seen: it follows the finger.
  orbit(right, down) {
    const sideways = orbited(this.pose, this.pivot, this.upright, -right);
    const both = orbited(sideways, this.pivot, axisOf(sideways, 0), -down);
    const steepness = (pose) => Math.abs(dot(axisOf(pose, 2), this.upright));
    const allowed = steepness(both) < STEEPEST || steepness(both) < steepness(this.pose);
    this.pose = allowed ? both : sideways;
  }

  // In pixels; `focal` is the focal length in the same pixels.
  pan(right, down, focal) {
    const depth = dot(difference(this.pivot, this.pose.position), axisOf(this.pose, 2));
    const perPixel = Math.max(depth, 1e-3 * this.pivotDepth) / focal;
    const shift = sum(scaled(axisOf(this.pose, 0), -right * perPixel), scaled(axisOf(this.pose, 1), -down * perPixel));
    this.pose = moved(this.pose, shift);
    this.pivot = sum(this.pivot, shift);
  }

  // Towards the pivot where `amount` is negative, away from it where positive.
  zoom(amount) {
    const arm = difference(this.pose.position, this.pivot);
    const [least, most] = [NEAREST * this.pivotDepth, FARTHEST * this.pivotDepth];
    const distance = Math.min(most, Math.max(least, length(arm) * Math.exp(amount)));
    this.pose = moved(this.pose, scaled(arm, distance / length(arm) - 1));
  }

  distanceFromHome() {
    return length(difference(this.pose.position, this.home.position));
  }
}
