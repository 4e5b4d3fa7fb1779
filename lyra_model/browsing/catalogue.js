// Filters of the catalogue: views that do not fulfil all of them are hidden, and scenes without any.

const form = document.getElementById("filters");
const articles = [...document.querySelectorAll("article.scene")].map((element) => ({
  element,
  views: [...element.querySelectorAll(".view")].map((view) => ({
    element: view,
    path: view.dataset.path,
    numbers: view.dataset.numbers.split(" ").map((text) => Number(text.replace("\u2212", "-"))),
  })),
}));

function isNear(value, low, high) {
  if (low === "" && high === "") return true; // a number that was not measured (NaN) fulfils no limit
  return !(Number.isNaN(value) || (low !== "" && value < Number(low)) || (high !== "" && value > Number(high)));
}

function showFiltered() {
  const wish = Object.fromEntries(new FormData(form));
  let numViews = 0;
  let numScenes = 0;
  for (const { element, views } of articles) {
    const chosen = (wish.split === "" || element.dataset.split === wish.split)
      && element.dataset.scene.toLowerCase().includes(wish.scene.trim().toLowerCase());
    let left = 0;
    for (const view of views) {
      const fits = chosen && (wish.path === "" || view.path === wish.path)
        && isNear(view.numbers[Number(wish.number)], wish.low, wish.high);
      view.element.hidden = !fits;
      left += Number(fits);
    }
    element.hidden = left === 0;
    numViews += left;
    numScenes += Number(left > 0);
  }
  const option = form.elements.number.selectedOptions[0];
  document.getElementById("range").textContent = `In this dataset it goes from ${option.dataset.range}.`;
  document.getElementById("count").textContent = `${counted(numViews, "view")} of ${counted(numScenes, "scene")} shown.`;
  document.getElementById("none").hidden = numViews > 0;
}

form.addEventListener("input", showFiltered);
form.addEventListener("reset", () => setTimeout(showFiltered));
form.addEventListener("submit", (event) => event.preventDefault());
showFiltered();

function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
