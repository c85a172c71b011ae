import { execFile } from 'node:child_process';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '../cache-folder.ts';

export type SystemUser = { uid: number; gid: number };

/**
 * Whom the servers run as: PostgreSQL and PgBouncer refuse root. Root runs them as the machine's user `postgres`, else as
 * `nobody`; anybody else as himself (undefined).
 */
export async function serviceUser(): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = await readFile('/etc/passwd', 'utf8');
  for (const name of ['postgres', 'nobody']) {
    const [, uid, gid] = new RegExp(`^${name}:[^:]*:(\\d+):(\\d+):`, 'm').exec(accounts) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  return { uid: 65534, gid: 65534 };
}

/** A folder that exists and that only this user may enter. */
export async function privateFolder(folder: string, user: SystemUser | undefined): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  await chmod(folder, 0o700);
}

/** Gives `path` and all in it to `user`. */
export async function ownBy(path: string, user: SystemUser | undefined): Promise<void> {
  if (user !== undefined) await promisify(execFile)('chown', ['-R', `${user.uid}:${user.gid}`, '--', path]);
}

/**
 * `folder` itself where `user` can get there; otherwise (a checkout or a HOME of mode 0700) a folder under /var/tmp that
 * belongs to it: a link named `elsewhere` in `folder` leads there, so that the next run finds it again. When the link is
 * gone, whoever deleted `folder` meant the data too, and a later call removes it.
 */
export async function reachableFolder(folder: string, user: SystemUser | undefined): Promise<string> {
  const wanted = resolve(folder);
  if (user === undefined) return wanted;
  // made first: with a umask of 077 the way to it is closed from then on
  await mkdir(dirname(wanted), { recursive: true });
  if (await isReachable(dirname(wanted), user)) return wanted;
  const base = await folderForOthers();
  await removeForgotten(base);
  const link = join(wanted, LINK);
  const known = await readlink(link).catch(() => undefined);
  if (known !== undefined && dirname(known) === base && (await stat(known).catch(() => undefined))) return known;
  const made = await mkdtemp(join(base, 'data-'));
  await mkdir(wanted, { recursive: true });
  await rm(link, { force: true });
  await writeFile(`${made}.origin`, link);
  await symlink(made, link);
  return made;
}

const LINK = 'elsewhere';

async function folderForOthers(): Promise<string> {
  const base = `/var/tmp/odoo-fleet-${process.getuid?.() ?? 0}`;
  await mkdir(base, { mode: 0o711 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const found = await lstat(base);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new Error(`${base} belongs to somebody else; remove it, or use a folder that all users can reach`);
  }
  await chmod(base, 0o711);
  return base;
}

/** Younger ones may be in the making: their link comes last. */
const FORGOTTEN_AFTER_MS = 60_000;

async function removeForgotten(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    if (!name.endsWith('.origin')) continue;
    const note = join(base, name);
    const data = note.slice(0, -'.origin'.length);
    const age = Date.now() - ((await stat(note).catch(() => undefined))?.mtimeMs ?? Date.now());
    const link = await readFile(note, 'utf8').catch(() => undefined);
    if (link === undefined || age < FORGOTTEN_AFTER_MS) continue;
    if ((await readlink(link).catch(() => undefined)) === data) continue;
    await removeTree(data);
    await rm(note, { force: true });
  }
}

/** May `user` go through every folder on the way to `path`, itself included? One that does not exist yet is no obstacle. */
export async function isReachable(path: string, user: SystemUser): Promise<boolean> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => undefined);
    if (found !== undefined) {
      const bit = found.uid === user.uid ? 0o100 : found.gid === user.gid ? 0o010 : 0o001;
      if ((found.mode & bit) === 0) return false;
    }
    if (folder === dirname(folder)) return true;
  }
}
