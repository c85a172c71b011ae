import { createHash } from 'node:crypto';
import { chown, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { queryAsSuperuser } from './fleet-traces.ts';

type FleetWithFiles = { folder: string; servers: { odoo: Parameters<typeof queryAsSuperuser>[0] } };

/** A folder of files on an instance's volume, as the sandbox's node keeps it. It need not be there. */
export async function filestoreOf(
  fleet: Pick<FleetWithFiles, 'folder'>,
  instanceId: string,
  name: string,
): Promise<string> {
  const claims = join(fleet.folder, 'cluster/node/claims');
  const claim = (await readdir(claims)).find((one) => one.startsWith(`odoo-${instanceId}.`));
  return join(claims, claim ?? '', 'filestore', name);
}

const liveName = (instanceId: string) => `odoo_${instanceId}`;

/** The name under which Odoo keeps a content. */
function storedName(content: string): string {
  const sha1 = createHash('sha1').update(content).digest('hex');
  return `${sha1.slice(0, 2)}/${sha1}`;
}

/** Gives a live instance an attachment with a file, as Odoo would; the attachment's name is the content. */
export async function keepFile(fleet: FleetWithFiles, instanceId: string, content: string): Promise<void> {
  const filestore = await filestoreOf(fleet, instanceId, liveName(instanceId));
  const name = storedName(content);
  const file = join(filestore, name);
  // Odoo makes its folder with its first file.
  const parent = dirname(filestore);
  const { uid, gid } = await stat(dirname(parent));
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  for (const path of [parent, filestore, dirname(file), file]) await chown(path, uid, gid);
  await queryAsSuperuser(
    fleet.servers.odoo,
    `insert into ir_attachment (name, type, store_fname, checksum, file_size) values ($1, 'binary', $2, $3, $4)`,
    { database: liveName(instanceId), values: [content, name, name.slice(3), content.length] },
  );
}

/** Takes the attachment and its file away. */
export async function dropFile(fleet: FleetWithFiles, instanceId: string, content: string): Promise<void> {
  const text = 'delete from ir_attachment where name = $1';
  await queryAsSuperuser(fleet.servers.odoo, text, { database: liveName(instanceId), values: [content] });
  await rm(join(await filestoreOf(fleet, instanceId, liveName(instanceId)), storedName(content)));
}

/** The contents of live files that begin so, in alphabetical order. */
export async function liveFiles(
  fleet: Pick<FleetWithFiles, 'folder'>,
  instanceId: string,
  beginning: string,
): Promise<string[]> {
  const filestore = await filestoreOf(fleet, instanceId, liveName(instanceId));
  const entries = await readdir(filestore, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const contents = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return contents.filter((content) => content.startsWith(beginning)).toSorted();
}
