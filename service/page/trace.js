// What was measured inside one model on one sentence, in one layer and direction.

const NAMES_OF_KEPT = { lstm: "forget", "lstm-peephole": "forget", "lstm-coupled": "forget", gru: "update", mgu: "forget" };
// How much is dropped, in words: the nearest of these.
const SHARES = [[0, "none"], [0.1, "tenth"], [0.25, "quarter"], [0.33, "third"], [0.5, "half"], [0.67, "twothirds"], [0.75, "threequarters"], [0.9, "most"], [1, "all"]];

export const indexOfMost = (values) => values.indexOf(Math.max(...values));
export const indexOfLeast = (values) => values.indexOf(Math.min(...values));
export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

// The key of the words for a share of one.
export const nameOfShare = (share) =>
  SHARES.reduce((best, one) => (Math.abs(one[0] - share) < Math.abs(best[0] - share) ? one : best))[1];

export const nameOfModel = ({ model }) => (typeof model === "string" ? model : model.name).split("@")[0];

// The sentence of an inspection that holds a place of the text.
export function sentenceAt({ sentences }, start) {
  const after = sentences.findIndex(({ tokens }) => tokens.at(-1).end > start);
  return sentences[after === -1 ? sentences.length - 1 : after];
}

export class Track {
  constructor(inspection, sentence, layer, direction) {
    const ways = sentence.layers[Math.min(layer, sentence.layers.length - 1)];
    this.name = nameOfModel(inspection);
    this.cell = inspection.cell;
    this.tags = inspection.tags;
    this.sentence = sentence;
    this.way = ways.find((one) => one.direction === direction) ?? ways[0];
    this.words = sentence.tokens.map(({ text }) => text);
    this.count = this.words.length;
    this.isBackward = this.way.direction === "backward";
    // Tokens in the order in which they are read, and when each is.
    this.order = this.words.map((_, i) => (this.isBackward ? this.count - 1 - i : i));
    this.label = this.words.map((_, i) => this.#labelAt(i));
  }

  #labelAt(i) {
    const { start, end } = this.sentence.tokens[i];
    return this.sentence.entities.find((entity) => entity.start <= start && entity.end >= end)?.label ?? "";
  }

  get gates() {
    return Object.keys(this.way.gates);
  }

  // Whether what is carried is not what is shown.
  get hasMemory() {
    return this.cell.startsWith("lstm");
  }

  place(i) {
    return this.order[i]; // the order is its own inverse
  }

  // The token of this sentence that holds a place of the text.
  tokenAt(start) {
    const found = this.sentence.tokens.findIndex(({ end }) => end > start);
    return found === -1 ? this.count - 1 : found;
  }

  // How much of token j is in the memory once token i is read, measured by hiding j.
  left(j, i) {
    return this.place(j) > this.place(i) ? 0 : this.way.influence[j][i];
  }

  // The gate that says what is kept, and the share that it drops at token i; null without one.
  dropped(i) {
    const gate = NAMES_OF_KEPT[this.cell];
    const before = this.order[this.place(i) - 1];
    if (!gate || before === undefined) return null;
    return { gate, share: 1 - this.way.carried[before][i] };
  }

  // What is left of the words before, the best remembered first.
  remembered(i, most = 3) {
    return this.order.slice(0, this.place(i)).map((j) => ({ j, share: this.left(j, i) }))
      .sort((a, b) => b.share - a.share).slice(0, most).filter(({ share }) => share >= 0.05);
  }

  // Over how many more words half of token i or more is there.
  reach(i) {
    const later = this.order.slice(this.place(i));
    const gone = later.findIndex((j) => this.left(i, j) < 0.5);
    return (gone === -1 ? later.length : gone) - 1;
  }

  // What is left on average after 0, 1, 2, ... words.
  fading() {
    return this.order.map((_, k) => mean(this.order.slice(0, this.count - k).map((j, p) => this.left(j, this.order[p + k]))));
  }

  // A vector of every token, [T][H].
  units(name) {
    return this.way.vectors[name];
  }
}

// The unit whose state differs most between the words of a sentence.
export function liveliest(values) {
  const spread = values[0].map((_, u) => {
    const column = values.map((row) => row[u]);
    return Math.max(...column) - Math.min(...column);
  });
  return indexOfMost(spread);
}
