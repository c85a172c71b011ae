import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { Failure } from '#shared/domain/failure.ts';
import type { Environment } from '#shared/runtime/config.ts';

/** Where the API is, and what proves who asks. */
export type Access = { url: URL; token: string };

const fileSchema = v.strictObject({ url: v.string(), token: v.string() });

/** Where the settings lie that the environment does not state. */
export function settingsFile(env: Environment): string {
  const folder = env['XDG_CONFIG_HOME'] || join(env['HOME'] || homedir(), '.config');
  return join(folder, 'odoo-fleet', 'config.json');
}

/**
 * FLEET_URL and FLEET_TOKEN, or what the file says. A token of the file is sent to the URL of the file only.
 * @throws Failure `misconfigured` that says what to state; never with the token.
 */
export function readAccess(env: Environment): Access {
  const stated = { url: env['FLEET_URL'], token: env['FLEET_TOKEN'] };
  const path = settingsFile(env);
  const kept = stated.url !== undefined && stated.token !== undefined ? undefined : readSettingsFile(path);
  const url = stated.url ?? kept?.url;
  if (url === undefined) throw wrong(`Where the API is, is not known: set FLEET_URL, or "url" and "token" in ${path}.`);
  const token = stated.token ?? (kept !== undefined && isSame(url, kept.url) ? kept.token : undefined);
  if (token === undefined) throw wrong(`No token is known for ${shown(url)}: set FLEET_TOKEN, or "token" in ${path}.`);
  if (!/^[\x21-\x7e]{1,8192}$/.test(token)) throw wrong('The token holds characters that no token has: copy it anew.');
  return { url: parseUrl(url), token };
}

function readSettingsFile(path: string): v.InferOutput<typeof fileSchema> | undefined {
  let text: string;
  try {
    const file = openSync(path, 'r');
    try {
      const mode = fstatSync(file).mode & 0o777;
      if ((mode & 0o077) !== 0) {
        const octal = mode.toString(8).padStart(3, '0');
        throw wrong(`${path} holds a token and others may read it (mode ${octal}): run chmod 600 ${path}.`);
      }
      text = readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (caught) {
    if (caught instanceof Failure) throw caught;
    const { code } = caught as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw wrong(`${path} cannot be read (${code}).`);
  }
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), fileSchema), text);
  if (parsed.success) return parsed.output;
  throw wrong(`${path} is not as it must be: write {"url": "https://…", "token": "…"} and nothing else.`);
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isGood =
    (url?.protocol === 'https:' || url?.protocol === 'http:') &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === '';
  if (url !== undefined && isGood) return url;
  throw wrong('FLEET_URL must be the http or https address of the API, without user, query and fragment.');
}

const isSame = (one: string, other: string) =>
  URL.canParse(one) && URL.canParse(other) && new URL(one).href === new URL(other).href;

/** Of an address only what is no secret. */
const shown = (url: string) => (URL.canParse(url) ? new URL(url).host : 'this FLEET_URL');

const wrong = (text: string) => new Failure('misconfigured', text);
