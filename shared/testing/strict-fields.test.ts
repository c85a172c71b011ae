import { expect, it } from 'vitest';
import { parseStrictly } from './strict-fields.ts';

const answer = parseStrictly('{"id":"a","none":null,"items":[{"name":"b"}],"owner":{"email":"c"}}');

it('gives what is there, however deep, also when it is null', () => {
  expect([answer.id, answer.none, answer.items[0].name, answer.owner.email]).toEqual(['a', null, 'b', 'c']);
  expect(answer.items.map(({ name }: { name: string }) => name)).toEqual(['b']);
});

it('fails whoever asks for a field or an item that is not there', () => {
  expect(() => answer.ids).toThrow('There is no ids in this answer, which has id, none, items, owner.');
  expect(() => answer.owner.mail).toThrow('There is no mail in this answer, which has email.');
  expect(() => answer.items[1]).toThrow('There is no 1 in this answer, which has 1 items.');
  expect(() => answer.items[0]?.names).toThrow('There is no names');
});

it('is compared, printed, awaited and sent on like any other value', async () => {
  expect(await answer).toEqual({ id: 'a', none: null, items: [{ name: 'b' }], owner: { email: 'c' } });
  expect(answer).toMatchObject({ items: [expect.objectContaining({ name: 'b' })] });
  expect('ids' in answer).toBe(false);
  expect(() => expect(answer).toEqual({ id: 'b' })).toThrow(/deeply equal/);
  expect(() => expect(answer).toMatchObject({ id: 'b' })).toThrow(/to match object/);
  expect(JSON.stringify(answer)).toBe('{"id":"a","none":null,"items":[{"name":"b"}],"owner":{"email":"c"}}');
});
