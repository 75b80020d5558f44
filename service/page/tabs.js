// Tabs after the ARIA pattern: one stop for Tab, arrows move between them.

const tabs = () => [...document.querySelectorAll("[role=tab]")];

export const tabName = (tab) => tab.id.replace("tab-", "");

export const currentTab = () => tabName(tabs().find((tab) => tab.ariaSelected === "true"));

export function showTab(name) {
  for (const tab of tabs()) {
    const isChosen = tabName(tab) === name;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
}

export function watchTabs(onChange) {
  const choose = (tab) => {
    showTab(tabName(tab));
    onChange(tabName(tab));
  };
  for (const tab of tabs()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const all = tabs();
      const at = all.indexOf(tab);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = all.at(to % all.length);
      choose(next);
      next.focus();
    });
  }
  showTab(tabName(tabs()[0]));
}
