// Mouse, touch, pen, wheel and keys, as turning, panning and zooming.

const TURN_PER_PIXEL = 0.005; // radians
const TURN_PER_KEY = 0.06; // radians
const PAN_PER_KEY = 24; // pixels
const ZOOM_PER_WHEEL = 0.0012; // of the logarithm of the distance, per wheel pixel
const ZOOM_PER_PINCH = 0.01; // the same of a touchpad, whose pinches come as wheel events
const ZOOM_PER_KEY = 0.12;
const PIXELS_PER_LINE = 16;

// `actions`: grab(), release(), orbit(right, down), pan(right, down), zoom(amount), pressed(key).
// `wheelNeedsFocus`: a reader who scrolls past keeps scrolling.
function listenTo(canvas, actions, { wheelNeedsFocus }) {
  const pointers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    actions.grab();
  });
  canvas.addEventListener("pointermove", (event) => dragged(event, pointers, actions));
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (pointers.delete(event.pointerId) && !pointers.size) actions.release();
    });
  }
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    if (wheelNeedsFocus && document.activeElement !== canvas) return;
    event.preventDefault();
    const perPixel = event.ctrlKey ? ZOOM_PER_PINCH : ZOOM_PER_WHEEL;
    actions.zoom(event.deltaY * (event.deltaMode === 1 ? PIXELS_PER_LINE : 1) * perPixel);
  }, { passive: false });
}

function dragged(event, pointers, actions) {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const right = event.clientX - before.clientX;
  const down = event.clientY - before.clientY;
  const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
  pointers.set(event.pointerId, event);
  if (other) {
    const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    actions.zoom(Math.log(Math.max(1, apart(before)) / Math.max(1, apart(event))));
    actions.pan(right / 2, down / 2);
  } else if (event.buttons & 6 || event.shiftKey) {
    actions.pan(right, down);
  } else {
    actions.orbit(right * TURN_PER_PIXEL, down * TURN_PER_PIXEL);
  }
}

function keyPressed(event, actions) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (arrow) {
    const [right, down] = arrow;
    if (event.shiftKey) actions.pan(-right * PAN_PER_KEY, -down * PAN_PER_KEY);
    else actions.orbit(-right * TURN_PER_KEY, -down * TURN_PER_KEY);
  } else if (event.key === "+" || event.key === "=") {
    actions.zoom(-ZOOM_PER_KEY);
  } else if (event.key === "-") {
    actions.zoom(ZOOM_PER_KEY);
  } else if (!actions.pressed(event.key)) {
    return;
  }
  event.preventDefault();
}
