// Movements that go on by themselves: travelling to a pose, following a camera path, swaying, coasting
// after a drag, and time running through the moments of a moving scene.

const SECONDS_OUT_AND_BACK = 8; // of a camera path
const SECONDS_TO_TRAVEL = 0.7; // between two unconnected poses
const SECONDS_OF_SWAY = 9;
const SECONDS_TO_EASE = 2; // into the sway
const SECONDS_TO_COAST = 0.16; // the time in which the speed falls to 1/e
const SLOWEST_COAST = 0.02; // radians a second

class Motion {
  // `camera`: an OrbitCamera. `data`: the page's. `numMoments`: of the scene.
  constructor(camera, data, numMoments) {
    Object.assign(this, { camera, numMoments });
    this.paths = data.paths.map((path) => ({ ...path, poses: path.poses.map(poseFrom) }));
    this.momentsPerSecond = data.moments_per_second;
    this.swayAngle = data.sway;
    this.moment = 0;
    this.frame = 0; // of the path that is followed; may lie between two whole numbers
    this.timeStarted = null; // ms at which moment 0 would have been shown; null: time stands still
    this.stop();
  }

  // Stops the camera; time goes on.
  stop() {
    this.playing = null; // { path: index, started: ms, tour: whether the next path follows }
    this.swaying = null; // { pose, pivot, started }
    this.travelling = null; // { from, to, started }
    this.coasting = null; // { right, down } in radians a second
  }

  get isMoving() {
    return Boolean(this.playing || this.swaying || this.travelling || this.coasting || this.timeStarted !== null);
  }

  advance(now) {
    const seconds = Math.min(0.1, (now - (this.advanced ?? now)) / 1000);
    this.advanced = now;
    if (this.timeStarted !== null) {
      const passed = Math.max(0, Math.floor(((now - this.timeStarted) / 1000) * this.momentsPerSecond));
      this.moment = passed % this.numMoments;
    }
    if (this.travelling && !this.#travel(now)) return;
    if (this.playing) this.#followPath(now);
    if (this.swaying) this.#sway((now - this.swaying.started) / 1000);
    if (this.coasting) this.#coast(seconds);
  }

  // Returns whether the camera has arrived.
  #travel(now) {
    const { from, to, started } = this.travelling;
    const share = Math.min(1, Math.max(0, (now - started) / (1000 * SECONDS_TO_TRAVEL)));
    this.camera.pose = between(from, to, share * share * (3 - 2 * share));
    if (share < 1) return false;
    this.travelling = null;
    if (this.playing) this.playing.started = now;
    return true;
  }

  #followPath(now) {
    const { path, started, tour } = this.playing;
    const { poses, moments } = this.paths[path];
    const seconds = Math.max(0, (now - started) / 1000);
    if (moments) { // time runs on with the camera: there is no way back
      this.frame = (seconds * this.momentsPerSecond) % poses.length;
      this.moment = moments[Math.floor(this.frame)];
      this.frame = Math.min(this.frame, poses.length - 1);
    } else {
      const turns = seconds / SECONDS_OUT_AND_BACK;
      if (tour && turns >= 1) {
        this.play((path + 1) % this.paths.length, { tour, now });
        return;
      }
      this.frame = (poses.length - 1) * (0.5 - 0.5 * Math.cos(2 * Math.PI * turns));
    }
    this.camera.pose = poseAlong(poses, this.frame);
  }

  // A slow walk along a lying eight: it shows depth, and comes back.
  #sway(seconds) {
    const reach = this.swayAngle * Math.min(1, seconds / SECONDS_TO_EASE);
    const phase = (2 * Math.PI * seconds) / SECONDS_OF_SWAY;
    Object.assign(this.camera, { pose: this.swaying.pose, pivot: this.swaying.pivot });
    this.camera.orbit(-reach * Math.sin(phase), 0.25 * reach * Math.sin(2 * phase));
  }

  #coast(seconds) {
    const { right, down } = this.coasting;
    this.camera.orbit(right * seconds, down * seconds);
    const kept = Math.exp(-seconds / SECONDS_TO_COAST);
    this.coasting = Math.hypot(right, down) < SLOWEST_COAST ? null : { right: right * kept, down: down * kept };
  }

  play(path, { tour, now }) {
    this.stop();
    this.playing = { path, tour, started: now };
    this.frame = 0;
    if (this.paths[path].moments) {
      this.timeStarted = null;
      this.moment = this.paths[path].moments[0];
    }
    this.camera.pivot = this.camera.pivotAtHome;
    this.travelTo(this.paths[path].poses[0], now);
  }

  travelTo(pose, now) {
    if (alike(this.camera.pose, pose)) this.camera.pose = pose;
    else this.travelling = { from: this.camera.pose, to: pose, started: now };
  }

  sway(now) {
    this.stop();
    this.swaying = { pose: this.camera.pose, pivot: this.camera.pivot, started: now };
  }

  startTime(now) {
    if (this.numMoments > 1) this.timeStarted = now - (1000 * this.moment) / this.momentsPerSecond;
  }
}
