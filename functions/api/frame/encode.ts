import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const gzipped = promisify(gzip);
const leastBytes = 1_024;
const compressible = /^(application\/(json|problem\+json|javascript)|text\/(html|plain|css|javascript))\b/;

/** Compressed when the client takes it, when it is worth it, and only if it gets smaller. */
export async function encode(
  text: string,
  { type, acceptEncoding }: { type: string; acceptEncoding: string | undefined },
): Promise<{ body: string | Buffer; headers: Record<string, string> }> {
  if (!compressible.test(type)) return { body: text, headers: {} };
  const headers = { vary: 'accept-encoding' };
  if (text.length < leastBytes || !takesGzip(acceptEncoding)) return { body: text, headers };
  const whole = Buffer.from(text);
  const small = await gzipped(whole, { level: 6 });
  if (small.length >= whole.length) return { body: text, headers };
  return { body: small, headers: { ...headers, 'content-encoding': 'gzip' } };
}

/** RFC 9110 §12.5.3: named, or meant by `*`, and not with a weight of 0. */
export function takesGzip(accepted: string | undefined): boolean {
  if (accepted === undefined) return false;
  const weights = new Map(
    accepted
      .toLowerCase()
      .split(',')
      .map((one) => {
        const [coding = '', ...rest] = one.split(';').map((piece) => piece.trim());
        const weight = rest.find((piece) => piece.startsWith('q='));
        return [coding, weight === undefined ? 1 : Number(weight.slice(2))] as const;
      }),
  );
  return (weights.get('gzip') ?? weights.get('x-gzip') ?? weights.get('*') ?? 0) > 0;
}

/**
 * The strong validator of a body: `version`, which begins it, and a digest. What was compressed has another one: its
 * bytes are others.
 */
export function entityTag(text: string, version: string | undefined): string {
  const digest = hash('sha1', text, 'base64url');
  return version === undefined ? `"${digest}"` : `"${version}.${digest}"`;
}

const compressedSuffix = '-gz';

export function compressedTag(tag: string): string {
  return `${tag.slice(0, -1)}${compressedSuffix}"`;
}

/** Does `If-None-Match` name it, compressed or not? Compared weakly (RFC 9110 §13.1.2). */
export function namesTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  const bare = bareTag(tag);
  return header.split(',').some((one) => bareTag(one) === bare);
}

function bareTag(tag: string): string {
  return tag
    .trim()
    .replace(/^W\//, '')
    .replace(new RegExp(`${compressedSuffix}"$`), '"');
}
