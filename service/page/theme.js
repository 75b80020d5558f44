// Runs before the page is painted, so that a stored theme does not flash. See appearance.js.
"use strict";

try {
  const theme = localStorage.getItem("tagbelt.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* Storage is switched off: the system decides. */ }
