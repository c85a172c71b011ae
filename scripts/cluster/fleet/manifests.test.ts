import { expect, it } from 'vitest';
import type { Kubectl } from '../kubectl.ts';
import { devManifests } from './manifests.ts';

const built = `
kind: Service
metadata: { name: stop }
spec: { template: { spec: { containers: [{ name: stop, image: odoo-fleet/stop }] } } }
---
kind: ConfigMap
metadata: { name: images }
data: { image: odoo-fleet/stop:1, other: odoo-fleet/stop }
`;

it('puts images of the node in place of those of the functions, and leaves everything else', async () => {
  const asked: string[] = [];
  const kubectl: Pick<Kubectl, 'run'> = {
    async run(args) {
      asked.push(...args);
      return built;
    },
  };
  const [service, images] = await devManifests(kubectl, { imageOf: (name) => `fleet.local/${name}:1` });
  expect(asked).toEqual(['kustomize', expect.stringMatching(/\/knative\/overlays\/dev$/)]);
  expect(JSON.stringify(service)).toContain('"image":"fleet.local/stop:1"');
  expect(images?.['data']).toEqual({ image: 'odoo-fleet/stop:1', other: 'odoo-fleet/stop' });
});
