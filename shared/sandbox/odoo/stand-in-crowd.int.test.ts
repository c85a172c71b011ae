import { join } from 'node:path';
import { odooContract } from '#shared/testing/contracts/odoo.ts';
import { standInOdooImage } from './odoo-image.ts';
import { openStandInCrowd } from './stand-in-crowd.ts';

odooContract(
  'many stand-ins in one process',
  async () => standInOdooImage(),
  async (processes, folder) => await openStandInCrowd(processes, { logFile: join(folder, 'crowd.log') }),
);
