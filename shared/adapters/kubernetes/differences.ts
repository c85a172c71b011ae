import { quantityOf } from './quantity.ts';

/**
 * Paths at which an object of the cluster is not as it is wanted, such as `spec.replicas`; never a value, so they may be logged.
 *
 * `wanted` is a part of what is there: the server adds defaults, and other people's fields and labels are theirs. Where an object
 * names a list it names all of it. Quantities are compared by value, a volume may be larger than wanted (none can shrink),
 * a Secret's `stringData` is looked for in `data`, and an empty list or text is the same as none, as the server leaves both out.
 */
export function differencesOf(found: unknown, wanted: unknown): string[] {
  return differencesAt('', found, wanted);
}

function differencesAt(path: string, found: unknown, wanted: unknown): string[] {
  if (wanted === undefined || isSame(path, found, wanted)) return [];
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found) || found.length !== wanted.length) return [path];
    return wanted.flatMap((item: unknown, index) => differencesAt(`${path}[${index}]`, found[index], item));
  }
  if (!isRecord(wanted) || !isRecord(found)) return [path];
  const added = isSelector(path) ? Object.keys(found).filter((key) => !(key in wanted)) : [];
  return [
    ...added.map((key) => join(path, key)),
    ...Object.entries(wanted).flatMap(([key, value]) => {
      if (path === '' && key === 'stringData') return differencesAt('data', found['data'], encoded(value));
      return differencesAt(join(path, key), found[key], value);
    }),
  ];
}

/** Equal without looking inside. */
function isSame(path: string, found: unknown, wanted: unknown): boolean {
  if (found === wanted) return true;
  if (found === undefined) return wanted === '' || (Array.isArray(wanted) && wanted.length === 0);
  if (!/\.(requests|limits)\.[^.]+$/.test(path)) return false;
  const [there, asked] = [quantityOf(found), quantityOf(wanted)];
  if (there === undefined || asked === undefined) return false;
  return path.endsWith('.requests.storage') ? there >= asked : there === asked;
}

/** A selector with one label more selects something else: for the server too it is one value. */
function isSelector(path: string): boolean {
  return /(^|\.)(selector|matchLabels|nodeSelector)$/.test(path);
}

function encoded(stringData: unknown): Record<string, string> {
  if (!isRecord(stringData)) return {};
  return Object.fromEntries(
    Object.entries(stringData).map(([key, text]) => [key, Buffer.from(String(text)).toString('base64')]),
  );
}

function join(path: string, key: string): string {
  const part = /^[A-Za-z][A-Za-z0-9-]*$/.test(key) ? key : JSON.stringify(key);
  if (path === '') return part;
  return part.startsWith('"') ? `${path}[${part}]` : `${path}.${part}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
