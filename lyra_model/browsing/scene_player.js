// All views play in step: the longest leads, the others follow it and stay at their last frame.

const data = JSON.parse(document.getElementById("scene-data").textContent);
const videos = [...document.querySelectorAll(".videos video")];
const slider = document.getElementById("frame");
const playButton = document.getElementById("play");
const layerChoice = document.getElementById("layer");
const lengths = data.views.map((view) => view.frames);
const leader = videos[lengths.indexOf(Math.max(...lengths))];
const space = new CameraSpace(document.getElementById("space"), data);
const GREATEST_LAG = 0.08; // seconds: two frames

function timeOf(index, frame) {
  return (Math.min(frame, lengths[index] - 1) + 0.5) / data.fps; // the middle of a frame, surely in it
}

function showFrame(frame) {
  slider.value = String(frame);
  document.getElementById("frame-number").textContent = String(frame);
  space.frame = frame;
  space.draw();
}

function seek(frame) {
  videos.forEach((video, index) => { video.currentTime = timeOf(index, frame); });
  showFrame(frame);
}

function setPlaying(playing) {
  playButton.setAttribute("aria-pressed", String(playing));
  playButton.textContent = playing ? "Pause" : "Play";
  if (playing) {
    if (Number(slider.value) >= Number(slider.max)) seek(0);
    for (const video of videos) video.play().catch(() => {}); // one that has ended stays so
    requestAnimationFrame(follow);
  } else {
    for (const video of videos) video.pause();
    seek(Number(slider.value));
  }
}

function follow() {
  if (playButton.getAttribute("aria-pressed") !== "true") return;
  if (leader.ended) seek(0);
  const frame = Math.min(Math.floor(leader.currentTime * data.fps), Math.max(...lengths) - 1);
  videos.forEach((video, index) => {
    const target = Math.min(leader.currentTime, timeOf(index, lengths[index] - 1));
    if (video !== leader && Math.abs(video.currentTime - target) > GREATEST_LAG) video.currentTime = target;
    if (video.paused && target < timeOf(index, lengths[index] - 1)) video.play().catch(() => {});
  });
  showFrame(frame);
  requestAnimationFrame(follow);
}

playButton.addEventListener("click", () => setPlaying(playButton.getAttribute("aria-pressed") !== "true"));
slider.addEventListener("input", () => {
  if (playButton.getAttribute("aria-pressed") === "true") setPlaying(false);
  seek(Number(slider.value));
});
layerChoice.addEventListener("input", () => {
  // A video holds its layers one below the other; its box is as high as one.
  const share = (100 * Number(layerChoice.value)) / (data.layers - 1);
  for (const video of videos) video.style.objectPosition = `0 ${share}%`;
});
seek(0);
