import { test } from 'vitest';
import { findProgram } from '#shared/sandbox/packages.ts';
import { odooContract } from '#shared/testing/contracts/odoo.ts';
import { realOdooImage } from './odoo-image.ts';

const canRun = process.getuid?.() === 0 || (await findProgram('odoo')) !== undefined;

if (canRun || process.env['CI'] === 'true') {
  odooContract('the real Odoo', () => realOdooImage());
} else {
  test.skip('the real Odoo: there is no odoo on PATH, and only root can install it from packages', () => undefined);
}
