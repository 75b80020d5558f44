// Light or dark: as the system says, or as was chosen. The stored choice is applied by theme.js.

import { $ } from "./dom.js";
import { lasting } from "./storage.js";
import { t } from "./words.js";

const NEXT = { system: "light", light: "dark", dark: "system" };
const NAMES = { system: "theme.system", light: "theme.light", dark: "theme.dark" };

const current = () => document.documentElement.dataset.theme ?? "system";

export function showTheme() {
  const name = t(NAMES[current()]);
  $("theme-name").textContent = name;
  $("theme").setAttribute("aria-label", t("theme.label", { name }));
  $("theme").title = t("theme.hint", { name, next: t(NAMES[NEXT[current()]]) });
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
    showTheme();
  });
  showTheme();
}
