// Kinds of files: how their lines become items to tag, and how results are written.
//
// An item is {line, size, kind: "texts" | "tokens", input, record?}, or {line, error} where it
// cannot be tagged. `line` is the number of its first line.

const SUFFIXES = {
  txt: "text", text: "text", md: "text",
  conll: "conll", bio: "conll", iob: "conll", iob2: "conll", bmes: "conll", tsv: "conll",
  jsonl: "json", ndjson: "json",
};

export const kindOf = (name) => SUFFIXES[name.toLowerCase().split(".").at(-1)];

export const bare = (name) => name.replace(/\.[^.]*$/, "");

const bad = ({ number }, error) => ({ line: number, error });

// Each line is a text, blank ones too, so that line n of the result speaks of line n.
class TextLines {
  *item(line) {
    if (line.error) yield bad(line, line.error);
    else yield { line: line.number, size: line.size, kind: "texts", input: line.text };
  }

  *end() { /* A line is whole by itself. */ }
}

function typeOf(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

// Each line is an object with a text or tokens; what else it holds is kept. Blank ones are skipped.
class JsonLines {
  *item(line) {
    if (line.error) yield bad(line, line.error);
    else if (line.text.trim()) yield this.#parsed(line);
  }

  *end() { /* A line is whole by itself. */ }

  #parsed(line) {
    let record;
    try {
      record = JSON.parse(line.text);
    } catch {
      return bad(line, "not JSON");
    }
    if (typeOf(record) !== "an object") return bad(line, `expected a JSON object, found ${typeOf(record)}`);
    const item = { line: line.number, size: line.size, record };
    if (typeof record.text === "string") return { ...item, kind: "texts", input: record.text };
    if (Array.isArray(record.tokens)) return { ...item, kind: "tokens", input: record.tokens };
    return bad(line, 'expected "text", a string, or "tokens", a list');
  }
}

// Sentences between blank lines; the token is the first column. A row with another number of
// columns than the first row spoils its sentence, which is listed and left out.
class ConllSentences {
  #width = 0;
  #tokens = [];
  #first = 0;
  #size = 0;
  #fault = null;

  *item(line) {
    const cells = line.error ? [] : line.text.split(/[ \t]+/).filter(Boolean);
    if (!line.error && (!cells.length || cells[0] === "-DOCSTART-")) {
      yield* this.end();
      return;
    }
    if (!line.error && this.#isComment(line.text, cells)) return;
    this.#first ||= line.number;
    this.#size += line.size + 4;
    this.#width ||= cells.length;
    if (line.error) this.#fault ??= bad(line, line.error);
    else if (cells.length !== this.#width) this.#fault ??= bad(line, this.#wrong(cells));
    else this.#tokens.push(cells[0]);
  }

  *end() {
    const { line, error } = this.#fault ?? {};
    if (error) yield { line, error };
    else if (this.#tokens.length) {
      yield { line: this.#first, size: this.#size, kind: "tokens", input: this.#tokens };
    }
    this.#tokens = [];
    this.#first = this.#size = 0;
    this.#fault = null;
  }

  #isComment(text, cells) {
    return text.startsWith("# ") && cells.length !== (this.#width || 1);
  }

  #wrong(cells) {
    return `${cells.length} columns where the first row has ${this.#width}; its sentence is left out`;
  }
}

const PARSERS = { text: TextLines, json: JsonLines, conll: ConllSentences };

export const parserFor = (kind) => new PARSERS[kind]();

// One line of the result as JSON lines, as `tagbelt tag` writes them.
export function jsonLine(item, result) {
  if (!result) return `${JSON.stringify({ error: `line ${item.line}: ${item.error}` })}\n`;
  const { kind, input, record } = item;
  const made = record ?? (kind === "texts" ? { text: input } : { tokens: input, tags: result.tags });
  return `${JSON.stringify({ ...made, entities: result.entities })}\n`;
}

// One sentence of the result as CoNLL; nothing for one that could not be tagged.
export function conllRows(item, result) {
  if (!result) return "";
  return `${item.input.map((token, index) => `${token}\t${result.tags[index]}`).join("\n")}\n\n`;
}
