import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { takeFolder } from '#shared/sandbox/fleet/folder-lock.ts';
import { mailFolderOf } from '#shared/sandbox/fleet/function-programs.ts';
import { recallMemory } from '#shared/sandbox/fleet/memory.ts';
import { type Fleet, forgetFleet, startFleet } from '#shared/sandbox/fleet/start.ts';
import { ensureOdooImage } from '#shared/sandbox/odoo/odoo-image.ts';
import { ensureProgram } from '#shared/sandbox/packages.ts';
import { writeCommandsFile } from './commands-file.ts';
import type { LocalFleet, StartedFleet } from './local-fleet.ts';
import type { LocalOptions } from './options.ts';
import { publicPort } from './public-port.ts';
import type { Screen } from './screen.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));

/** Starts a fleet in the sandbox: everything is a process of this machine. Its data is kept. */
export async function startInSandbox(options: LocalOptions, screen: Screen): Promise<StartedFleet> {
  const folder = options.folder ?? join(checkout, '.fleet', options.odoo);
  const release = await takeFolder(folder);
  try {
    if (options.fresh) await forgetFleet(folder);
    const { image, digest, about } = await ensureOdooImage({ which: options.odoo, onProgress: screen.say });
    screen.say(about);
    await ensureWorkerPrograms(screen);
    const began = performance.now();
    const { ingressPort } = await recallMemory(join(folder, 'secrets', 'memory.json'));
    const fleet = await startFleet({
      folder,
      odoo: image,
      imageDigest: digest,
      warm: options.warm,
      hasVerificationServer: true,
      schedulesBackups: true,
      ingressPort: await publicPort(options.port, { preferred: ingressPort }),
      onProgress: screen.say,
      onFunction: (event) => screen.step(event.function, event.kind),
    });
    return {
      fleet: { ...localFleetOf(fleet), commands: await writeCommandsFile(fleet), mails: mailFolderOf(folder) },
      startSeconds: (performance.now() - began) / 1000,
      afterwards: 'its data is kept',
      async stop() {
        screen.say('stopping');
        try {
          await fleet.stop();
        } finally {
          await release();
        }
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** Only backups need them: without them these fail, and say what is missing. */
async function ensureWorkerPrograms({ say }: Screen): Promise<void> {
  try {
    await ensureProgram('zstd', 'zstd');
    await ensureProgram('pg_dump', 'postgresql-client');
  } catch (error) {
    say(`backups cannot be made here: ${(error as Error).message}`);
  }
}

/** A fleet of the sandbox as the programs here see it. */
export function localFleetOf({ folder, broker, records, servers, kubeconfigFile }: Fleet): LocalFleet {
  return {
    brokerUrl: broker.url,
    records,
    odooServer: servers.odoo,
    kubeconfigFile,
    whereToLook: `Logs are in ${folder}, those of Jobs in ${folder}/cluster/node/logs. --fresh starts anew.`,
  };
}
