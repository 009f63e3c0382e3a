// Loads the page anew every few seconds and shows what changed, unless somebody is in the middle of something.
"use strict";
(() => {
  const seconds = Number(document.body.dataset.fresh || 0);
  if (!seconds) return;
  const busy = () => {
    const main = document.getElementById("main");
    const typed = [...main.querySelectorAll("input:not([type=hidden]), textarea, select")].some((field) =>
      field.tagName === "SELECT"
        ? [...field.options].some((option) => option.selected !== option.defaultSelected && !(option.index === 0 && option.selected))
        : field.value !== field.defaultValue
    );
    const focused = document.activeElement !== main && main.contains(document.activeElement);
    return document.hidden || typed || focused || String(document.getSelection()) !== "";
  };
  const refresh = async () => {
    if (busy()) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    const main = document.getElementById("main");
    if (!fresh || busy() || fresh.innerHTML === main.innerHTML) return;
    for (const details of main.querySelectorAll("details[id]")) {
      const same = fresh.querySelector("#" + CSS.escape(details.id));
      if (same) same.open = details.open;
    }
    main.replaceChildren(...fresh.childNodes);
  };
  setInterval(() => refresh().catch(() => {}), seconds * 1000);
})();
