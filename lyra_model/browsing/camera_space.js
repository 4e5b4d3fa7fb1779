// Camera paths in 3D on a plain canvas: lines, a pyramid for the camera of the present frame.

class CameraSpace {
  constructor(canvas, data) {
    this.canvas = canvas;
    this.views = data.views.map((view) => ({ ...view, poses: view.poses.map(poseFrom) }));
    this.focus = data.focus;
    this.frame = 0;
    const centres = this.views.flatMap((view) => view.poses.map((pose) => pose.position));
    const first = this.views[0].poses[0];
    this.depth = length(difference(this.focus, first.position)) || 1;
    this.middle = centreOf([...centres, this.focus]);
    this.reach = Math.max(...[...centres, this.focus].map((point) => length(difference(point, this.middle)))) || 1;
    this.size = 0.12 * this.reach; // of a pyramid
    this.side = roundSide(this.reach / 3);
    // It starts behind the first camera, above it and to the right.
    const above = orbited(orbited(first, this.middle, axisOf(first, 0), -0.5), this.middle, axisOf(first, 1), -0.6);
    this.pose = moved(above, difference(this.middle, sum(above.position, scaled(axisOf(above, 2), 2 * this.reach))));
    document.getElementById("grid-side").textContent = String(this.side);
    this.#listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    context.lineWidth = ratio;
    context.font = `${12 * ratio}px system-ui, sans-serif`;
    this.#grid(context, style.getPropertyValue("--line"));
    this.#cross(context, style.getPropertyValue("--ink"));
    this.views.forEach((view, index) => {
      const colour = style.getPropertyValue(`--series-${index % 6}`);
      this.#path(context, view, index, colour, ratio);
    });
  }

  // A point of the world in pixels; null behind the eye.
  project(point) {
    const arm = difference(point, this.pose.position);
    const [x, y, z] = [0, 1, 2].map((axis) => dot(arm, axisOf(this.pose, axis)));
    if (z < 1e-3 * this.reach) return null;
    const { width, height } = this.canvas;
    const focal = 1.1 * Math.min(width, height);
    return [width / 2 + (focal * x) / z, height / 2 + (focal * y) / z];
  }

  turn(across, down) {
    const right = axisOf(this.pose, 0);
    const turned = orbited(this.pose, this.middle, axisOf(this.views[0].poses[0], 1), across);
    this.pose = orbited(turned, this.middle, right, down);
    this.draw();
  }

  zoom(factor) {
    const arm = difference(this.pose.position, this.middle);
    const distance = Math.min(Math.max(length(arm) * factor, 0.3 * this.reach), 30 * this.reach);
    this.pose = moved(this.pose, scaled(arm, distance / length(arm) - 1));
    this.draw();
  }

  #line(context, points) {
    const drawn = points.map((point) => this.project(point));
    context.beginPath();
    drawn.forEach((at, i) => {
      if (!at) return;
      if (i && drawn[i - 1]) context.lineTo(...at);
      else context.moveTo(...at);
    });
    context.stroke();
  }

  // Squares in the plane of the first camera's right and forward axes.
  #grid(context, colour) {
    const first = this.views[0].poses[0];
    const [right, forward] = [axisOf(first, 0), axisOf(first, 2)];
    const at = (u, v) => sum(first.position, sum(scaled(right, u * this.side), scaled(forward, v * this.side)));
    context.strokeStyle = colour;
    for (let i = -6; i <= 6; i++) {
      this.#line(context, [at(i, -6), at(i, 6)]);
      this.#line(context, [at(-6, i), at(6, i)]);
    }
  }

  #cross(context, colour) {
    context.strokeStyle = colour;
    for (const axis of [0, 1, 2]) {
      const arm = scaled(axisOf(this.views[0].poses[0], axis), 0.06 * this.reach);
      this.#line(context, [difference(this.focus, arm), sum(this.focus, arm)]);
    }
  }

  #path(context, view, index, colour, ratio) {
    context.strokeStyle = colour;
    context.fillStyle = colour;
    context.lineWidth = 2 * ratio;
    this.#line(context, view.poses.map((pose) => pose.position));
    const pose = view.poses[Math.min(this.frame, view.poses.length - 1)];
    const [left, right, top, bottom] = view.slopes;
    const axes = [0, 1, 2].map((axis) => axisOf(pose, axis));
    const corners = [[left, top], [right, top], [right, bottom], [left, bottom]].map(([x, y]) =>
      [x, y, 1].reduce((point, slope, axis) => sum(point, scaled(axes[axis], slope * this.size)), pose.position));
    context.lineWidth = ratio;
    for (const corner of corners) this.#line(context, [pose.position, corner]);
    this.#line(context, [...corners, corners[0]]);
    const label = this.project(view.poses[view.poses.length - 1].position);
    if (label) context.fillText(String(view.index), label[0] + 5 * ratio, label[1] - 5 * ratio);
  }

  #listen() {
    const { canvas } = this;
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      last = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      this.turn((event.clientX - last[0]) * 0.008, (last[1] - event.clientY) * 0.008);
      last = [event.clientX, event.clientY];
    });
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => { last = null; });
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas) return; // the page scrolls past it
      event.preventDefault();
      this.zoom(Math.exp(event.deltaY * 0.001));
    }, { passive: false });
    const keys = {
      ArrowLeft: () => this.turn(-0.1, 0), ArrowRight: () => this.turn(0.1, 0),
      ArrowUp: () => this.turn(0, 0.1), ArrowDown: () => this.turn(0, -0.1),
      "+": () => this.zoom(0.85), "-": () => this.zoom(1 / 0.85),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
  }
}

function centreOf(points) {
  const ends = [0, 1, 2].map((axis) => points.map((point) => point[axis]));
  return ends.map((values) => (Math.min(...values) + Math.max(...values)) / 2);
}

// 1, 2 or 5 times a power of ten, at most `side`.
function roundSide(side) {
  const power = 10 ** Math.floor(Math.log10(side));
  return Number(([5, 2, 1].find((factor) => factor * power <= side) * power).toPrecision(1));
}
