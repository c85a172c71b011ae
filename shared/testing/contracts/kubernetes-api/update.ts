import { describe, expect, it } from 'vitest';
import type { Body, Cluster } from './cluster.ts';
import { at, text, unique } from './cluster.ts';
import { configMap, deployment, withMetadata } from './examples.ts';

export function updateContract(current: () => Cluster): void {
  describe('replace', () => {
    it('refuses a stale resourceVersion with 409 Conflict and changes nothing', async () => {
      const name = unique('stale');
      const first = await current().create('configmaps', configMap(name));
      const seen = { resourceVersion: text(first, 'metadata.resourceVersion') };
      const write = (value: string) =>
        current().replace('configmaps', name, withMetadata(configMap(name, { key: value }), seen));
      expect((await write('second')).status).toBe(200);
      const answer = await write('third');
      expect(answer.status).toBe(409);
      expect(answer.body).toMatchObject({
        reason: 'Conflict',
        message: `Operation cannot be fulfilled on configmaps "${name}": the object has been modified; please apply your changes to the latest version and try again`,
        details: { name, kind: 'configmaps' },
      });
      expect(at(await current().get('configmaps', name), 'data.key')).toBe('second');
    });

    it('raises the resourceVersion with each change and keeps it without one', async () => {
      const name = unique('versions');
      const first = await current().create('configmaps', configMap(name));
      const same = await current().replace('configmaps', name, configMap(name));
      expect(at(same, 'metadata.resourceVersion')).toBe(at(first, 'metadata.resourceVersion'));
      const changed = await current().replace('configmaps', name, configMap(name, { key: 'other' }));
      expect(Number(at(changed, 'metadata.resourceVersion'))).toBeGreaterThan(
        Number(at(first, 'metadata.resourceVersion')),
      );
      expect(at(changed, 'metadata.uid')).toBe(at(first, 'metadata.uid'));
    });

    it('refuses another uid with 409, an absent object with 404 and a body without a name with 400', async () => {
      const name = unique('identity');
      await current().create('configmaps', configMap(name));
      const other = withMetadata(configMap(name), { uid: '00000000-0000-0000-0000-000000000000' });
      expect(await current().replace('configmaps', name, other)).toMatchObject({
        status: 409,
        body: { reason: 'Conflict' },
      });
      expect((await current().replace('configmaps', 'absent', configMap('absent'))).status).toBe(404);
      expect((await current().replace('configmaps', name, { metadata: {} })).status).toBe(400);
    });

    it('counts changes of the spec in the generation, and no others', async () => {
      const name = unique('generation');
      const first = await current().create('deployments', deployment(name));
      expect(at(first, 'metadata.generation')).toBe(1);
      const labelled = await current().merge('deployments', name, { metadata: { labels: { more: 'yes' } } });
      expect(at(labelled, 'metadata.generation')).toBe(1);
      const paused = await current().merge('deployments', name, { spec: { paused: true } });
      expect(at(paused, 'metadata.generation')).toBe(2);
    });
  });

  describe('merge patch', () => {
    it('merges objects, removes what is null and replaces lists', async () => {
      const name = unique('merge');
      await current().create('configmaps', configMap(name, { kept: 'a', removed: 'b' }));
      const answer = await current().merge('configmaps', name, { data: { removed: null, added: 'c' } });
      expect(answer).toMatchObject({ status: 200, body: { data: { kept: 'a', added: 'c' } } });
      expect(at(answer, 'data')).not.toHaveProperty('removed');
    });

    it('checks a resourceVersion in the patch', async () => {
      const name = unique('merge-stale');
      await current().create('configmaps', configMap(name));
      const answer = await current().merge('configmaps', name, {
        metadata: { resourceVersion: '1' },
        data: { a: 'b' },
      });
      expect(answer).toMatchObject({ status: 409, body: { reason: 'Conflict' } });
    });

    it('answers 404 for an absent object and 415 for an unknown content type', async () => {
      expect((await current().merge('configmaps', 'absent', { data: {} })).status).toBe(404);
      const path = current().path('configmaps', 'absent');
      const answer = await current().raw.request('PATCH', path, { body: {}, contentType: 'text/plain' });
      expect(answer).toMatchObject({ status: 415, body: { reason: 'UnsupportedMediaType' } });
    });
  });

  describe('status', () => {
    const status = { observedGeneration: 1, replicas: 0 };

    it('is written by its own endpoint, which leaves the spec alone', async () => {
      const name = unique('status');
      const first = await current().create('deployments', deployment(name));
      const patch = { spec: { paused: true }, status: { ...status, collisionCount: 3 } };
      const answer = await current().merge('deployments', `${name}/status`, patch, { manager: 'node' });
      expect(answer).toMatchObject({
        status: 200,
        body: { metadata: { generation: 1 }, status: { collisionCount: 3 } },
      });
      expect(at(answer, 'spec')).toEqual(at(first, 'spec'));
      expect(at(answer, 'metadata.managedFields')).toEqual(
        expect.arrayContaining([expect.objectContaining({ manager: 'node', subresource: 'status' })]),
      );
    });

    it('is replaced by PUT with a check of the resourceVersion', async () => {
      const name = unique('status-put');
      const first = await current().create('deployments', deployment(name));
      const body = { ...(first.body as Body), status: { ...status, collisionCount: 4 } };
      const fresh = await current().get('deployments', name);
      const answer = await current().replace(
        'deployments',
        `${name}/status`,
        withMetadata(body, {
          resourceVersion: at(fresh, 'metadata.resourceVersion'),
        }),
      );
      expect([200, 409]).toContain(answer.status);
      const stale = await current().replace(
        'deployments',
        `${name}/status`,
        withMetadata(body, { resourceVersion: '1' }),
      );
      expect(stale).toMatchObject({ status: 409, body: { reason: 'Conflict' } });
    });

    it('is not written by the main endpoint', async () => {
      const name = unique('status-main');
      const created = await current().create('deployments', { ...deployment(name), status: { collisionCount: 5 } });
      expect(at(created, 'status')).not.toHaveProperty('collisionCount');
      const patched = await current().merge('deployments', name, { status: { collisionCount: 6 } });
      expect(at(patched, 'status')).not.toHaveProperty('collisionCount');
    });

    it('answers 404 where there is no such object', async () => {
      expect((await current().merge('deployments', 'absent/status', { status })).status).toBe(404);
    });
  });
}
