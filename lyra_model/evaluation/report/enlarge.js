// A picture that is clicked opens in its full size; any click or Escape closes it.

const enlarged = document.getElementById("enlarged");

document.addEventListener("click", (event) => {
  if (event.target.closest("#enlarged")) {
    enlarged.close();
    return;
  }
  const picture = event.target.closest("img");
  if (!picture) return;
  const large = enlarged.querySelector("img");
  large.src = picture.src;
  large.alt = picture.alt;
  enlarged.querySelector("p").textContent = picture.alt;
  enlarged.showModal();
});
