import { describe, expect, it } from 'vitest';
import { exportLink, openExportLink } from './export-link.ts';
import { hmacSigner } from './manifest-seal.ts';

const signer = hmacSigner('k1', Buffer.alloc(32, 1));
const target = { exportId: '01936f2e-8b5a-7c3d-9e4f-0a1b2c3d4e5f', expiresAt: new Date('2027-02-01T10:00:00Z') };
const pathOf = (link: string) => new URL(link).pathname;

describe('a link to an export', () => {
  it('leads to it and says until when', () => {
    const link = exportLink(target, 'https://download.example.com/', signer);
    expect(link).toMatch(/^https:\/\/download\.example\.com\/exports\/01936f2e-/);
    expect(openExportLink(pathOf(link), signer)).toEqual(target);
  });

  it('is none when anything of it is another, or another key has signed it', () => {
    const path = pathOf(exportLink(target, 'https://download.example.com', signer));
    const later = path.replace(/\.(\d+)\./, (_, seconds: string) => `.${Number(seconds) + 1}.`);
    const other = path.replace('01936f2e', '01936f2f');
    for (const wrong of [later, other, path.slice(0, -1), `${path}0`, path.toUpperCase(), '/exports/', '/']) {
      expect(openExportLink(wrong, signer), wrong).toBeUndefined();
    }
    expect(openExportLink(path, hmacSigner('k1', Buffer.alloc(32, 2)))).toBeUndefined();
    expect(openExportLink(path, hmacSigner('k2', Buffer.alloc(32, 1)))).toBeUndefined();
  });
});
