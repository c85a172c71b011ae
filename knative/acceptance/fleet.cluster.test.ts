import { describe } from 'vitest';
import { isOwnCluster, titledOnOwn } from './cluster.fixture.ts';
import { accessTests } from './fleet/access.ts';
import { backupTests } from './fleet/backup.ts';
import { burstTests } from './fleet/burst.ts';
import { deadLetterTests } from './fleet/dead-letter.ts';
import { dispatcherTests } from './fleet/dispatcher.ts';
import { edgeTests } from './fleet/edge.ts';
import { deployedFleet } from './fleet/fleet.fixture.ts';
import { lifeTests } from './fleet/life.ts';
import { manifestsTests } from './fleet/manifests.ts';
import { migrationTests } from './fleet/migration.ts';
import { provisionTests } from './fleet/provision.ts';
import { reachTests } from './fleet/reach.ts';
import { rolloutTests } from './fleet/rollout.ts';
import { scaleTests } from './fleet/scale.ts';

// The product as it is deployed. It needs images and servers that are made here, so it runs on the cluster of this machine only.
// One deployment serves all: it takes a minute.

describe.skipIf(!isOwnCluster)(titledOnOwn('The fleet on a cluster'), () => {
  const fleet = deployedFleet();

  describe('migration', () => migrationTests(fleet));
  describe('provision', () => provisionTests(fleet));
  describe('life', () => lifeTests(fleet));
  describe('backup', () => backupTests(fleet));
  describe('scale', () => scaleTests(fleet));
  describe('dead-letter', () => deadLetterTests(fleet));
  describe('dispatcher', () => dispatcherTests(fleet));
  describe('access', () => accessTests(fleet));
  describe('a tenant’s pod', () => reachTests(fleet));
  describe('the manifests', () => manifestsTests(fleet));
  describe('burst', () => burstTests(fleet));
  describe('rollout', () => rolloutTests(fleet));
  // Last: one of its functions is deployed with a component more than the others here expect.
  describe('the edge', () => edgeTests(fleet));
});
