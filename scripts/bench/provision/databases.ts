import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { deriveInstanceId, namesOf } from '#shared/domain/instance/names.ts';
import { asSuperuser } from '#shared/testing/superuser.ts';
import { interleave } from '../rounds.ts';
import type { World } from './world.ts';

export type ClaimTimes = { claim: number[]; personalise: number[]; both: number[]; rename: number[] };

/** So many are made ready, then claimed one after another, then dropped: making and dropping load the disk. */
const perBatch = 10;

/** Milliseconds of claiming and personalising warm databases by the adapter, and of the bare ALTER DATABASE … RENAME. */
export async function timeClaims(world: World, like: Instance, batches: number): Promise<ClaimTimes> {
  const { databases } = world.servers;
  const times: ClaimTimes = { claim: [], personalise: [], both: [], rename: [] };
  for (let batch = 0; batch < batches; batch += 1) {
    const names = Array.from({ length: perBatch }, (_, index) => `claim-${batch}-${index}`);
    const instances = names.map((name) => ({ ...like, id: deriveInstanceId('urn:bench:claim', name), name }));
    // two more, so that the fleet's own tick finds nothing to refill meanwhile
    await world.refill(perBatch + 2);
    for (const { id } of instances) {
      await databases.createRoles(world.server, fenced(id), { password: id, connectionLimit: 5 });
    }
    await settle(world);
    for (const instance of instances) await timeClaim(world, instance, times);
    // roles and databases that pile up would slow the later ones down
    for (const { id } of instances) await databases.remove(world.server, fenced(id));
  }
  return times;
}

const fenced = (instanceId: string) => ({ instanceId, fence: 1 });

async function timeClaim(world: World, instance: Instance, times: ClaimTimes): Promise<void> {
  const { server, servers, template } = world;
  const beganMs = performance.now();
  const isClaimed = await servers.databases.claimWarm(server, fenced(instance.id), template);
  const claimedMs = performance.now();
  if (!isClaimed) throw new Error('there was no warm database to claim');
  const personal = { instance, adminPassword: instance.name, baseUrl: `http://${instance.name}.localhost` };
  await servers.databases.personalise(server, fenced(instance.id), personal);
  const endedMs = performance.now();
  times.claim.push(claimedMs - beganMs);
  times.personalise.push(endedMs - claimedMs);
  times.both.push(endedMs - beganMs);
  times.rename.push(await timeRename(world, namesOf(instance.id).database));
}

/** There and back: two renames, of which the mean is taken. */
async function timeRename(world: World, database: string): Promise<number> {
  return await asSuperuser(world.fleet.servers.odoo, async (client) => {
    const beganMs = performance.now();
    await client.query(`ALTER DATABASE "${database}" RENAME TO "${database}_renamed"`);
    await client.query(`ALTER DATABASE "${database}_renamed" RENAME TO "${database}"`);
    return (performance.now() - beganMs) / 2;
  });
}

export type RefillTimes = { refill: number[]; copy: number[]; files: number; mib: number };

/** Milliseconds of one clone by the adapter's refill, and of copying the template's files on the same disk. */
export async function timeRefills(world: World, rounds: number): Promise<RefillTimes> {
  const { servers, server, template } = world;
  const folder = await templateFolder(world);
  const target = join(folder, '..', '..', 'bench-copy');
  const { stdout } = await promisify(execFile)('du', ['--apparent-size', '-sm', folder]);
  const files = (await promisify(execFile)('sh', ['-c', 'ls "$1" | wc -l', 'sh', folder])).stdout;
  // as many as the fleet keeps: from here on its ticks make none
  await world.refill(2);
  const samples = await interleave(rounds, {
    refill: async () => {
      await settle(world);
      const beganMs = performance.now();
      const made = await servers.warm.refill(server, template, { target: Number.MAX_SAFE_INTEGER, atMost: 1 });
      if (made !== 1) throw new Error('the refill made no clone');
      return performance.now() - beganMs;
    },
    copy: async () => {
      await settle(world);
      const beganMs = performance.now();
      await promisify(execFile)('cp', ['-r', folder, target]);
      const tookMs = performance.now() - beganMs;
      await rm(target, { recursive: true });
      return tookMs;
    },
  });
  return { ...samples, files: Number(files), mib: Number.parseInt(stdout, 10) };
}

/** What earlier rounds left to write must not be written within this one. */
async function settle(world: World): Promise<void> {
  await asSuperuser(world.fleet.servers.odoo, (client) => client.query('CHECKPOINT'));
  await promisify(execFile)('sync');
}

async function templateFolder(world: World): Promise<string> {
  return await asSuperuser(world.fleet.servers.odoo, async (client) => {
    const { rows } = await client.query<{ folder: string }>(
      `SELECT current_setting('data_directory') || '/base/' || oid AS folder FROM pg_database WHERE datname = $1`,
      [`template_${world.template.digest}`],
    );
    if (rows[0] === undefined) throw new Error('the template is gone');
    return rows[0].folder;
  });
}
