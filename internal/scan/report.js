(() => {
  const [words, state, severity, pillar, shown] = ["words", "state", "severity", "pillar", "shown"].map((id) => document.getElementById(id));
  const all = [...document.querySelectorAll("details.check")];
  document.getElementById("bar").hidden = false;
  const filter = () => {
    const w = words.value.toLowerCase();
    for (const d of all) {
      d.hidden = (state.value && !d.classList.contains(state.value)) || (severity.value && +d.dataset.severity < +severity.value) ||
        (pillar.value && d.closest("section").dataset.pillar !== pillar.value) || (w && !d.textContent.toLowerCase().includes(w));
    }
    for (const s of document.querySelectorAll("section.pillar")) s.hidden = !s.querySelector("details.check:not([hidden])");
    shown.value = `${all.filter((d) => !d.hidden).length} of ${all.length} checks`;
  };
  words.addEventListener("input", filter);
  for (const choice of [state, severity, pillar]) choice.addEventListener("change", filter);
  filter(); // a browser keeps what was chosen when it loads a page again
  for (const pre of document.querySelectorAll("pre")) {
    const b = document.createElement("button");
    b.textContent = "copy";
    b.addEventListener("click", () => navigator.clipboard.writeText(pre.textContent).then(() => { b.textContent = "copied"; }));
    pre.after(b);
  }
})();
