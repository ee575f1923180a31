(() => {
  const bar = document.getElementById("bar"), words = document.getElementById("words"), state = document.getElementById("state");
  const all = [...document.querySelectorAll("details.check")];
  bar.hidden = false;
  const filter = () => {
    const w = words.value.toLowerCase();
    for (const d of all) d.hidden = (state.value && !d.classList.contains(state.value)) || (w && !d.textContent.toLowerCase().includes(w));
  };
  words.addEventListener("input", filter);
  state.addEventListener("change", filter);
  for (const pre of document.querySelectorAll("pre")) {
    const b = document.createElement("button");
    b.textContent = "copy";
    b.addEventListener("click", () => navigator.clipboard.writeText(pre.textContent).then(() => { b.textContent = "copied"; }));
    pre.after(b);
  }
})();
