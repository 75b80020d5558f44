// Entity labels: what they mean, and their colours, the same for every model.

const MEANINGS = {
  PER: "Person", PERSON: "Person", NAME: "Person", LOC: "Place", GPE: "Country, city or state",
  ORG: "Organisation", MISC: "Other name", NORP: "Nationality or group", FAC: "Building or road",
  EVENT: "Event", PRODUCT: "Product", WORK_OF_ART: "Work of art", LAW: "Law",
  LANGUAGE: "Language", DATE: "Date", TIME: "Time", MONEY: "Money", PERCENT: "Percentage",
  QUANTITY: "Quantity", ORDINAL: "Ordinal", CARDINAL: "Number", CONT: "Country",
  EDU: "Degree", PRO: "Subject", RACE: "Ethnicity", TITLE: "Job title",
};

// Hues of the style sheet. Labels that mean the same share one, so that models can be compared.
const KNOWN = { PER: 0, PERSON: 0, NAME: 0, LOC: 1, GPE: 1, ORG: 2, MISC: 3 };
const HUES = 8;
const given = new Map();

export const meaning = (label) => MEANINGS[label.toUpperCase()] ?? "";

export function hueOf(label) {
  if (label in KNOWN) return KNOWN[label];
  if (!given.has(label)) given.set(label, 3 + (given.size % (HUES - 3)));
  return given.get(label);
}
