// The report's viewer: it tours the camera paths until a reader touches it.

async function startViewer() {
  const figure = document.getElementById("viewer");
  if (!figure) return;
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  try {
    const moments = await Promise.all(data.moments.map((packed) => inflateGaussians(packed).then(decodeGaussians)));
    const viewer = new Viewer(figure, data, moments, { wheelNeedsFocus: true });
    if (prefersStillness()) return;
    const tour = setTimeout(() => viewer.startTour(), 1200);
    for (const kind of ["pointerdown", "keydown", "click"]) {
      figure.addEventListener(kind, () => clearTimeout(tour), { once: true });
    }
  } catch (error) {
    figure.classList.add("unavailable");
    figure.querySelector("[data-unavailable]").hidden = false;
    console.error(error);
  }
}

startViewer();
