import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Lines of a secret's file: one, or two while one takes the place of the other. */
export function linesOf(secret: string | undefined): string[] {
  return (secret ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/**
 * Does the request show one of the tokens? Kill Bill sends no headers of its own, so that the token is part of the
 * registered callback (`?token=`); a proxy before it may send Basic authentication, whose user is free. Takes the same
 * time whatever is shown.
 */
export function showsToken(tokens: readonly string[], headers: IncomingHttpHeaders, query: URLSearchParams): boolean {
  const shown = [basicPassword(headers.authorization) ?? '', query.get('token') ?? ''].map(digest);
  let isShown = false;
  for (const token of tokens.map(digest)) {
    for (const one of shown) isShown = timingSafeEqual(token, one) || isShown;
  }
  return isShown;
}

function basicPassword(authorization: string | undefined): string | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]{1,1024})$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : text.slice(colon + 1);
}

/** Of one length, so that comparing tells nothing of it. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
