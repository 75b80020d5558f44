// A link to the settings: model, filter and tab. It never holds the text, nor a key. It is behind
// the #, which browsers do not send to servers.

import { $, toast } from "./dom.js";
import { filter } from "./filter.js";
import { chosenModel } from "./models.js";
import { currentTab, showTab } from "./tabs.js";
import { t } from "./words.js";

function settingsHash() {
  const model = chosenModel();
  const settings = new URLSearchParams({
    ...(model && { model }),
    ...(filter.off.size && { without: [...filter.off].join(",") }),
    ...(filter.least && { min_score: String(filter.least) }),
    ...(currentTab() !== "entities" && { tab: currentTab() }),
  });
  return settings.size ? `#${settings}` : "";
}

// Applies what the link says. Gives the model it names, or null.
export function settingsFromLink() {
  const settings = new URLSearchParams(location.hash.slice(1));
  const least = Number(settings.get("min_score") ?? 0);
  if (least >= 0 && least <= 1) filter.least = least;
  for (const label of (settings.get("without") ?? "").split(",").filter(Boolean)) filter.off.add(label);
  const tab = settings.get("tab");
  if (["entities", "tokens", "readings", "inside", "json", "curl"].includes(tab)) showTab(tab);
  return settings.get("model");
}

export function watchShare() {
  $("share").addEventListener("click", async () => {
    history.replaceState(null, "", location.pathname + settingsHash());
    try {
      await navigator.clipboard.writeText(location.href);
      toast(t("share.copied"));
    } catch {
      toast(t("share.shown"));
    }
  });
}
