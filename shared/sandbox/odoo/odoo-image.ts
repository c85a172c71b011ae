import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../cache-folder.ts';
import type { Image } from '../image.ts';
import { findProgram } from '../packages.ts';
import { ensureOdooRoot, ODOO_USER } from './debian-root.ts';

export type OdooImage = {
  image: Image;
  /** Changes when what the image holds changes: a template database belongs to one of them. */
  digest: string;
  /** One line for the reader: which Odoo this is. */
  about: string;
};

/** @throws Error that says what to do when `which` cannot be had. */
export async function ensureOdooImage(options: {
  which: 'real' | 'stand-in';
  onProgress?: (line: string) => void;
}): Promise<OdooImage> {
  if (options.which === 'stand-in') return standIn();
  const image = await realOdooImage(options);
  const where = image.kind === 'host' ? image.entrypoint.join(' ') : image.rootFolder;
  const what = image.kind === 'host' ? await versionOf(image.entrypoint[0] ?? '') : basename(image.rootFolder);
  return { image, digest: sha256(what), about: `Odoo 19, the real one: ${where}` };
}

async function standIn(): Promise<OdooImage> {
  const folder = join(import.meta.dirname, 'stand-in');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort();
  const sources = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return {
    image: standInOdooImage(),
    digest: sha256(sources.join('\n')),
    about: 'the stand-in: a small program that looks like Odoo 19 from outside, and is not Odoo',
  };
}

/**
 * The real Odoo 19: the program `odoo` on PATH if it is of that version, else the Debian root in the cache folder, which is
 * made on first use (root on Debian or Ubuntu; about two minutes).
 * @throws Error that says what to do when neither can be had.
 */
export async function realOdooImage(options: { onProgress?: (line: string) => void } = {}): Promise<Image> {
  const onPath = await findProgram('odoo');
  if (onPath !== undefined && (await isOdoo19(onPath))) {
    return { kind: 'host', entrypoint: [onPath], env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', ...PYTHON } };
  }
  return {
    kind: 'root',
    rootFolder: await ensureOdooRoot(options),
    entrypoint: ['/usr/bin/odoo'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/var/lib/odoo', ...PYTHON },
    user: ODOO_USER,
  };
}

/** The stand-in: a small program with Odoo's command line, tables and health page. It is not Odoo, and says so. */
export function standInOdooImage(): Image {
  const programs = join(import.meta.dirname, 'stand-in/bin');
  return {
    kind: 'host',
    entrypoint: [join(programs, 'odoo')],
    env: {
      PATH: `${programs}:/usr/bin:/bin`,
      LANG: 'C.UTF-8',
      ODOO_STAND_IN_NODE: process.execPath,
      // a start without compiling takes a third less; a folder that cannot be written to is ignored
      NODE_COMPILE_CACHE: join(cacheFolder(), 'node-compile-cache'),
    },
  };
}

// nobody may write bytecode into the image; what Odoo prints is to be in the log at once
const PYTHON = { LANG: 'C.UTF-8', PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' };

async function isOdoo19(program: string): Promise<boolean> {
  return /\b19\.0/.test(await versionOf(program));
}

async function versionOf(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, ['--version']).catch(() => ({ stdout: '' }));
  return stdout.trim();
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
