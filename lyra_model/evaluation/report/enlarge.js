// A picture that is clicked, or has the focus and gets Enter, opens in its full size; any click or
// Escape closes it.

const enlarged = document.getElementById("enlarged");

function enlarge(picture) {
  const large = enlarged.querySelector("img");
  large.src = picture.src;
  large.alt = picture.alt;
  enlarged.querySelector("p").textContent = picture.alt;
  enlarged.showModal();
}

document.addEventListener("click", (event) => {
  if (event.target.closest("#enlarged")) {
    enlarged.close();
    return;
  }
  const picture = event.target.closest("figure.picture img");
  if (picture) enlarge(picture);
});

for (const picture of document.querySelectorAll("figure.picture img")) {
  picture.tabIndex = 0;
  picture.setAttribute("role", "button");
  picture.setAttribute("aria-label", `Enlarge: ${picture.alt}`);
  picture.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    enlarge(picture);
  });
}
