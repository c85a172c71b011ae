import { describe, expect, it } from 'vitest';
import type { Body, Cluster } from './cluster.ts';
import { at, eventually, isGone, text, unique } from './cluster.ts';
import { configMap, job, ownedBy, pod, secret, service, withMetadata } from './examples.ts';

const noUid = '00000000-0000-0000-0000-000000000000';

export function deletionContract(current: () => Cluster): void {
  async function make(plural: string, body: Body): Promise<{ name: string; uid: string }> {
    const answer = await current().create(plural, body);
    expect(answer.status).toBe(201);
    return { name: text(answer, 'metadata.name'), uid: text(answer, 'metadata.uid') };
  }

  describe('delete', () => {
    it('answers with the identity of what is gone, and 404 the next time', async () => {
      const { name, uid } = await make('configmaps', configMap(unique('gone')));
      const answer = await current().remove('configmaps', name);
      expect(answer).toMatchObject({
        status: 200,
        body: { kind: 'Status', status: 'Success', details: { name, uid, kind: 'configmaps' } },
      });
      expect((await current().remove('configmaps', name)).status).toBe(404);
    });

    it('answers a Service with the Service', async () => {
      const { name, uid } = await make('services', service(unique('gone')));
      expect(await current().remove('services', name)).toMatchObject({
        status: 200,
        body: { kind: 'Service', metadata: { uid } },
      });
      expect((await current().get('services', name)).status).toBe(404);
    });

    it('holds to its preconditions with 409', async () => {
      const { name } = await make('configmaps', configMap(unique('conditions')));
      for (const preconditions of [{ uid: noUid }, { resourceVersion: '1' }]) {
        expect(await current().remove('configmaps', name, { preconditions })).toMatchObject({
          status: 409,
          body: { reason: 'Conflict' },
        });
      }
      const { body } = await current().get('configmaps', name);
      const { uid, resourceVersion } = body['metadata'] as Body;
      expect((await current().remove('configmaps', name, { preconditions: { uid, resourceVersion } })).status).toBe(
        200,
      );
    });

    it('removes nothing on a dry run, and refuses an unknown propagation policy', async () => {
      const { name } = await make('configmaps', configMap(unique('dry')));
      expect((await current().remove('configmaps', name, { dryRun: ['All'] })).status).toBe(200);
      expect((await current().remove('configmaps', name, { propagationPolicy: 'Sideways' })).status).toBe(422);
      expect((await current().get('configmaps', name)).status).toBe(200);
    });

    it('waits for finalizers', async () => {
      const finalizers = ['example.com/hold'];
      const { name } = await make('configmaps', withMetadata(configMap(unique('held')), { finalizers }));
      const answer = await current().remove('configmaps', name);
      expect(answer).toMatchObject({
        status: 200,
        body: { metadata: { finalizers, deletionTimestamp: expect.any(String) } },
      });
      expect((await current().get('configmaps', name)).status).toBe(200);
      await current().merge('configmaps', name, { metadata: { finalizers: null } });
      expect((await current().get('configmaps', name)).status).toBe(404);
    });
  });

  describe('delete of a Pod', () => {
    it('leaves it to its node for the grace period, until the node deletes it with none', async () => {
      const { name } = await make(
        'pods',
        pod(unique('graceful'), { nodeName: 'nobody', terminationGracePeriodSeconds: 40 }),
      );
      const marked = await current().remove('pods', name);
      expect(at(marked, 'metadata')).toMatchObject({
        deletionTimestamp: expect.any(String),
        deletionGracePeriodSeconds: 40,
      });
      expect(Date.parse(text(marked, 'metadata.deletionTimestamp'))).toBeGreaterThan(Date.now() + 30_000);
      const sooner = await current().remove('pods', name, { gracePeriodSeconds: 5 });
      expect(at(sooner, 'metadata.deletionGracePeriodSeconds')).toBe(5);
      expect((await current().get('pods', name)).status).toBe(200);
      expect((await current().remove('pods', name, { gracePeriodSeconds: 0 })).status).toBe(200);
      expect((await current().get('pods', name)).status).toBe(404);
    });

    it('takes it away at once when no node has it or it has ended', async () => {
      // Where a scheduler runs, it must not be quicker.
      const unscheduled = await make('pods', pod(unique('unscheduled'), { schedulerName: 'nobody' }));
      await current().remove('pods', unscheduled.name);
      expect((await current().get('pods', unscheduled.name)).status).toBe(404);
      const ended = await make('pods', pod(unique('ended'), { nodeName: 'nobody' }));
      await current().merge('pods', `${ended.name}/status`, { status: { phase: 'Succeeded' } });
      await current().remove('pods', ended.name);
      expect((await current().get('pods', ended.name)).status).toBe(404);
    });
  });

  describe('ownership', () => {
    it('lets dependents go after their owner, through several levels', async () => {
      const owner = await make('configmaps', configMap(unique('owner')));
      const child = await make('secrets', withMetadata(secret(unique('child')), ownedBy(owner)));
      const grandchild = await make(
        'secrets',
        withMetadata(secret(unique('grandchild')), ownedBy({ ...child, kind: 'Secret' })),
      );
      await current().remove('configmaps', owner.name, { propagationPolicy: 'Background' });
      await isGone(current(), 'secrets', child.name);
      await isGone(current(), 'secrets', grandchild.name);
    });

    it('keeps a dependent while one of its owners is there', async () => {
      const [first, second] = [
        await make('configmaps', configMap(unique('first'))),
        await make('configmaps', configMap(unique('second'))),
      ];
      const references = [first, second].flatMap((owner) => ownedBy(owner)['ownerReferences'] as Body[]);
      const child = await make('secrets', withMetadata(secret(unique('shared')), { ownerReferences: references }));
      await current().remove('configmaps', first.name);
      const left = await eventually(async () => {
        const answer = await current().get('secrets', child.name);
        const owners = at(answer, 'metadata.ownerReferences') as Body[];
        return owners.length === 1 ? owners : undefined;
      }, 'one owner is left');
      expect(left).toMatchObject([{ uid: second.uid }]);
    });

    it('collects what names an owner that does not exist', async () => {
      const owner = { name: 'never', uid: '12345678-1234-1234-1234-123456789abc' };
      const child = await make('secrets', withMetadata(secret(unique('lost')), ownedBy(owner)));
      await isGone(current(), 'secrets', child.name);
    });

    it('in the foreground waits for the dependents that block', async () => {
      const owner = await make('configmaps', configMap(unique('foreground')));
      const metadata = { ...ownedBy(owner, { blockOwnerDeletion: true }), finalizers: ['example.com/hold'] };
      const child = await make('secrets', withMetadata(secret(unique('blocking')), metadata));
      const answer = await current().remove('configmaps', owner.name, { propagationPolicy: 'Foreground' });
      expect(at(answer, 'metadata')).toMatchObject({
        finalizers: ['foregroundDeletion'],
        deletionTimestamp: expect.any(String),
      });
      await eventually(
        async () => at(await current().get('secrets', child.name), 'metadata.deletionTimestamp'),
        'the child is being deleted',
      );
      expect((await current().get('configmaps', owner.name)).status).toBe(200);
      await current().merge('secrets', child.name, { metadata: { finalizers: null } });
      await isGone(current(), 'configmaps', owner.name);
    });

    it('orphans dependents when asked', async () => {
      const owner = await make('configmaps', configMap(unique('orphaning')));
      const child = await make('secrets', withMetadata(secret(unique('orphan')), ownedBy(owner)));
      await current().remove('configmaps', owner.name, { propagationPolicy: 'Orphan' });
      await isGone(current(), 'configmaps', owner.name);
      const answer = await current().get('secrets', child.name);
      expect(answer.status).toBe(200);
      expect(at(answer, 'metadata')).not.toHaveProperty('ownerReferences');
    });

    it('orphans the dependents of a Job unless told otherwise', async () => {
      const orphaning = await make('jobs', job(unique('job')));
      const kept = await make('secrets', withMetadata(secret(unique('kept')), ownedBy({ ...orphaning, kind: 'Job' })));
      await current().remove('jobs', orphaning.name);
      await isGone(current(), 'jobs', orphaning.name);
      expect((await current().get('secrets', kept.name)).status).toBe(200);
      const collecting = await make('jobs', job(unique('job')));
      const lost = await make('secrets', withMetadata(secret(unique('lost')), ownedBy({ ...collecting, kind: 'Job' })));
      await current().remove('jobs', collecting.name, { propagationPolicy: 'Background' });
      await isGone(current(), 'secrets', lost.name);
    });
  });

  describe('namespace', () => {
    it('takes everything in it along, and takes nothing new meanwhile', async () => {
      const { raw } = current();
      const name = unique('namespace');
      const path = `/api/v1/namespaces/${name}`;
      const created = await raw.request('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
      expect(created.body).toMatchObject({
        status: { phase: 'Active' },
        metadata: { labels: { 'kubernetes.io/metadata.name': name } },
      });
      const held = withMetadata(configMap('held'), { finalizers: ['example.com/hold'] });
      await raw.request('POST', `${path}/configmaps`, { body: held });
      expect((await raw.request('DELETE', path)).status).toBe(200);
      expect((await raw.request('GET', path)).body).toMatchObject({ status: { phase: 'Terminating' } });
      expect(await raw.request('POST', `${path}/configmaps`, { body: configMap('late') })).toMatchObject({
        status: 403,
        body: { reason: 'Forbidden' },
      });
      await eventually(async () => {
        const { body } = await raw.request('GET', `${path}/configmaps/held`);
        return at({ body }, 'metadata.deletionTimestamp');
      }, 'its content is being deleted');
      const contentType = 'application/merge-patch+json';
      await raw.request('PATCH', `${path}/configmaps/held`, { body: { metadata: { finalizers: null } }, contentType });
      await eventually(
        async () => ((await raw.request('GET', path)).status === 404 ? true : undefined),
        'the namespace is gone',
      );
    });

    it('has the ServiceAccount default', async () => {
      const found = await eventually(async () => {
        const answer = await current().get('serviceaccounts', 'default');
        return answer.status === 200 ? answer : undefined;
      }, 'the ServiceAccount default');
      expect(found.body).toMatchObject({ kind: 'ServiceAccount' });
    });
  });
}
