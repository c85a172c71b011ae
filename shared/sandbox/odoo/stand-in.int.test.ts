import { odooContract } from '#shared/testing/contracts/odoo.ts';
import { standInOdooImage } from './odoo-image.ts';

odooContract('the stand-in', async () => standInOdooImage());
