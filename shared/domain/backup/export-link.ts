import type { Signer } from './manifest-seal.ts';

/**
 * A link to an export is a secret: whoever has it may download. It says which export and until when, and carries the
 * signature of a key of the ring over both; nothing about it is stored. Its path is
 * `/exports/<export>.<seconds since 1970>.<key id>.<signature>`.
 */
export type LinkTarget = { exportId: string; expiresAt: Date };

const pattern = /^\/exports\/([0-9a-f-]{36})\.(\d{1,12})\.([A-Za-z0-9_-]{1,40})\.([0-9a-f]{64})$/;

/** No other document of the ring's begins so. */
function signedBytes(exportId: string, seconds: number): Buffer {
  return Buffer.from(JSON.stringify(['odoo-fleet download', exportId, seconds]));
}

/** `baseUrl`: where the function `download` is reached, with or without a slash at its end. */
export function exportLink({ exportId, expiresAt }: LinkTarget, baseUrl: string, signer: Pick<Signer, 'sign'>): string {
  const seconds = Math.floor(expiresAt.getTime() / 1_000);
  const { keyId, signature } = signer.sign(signedBytes(exportId, seconds));
  return `${baseUrl.replace(/\/+$/, '')}/exports/${exportId}.${seconds}.${keyId}.${signature}`;
}

/** What the path of a link leads to; undefined for one that we did not make. Whether it has expired is for the caller. */
export function openExportLink(path: string, signer: Pick<Signer, 'isSigned'>): LinkTarget | undefined {
  const [, exportId, digits, keyId, signature] = pattern.exec(path) ?? [];
  if (exportId === undefined || digits === undefined || keyId === undefined || signature === undefined)
    return undefined;
  const seconds = Number(digits);
  if (!signer.isSigned(signedBytes(exportId, seconds), { keyId, signature })) return undefined;
  return { exportId, expiresAt: new Date(seconds * 1_000) };
}
