// @ts-check
// A run's page while the run goes on: its fragment is asked for again, and what changed is put in its place.
// What the reader opened stays open, the focus stays where it was, and only news are read out.

const live = /** @type {HTMLElement} */ (document.getElementById("live"));
const news = /** @type {HTMLElement} */ (document.getElementById("news"));
const fresh = /** @type {HTMLElement} */ (document.getElementById("fresh"));
const AGAIN = 15; // seconds until the next try where the server was not reached

/** What the server last sent of each section. @type {Map<string, string>} */
const sent = new Map();
for (const section of live.children) sent.set(section.id, section.innerHTML);

/** @param {Element} old @param {Element} now */
function replace(old, now) {
  const open = [...old.querySelectorAll("details[open]")].map((one) => one.id);
  const scrolled = [...old.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
  const focus = document.activeElement;
  const reachable = "a, button, summary, [tabindex]";
  const place = focus && old.contains(focus) ? [...old.querySelectorAll(reachable)].indexOf(focus) : -1;
  old.replaceChildren(...now.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  old.querySelectorAll(".scroll").forEach((one, i) => {
    const [left = 0, top = 0] = scrolled[i] ?? [];
    one.scrollTo(left, top);
  });
  if (place >= 0) {
    const again = old.querySelectorAll(reachable)[place];
    if (again instanceof HTMLElement) again.focus({ preventScroll: true });
  }
}

/** @param {Element} now */
function show(now) {
  const there = new Set([...now.children].map((section) => section.id));
  for (const section of [...live.children]) if (!there.has(section.id)) section.remove();
  let before = /** @type {Element | null} */ (null);
  for (const section of [...now.children]) {
    const html = section.innerHTML;
    const old = document.getElementById(section.id);
    if (old === null) before ? before.after(section) : live.prepend(section);
    else if (sent.get(section.id) !== html) replace(old, section);
    sent.set(section.id, html);
    before = document.getElementById(section.id);
  }
}

/** @returns {Promise<number>} seconds until the next look, 0 for never */
async function look() {
  const answer = await fetch(live.dataset.source ?? "", { headers: { Accept: "text/html" }, redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
  const now = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
  if (now === null) throw new Error("no fragment");
  const said = now.dataset.said ?? "";
  show(now);
  if (said !== live.dataset.said) news.textContent = said;
  live.dataset.said = said;
  return Number(now.dataset.every);
}

async function follow() {
  let wait = Number(live.dataset.every);
  while (wait > 0) {
    fresh.textContent = `These figures renew themselves every ${wait} seconds.`;
    await new Promise((done) => setTimeout(done, wait * 1000));
    if (document.visibilityState === "hidden") continue;
    try {
      wait = await look();
    } catch {
      fresh.textContent = "The server was not reached; these figures are older than they look.";
      await new Promise((done) => setTimeout(done, AGAIN * 1000));
    }
  }
  fresh.textContent = "Nothing more comes by itself.";
}

void follow();
