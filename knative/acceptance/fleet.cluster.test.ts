import { describe } from 'vitest';
import { isOwnCluster, titled } from './cluster.fixture.ts';
import { deployedFleet } from './fleet/fleet.fixture.ts';
import { provisionTests } from './fleet/provision.ts';

// The product as it is deployed. It needs images and servers that are made here, so it runs on the cluster of this machine only.
// One deployment serves all: it takes a minute.

describe.skipIf(!isOwnCluster)(titled('The fleet on a cluster'), () => {
  const fleet = deployedFleet();

  describe('provision', () => provisionTests(fleet));
});
