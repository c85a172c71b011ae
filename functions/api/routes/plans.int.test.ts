import { beforeAll, describe, expect, it } from 'vitest';
import { insertCatalogue } from '#shared/testing/fleet-rows.ts';
import { apiOfThisFile } from '../served-api.fixture.ts';

const api = apiOfThisFile();

beforeAll(() => insertCatalogue(api().database));

describe('plans', () => {
  it('are shown to whoever may see instances', async () => {
    const { status, body } = await api().ask('customer', 'GET', '/v1/plans');
    expect([status, body.items]).toEqual([200, [expect.objectContaining({ id: 'small', cpuMillis: 500, diskGib: 5 })]]);
    expect((await api().ask('nobody', 'GET', '/v1/plans')).status).toBe(401);
  });

  it('come with only those fields that are asked for', async () => {
    const { body } = await api().ask('customer', 'GET', '/v1/plans?fields=id,workers');
    expect(body.items).toEqual([{ id: 'small', workers: 0 }]);
    const wrong = await api().ask('customer', 'GET', '/v1/plans?fields=id,price');
    expect(wrong).toMatchObject({ status: 400, body: { errors: [{ field: 'query.fields' }] } });
  });
});
