// The line between two pictures follows the slider that lies, unseen, over them.
for (const wipe of document.querySelectorAll(".wipe")) {
  const slider = wipe.querySelector("input");
  const follow = () => wipe.style.setProperty("--at", `${slider.value}%`);
  slider.addEventListener("input", follow);
  follow(); // Browsers remember where a slider was.
}
