import { beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Cluster } from './cluster.ts';
import { at, text, unique } from './cluster.ts';
import { configMap, pod, withMetadata } from './examples.ts';

export function listContract(current: () => Cluster): void {
  const names = (answer: Answer) =>
    (at(answer, 'items') as unknown[]).map((item) =>
      text({ ...answer, body: item as Answer['body'] }, 'metadata.name'),
    );

  describe('list', () => {
    const set = unique('set');
    const labels: Record<string, Record<string, string>> = {
      a: { set, tier: 'web', plan: 'small' },
      b: { set, tier: 'web', plan: 'large' },
      c: { set, tier: 'cron' },
      d: { set },
    };

    beforeAll(async () => {
      for (const [name, own] of Object.entries(labels)) {
        await current().create('configmaps', withMetadata(configMap(`${set}-${name}`), { labels: own }));
      }
    });

    it.each([
      ['', 'abcd'],
      ['tier=web', 'ab'],
      ['tier==web,plan=large', 'b'],
      ['tier!=web', 'cd'],
      ['tier in (web,cron)', 'abc'],
      ['plan notin (small)', 'bcd'],
      ['tier', 'abc'],
      ['!tier', 'd'],
      ['tier,plan in (small, medium)', 'a'],
    ])('selects by labels: %s', async (selector, expected) => {
      const all = selector === '' ? `set=${set}` : `set=${set},${selector}`;
      const answer = await current().list('configmaps', `labelSelector=${encodeURIComponent(all)}`);
      expect(names(answer)).toEqual(expected.split('').map((letter) => `${set}-${letter}`));
    });

    it('leaves kind and version to the list', async () => {
      const answer = await current().list('configmaps', `labelSelector=set%3D${set}`);
      expect(answer.body).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1' });
      expect(at(answer, 'metadata.resourceVersion')).toMatch(/^\d+$/);
      expect(at(answer, 'items.0')).not.toHaveProperty('kind');
    });

    it.each(['a===b', 'a in b', 'a b', 'a=b=c'])('refuses the selector %s with 400', async (selector) => {
      const answer = await current().list('configmaps', `labelSelector=${encodeURIComponent(selector)}`);
      expect(answer).toMatchObject({ status: 400, body: { reason: 'BadRequest' } });
    });

    it('selects by fields the kind offers', async () => {
      const name = unique('fields');
      await current().create('pods', pod(name, { nodeName: 'nobody' }));
      const find = async (selector: string) =>
        names(await current().list('pods', `fieldSelector=${encodeURIComponent(selector)}`));
      expect(await find(`metadata.name=${name}`)).toEqual([name]);
      expect(await find(`spec.nodeName=nobody,metadata.name=${name}`)).toEqual([name]);
      expect(await find(`status.phase!=Pending,metadata.name=${name}`)).toEqual([]);
      const refused = await current().list('pods', 'fieldSelector=spec.bogus%3D1');
      expect(refused).toMatchObject({ status: 400, body: { reason: 'BadRequest' } });
    });

    it('gives pages of one and the same state', async () => {
      const page = new Set<string>();
      const query = `labelSelector=set%3D${set}&limit=3`;
      const first = await current().list('configmaps', query);
      expect(names(first)).toHaveLength(3);
      const added = await current().create('configmaps', withMetadata(configMap(`${set}-e`), { labels: { set } }));
      const token = encodeURIComponent(text(first, 'metadata.continue'));
      const second = await current().list('configmaps', `${query}&continue=${token}`);
      for (const name of [...names(first), ...names(second)]) page.add(name);
      expect([...page]).toEqual(['a', 'b', 'c', 'd'].map((letter) => `${set}-${letter}`));
      expect(at(second, 'metadata.resourceVersion')).toBe(at(first, 'metadata.resourceVersion'));
      expect(at(second, 'metadata.continue')).toBeUndefined();
      await current().remove('configmaps', text(added, 'metadata.name'));
    });

    it('tells how many remain when nothing is selected', async () => {
      const all = names(await current().list('configmaps')).length;
      const answer = await current().list('configmaps', 'limit=1');
      expect(at(answer, 'metadata.remainingItemCount')).toBe(all - 1);
    });

    it('lists over all namespaces', async () => {
      const answer = await current().raw.request('GET', `/api/v1/configmaps?labelSelector=set%3D${set}`);
      expect(names(answer)).toEqual(['a', 'b', 'c', 'd'].map((letter) => `${set}-${letter}`));
    });

    it('refuses wrong pages and versions', async () => {
      expect((await current().list('configmaps', 'continue=bogus')).status).toBe(400);
      expect((await current().list('configmaps', 'limit=many')).status).toBe(400);
      expect((await current().list('configmaps', 'resourceVersion=many')).status).toBe(400);
      const future = await current().list('configmaps', 'resourceVersion=999999999');
      expect(future).toMatchObject({ status: 504, body: { reason: 'Timeout' } });
    });
  });
}
