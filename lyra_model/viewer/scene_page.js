// The one-file page: unpacks the scene, starts the viewer and moves gently until it is touched.
// `#pose=w,x,y,z,px,py,pz` in the address starts there and stands still; `#moment=K` at a moment;
// `#bare` hides all but the scene.

async function startPage() {
  const figure = document.getElementById("viewer");
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const wishes = new URLSearchParams(location.hash.slice(1));
  const help = document.querySelector("[data-help]");
  const keys = {
    g: (viewer) => viewer.toggleSway(),
    b: (viewer) => viewer.nextBackground(),
    f: (viewer) => viewer.toggleFullScreen(),
    h: () => figure.classList.toggle("bare"),
    "?": () => help.showModal(),
    p: (viewer) => viewer.marks?.toggle("points"),
    c: (viewer) => viewer.marks?.toggle("cameras"),
    i: (viewer) => viewer.marks?.toggle("frames"),
    t: (viewer) => viewer.marks?.toggle("paths"),
    " ": (viewer) => (data.steps > 1 ? viewer.toggleTime() : viewer.toggleSway()),
  };
  figure.classList.toggle("bare", wishes.has("bare"));
  figure.classList.toggle("moving-scene", data.steps > 1);
  try {
    const moments = await Promise.all(data.moments.map((packed) => inflateGaussians(packed).then(decodeGaussians)));
    for (const packed of data.moments) packed.means = packed.scales = packed.rotations = packed.rgba = null;
    const viewer = new Viewer(figure, data, moments, {
      wheelNeedsFocus: false, keys, buttons: { help: () => help.showModal() },
    });
    whenDrawn(figure, () => begin(viewer, wishes));
  } catch (error) {
    sayWhyNot(figure, error);
  }
}

function begin(viewer, wishes) {
  const { figure } = viewer;
  figure.classList.remove("loading");
  const hint = figure.querySelector("[data-hint]");
  for (const kind of ["pointerdown", "wheel", "keydown"]) {
    document.addEventListener(kind, () => hint.classList.add("over"), { once: true, passive: true });
  }
  if (wishes.has("moment")) viewer.setMoment(Number(wishes.get("moment")));
  if (wishes.has("pose")) {
    viewer.standAt(poseFrom(wishes.get("pose").split(",").map(Number)));
  } else if (!prefersStillness()) {
    viewer.toggleSway();
    if (!wishes.has("moment")) viewer.change((motion, now) => motion.startTime(now));
  }
  setTimeout(() => hint.classList.add("over"), 12000);
}

// Calls `then` once the first picture is on the canvas.
function whenDrawn(figure, then) {
  const observer = new MutationObserver(() => {
    if (figure.dataset.settled !== "true") return;
    observer.disconnect();
    then();
  });
  observer.observe(figure, { attributes: true, attributeFilter: ["data-settled"] });
}

function sayWhyNot(figure, error) {
  const message = figure.querySelector("[data-unavailable]");
  const old = typeof DecompressionStream === "undefined";
  message.firstElementChild.textContent = old
    ? "This browser is too old to unpack the scene: it needs one of 2023 or later."
    : `This browser cannot show the scene: ${error.message}`;
  message.hidden = false;
  figure.classList.remove("loading");
  for (const part of figure.querySelectorAll("canvas, footer, [data-hint]")) part.hidden = true;
  console.error(error);
}

startPage();
