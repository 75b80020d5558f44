// The box with the details of one entity, for a pointer that rests on it and for the keyboard.

import { $, bar, element, percent } from "./dom.js";
import { hueOf, meaning } from "./labels.js";
import { t } from "./words.js";

const MARGIN = 8;
let shownFor = null;

function row(name, ...value) {
  return [element("dt", {}, name), element("dd", {}, ...value)];
}

// `utf16` is the span in JavaScript's units; it is told where it differs.
function content(entity, utf16) {
  const { label, score, start, end, text } = entity;
  const hue = hueOf(label);
  const differs = utf16[0] !== start || utf16[1] !== end;
  return [
    element("p", { class: "details-head" }, element("bdi", { class: "name" }, text),
      element("span", { class: "tag", "data-hue": hue }, label)),
    element("dl", {},
      ...(meaning(label) ? row(t("details.means"), meaning(label)) : []),
      ...row(t("table.score"), bar(score, hue), percent(score)),
      ...row(t("details.characters"), t("details.span", { start: `${start}`, end: `${end}` })),
      ...(differs ? row("UTF-16", t("details.span", { start: `${utf16[0]}`, end: `${utf16[1]}` })) : [])),
  ];
}

function place(box, mark) {
  const target = mark.getClientRects()[0];
  const { width, height } = box.getBoundingClientRect();
  const below = target.bottom + MARGIN + height <= innerHeight;
  const left = Math.min(target.left, document.documentElement.clientWidth - width - MARGIN);
  box.style.left = `${Math.max(MARGIN, left)}px`;
  box.style.top = `${below ? target.bottom + MARGIN : Math.max(MARGIN, target.top - height - MARGIN)}px`;
}

export function showDetails(mark, entity, utf16) {
  if (shownFor === mark) return;
  hideDetails();
  const box = $("details");
  box.replaceChildren(...content(entity, utf16));
  box.showPopover();
  place(box, mark);
  shownFor = mark;
  mark.setAttribute("aria-describedby", "details");
}

// Says whether there was anything to hide.
export function hideDetails() {
  if (!shownFor) return false;
  shownFor.removeAttribute("aria-describedby");
  shownFor = null;
  $("details").hidePopover();
  return true;
}

// Rests on nothing any more: hidden, unless the pointer went on to the box, to read or copy it.
export function leaveDetails(mark) {
  setTimeout(() => {
    if (shownFor !== mark || mark.matches(":hover, :focus") || $("details").matches(":hover")) return;
    hideDetails();
  }, 120);
}

export function watchDetails() {
  $("details").addEventListener("mouseleave", () => shownFor && leaveDetails(shownFor));
  addEventListener("scroll", hideDetails, { capture: true, passive: true });
  addEventListener("resize", hideDetails);
}
