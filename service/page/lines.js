// The lines of a file, read slice by slice, so that a file of gigabytes takes little memory.

const SLICE = 1 << 18; // bytes
const LONGEST = 1 << 20; // bytes of one line; what is longer is a bad line, not a full memory
const NEWLINE = 10;
const RETURN = 13;
const BOM = [0xef, 0xbb, 0xbf];

// Fatal: a replacement character would be tagged as if the file held it.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function join(parts) {
  if (parts.length === 1) return parts[0];
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function decoded(number, parts) {
  let bytes = join(parts);
  if (number === 1 && BOM.every((byte, index) => bytes[index] === byte)) bytes = bytes.subarray(3);
  if (bytes.at(-1) === RETURN) bytes = bytes.subarray(0, -1);
  try {
    return { number, size: bytes.length, text: decoder.decode(bytes) };
  } catch {
    return { number, size: bytes.length, error: "not UTF-8" };
  }
}

// Cuts bytes that come in pieces into lines.
class Cutter {
  #held = []; // the pieces of a line that has not ended yet
  #length = 0;
  #number = 0;

  *cut(bytes) {
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
      this.#hold(bytes.subarray(at, end));
      yield this.#line();
      at = end + 1;
    }
    if (at < bytes.length) this.#hold(bytes.subarray(at));
  }

  *rest() {
    if (this.#length) yield this.#line();
  }

  #hold(bytes) {
    this.#length += bytes.length;
    if (this.#length <= LONGEST) this.#held.push(bytes);
  }

  #line() {
    const number = ++this.#number;
    const line = this.#length > LONGEST
      ? { number, size: 0, error: `longer than ${LONGEST} bytes` }
      : decoded(number, this.#held.length ? this.#held : [new Uint8Array()]);
    this.#held = [];
    this.#length = 0;
    return line;
  }
}

// Yields {lines, read}: the lines that end in a slice, and the bytes read so far. A line is
// {number, size, text} or, where it cannot be read, {number, size, error}.
export async function* slicesOf(file) {
  const cutter = new Cutter();
  for (let start = 0; start < file.size; start += SLICE) {
    const slice = file.slice(start, start + SLICE);
    const bytes = new Uint8Array(await slice.arrayBuffer());
    yield { lines: [...cutter.cut(bytes)], read: Math.min(file.size, start + SLICE) };
  }
  yield { lines: [...cutter.rest()], read: file.size };
}
