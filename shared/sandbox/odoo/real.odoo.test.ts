import { describe } from 'vitest';
import { findProgram } from '#shared/sandbox/packages.ts';
import { odooContract } from '#shared/testing/contracts/odoo.ts';
import { realOdooImage } from './odoo-image.ts';

const canRun = process.getuid?.() === 0 || (await findProgram('odoo')) !== undefined;
// in CI it runs anyway, and fails with the reason
const isSkipped = !canRun && process.env['CI'] !== 'true';

describe.skipIf(isSkipped)(
  isSkipped ? 'not run: no odoo on PATH, and only root can install it from packages' : '',
  () => {
    odooContract('the real Odoo', () => realOdooImage());
  },
);
