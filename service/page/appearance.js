// Light or dark: as the system says, or as was chosen. The stored choice is applied by theme.js.

import { $ } from "./dom.js";
import { lasting } from "./storage.js";

const NEXT = { system: "light", light: "dark", dark: "system" };
const NAMES = { system: "System", light: "Light", dark: "Dark" };

const current = () => document.documentElement.dataset.theme ?? "system";

function show() {
  const name = NAMES[current()];
  $("theme-name").textContent = name;
  $("theme").setAttribute("aria-label", `Theme: ${name}`);
  $("theme").title = `Theme: ${name}. Switches to ${NAMES[NEXT[current()]]}.`;
}

export function watchTheme() {
  $("theme").addEventListener("click", () => {
    const next = NEXT[current()];
    if (next === "system") {
      delete document.documentElement.dataset.theme;
      lasting.remove("theme");
    } else {
      document.documentElement.dataset.theme = next;
      lasting.set("theme", next);
    }
    show();
  });
  show();
}
