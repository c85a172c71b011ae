/** Asked of any object, there or not: by `await`, JSON, and assertions that compare or print. */
const askedOfAnything = new Set(['then', 'toJSON', '$$typeof', 'asymmetricMatch', 'nodeType', 'tagName']);

/**
 * JSON text as values that refuse to be asked for a field or an item that is not there, so that no assertion passes
 * because a field has another name. Absence is stated with `in`, with `Object.keys`, or with the whole object.
 * @throws SyntaxError the text is no JSON; and, when it is looked into, Error with what is there instead
 */
// oxlint-disable-next-line typescript/no-explicit-any -- tests look into it as they like, and it looks back
export function parseStrictly(text: string): any {
  return JSON.parse(text, (_name, value: unknown) =>
    typeof value === 'object' && value !== null ? new Proxy(value, { get: fieldThere }) : value,
  );
}

function fieldThere(target: object, name: string | symbol, receiver: unknown): unknown {
  if (typeof name === 'string' && !(name in target) && !askedOfAnything.has(name) && !name.startsWith('@@')) {
    const there = Array.isArray(target) ? `${target.length} items` : Object.keys(target).join(', ') || 'nothing';
    throw new Error(`There is no ${name} in this answer, which has ${there}.`);
  }
  return Reflect.get(target, name, receiver);
}
