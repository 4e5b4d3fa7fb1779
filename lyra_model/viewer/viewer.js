// The navigable scene. It starts at the source camera, moves by itself until it is touched, and then
// follows drag, wheel, touch and keys. Uses every other script of this folder but scene_page.js.

const MOST_PIXELS_ACROSS = 1920;
const LEAST_DETAIL = 0.5; // of the pixels of a side, while a slow machine moves
const SLOW_FRAME = 24; // milliseconds: fewer than 42 pictures a second
const HIDDEN_FOR = 250; // milliseconds: the page was not shown, which says nothing of the machine

class Viewer {
  // `figure` holds a canvas and, where a page has them, [data-status], [data-action], [data-path],
  // [data-time]. `moments`: decoded Gaussians. `keys` and `buttons`: further actions, by key or name.
  constructor(figure, data, moments, { wheelNeedsFocus, keys = {}, buttons = {} }) {
    Object.assign(this, { figure, data, keys, buttons });
    this.canvas = figure.querySelector("canvas");
    this.status = figure.querySelector("[data-status]");
    this.slider = figure.querySelector("[data-time]");
    this.camera = new OrbitCamera(poseFrom(data.source_pose), data.pivot_depth, data.seen);
    this.motion = new Motion(this.camera, data, data.steps ?? moments.length);
    this.background = data.background;
    this.visible = true;
    this.held = false; // by a pointer
    this.detail = 1;
    this.frameTime = 16;
    this.numClouds = moments.length; // one for all steps, or one for each
    this.renderer = new SplatRenderer(this.canvas, moments, data, () => this.redraw());
    this.marks = data.marks ? new CameraMarks(this, data.marks) : null;
    this.#listen(wheelNeedsFocus);
    this.#resize();
  }

  // --- what is shown -----------------------------------------------------------------------

  redraw() {
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame((now) => {
      this.scheduled = null;
      const { motion, camera, data } = this;
      motion.advance(now);
      this.#adaptDetail(now);
      const cloud = Math.min(motion.moment, this.numClouds - 1);
      const inOrder = this.renderer.draw(cloud, camera.pose, data.camera, this.background);
      this.marks?.draw(motion.moment, camera.pose, data.camera);
      const complete = inOrder && (this.marks?.ready ?? true);
      this.figure.dataset.settled = String(complete && !motion.isMoving && this.detail === 1);
      this.#describe();
      if (this.visible && motion.isMoving) this.redraw();
    });
  }

