import { describe, expect, it } from 'vitest';
import type { Cluster } from './cluster.ts';
import { at, text, unique } from './cluster.ts';
import { configMap, withMetadata } from './examples.ts';

export function watchContract(current: () => Cluster): void {
  const label = (set: string, name = set, data = {}) => withMetadata(configMap(name, data), { labels: { set } });
  const now = async () => text(await current().list('configmaps', 'limit=1'), 'metadata.resourceVersion');
  const shown = (events: { type: string; object: unknown }[]) =>
    events.map((event) => [event.type, at({ body: event.object }, 'metadata.name')]);

  describe('watch', () => {
    it('tells of every change after the version it is given, in order', async () => {
      const set = unique('order');
      const version = await now();
      const created = await current().create('configmaps', label(set));
      const changed = await current().merge('configmaps', set, { data: { more: 'yes' } });
      await current().remove('configmaps', set);
      const query = `labelSelector=set%3D${set}&resourceVersion=${version}`;
      const events = await current().watch('configmaps', query, (seen) => seen.length === 3);
      expect(shown(events)).toEqual([
        ['ADDED', set],
        ['MODIFIED', set],
        ['DELETED', set],
      ]);
      expect(events[0]?.object).toEqual(created.body);
      expect(events[1]?.object).toEqual(changed.body);
      expect(Number(at({ body: events[2]?.object }, 'metadata.resourceVersion'))).toBeGreaterThan(
        Number(at(changed, 'metadata.resourceVersion')),
      );
    });

    it('tells of changes while it is open', async () => {
      const set = unique('live');
      const version = await now();
      const watching = current().watch(
        'configmaps',
        `labelSelector=set%3D${set}&resourceVersion=${version}`,
        (seen) => seen.length === 2,
      );
      await current().create('configmaps', label(set));
      await current().merge('configmaps', set, { data: { more: 'yes' } });
      expect(shown(await watching)).toEqual([
        ['ADDED', set],
        ['MODIFIED', set],
      ]);
    });

    it('begins with what there is when no version is given', async () => {
      const set = unique('initial');
      await current().create('configmaps', label(set, `${set}-a`));
      await current().create('configmaps', label(set, `${set}-b`));
      const events = await current().watch('configmaps', `labelSelector=set%3D${set}`, (seen) => seen.length === 2);
      expect(new Set(shown(events).map(([type, name]) => `${String(type)} ${String(name)}`))).toEqual(
        new Set([`ADDED ${set}-a`, `ADDED ${set}-b`]),
      );
    });

    it('shows an object that enters the selection as added and one that leaves it as deleted', async () => {
      const set = unique('moving');
      const version = await now();
      await current().create('configmaps', configMap(set));
      await current().merge('configmaps', set, { metadata: { labels: { set } } });
      const left = await current().merge('configmaps', set, { metadata: { labels: { set: 'other' } } });
      const query = `labelSelector=set%3D${set}&resourceVersion=${version}`;
      const events = await current().watch('configmaps', query, (seen) => seen.length === 2);
      expect(shown(events)).toEqual([
        ['ADDED', set],
        ['DELETED', set],
      ]);
      const gone = { body: events[1]?.object };
      expect(at(gone, 'metadata.labels')).toEqual({ set });
      expect(at(gone, 'metadata.resourceVersion')).toBe(at(left, 'metadata.resourceVersion'));
    });

    it('selects by the name of one object', async () => {
      const name = unique('single');
      const version = await now();
      await current().create('configmaps', configMap(unique('noise')));
      await current().create('configmaps', configMap(name));
      const query = `fieldSelector=metadata.name%3D${name}&resourceVersion=${version}`;
      expect(shown(await current().watch('configmaps', query, (seen) => seen.length === 1))).toEqual([['ADDED', name]]);
    });

    it('ends after its timeout', async () => {
      const startedAt = Date.now();
      await current().watch('configmaps', 'fieldSelector=metadata.name%3Dabsent&timeoutSeconds=2', () => false);
      expect(Date.now() - startedAt).toBeGreaterThan(1500);
      expect(Date.now() - startedAt).toBeLessThan(8000);
    });

    // The real server sends one about every minute and shortly before a timeout, when anything happened meanwhile.
    it('sends a bookmark with a newer version before it ends', async () => {
      const set = unique('bookmark');
      const version = text(await current().create('configmaps', label(set)), 'metadata.resourceVersion');
      const query = `labelSelector=set%3D${set}&resourceVersion=${version}&allowWatchBookmarks=true&timeoutSeconds=5`;
      const noise = setInterval(() => void current().create('configmaps', configMap(unique('noise'))), 500);
      const events = await current()
        .watch('configmaps', query, (seen) => seen.some((event) => event.type === 'BOOKMARK'))
        .finally(() => clearInterval(noise));
      expect(events).toMatchObject([{ type: 'BOOKMARK', object: { kind: 'ConfigMap', apiVersion: 'v1' } }]);
      expect(Number(at({ body: events[0]?.object }, 'metadata.resourceVersion'))).toBeGreaterThan(Number(version));
    });

    it('tells with 410 that a version is forgotten', async () => {
      const events = await current().watch('configmaps', 'resourceVersion=1', (seen) => seen.length === 1);
      expect(events).toMatchObject([
        { type: 'ERROR', object: { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410 } },
      ]);
    });
  });
}
