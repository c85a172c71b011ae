import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findProgram } from '#shared/sandbox/packages.ts';
import { takeDownCluster } from './down.ts';
import { whyNoClusterToTest } from './obstacles.ts';
import { runningDaemons } from './running.ts';
import { bringUpCluster } from './up.ts';

/** What the tests of the cluster tier are given: a cluster, or why there is none. */
export type ClusterUnderTest =
  | { obstacle: string }
  | {
      obstacle?: undefined;
      kubeconfig: string;
      kubectl: string;
      /** Image of knative/acceptance/program. */
      programImage: string;
      /** Is it the cluster of this machine, which lets nothing out? */
      isOwn: boolean;
    };

declare module 'vitest' {
  interface ProvidedContext {
    cluster: ClusterUnderTest;
  }
}

const programFolder = join(import.meta.dirname, '..', '..', 'knative', 'acceptance', 'program');

/**
 * Gives the tests the cluster that KUBECONFIG names, with the image that FLEET_TEST_IMAGE names; else brings up the one of
 * this machine and, when it did not run before, takes it down after the tests.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const say = (line: string) => console.error(`cluster: ${line}`);
  const obstacle = await whyNoClusterToTest();
  if (obstacle !== undefined) {
    // Continuous integration must not lose this tier without anybody noticing.
    if (process.env['CI']) throw new Error(obstacle);
    project.provide('cluster', { obstacle });
    return undefined;
  }
  const named = process.env['KUBECONFIG'];
  if (named) {
    const kubectl = (await findProgram('kubectl')) ?? 'kubectl';
    const programImage = process.env['FLEET_TEST_IMAGE'] ?? '';
    project.provide('cluster', { kubeconfig: named, kubectl, programImage, isOwn: false });
    return undefined;
  }
  const ranBefore = (await runningDaemons()).has('apiserver');
  const cluster = await bringUpCluster({ say }).catch(async (error: unknown) => {
    // Its error says all that its logs would; what it left would be in the way of the next run.
    if (!ranBefore) await takeDownCluster({ say }).catch((second: Error) => say(second.message));
    throw error;
  });
  const down = async () => {
    if (cluster.isNew) await takeDownCluster({ say });
  };
  try {
    const { kubeconfig, kubectl } = cluster;
    const programImage = await cluster.importImage('acceptance', programFolder);
    project.provide('cluster', { kubeconfig, kubectl, programImage, isOwn: true });
    return down;
  } catch (error) {
    await down();
    throw error;
  }
}
