// What a page gains where scripts run. Everything works without.
"use strict";
for (const t of document.querySelectorAll("time[datetime]")) {
  const at = new Date(t.dateTime);
  t.title = t.textContent;
  t.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
// A day and a time are typed in the reader's zone, and sent as the instant that they are.
if (window.FormDataEvent) {
  const here = (iso) => {
    const at = new Date(iso);
    return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  };
  for (const field of document.querySelectorAll("input[data-moment]")) {
    if (field.dataset.moment) field.value = here(field.dataset.moment);
    for (const end of ["min", "max"]) if (field.dataset[end]) field[end] = here(field.dataset[end]);
    field.form.addEventListener("formdata", (e) => {
      if (field.value) e.formData.set(field.name, new Date(field.value).toISOString());
    });
  }
  for (const told of document.querySelectorAll("[data-zone]")) {
    told.textContent = `Times that you type are in your zone, ${Intl.DateTimeFormat().resolvedOptions().timeZone.replaceAll("_", " ")}.`;
  }
}
for (const field of document.querySelectorAll("input[data-fragment]")) {
  if (location.hash.length > 1) {
    field.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname); // a one-time secret does not stay in the address
  }
}
for (const field of document.querySelectorAll("input[data-filter]")) {
  const none = document.createElement("p");
  none.className = "soft";
  none.setAttribute("role", "status");
  (field.form || field.parentElement).after(none);
  field.addEventListener("input", () => {
    let left = 0;
    const words = field.value.toLowerCase().split(/\s+/);
    for (const item of document.querySelectorAll(field.dataset.filter)) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((w) => text.includes(w));
      left += !item.hidden;
    }
    none.textContent = left ? "" : "Nothing here matches.";
    if (!field.form) history.replaceState(null, "", field.value ? `#q=${encodeURIComponent(field.value)}` : location.pathname + location.search);
  });
  // A filter that the server does not know is linkable all the same.
  if (!field.form && location.hash.startsWith("#q=")) {
    field.value = decodeURIComponent(location.hash.slice(3));
    field.dispatchEvent(new Event("input"));
  }
}
// What was typed outlives a session that ended meanwhile: this tab keeps it from the sending to the next page that is no step of a
// sign-in, and fills it in there if that is the form's own, for the same person. Passwords and codes are left out.
const reader = document.querySelector(".who > a")?.textContent;
const keep = (form) => {
  const typed = {};
  for (const f of form.elements) {
    if (f.id && f.name !== "code" && f.value && !["password", "hidden", "checkbox", "submit"].includes(f.type)) typed[f.id] = f.value;
  }
  sessionStorage.setItem("typed", JSON.stringify({ reader, at: location.pathname, typed }));
};
if (reader && sessionStorage.getItem("typed")) {
  const was = JSON.parse(sessionStorage.getItem("typed"));
  sessionStorage.removeItem("typed");
  if (was.reader === reader && was.at === location.pathname && (document.referrer.includes("/sign-in") || !document.referrer.startsWith(location.origin))) {
    for (const [id, value] of Object.entries(was.typed)) {
      const f = document.getElementById(id);
      if (!f || f.value === value) continue;
      f.value = value;
      if (f.closest("details")) f.closest("details").open = true;
    }
  }
}
document.addEventListener("submit", (e) => {
  if (e.defaultPrevented) return;
  const ask = (e.submitter && e.submitter.dataset.confirm) || (!(e.submitter && e.submitter.hasAttribute("formaction")) && e.target.dataset.confirm);
  if (ask && !confirm(ask)) { e.preventDefault(); return; }
  if (reader && e.target.method === "post" && e.target.closest("main")) keep(e.target);
  for (const b of e.target.querySelectorAll("button")) setTimeout(() => { b.disabled = true; });
});
// Who comes back to a page finds its buttons as they were before one was pressed.
addEventListener("pageshow", () => {
  for (const b of document.querySelectorAll("button:disabled")) b.disabled = false;
});
for (const b of document.querySelectorAll("button[data-copy]")) {
  b.hidden = !navigator.clipboard;
  const was = b.textContent;
  b.addEventListener("click", () => navigator.clipboard.writeText(document.querySelector(b.dataset.copy).textContent).then(() => {
    b.textContent = "Copied";
    setTimeout(() => { b.textContent = was; }, 3000);
  }));
}
// A page on which somebody waits for others asks now and then whether it is still as it was, while it is looked at. It says so, and
// changes nothing under the reader's hands. What it asks keeps no session alive; it stops when the session is over.
const followed = document.querySelector("[data-follow]");
if (followed && window.fetch) {
  const words = new URLSearchParams(location.search).get("q");
  const path = followed.dataset.follow + (words ? `?q=${encodeURIComponent(words)}` : "");
  const state = (page) => [...page.querySelectorAll("[data-state]")].map((e) => e.dataset.state).join("\n");
  const was = state(document);
  const rest = () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", ask);
  };
  const ask = async () => {
    if (document.hidden) return;
    const answer = await fetch(path, { headers: { "Postern-Follow": "1" }, redirect: "manual", cache: "no-store" }).catch(() => null);
    if (answer && (answer.type === "opaqueredirect" || answer.status === 403)) { rest(); return; } // the session is over: the next click tells
    if (!answer || !answer.ok) return; // it cannot be told at the moment
    const now = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (state(now) === was) return;
    rest();
    const link = document.createElement("a");
    link.href = path;
    link.textContent = "Show it";
    followed.className = "done";
    followed.replaceChildren(`${followed.dataset.changed} `, link);
  };
  const timer = setInterval(ask, 20000);
  document.addEventListener("visibilitychange", ask);
}
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey || e.target.closest("input, textarea, select")) return;
  const b = document.querySelector(`button[data-key="${CSS.escape(e.key)}"]`);
  if (b && confirm(`${b.textContent}: ${b.closest("article").querySelector("h2").textContent}?`)) b.click();
});
