// The navigable scene: starts at the source camera, sways along the trajectories until touched,
// then follows drag, wheel, touch and keys. Uses gaussian_cloud.js, camera_poses.js and
// splat_renderer.js.

const TURN_PER_PIXEL = 0.005; // radians
const TURN_PER_KEY = 0.06; // radians
const PAN_PER_KEY = 24; // pixels
const ZOOM_PER_WHEEL = 0.0012; // of the logarithm of the distance, per wheel pixel
const ZOOM_PER_KEY = 0.12;
const STEEPEST = 0.97; // |cosine| between the view and the vertical that dragging stops at
const SECONDS_OUT_AND_BACK = 8;
const SECONDS_TO_TRAVEL = 0.7; // between two unconnected poses
const MOST_PIXELS_ACROSS = 1920;

class Viewer {
  constructor(figure, data) {
    this.figure = figure;
    this.data = data;
    this.canvas = figure.querySelector("canvas");
    this.status = figure.querySelector("[data-status]");
    this.home = poseFrom(data.source_pose);
    this.paths = data.paths.map(({ name, poses }) => ({ name, poses: poses.map(poseFrom) }));
    this.pivotAtHome = sum(this.home.position, scaled(axisOf(this.home, 2), data.pivot_depth));
    this.upright = scaled(axisOf(this.home, 1), -1);
    this.background = data.background;
    this.renderer = new SplatRenderer(this.canvas, decodeGaussians(data.gaussians), data);
    this.pose = this.home;
    this.pivot = this.pivotAtHome;
    this.playing = null; // { path: index, started: ms, tour: whether the next path follows }
    this.travelling = null; // { from, to, started }
    this.visible = true;
    this.#listen();
    this.#resize();
  }

  // --- what is shown -----------------------------------------------------------------------

  redraw() {
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame((now) => {
      this.scheduled = null;
      this.#advance(now);
      this.renderer.draw(this.pose, this.data.camera, this.background);
      this.#tell();
      if (this.visible && (this.playing || this.travelling)) this.redraw();
    });
  }

