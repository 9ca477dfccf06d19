// @ts-check
// Light, dark or as the system has it: without this file the buttons send a form and the page is drawn anew.

/** @param {HTMLFormElement} form */
function follow(form) {
  form.addEventListener("submit", (event) => {
    const pressed = /** @type {SubmitEvent} */ (event).submitter;
    if (!(pressed instanceof HTMLButtonElement)) return;
    event.preventDefault();
    const theme = pressed.value;
    document.documentElement.dataset.theme = theme;
    for (const button of form.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button === pressed));
    const meta = document.querySelector('meta[name="color-scheme"]');
    meta?.setAttribute("content", theme === "system" ? "light dark" : theme);
    void fetch(form.action, { method: "POST", body: new URLSearchParams({ theme }), redirect: "manual" });
  });
}

for (const form of document.querySelectorAll("form.themes"))
  if (form instanceof HTMLFormElement) follow(form);
