"use strict";

// Which backend answered is known only after the browser has asked, so the badges are filled in then: the server tells
// what it noted of the answers that it gave to this page.
async function refresh() {
  const { answers, counts } = await (await fetch("/answers.json")).json();
  const seen = {};
  for (const badge of document.querySelectorAll("[data-key]")) {
    if (!Object.hasOwn(answers, badge.dataset.key)) continue;
    const [backend, status] = answers[badge.dataset.key];
    const label = status === 404 ? "missing" : backend === "none" ? "unavailable" : backend;
    badge.className = `badge ${label}`;
    badge.textContent = label;
    badge.title = `HTTP status ${status}`;
    seen[label] = (seen[label] || 0) + 1;
  }
  for (const count of document.querySelectorAll("[data-count]")) count.textContent = seen[count.dataset.count] || 0;
  for (const [id, count] of Object.entries(counts)) document.getElementById(id).textContent = count;
  document.getElementById("writes").classList.toggle("bad", counts.writes > 0);
}

// One question for a burst of events.
let waiting = 0;
function refreshSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(refresh, 100);
}

// These do not bubble, so they are caught on their way down.
for (const event of ["load", "error", "loadedmetadata", "seeked"]) {
  document.addEventListener(event, refreshSoon, { capture: true });
}
addEventListener("focus", refreshSoon);

// Nothing asks for a document before it is clicked, so the page asks whether it is there. "manual": following the
// redirect would need CORS on the bucket, and there is no need to.
addEventListener("load", async () => {
  const links = [...document.querySelectorAll(".document a")];
  await Promise.all(links.map((link) => fetch(link.href, { method: "HEAD", redirect: "manual" })));
  await refresh();
});