  #advance(now) {
    if (this.travelling) {
      const { from, to, started } = this.travelling;
      const share = Math.min(1, (now - started) / (1000 * SECONDS_TO_TRAVEL));
      this.pose = between(from, to, share * share * (3 - 2 * share));
      if (share < 1) return;
      this.travelling = null;
      if (this.playing) this.playing.started = now;
    }
    if (this.playing) {
      const { path, started, tour } = this.playing;
      const turns = (now - started) / (1000 * SECONDS_OUT_AND_BACK);
      if (tour && turns >= 1) {
        this.#play((path + 1) % this.paths.length, { tour });
        return;
      }
      const { poses } = this.paths[path];
      this.frame = (poses.length - 1) * (0.5 - 0.5 * Math.cos(2 * Math.PI * turns));
      this.pose = poseAlong(poses, this.frame);
    }
  }

  #tell() {
    let text = "source camera";
    if (this.playing && !this.travelling) {
      const { name, poses } = this.paths[this.playing.path];
      text = `${name.replaceAll("_", " ")}, frame ${Math.round(this.frame) + 1} of ${poses.length}`;
    } else if (!alike(this.pose, this.home)) {
      const away = length(difference(this.pose.position, this.home.position));
      text = `${away.toFixed(2)} ${this.data.unit} from the source camera`;
    }
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  // --- ways to move ------------------------------------------------------------------------

  goHome() {
    this.#stop();
    this.pivot = this.pivotAtHome;
    this.#travelTo(this.home);
  }

  #play(path, { tour }) {
    this.playing = { path, tour, started: performance.now() };
    this.frame = 0;
    this.pivot = this.pivotAtHome;
    this.#travelTo(this.paths[path].poses[0]);
    this.#markPlaying();
  }

  #stop() {
    this.playing = null;
    this.travelling = null;
    this.#markPlaying();
    this.redraw();
  }

  #travelTo(pose) {
    this.travelling = alike(this.pose, pose) ? null : { from: this.pose, to: pose, started: performance.now() };
    if (!this.travelling) this.pose = pose;
    this.redraw();
  }

  #orbit(right, down) {
    const sideways = orbited(this.pose, this.pivot, this.upright, -right);
    const both = orbited(sideways, this.pivot, axisOf(sideways, 0), -down);
    const steepness = (pose) => Math.abs(dot(axisOf(pose, 2), this.upright));
    const allowed = steepness(both) < STEEPEST || steepness(both) < steepness(this.pose);
    this.pose = allowed ? both : sideways;
    this.redraw();
  }

  #pan(right, down) {
    const depth = dot(difference(this.pivot, this.pose.position), axisOf(this.pose, 2));
    const { fx, width } = this.data.camera;
    const perPixel = (Math.max(depth, 1e-3) * width) / (fx * this.canvas.clientWidth);
    const shift = sum(scaled(axisOf(this.pose, 0), -right * perPixel), scaled(axisOf(this.pose, 1), -down * perPixel));
    this.pose = moved(this.pose, shift);
    this.pivot = sum(this.pivot, shift);
    this.redraw();
  }

  // Towards the pivot where `amount` is negative, away from it where positive.
  #zoom(amount) {
    const arm = difference(this.pose.position, this.pivot);
    const least = 0.05 * this.data.pivot_depth;
    const most = 20 * this.data.pivot_depth;
    const distance = Math.min(most, Math.max(least, length(arm) * Math.exp(amount)));
    this.pose = moved(this.pose, scaled(arm, distance / length(arm) - 1));
    this.redraw();
  }

  // --- input -------------------------------------------------------------------------------

  #listen() {
    const { canvas } = this;
    const pointers = new Map();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      this.#stop();
    });
    canvas.addEventListener("pointermove", (event) => this.#dragged(event, pointers));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
    }
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    // Only a viewer in use takes the wheel: a reader who scrolls past it keeps scrolling.
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas) return;
      event.preventDefault();
      this.#stop();
      this.#zoom(event.deltaY * (event.deltaMode === 1 ? 16 : 1) * ZOOM_PER_WHEEL);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.#pressed(event));
    this.figure.addEventListener("click", (event) => this.#clicked(event.target.closest("button")));
    new ResizeObserver(() => this.#resize()).observe(canvas);
    new IntersectionObserver(([entry]) => {
      this.visible = entry.isIntersecting;
      this.redraw();
    }).observe(canvas);
  }

  #dragged(event, pointers) {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const right = event.clientX - before.clientX;
    const down = event.clientY - before.clientY;
    const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    pointers.set(event.pointerId, event);
    if (other) {
      const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      this.#zoom(Math.log(Math.max(1, apart(before)) / Math.max(1, apart(event))));
      this.#pan(right / 2, down / 2);
    } else if (event.buttons & 6 || event.shiftKey) {
      this.#pan(right, down);
    } else {
      this.#orbit(right * TURN_PER_PIXEL, down * TURN_PER_PIXEL);
    }
  }

  #pressed(event) {
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) {
      this.#stop();
      const [right, down] = arrow;
      if (event.shiftKey) this.#pan(-right * PAN_PER_KEY, -down * PAN_PER_KEY);
      else this.#orbit(-right * TURN_PER_KEY, -down * TURN_PER_KEY);
    } else if (event.key === "+" || event.key === "=") {
      this.#stop();
      this.#zoom(-ZOOM_PER_KEY);
    } else if (event.key === "-") {
      this.#stop();
      this.#zoom(ZOOM_PER_KEY);
    } else if (event.key === "r" || event.key === "R" || event.key === "Home") {
      this.goHome();
    } else {
      return;
    }
    event.preventDefault();
  }

  #clicked(button) {
    if (!button) return;
    const { action, path } = button.dataset;
    if (action === "home") this.goHome();
    if (action === "background") this.#nextBackground();
    if (action === "fullscreen") this.figure.requestFullscreen?.();
    if (path !== undefined) {
      const index = Number(path);
      if (this.playing?.path === index) this.#stop();
      else this.#play(index, { tour: false });
    }
  }

  #nextBackground() {
    const choices = [this.data.background, [0, 0, 0], [1, 1, 1]].map(String);
    const distinct = [...new Set(choices)];
    const next = distinct[(distinct.indexOf(String(this.background)) + 1) % distinct.length];
    this.background = next.split(",").map(Number);
    this.redraw();
  }

  #markPlaying() {
    for (const button of this.figure.querySelectorAll("[data-path]")) {
      button.setAttribute("aria-pressed", String(this.playing?.path === Number(button.dataset.path)));
    }
  }

  #resize() {
    const { canvas } = this;
    const ratio = Math.min(window.devicePixelRatio || 1, MOST_PIXELS_ACROSS / Math.max(1, canvas.clientWidth));
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    this.redraw();
  }

  startTour() {
    if (this.paths.length && !this.playing) this.#play(0, { tour: true });
  }
}

function startViewer() {
  const figure = document.getElementById("viewer");
  if (!figure) return;
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  try {
    const viewer = new Viewer(figure, data);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!still) setTimeout(() => viewer.startTour(), 1200);
  } catch (error) {
    figure.classList.add("unavailable");
    figure.querySelector("[data-unavailable]").hidden = false;
    console.error(error);
  }
}

startViewer();
