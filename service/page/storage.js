// What the browser remembers. Storage may be switched off: then nothing is, and nothing breaks.

function attempt(action) {
  try {
    return action();
  } catch {
    return null;
  }
}

function store(area) {
  return {
    get: (name) => attempt(() => area().getItem(`tagbelt.${name}`)),
    set: (name, value) => attempt(() => area().setItem(`tagbelt.${name}`, value)),
    remove: (name) => attempt(() => area().removeItem(`tagbelt.${name}`)),
  };
}

export const lasting = store(() => localStorage);
export const session = store(() => sessionStorage);