  // Fewer pixels while a slow machine moves, all of them once it stands.
  #adaptDetail(now) {
    const passed = now - (this.lastFrame ?? 0);
    this.lastFrame = now;
    if (!this.motion.isMoving && !this.held) {
      if (this.detail < 1) this.#setDetail(1);
    } else if (passed < HIDDEN_FOR) {
      this.frameTime += 0.1 * (passed - this.frameTime);
      if (this.frameTime > SLOW_FRAME && this.detail > LEAST_DETAIL) {
        this.frameTime = 16;
        this.#setDetail(Math.max(LEAST_DETAIL, 0.8 * this.detail));
      }
    }
  }

  #setDetail(detail) {
    this.detail = detail;
    this.#resize();
  }

  #describe() {
    const { camera, motion, data } = this;
    const away = camera.distanceFromHome();
    let text = data.home_name;
    if (motion.playing && !motion.travelling) {
      const { name, poses } = motion.paths[motion.playing.path];
      text = `${name.replaceAll("_", " ")}, frame ${Math.round(motion.frame) + 1} of ${poses.length}`;
    } else if (away >= 0.005) {
      text = `${away.toFixed(2)} ${data.unit} from the ${data.home_name}`;
    }
    const isOut = !motion.playing && !motion.travelling && camera.outness > 1;
    if (isOut) text += camera.isFree ? " · beyond what the cameras saw" : " · as far as the cameras saw";
    this.figure.classList.toggle("at-the-edge", isOut);
    if (this.status && this.status.textContent !== text) this.status.textContent = text;
    if (this.slider && this.slider.valueAsNumber !== motion.moment) this.slider.value = motion.moment;
  }

  // --- ways to move ------------------------------------------------------------------------

  // Runs a change of the motion, and shows it.
  change(act) {
    act(this.motion, performance.now());
    this.#mark();
    this.redraw();
  }

  goHome() {
    this.change((motion, now) => {
      motion.stop();
      this.camera.pivot = this.camera.pivotAtHome;
      motion.travelTo(this.camera.home, now);
    });
  }

  // Lets the visitor leave the region that cameras have seen, or takes them back into it.
  toggleFree() {
    const { camera } = this;
    if (!camera.region) return;
    camera.isFree = !camera.isFree;
    if (!camera.isFree && camera.outness > 1) this.goHome();
    this.change(() => {});
  }

  // Stands at a pose, wherever that is.
  standAt(pose) {
    const { camera } = this;
    camera.pose = pose;
    camera.isFree ||= camera.outness > 1;
    this.change(() => {});
  }

  startTour() {
    const { motion } = this;
    if (motion.paths.length && !motion.playing) this.change((_, now) => motion.play(0, { tour: true, now }));
  }

  togglePath(index) {
    this.change((motion, now) => {
      if (motion.playing?.path === index) motion.stop();
      else if (index < motion.paths.length) motion.play(index, { tour: false, now });
    });
  }

  toggleSway() {
    this.change((motion, now) => (motion.swaying ? motion.stop() : motion.sway(now)));
  }

  toggleTime() {
    this.change((motion, now) => {
      if (motion.timeStarted !== null) motion.timeStarted = null;
      else motion.startTime(now);
    });
  }

  setMoment(moment) {
    this.change((motion) => {
      motion.timeStarted = null;
      if (motion.playing && motion.paths[motion.playing.path].moments) motion.stop();
      motion.moment = (moment + motion.numMoments) % motion.numMoments;
    });
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.figure.requestFullscreen?.();
  }

  nextBackground() {
    const choices = [this.data.background, [0, 0, 0], [1, 1, 1]].map(String);
    const distinct = [...new Set(choices)];
    const next = distinct[(distinct.indexOf(String(this.background)) + 1) % distinct.length];
    this.background = next.split(",").map(Number);
    this.redraw();
  }

  // --- input -------------------------------------------------------------------------------

  #listen(wheelNeedsFocus) {
    const { canvas, camera } = this;
    const moves = (move) => (...amounts) => this.change((motion) => {
      motion.stop();
      move(...amounts);
    });
    const gestures = {
      grab: moves(() => { this.held = true; this.speed = null; }),
      release: () => this.#letGo(),
      orbit: moves((right, down) => { this.#measureSpeed(right, down); camera.orbit(right, down); }),
      pan: moves((right, down) => { this.speed = null; camera.pan(right, down, this.#focal()); }),
      zoom: moves((amount) => { this.speed = null; camera.zoom(amount); }),
      pressed: (key) => this.#pressed(key),
    };
    listenTo(canvas, gestures, { wheelNeedsFocus });
    (wheelNeedsFocus ? canvas : document).addEventListener("keydown", (event) => {
      if (!event.target.closest?.("button, input, a, dialog")) keyPressed(event, gestures);
    });
    this.figure.addEventListener("click", (event) => this.#clicked(event.target.closest("button")));
    this.slider?.addEventListener("input", () => this.setMoment(this.slider.valueAsNumber));
    new ResizeObserver(() => this.#resize()).observe(canvas);
    new IntersectionObserver(([entry]) => {
      this.visible = entry.isIntersecting;
      this.redraw();
    }).observe(canvas);
  }

  // In radians a second, averaged over the last twentieth of a second.
  #measureSpeed(right, down) {
    const now = performance.now();
    const seconds = Math.max(0.004, (now - (this.speed?.at ?? now - 16)) / 1000);
    const [before, weight] = [this.speed ?? { right: 0, down: 0 }, Math.exp(-seconds / 0.05)];
    const mixed = (old, amount) => weight * old + (1 - weight) * (amount / seconds);
    this.speed = { at: now, right: mixed(before.right, right), down: mixed(before.down, down) };
  }

  #letGo() {
    this.held = false;
    const fresh = this.speed && performance.now() - this.speed.at < 60;
    if (fresh && !prefersStillness()) this.motion.coasting = { right: this.speed.right, down: this.speed.down };
    this.redraw();
  }

  // In pixels of the page.
  #focal() {
    const { canvas, data } = this;
    return (data.camera.fx * this.renderer.scaleOf(data.camera) * canvas.clientWidth) / canvas.width;
  }

  // Returns whether a key means something.
  #pressed(key) {
    const number = "123456789".indexOf(key);
    const { motion } = this;
    if (key === "r" || key === "R" || key === "Home") this.goHome();
    else if ((key === "l" || key === "L") && this.camera.region) this.toggleFree();
    else if (key === "," && motion.numMoments > 1) this.setMoment(motion.moment - 1);
    else if (key === "." && motion.numMoments > 1) this.setMoment(motion.moment + 1);
    else if (number >= 0 && number < motion.paths.length) this.togglePath(number);
    else if (this.keys[key.toLowerCase()]) this.keys[key.toLowerCase()](this);
    else return false;
    return true;
  }

  #clicked(button) {
    if (!button) return;
    const { action, path } = button.dataset;
    if (action === "home") this.goHome();
    else if (action === "background") this.nextBackground();
    else if (action === "fullscreen") this.toggleFullScreen();
    else if (action === "free") this.toggleFree();
    else if (action === "sway") this.toggleSway();
    else if (action === "time") this.toggleTime();
    else if (path !== undefined) this.togglePath(Number(path));
    else this.buttons[action]?.(this);
  }

  #mark() {
    const { motion } = this;
    const press = (selector, isPressed) => {
      for (const button of this.figure.querySelectorAll(selector)) {
        button.setAttribute("aria-pressed", String(isPressed(button)));
      }
    };
    press("[data-path]", (button) => motion.playing?.path === Number(button.dataset.path));
    press("[data-action=sway]", () => Boolean(motion.swaying));
    press("[data-action=free]", () => this.camera.isFree);
    press("[data-action=time]", () => motion.timeStarted !== null);
  }

  #resize() {
    const { canvas } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, MOST_PIXELS_ACROSS / Math.max(1, canvas.clientWidth));
    const size = (pixels) => Math.max(1, Math.round(pixels * ratio * this.detail));
    const [width, height] = [size(canvas.clientWidth), size(canvas.clientHeight)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.redraw();
  }
}

function prefersStillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
