import { type ZipEntry, zipOf } from './zip-writer.ts';

type Content = Buffer | string;

/** A zip with these files. */
export async function archiveOf(files: Readonly<Record<string, Content>>): Promise<Buffer> {
  async function* entries(): AsyncGenerator<ZipEntry> {
    for (const [name, content] of Object.entries(files)) {
      yield { name, content: oneOf(Buffer.from(content)), level: 6 };
    }
  }
  const pieces: Buffer[] = [];
  for await (const piece of zipOf(entries(), new Date('2027-02-01T10:00:00Z'))) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* oneOf(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

/** The same zip with another name of a file: one that no program that writes zips would give it. As many bytes as before. */
export function renamed(zip: Buffer, from: string, to: string): Buffer {
  if (Buffer.byteLength(from) !== Buffer.byteLength(to)) throw new Error('the names have different lengths');
  const changed = Buffer.from(zip);
  for (let at = changed.indexOf(from); at !== -1; at = changed.indexOf(from, at + 1)) changed.write(to, at);
  return changed;
}

/** The manifest of an archive of Odoo 19. */
export function manifestJson(changed: Record<string, unknown> = {}): string {
  return JSON.stringify({
    odoo_dump: '1',
    db_name: 'acme',
    version: '19.0',
    version_info: [19, 0, 0, 'final', 0, ''],
    major_version: '19.0',
    pg_version: '15.0',
    modules: { base: '19.0.1.3' },
    ...changed,
  });
}
